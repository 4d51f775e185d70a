"""Our copy of one file of the web: what is here, who reads it, and the fetching of more."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miauflixd.errors import MiauflixdError, StorageFullError
from miauflixd.torrents.active import Position
from miauflixd.torrents.pieces import Pieces
from miauflixd.torrents.reader import NoDataError, SourceFailedError
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.web_files import plan
from miauflixd.web_files.answers import AnswerError
from miauflixd.web_files.blocks import Blocks
from miauflixd.web_files.fetching import Fetch, Line
from miauflixd.web_files.holding import ChangedError, Holding
from miauflixd.web_files.local_file import is_full
from miauflixd.web_files.model import BLOCK, Facts, WebFile
from miauflixd.web_files.plan import Reading, Segment
from miauflixd.web_files.ports import Http
from miauflixd.web_files.servers import Servers, connected
from miauflixd.web_files.troubles import Troubles

logger = logging.getLogger(__name__)

_FIRST = 2**20
"""Bytes of the request by which a file is met."""

_WITHOUT_ROAD = 10.0
"""Seconds without a tunnel after which nobody begins to wait for data any more."""

_REPLAN_EVERY = 0.05
"""Seconds between plans while readers merely move on."""


@dataclass(eq=False, kw_only=True)
class _Reader:
    """A reader."""

    begun: int
    """Where it began, in bytes."""
    at: Position


@dataclass(eq=False, kw_only=True)
class _UnderWay:
    """A request, and the task that sends it."""

    fetch: Fetch
    task: asyncio.Task[None] | None = None


Spawn = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None] | None]
"""Runs something beside the caller; nothing comes of it when the daemon is about to stop."""


@dataclass(eq=False, kw_only=True)
class Circumstances:
    """What decides over a copy, and is the service's to say."""

    http: Http
    allow: tuple[str, ...]
    servers: Servers
    spawn: Spawn
    on_change: Callable[[], None]
    may_preload: Callable[[], bool]
    """Whether nobody in the house waits for anything."""
    patience: float
    """Seconds without a byte after which a reader is told so."""


class Copy:
    """One file.

    A copy whose file has changed at the server is over: its readers fail, and the next one gets a
    new copy.
    """

    def __init__(self, *, file: WebFile, index: int, path: Path, around: Circumstances) -> None:
        self.index = index
        self.holding = Holding(index=index, name=file.name, path=path)
        self.changed = False
        self.failure: str | None = None
        self.no_room = False
        self.closed = False
        self.troubles = Troubles()
        self.received = 0
        """Bytes that have come in."""
        self.rate = 0
        """Bytes per second."""
        self.last_used = 0.0
        """On the loop's clock."""
        self._around = around
        self._server = around.servers.of(file.url)
        self._line = Line(file=file, http=around.http, allow=around.allow)
        self._measured = 0
        self._last_arrival = 0.0
        self._met = False
        self._meeting = 0
        """How many wait for the server to say what the file is."""
        self._readers: dict[Position, _Reader] = {}
        self._preload: tuple[Reading, ...] = ()
        self._under_way: list[_UnderWay] = []
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    # --- what is known ----------------------------------------------------------------------------

    @property
    def facts(self) -> Facts | None:
        """What is known of the file."""
        return self.holding.facts

    @property
    def blocks(self) -> Blocks:
        """Those that are here; meaningless before the facts are known."""
        return self.holding.blocks

    @property
    def pieces(self) -> Pieces:
        """Blocks that may be sent."""
        return self.holding.blocks.pieces

    @property
    def complete(self) -> bool:
        """Whether all of it is here."""
        return self.facts is not None and self.blocks.complete

    @property
    def over(self) -> bool:
        """Whether it is of no use to anybody new."""
        return self.closed or self.failure is not None

    @property
    def readers(self) -> int:
        """How many read it."""
        return len(self._readers)

    def is_idle(self, seconds: float) -> bool:
        """Whether nobody has read it, nor had it preloaded, for so long."""
        now = asyncio.get_running_loop().time()
        return not self._readers and now - self.last_used > seconds

    @property
    def again_at(self) -> float:
        """Before when nothing is asked for, on the loop's clock."""
        return max(self.troubles.again_at, self._server.rests_until)

    @property
    def preloads(self) -> bool:
        """Whether something is fetched before anybody reads it."""
        return bool(self._preload)

    @property
    def host(self) -> str:
        """The server's name."""
        return self._server.host

    @property
    def wanting(self) -> bool:
        """Whether somebody wants something that is not here."""
        return not self.complete and (
            self._meeting > 0
            or any(
                block not in self.pieces
                for entry in self._readings()
                for block in plan.window(entry)
            )
        )

    @property
    def starving(self) -> bool:
        """Whether a reader waits."""
        return self.facts is not None and any(
            at.position < at.stop and at.position // BLOCK not in self.pieces
            for at in self._readers
        )

    # --- what is wanted ---------------------------------------------------------------------------

    async def meet(self, patience: float) -> None:
        """Have the server say what the file is, unless it has, or all of it is here.

        Returns early when it is clear that this will not be, and at the first trouble when it has
        been known for some time: then what is here can be played.

        Args:
            patience: seconds to wait.
        """
        self._meeting += 1
        self.replan()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        try:
            while not (self._met or self.complete or self.over or self.no_room):
                known_enough = self.facts is not None and self.troubles.error is not None
                if known_enough or loop.time() >= deadline or self._is_hopeless(deadline):
                    return
                await self._wait(deadline)
        finally:
            self._meeting -= 1

    def enter(self, position: Position) -> None:
        """Serve a reader from now on."""
        self._readers[position] = _Reader(begun=position.position, at=position)
        self.replan()
        self._around.on_change()

    def leave(self, position: Position) -> None:
        """Forget a reader; what is under way for it comes to its end unless another needs it."""
        self._readers.pop(position, None)
        self.last_used = asyncio.get_running_loop().time()
        self.replan()
        self._around.on_change()

    def moved(self) -> None:
        """Plan soon: some reader went on."""
        if self._timer is None:
            self._plan_in(_REPLAN_EVERY)

    def preload(self, spans: tuple[tuple[int, int], ...]) -> None:
        """Fetch these bytes when nobody waits for others; they replace the last ones."""
        self._preload = tuple(Reading(begun=a, position=a, stop=b) for a, b in spans if a < b)
        self.last_used = asyncio.get_running_loop().time()
        self.replan()

    def is_preloaded(self) -> bool:
        """Whether all of that is here."""
        return self.facts is not None and all(
            block in self.pieces for one in self._preload_readings() for block in plan.window(one)
        )

    async def wait_for_data(self, at: Position, *, begun: bool) -> None:
        """Wait for the block at a reader's position as long as the server gives anything at all.

        Raises:
            NoDataError: it gave nothing for too long.
            TunnelDownError: nor could it, for there is no way to it.
            StorageFullError: there is no room for more.
            SourceFailedError: it cannot, or the source was removed.
        """
        block = at.position // BLOCK
        loop = asyncio.get_running_loop()
        silent_since = loop.time()
        if block not in self.pieces:
            self.replan()
        while block not in self.pieces:
            if self.over:
                raise SourceFailedError(self.failure or "This source is not here any more")
            if self.no_room:
                raise StorageFullError("There is too little room on the disk to go on downloading")
            if self._line.ignores_ranges and not self._comes_soon(block):
                raise SourceFailedError(
                    f"{self.host} sends this file from its start only, and has not come so far"
                )
            deadline = max(silent_since, self._last_arrival) + self._patience(begun=begun)
            if loop.time() >= deadline or (not begun and self._is_hopeless(deadline)):
                raise self._too_long()
            await self._wait(deadline)

    def _patience(self, *, begun: bool) -> float:
        if self.troubles.no_road and not begun:
            return min(self._around.patience, _WITHOUT_ROAD)
        return self._around.patience

    def _is_hopeless(self, deadline: float) -> bool:
        """Whether the server wants to be left alone for longer than somebody waits."""
        return self._server.rests_until > deadline

    def _too_long(self) -> MiauflixdError:
        loop = asyncio.get_running_loop()
        if self._server.rests_until > loop.time():
            seconds = self._server.rests_until - loop.time()
            return SourceFailedError(
                f"{self.host} wants to be left alone for {seconds:.0f} more seconds"
            )
        error = self.troubles.error
        if error is None:
            return NoDataError(f"Nothing came from {self.host} for too long")
        if isinstance(error, TunnelDownError):
            return TunnelDownError(str(error))
        return NoDataError(f"Nothing came from {self.host} for too long: {error}")

    def not_met(self) -> MiauflixdError:
        """Return why a file whose facts are wanted has none."""
        if self.no_room:
            return StorageFullError("There is too little room on the disk to begin")
        if self.over:
            return SourceFailedError(self.failure or "This source is not here any more")
        return self._too_long()

    def _comes_soon(self, block: int) -> bool:
        start = next((one.fetch.segment.start for one in self._under_way if one.fetch.whole), 0)
        return start <= block < start + plan.WINDOW // BLOCK

    async def _wait(self, deadline: float) -> None:
        """Wait for any news, but not longer than that."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._news.wait()
        except TimeoutError:
            return

    # --- planning ---------------------------------------------------------------------------------

    def _readings(self) -> list[Reading]:
        return [
            Reading(begun=entry.begun, position=at.position, stop=at.stop)
            for at, entry in self._readers.items()
        ]

    def _preload_readings(self) -> list[Reading]:
        size = self.blocks.file.size
        return [
            Reading(begun=one.begun, position=one.position, stop=min(one.stop, size))
            for one in self._preload
        ]

    def replan(self) -> None:
        """Give up what nobody needs, and ask for what somebody does."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.over or self.no_room or self.complete:
            self._give_up(self._under_way)
            return
        now = asyncio.get_running_loop().time()
        if now < self.again_at:
            self._plan_in(self.again_at - now)
            return
        if self.facts is None or (self._meeting and not self._met):
            self._begin_to_meet()
        elif self._line.ignores_ranges:
            self._begin_whole()
        else:
            self._follow_plan()

    def _begin_to_meet(self) -> None:
        preload = self._preload and self._around.may_preload()
        if self._under_way or not (self._meeting or self._readers or preload):
            return
        start = 0 if self.facts is None else self.blocks.first_missing()
        self._begin(Segment(start, start + _FIRST // BLOCK))

    def _begin_whole(self) -> None:
        if not self._under_way and any(
            block not in self.pieces for one in self._readings() for block in plan.window(one)
        ):
            self._begin(Segment(0, 1))

    def _follow_plan(self) -> None:
        readings = self._readings()
        if not readings and self._around.may_preload():
            readings = self._preload_readings()
        lanes = 1
        if self._readers and self._met and self.troubles.error is None:
            lanes = self._server.lanes(len(self._under_way))
        under_way = {
            one.fetch.segment: one
            for one in self._under_way
            if one.fetch.segment.start < one.fetch.segment.stop
        }
        found = plan.plan(self.pieces, readings, list(under_way), lanes=lanes)
        self._give_up([under_way[segment] for segment in found.cancel])
        for segment in found.begin:
            self._begin(segment)

    def _plan_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self.replan)

    def _begin(self, segment: Segment) -> None:
        fetch = Fetch(
            segment=segment,
            line=self._line,
            holding=self.holding,
            on_part=self._on_part,
            on_bytes=self._on_bytes,
            on_blocks=self._on_blocks,
        )
        one = _UnderWay(fetch=fetch)
        one.task = self._around.spawn("web file", self._fetch(one))
        if one.task is not None:
            self._under_way.append(one)

    def _give_up(self, some: Iterable[_UnderWay]) -> None:
        for one in list(some):
            self._under_way.remove(one)
            one.fetch.given_up = True
            if one.task is not None:
                one.task.cancel()

    # --- fetching ---------------------------------------------------------------------------------

    async def _fetch(self, one: _UnderWay) -> None:
        try:
            async with self._around.servers.turn:
                with connected(self._server):
                    await one.fetch.run()
        except OSError as error:
            self._on_disk(error)
        except ChangedError as error:
            self.changed = True
            self._fail(str(error))
        except MiauflixdError as error:
            self._on_trouble(error)
        finally:
            # When it was given up, somebody else has planned already.
            if one in self._under_way:
                self._under_way.remove(one)
                self.replan()
            self._announce()

    def _on_part(self, fetch: Fetch) -> None:
        """Note that a server has begun to answer."""
        self._met = True
        if fetch.whole:
            # Let this answer be the only one: it brings everything, in its own order.
            self._give_up([one for one in self._under_way if one.fetch is not fetch])
        self._announce()

    def _on_bytes(self, count: int) -> None:
        self.received += count
        self._last_arrival = asyncio.get_running_loop().time()
        self.troubles.over(now=self._last_arrival)

    def _on_blocks(self) -> None:
        self._announce()
        self.moved()

    # --- what goes wrong --------------------------------------------------------------------------

    def _on_trouble(self, error: MiauflixdError) -> None:
        now = asyncio.get_running_loop().time()
        if isinstance(error, AnswerError) and error.retry_after is not None:
            self._server.rests_until = now + error.retry_after
        if self.troubles.note(error, now=now):
            self._announce()
        else:
            self._fail(str(error))

    def _on_disk(self, error: OSError) -> None:
        if is_full(error):
            logger.warning("The disk is full; downloads wait until there is room")
            self.no_room = True
            self._give_up(self._under_way)
        else:
            logger.error("The disk cannot be used: %s", error.strerror)
            self._fail(f"The disk cannot be used: {error.strerror}")

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._give_up(self._under_way)
        self._announce()

    def set_room(self, *, room: bool) -> None:
        """Say whether there is room on the disk."""
        if self.no_room is room:
            self.no_room = not room
            self.replan()
            self._announce()

    def measure(self, seconds: float) -> None:
        """Note how much has come in the last seconds."""
        self.rate = int((self.received - self._measured) / seconds)
        self._measured = self.received

    def stop(self) -> None:
        """Fetch nothing any more; whoever waits is told. What was written can be saved still."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._give_up(self._under_way)
        self._announce()

    def close(self) -> None:
        """Let go of the file, after `stop`."""
        self.stop()
        self.holding.close()

    def _announce(self) -> None:
        """Wake all who wait to look again."""
        self._news.set()
        self._news = asyncio.Event()
        self._around.on_change()
