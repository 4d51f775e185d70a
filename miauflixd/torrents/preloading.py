"""Fetching what will probably be played, so that it starts at once; never against who is watching.

- While some reader of any source is hungry, nothing of any preload is wanted.
- Of several preloads those of the highest rank are wanted, and lower ones when these are complete,
  or when nothing comes of them: a dead swarm holds up nobody.
- Within a torrent a preload is less urgent than the window of any reader (`read_ahead`).

The bytes are bounded by who asks: nothing but the spans is ever wanted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from miauflixd.torrents.active import ActiveTorrent
from miauflixd.torrents.model import Layout, SourceId
from miauflixd.torrents.read_ahead import heads

Span = tuple[int, int, int]
"""A file's index, and the bytes of it from the second number up to but not with the third."""

_JUST_ADDED = 1000
"""The rank of what was just added by hand, above all that is only looked at: who adds, plays."""

_FRUITLESS_AFTER = 3.0
"""Seconds in which nothing came of a preload, after which lower ranks are wanted as well."""


@dataclass(kw_only=True, eq=False)
class _Preload:
    spans: tuple[Span, ...] | None
    """`None`: head and tail of the main file, whichever that is."""
    rank: int
    pieces: tuple[range, ...] | None = None
    """The spans' pieces, as soon as the layout is known."""
    complete: bool = False
    """All of it was on the disk; pieces do not vanish."""
    wanted: bool = False
    came: int = 0
    """Bytes that had come of the torrent when `since` began."""
    since: float = 0.0
    """When the waiting for more began, on the loop's clock."""
    fruitless: bool = False


class Preloading:
    """Preloads of all sources, one of each at most."""

    def __init__(
        self,
        *,
        wake: Callable[[SourceId], Awaitable[ActiveTorrent]],
        let_go: Callable[[ActiveTorrent], None],
        active: Callable[[SourceId], ActiveTorrent | None],
        hungry: Callable[[], bool],
    ) -> None:
        """Begin with none.

        Args:
            wake: brings a source into the swarm, for nothing but a preload.
            let_go: takes it out, soon.
            active: returns a source as it is in the swarm, if it is.
            hungry: whether some reader of some source is.
        """
        self._wake = wake
        self._let_go = let_go
        self._active = active
        self._hungry = hungry
        self._preloads: dict[SourceId, _Preload] = {}
        self._plans = 0

    async def preload(self, source_id: SourceId, spans: Sequence[Span], *, rank: int) -> None:
        """Fetch parts of a source's files; what was asked of this source before is replaced.

        It stays in the swarm until `stop_preload`, or for ten minutes.

        Args:
            source_id: the source; it is woken.
            spans: in the order in which they are wanted; what is beyond a file's end is left out.
            rank: higher ones go first; below a thousand.

        Raises:
            NoSourceError: there is no such source, or it has no such file.
        """
        preload = _Preload(spans=tuple(spans), rank=rank)
        self._preloads[source_id] = preload
        try:
            active = await self._wake(source_id)
            if active.layout is not None:
                for index, _, _ in spans:
                    active.layout.file(index)
        except BaseException:
            if self._preloads.get(source_id) is preload:
                self.stop_preload(source_id)
            raise
        if source_id in self._preloads:
            self.plan()
        else:
            self._leave(active)  # it was stopped while it woke

    def preload_main_file(self, source_id: SourceId) -> None:
        """Fetch what a player reads first of a source that was just added, before all others.

        What somebody has asked of it stays. It ends when the source leaves the swarm.
        """
        self._preloads.setdefault(source_id, _Preload(spans=None, rank=_JUST_ADDED))
        self.plan()

    def stop_preload(self, source_id: SourceId) -> None:
        """Want nothing of a preload any more, and take a source out that was woken for it only.

        What has come stays on the disk. Nothing happens when there is no such preload.
        """
        if self._preloads.pop(source_id, None) is None:
            return
        if (active := self._active(source_id)) is not None:
            active.preload((), wanted=False)
            self._leave(active)
        self.plan()

    def preloaded(self, source_id: SourceId) -> bool:
        """Whether all that was asked of a source is on the disk."""
        preload = self._preloads.get(source_id)
        return preload is not None and self._look(source_id, preload)

    def forget(self, source_id: SourceId) -> None:
        """Note that a source has been removed."""
        self._preloads.pop(source_id, None)

    def on_change(self, source_id: SourceId) -> None:
        """Note that something has come of a source, or that it has left."""
        preload = self._preloads.get(source_id)
        if preload is None:
            return
        if preload.spans is None and self._active(source_id) is None:
            del self._preloads[source_id]
        self.plan()

    def look(self) -> None:
        """Find out from time to time of which preloads nothing comes."""
        if self._preloads:
            now = asyncio.get_running_loop().time()
            for source_id, preload in self._preloads.items():
                if preload.wanted and (active := self._active(source_id)) is not None:
                    _watch(preload, active.downloaded, now)
            self.plan()

    def plan(self) -> None:
        """Decide which preloads are wanted now, and tell their torrents."""
        wanted = _wanted(
            []
            if self._hungry()
            else [
                one for source_id, one in self._preloads.items() if not self._look(source_id, one)
            ]
        )
        now = asyncio.get_running_loop().time()
        self._plans += 1
        plan = self._plans
        for source_id, preload in list(self._preloads.items()):
            if self._plans != plan:
                return  # telling a torrent has shown that some reader is hungry, or none any more
            active = self._active(source_id)
            if active is None or active.layout is None:
                continue
            pieces = _pieces(active.layout, preload)
            is_wanted = preload in wanted
            if is_wanted and not preload.wanted:
                preload.came, preload.since = active.downloaded, now
            preload.wanted = is_wanted
            active.preload(pieces, wanted=is_wanted)

    def _look(self, source_id: SourceId, preload: _Preload) -> bool:
        """Return whether all of a preload is here; what has left the swarm is as it was then."""
        active = self._active(source_id)
        if preload.complete or active is None or active.layout is None or not active.checked:
            return preload.complete
        pieces = _pieces(active.layout, preload)
        preload.complete = all(piece in active.pieces for span in pieces for piece in span)
        return preload.complete

    def _leave(self, active: ActiveTorrent) -> None:
        if active.only_preloaded and not active.leaving:
            self._let_go(active)


def _wanted(missing: Iterable[_Preload]) -> set[_Preload]:
    """Return those that are wanted of those of which something is missing."""
    missing = list(missing)
    first = max((one.rank for one in missing if not one.fruitless), default=None)
    return {one for one in missing if first is None or one.rank >= first}


def _watch(preload: _Preload, downloaded: int, now: float) -> None:
    if downloaded > preload.came:
        preload.came, preload.since, preload.fruitless = downloaded, now, False
    elif now - preload.since >= _FRUITLESS_AFTER:
        preload.fruitless = True


def _pieces(layout: Layout, preload: _Preload) -> tuple[range, ...]:
    """Return the pieces of a preload, noting them; a file that is not there has none."""
    if preload.pieces is None:
        files = {file.index: file for file in layout.files if file.size > 0}
        if (spans := preload.spans) is None:
            spans = heads(layout.main_file()) if files else ()
        preload.pieces = tuple(
            layout.pieces_of(files[index], max(0, start), min(stop, files[index].size))
            for index, start, stop in spans
            if index in files
        )
    return preload.pieces
