"""One worker process from the house's side: a file is opened in it, and errands are run."""

import asyncio
import os
import select
import signal
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from typing import Self

import msgspec

from miauflixd.playback.errors import UnplayableFileError, WorkerDiedError
from miauflixd.playback.ports import Reader
from miauflixd.remuxer.media import Media
from miauflixd.remuxer.messages import (
    ANSWERS,
    Answer,
    Attach,
    Attached,
    Failed,
    Finished,
    GoOn,
    Have,
    Made,
    Make,
    Open,
    Probe,
    Probed,
    Question,
    Read,
    Ready,
    Stop,
    Texts,
    Tried,
    Try,
    Want,
)
from miauflixd.runtime import children
from miauflixd.runtime.messages import Channel, ChannelClosedError
from miauflixd.torrents.reader import Span

_TRY_WITHIN = 30.0
"""Seconds for an encoder to show what it can do; one that takes as long is of no use."""

_START_WITHIN = 20.0
"""Seconds for a worker to come up on a busy Raspberry Pi."""

_STOP_WITHIN = 3.0
"""Seconds for an errand to notice that it is over; then the process is."""

Errand = Probe | Make | Read | Attach


class Worker:
    """A process that is shut in, and one film in it."""

    def __init__(
        self, process: asyncio.subprocess.Process, channel: Channel[Answer, Question]
    ) -> None:
        self._process = process
        self._channel = channel
        self._pidfd = os.pidfd_open(process.pid)
        self._feed: _Feed | None = None
        self._turn = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[Self]:
        """Run a worker for the length of the block.

        Raises:
            WorkerDiedError: it did not come up.
        """
        async with AsyncExitStack() as stack:
            ours, theirs = socket.socketpair()
            with theirs:
                channel: Channel[Answer, Question] = await Channel.open(ours, decoder=ANSWERS)
                stack.push_async_callback(channel.aclose)
                try:
                    process = await asyncio.create_subprocess_exec(
                        sys.executable,
                        "-m",
                        "miauflixd.remuxer",
                        str(theirs.fileno()),
                        pass_fds=[theirs.fileno()],
                        env=children.environment(),
                        stdin=asyncio.subprocess.DEVNULL,
                        process_group=0,
                    )
                except OSError as error:
                    raise WorkerDiedError("No process for opening films can be made") from error
            worker = cls(process, channel)
            stack.push_async_callback(worker._end)
            try:
                async with asyncio.timeout(_START_WITHIN):
                    first = await channel.receive()
            except (TimeoutError, ChannelClosedError, msgspec.DecodeError) as error:
                raise WorkerDiedError("The process that opens films did not start") from error
            if not isinstance(first, Ready):
                raise WorkerDiedError("The process that opens films is another one")
            yield worker

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        # The descriptor can be read as soon as it has, pidfd_open(2); asyncio finds out later.
        return bool(select.select([self._pidfd], [], [], 0)[0])

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def open(self, reader: Reader) -> None:
        """Give it its file, of which it reads nothing yet."""
        self._feed = _Feed(reader)
        self._channel.send(Open(size=reader.file.size))

    async def probe(self) -> Media:
        """Return what the file holds.

        Raises:
            UnplayableFileError: it is no media file.
            WorkerDiedError: the process has ended.
            MiauflixdError: the file's bytes do not come.
        """
        async with aclosing(self._answers(Probe(), far=False)) as answers:
            async for answer in answers:
                if isinstance(answer, Probed):
                    return answer.media
        raise WorkerDiedError("The process that opens films said nothing")

    async def make(self, wanted: Make) -> AsyncGenerator[Made, None]:
        """Yield segments until one wants no more. The next is made when it is asked for.

        Raises:
            As `probe`.
        """
        async with aclosing(self._answers(wanted, far=True)) as answers:
            async for answer in answers:
                if isinstance(answer, Made):
                    yield answer

    async def read(self, wanted: Read) -> AsyncGenerator[Texts, None]:
        """Yield what is said between two moments.

        Raises:
            As `probe`.
        """
        async with aclosing(self._answers(wanted, far=False)) as answers:
            async for answer in answers:
                if isinstance(answer, Texts):
                    yield answer

    async def attachment(self, index: int) -> bytes:
        """Return a file within the file.

        Raises:
            As `probe`.
        """
        async with aclosing(self._answers(Attach(index=index), far=False)) as answers:
            async for answer in answers:
                if isinstance(answer, Attached):
                    return answer.data
        raise WorkerDiedError("The process that opens films said nothing")

    async def tries(self, encoder: str) -> float | None:
        """Return how many times as fast as it is watched an encoder works here; `None`: not at all.

        Raises:
            WorkerDiedError: the process has ended, as a driver may have it.
        """
        self._channel.send(Try(encoder=encoder))
        try:
            async with asyncio.timeout(_TRY_WITHIN):
                answer = await self._channel.receive()
        except (TimeoutError, ChannelClosedError, msgspec.DecodeError) as error:
            raise WorkerDiedError("The process that tries an encoder has ended") from error
        return answer.pace if isinstance(answer, Tried) else None

    def kill(self) -> None:
        """End it at once."""
        # By its descriptor: `Process.kill` may take away from asyncio how it ended.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def _answers(self, errand: Errand, *, far: bool) -> AsyncGenerator[Answer, None]:
        """Yield what an errand brings, and see to it that it is over at the end."""
        feed = self._feed
        if feed is None:
            raise WorkerDiedError("No film is open")
        async with self._turn:
            over = False
            try:
                self._channel.send(errand)
                while True:
                    answer = await self._channel.receive()
                    match answer:
                        case Want():
                            have, descriptors = await feed.want(answer, far=far)
                            self._channel.send(have, descriptors)
                        case Failed():
                            over = True
                            raise UnplayableFileError(
                                f"This file cannot be played ({answer.reason})"
                            )
                        case Finished():
                            over = True
                            return
                        case Probed() | Attached():
                            over = True
                            yield answer
                            return
                        case _:
                            yield answer
                            self._channel.send(GoOn())
            except (ChannelClosedError, msgspec.DecodeError) as error:
                # Nonsense is what a file makes a worker say that it has taken over.
                over = True
                self.kill()
                raise WorkerDiedError("The process that opens films has ended") from error
            finally:
                await feed.rest()
                if not over:
                    await self._call_back()

    async def _call_back(self) -> None:
        """Have an errand end that is in the middle of something."""
        self._channel.send(Stop())
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                while not isinstance(await self._channel.receive(), Finished | Failed):
                    self._channel.send(Stop())
        except (TimeoutError, ChannelClosedError, msgspec.DecodeError):
            self.kill()

    async def _end(self) -> None:
        self.kill()
        await self._process.wait()
        os.close(self._pidfd)


class _Feed:
    """Gives a worker the bytes that it wants as they come, and has the swarm bring what is next."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._spans: AsyncGenerator[Span, None] | None = None
        self._at = 0

    async def want(self, wanted: Want, *, far: bool) -> tuple[Have, list[int]]:
        """Return what to answer, and the descriptor of the file if it was opened for it.

        Args:
            wanted: where, and about how much.
            far: whether one will go on reading from there: what is behind is fetched ahead.

        Raises:
            MiauflixdError: it does not come.
        """
        size = self._reader.file.size
        fresh = self._spans is None or self._at != wanted.offset
        if fresh:
            await self.rest()
            stop = size if far else min(size, wanted.offset + wanted.length)
            self._spans = self._reader.spans(wanted.offset, stop)
        spans = self._spans
        if spans is None:
            raise WorkerDiedError("The film was closed")
        try:
            span = await anext(spans)
        except StopAsyncIteration:  # a short look is over, and a longer one wanted
            self._spans = None
            return await self.want(wanted, far=far)
        self._at = span.offset + span.length
        return Have(stop=self._at), [span.file.fileno()] if fresh else []

    async def rest(self) -> None:
        """Want nothing until the next time."""
        spans, self._spans = self._spans, None
        if spans is not None:
            with suppress(RuntimeError):
                await spans.aclose()
