"""One request for a part of a file, and what comes of it on the disk."""

from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from miauflixd.web_files.answers import AnswerError, Part, read_answer
from miauflixd.web_files.holding import Holding
from miauflixd.web_files.model import BLOCK, WebFile
from miauflixd.web_files.plan import Segment
from miauflixd.web_files.ports import Http, Stream

_SILENCE = 15.0
"""Seconds without a byte after which a connection is given up, and another one made: half of what a
reader bears."""

_LEFTOVERS = 4
"""Blocks of which the first part has come that are kept in memory for the next request."""


class Line:
    """The way to a file's server, as far as one request can learn of it for the next."""

    def __init__(self, *, file: WebFile, http: Http, allow: Collection[str]) -> None:
        self.http = http
        self.allow = allow
        self.url = file.url
        self.host = urlsplit(file.url).hostname or "?"
        self.ignores_ranges = False
        """It sends everything, whatever is asked of it."""
        self.leftovers: dict[int, bytes] = {}
        """The first bytes of blocks, of requests that broke off in the middle of one."""
        self._shortcut: str | None = None

    def take_address(self) -> str:
        """Return where to ask. Where a redirect led to may be gone the next time."""
        address, self._shortcut = self._shortcut or self.url, None
        return address

    def keep_address(self, address: str) -> None:
        """Ask there next time: the detour costs a round trip or two for each request."""
        # At the same host there may be a user and password in ours, and not in what it became.
        if urlsplit(address).hostname != self.host:
            self._shortcut = address


class Fetch:
    """One request."""

    def __init__(
        self,
        *,
        segment: Segment,
        line: Line,
        holding: Holding,
        on_part: Callable[["Fetch"], None],
        on_bytes: Callable[[int], None],
        on_blocks: Callable[[], None],
    ) -> None:
        """Send nothing yet.

        Args:
            segment: what to ask for.
            line: the way to the server.
            holding: where the bytes go.
            on_part: told when an answer begins.
            on_bytes: told how many bytes have come.
            on_blocks: told when there are new blocks.
        """
        self.segment = segment
        """What is still to come of it."""
        self.whole = False
        """Everything comes, whatever was asked for."""
        self.given_up = False
        """Nobody needs it any more; blocks that are written nevertheless do not count."""
        self._line = line
        self._holding = holding
        self._on_part = on_part
        self._on_bytes = on_bytes
        self._on_blocks = on_blocks

    async def run(self) -> None:
        """Send it, and take what comes.

        Raises:
            AnswerError: not all of it came.
            ChangedError: the file is another one now.
            EgressError: there was no answer, or it broke off.
            TunnelDownError: there is no way out.
            OSError: the disk does not let us.
        """
        line, facts = self._line, self._holding.facts
        begun = b"" if line.ignores_ranges else line.leftovers.pop(self.segment.start, b"")
        start = self.segment.start * BLOCK + len(begun)
        stop = self.segment.stop * BLOCK
        if facts is not None:
            stop = min(stop, facts.size)
        headers = {} if line.ignores_ranges else {"Range": f"bytes={start}-{stop - 1}"}
        address = line.take_address()
        try:
            async with line.http.stream(
                "GET", address, headers=headers, timeout=_SILENCE, allow=line.allow
            ) as stream:
                part = read_answer(stream.status, stream.headers, start=start, stop=stop)
                await self._holding.learn(part.facts)
                line.keep_address(stream.url)
                if part.whole:
                    self.whole = line.ignores_ranges = True
                    begun = b""
                self._on_part(self)
                await self._take(stream, part, begun)
        except AnswerError as error:
            if error.final and address != line.url:
                raise AnswerError(str(error)) from error  # only there, perhaps
            raise

    async def _take(self, stream: Stream, part: Part, begun: bytes) -> None:
        """Write what comes, block by block."""
        at = part.start - len(begun)
        buffer = bytearray(begun)
        try:
            async for piece in stream.chunks():
                self._on_bytes(len(piece))
                buffer += piece
                if (excess := at + len(buffer) - part.stop) > 0:
                    del buffer[-excess:]
                at = await self._write(buffer, at)
                if at + len(buffer) >= part.stop:
                    break
        finally:
            if not part.whole:
                self._leave(buffer, at)
        if at + len(buffer) < part.stop:
            raise AnswerError(f"{self._line.host} broke off")

    def _leave(self, buffer: bytearray, at: int) -> None:
        """Keep the first part of a block for the next request, unless that is all of it."""
        rest = self._holding.blocks.file.size - at
        if 0 < len(buffer) < min(BLOCK, rest) and len(self._line.leftovers) < _LEFTOVERS:
            self._line.leftovers[at // BLOCK] = bytes(buffer)

    async def _write(self, buffer: bytearray, at: int) -> int:
        """Write the whole blocks of a buffer, and return where what is left of it begins."""
        ends = at + len(buffer)
        end = ends if ends == self._holding.blocks.file.size else ends - ends % BLOCK
        if end <= at:
            return at
        blocks = await self._holding.write(bytes(memoryview(buffer)[: end - at]), at)
        del buffer[: end - at]
        self.segment = Segment(blocks.stop, max(blocks.stop, self.segment.stop))
        if not self.given_up:
            self._holding.add(blocks)
            for block in blocks:
                self._line.leftovers.pop(block, None)
            self._on_blocks()
        return end
