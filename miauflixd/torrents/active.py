"""One torrent that is in the engine, as the house sees it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from miauflixd.engine.messages import Command, Prioritize, Progress, Reread
from miauflixd.torrents import read_ahead
from miauflixd.torrents.model import Layout, SourceFile, SourceId
from miauflixd.torrents.pieces import Pieces
from miauflixd.torrents.read_ahead import Reading, Wishes

_REPLAN_EVERY = 0.05
"""Seconds between plans while readers merely move on; a new reader or a seek is planned at once."""


@dataclass(kw_only=True, eq=False)
class Position:
    """Where a reader is; it alone writes here."""

    file: SourceFile
    position: int
    stop: int
    rate: float = 0.0


@dataclass(kw_only=True, eq=False)
class ActiveTorrent:
    """Pieces, readers and wishes of one torrent.

    Whoever changes something calls `replan`; the engine hears only of differences.
    """

    source_id: SourceId
    send: Callable[[Command], None]
    on_change: Callable[[SourceId], None]
    on_hunger: Callable[[], None]
    pieces: Pieces = field(default_factory=Pieces)
    layout: Layout | None = None
    progress: Progress | None = None
    checked: bool = False
    no_room: bool = False
    failure: str | None = None
    wrong_pieces: int = 0
    """That have failed their hash."""
    stalled: bool = False
    """Somebody waits for a piece, and for seconds nothing has come."""
    only_preloaded: bool = False
    """It is here for a preload, and nobody has asked for it otherwise."""
    kept: bool = False
    """Somebody wants all of it, whether anybody watches or not."""
    upload_limit: int = 0
    """Bytes per second that it may give; 0 for no limit of its own."""
    leaving: bool = False
    """The engine was told to let go of it."""
    removed: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, when metadata or a failure becomes known, or the disk fills or empties."""
    last_used: float = 0.0
    """On the loop's clock."""
    wishes: Wishes = field(default_factory=Wishes)
    _positions: set[Position] = field(default_factory=set)
    _preload: tuple[range, ...] = ()
    _rest: list[SourceFile] = field(default_factory=list)
    _timer: asyncio.TimerHandle | None = None

    # --- what is wanted ---------------------------------------------------------------------------

    @property
    def readers(self) -> int:
        """How many are reading."""
        return len(self._positions)

    @property
    def files_in_use(self) -> list[SourceFile]:
        """Files that are read, or were lately."""
        return self._rest

    def preload(self, pieces: tuple[range, ...], *, wanted: bool) -> None:
        """Fetch these when nobody waits, if they are wanted now; they replace the last ones."""
        pieces = pieces if wanted else ()
        if pieces != self._preload:
            self._preload = pieces
            self.replan()

    def enter(self, position: Position) -> None:
        """Serve a reader from now on; its file is fetched as a whole once nobody waits."""
        self._positions.add(position)
        if position.file not in self._rest:
            self._rest.append(position.file)
        self.replan()

    def fetch(self, file: SourceFile) -> None:
        """Fetch a file as a whole, whether anybody reads it or not."""
        self.kept = True
        if file not in self._rest:
            self._rest.append(file)
        self.replan()

    def leave(self, position: Position) -> None:
        """Forget a reader and, with it, its window."""
        self._positions.discard(position)
        self.last_used = asyncio.get_running_loop().time()
        self.replan()

    def moved(self) -> None:
        """Plan soon: some reader went on."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_REPLAN_EVERY, self.replan)

    def replan(self) -> None:
        """Plan now, and tell the engine what has changed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.layout is None or not self.checked or self.removed.is_set():
            return
        wishes = self._wishes(self.layout)
        changed = read_ahead.changes(self.wishes, wishes, self.pieces)
        if changed:
            self.send(Prioritize(torrent_id=self.source_id, pieces=changed))
        hunger_changed = wishes.hungry is not self.wishes.hungry
        self.wishes = wishes
        if hunger_changed:
            self.on_hunger()

    def _wishes(self, layout: Layout) -> Wishes:
        if self.no_room:
            return Wishes()
        readings = [
            Reading(
                file=at.file,
                position=at.position,
                stop=at.stop,
                rate=at.rate,
            )
            for at in self._positions
        ]
        return read_ahead.wishes(
            layout,
            self.pieces,
            readings,
            swarm_rate=self.progress.download_rate if self.progress else 0.0,
            stalled=self.stalled,
            preload=self._preload,
            rest=self._rest,
        )

    # --- what is so -------------------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Every piece is here."""
        return self.layout is not None and len(self.pieces) == self.layout.piece_count

    @property
    def wanting(self) -> bool:
        """Something is wanted that is not here."""
        return bool(self.wishes.windows) or any(
            piece not in self.pieces for pieces in self.wishes.rest for piece in pieces
        )

    @property
    def downloaded(self) -> int:
        """Payload bytes that have come in so far: it grows as long as the swarm gives anything."""
        return self.progress.downloaded if self.progress else 0

    def announce_news(self) -> None:
        """Wake all who wait, for metadata or for a piece, to look again."""
        self.news.set()
        self.news = asyncio.Event()
        self.pieces.wake_all()
        self.on_change(self.source_id)

    def on_pieces_finished(self, pieces: list[int]) -> None:
        """Note pieces that have arrived."""
        self.pieces.add(pieces)
        self.stalled = False
        if self.wishes.hungry:
            self.replan()  # little is under way, and that is less now
        else:
            self.moved()
        self.on_change(self.source_id)

    def on_pieces(self, bits: bytes) -> None:
        """Take over the whole truth about what is on the disk."""
        self.pieces.replace(bits)
        first = not self.checked
        self.checked = True
        self.replan()
        if first:
            self.announce_news()

    def on_stall(self) -> None:
        """Ask the engine for the whole truth, in case a word of it was lost, and want more."""
        self.send(Reread(torrent_id=self.source_id))
        if not self.stalled:
            self.stalled = True
            self.replan()

    def close(self) -> None:
        """Stop planning; the engine has let go of it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.removed.set()
        self.announce_news()
