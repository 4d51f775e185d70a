"""A film as HLS: segments are made when they are asked for, from wherever that is.

    Film       one file and one recipe: the segments that there are, shared by all who watch it
      Viewing    one client of it, with a job of its own that makes what comes next
        job        an errand in a worker: segments in order from one on

A client that asks for what its job will soon have made waits; for anything else the job begins
anew there, and with it the window of the download. One that stops asking stops its job: first the
job is some segments ahead and pauses, a minute later it is over.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing

from miauflixd.errors import MiauflixdError, NotFoundError
from miauflixd.playback import hls
from miauflixd.playback.errors import WorkerDiedError
from miauflixd.playback.model import Recipe
from miauflixd.playback.texts import Texts
from miauflixd.playback.worker import Worker
from miauflixd.remuxer.media import Media
from miauflixd.remuxer.messages import Make, Video

_SOON = 6
"""Segments, 24 s, that a job may be behind what is asked for; else it begins anew (as Jellyfin)."""

_AHEAD = 8
"""Segments that a job makes before they are asked for."""

_AHEAD_BYTES = 48 * 2**20
"""Bytes likewise, and never less than one segment."""

KEPT = 96 * 2**20
"""Bytes of segments that a film keeps; what was asked for longest ago goes first."""

IDLE = 60.0
"""Seconds after the last request until a job is over."""

_LIVES = 3
"""Workers that may die for one segment; a file that kills them does so again."""

Open = Callable[[], AbstractAsyncContextManager[Worker]]


class NoSegmentError(NotFoundError):
    """The film has no such segment."""

    code = "no_segment"


class Film:
    """One file, made into segments by one recipe."""

    def __init__(self, *, media: Media, recipe: Recipe, texts: Texts, worker: Open) -> None:
        """Have no segment yet.

        Args:
            media: what the file holds.
            recipe: what is made of it.
            texts: where to put what is said on the way.
            worker: opens the file in a worker.

        Raises:
            ValueError: nobody knows how long it is.
        """
        self.cuts, self.exact = hls.cuts(media, recipe)
        self.durations: Sequence[float] = hls.durations(self.cuts)
        self.codecs = _codecs(media, recipe)
        self._media = media
        self._recipe = recipe
        self._texts = texts
        self.worker = worker
        self.init = b""
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._bytes = 0
        self.news = asyncio.Condition()
        self.jobs: list[Job] = []

    def wanted(self, first: int) -> Make:
        """Return the errand that makes segments from one on."""
        recipe = self._recipe
        encoding = recipe.encoding
        return Make(
            video=recipe.video,
            audio=recipe.audio,
            audio_codec=recipe.audio_codec,
            audio_channels=recipe.audio_channels,
            encoding=(
                None
                if encoding is None
                else Video(encoder=encoding.encoder, height=encoding.height)
            ),
            cuts=self.cuts,
            exact=self.exact,
            first=first,
            texts=tuple(one.index for one in self._media.subtitles if one.kind == "text"),
        )

    def kept(self, number: int) -> bytes | None:
        """Return a segment if it is there."""
        data = self._kept.get(number)
        if data is not None:
            self._kept.move_to_end(number)
        return data

    def keep(self, number: int, data: bytes) -> None:
        """Take in a segment."""
        self._bytes += len(data) - len(self._kept.pop(number, b""))
        self._kept[number] = data
        ahead = {one for job in self.jobs for one in job.unasked}
        for old in [one for one in self._kept if one not in ahead and one != number]:
            if self._bytes <= KEPT:
                break
            self._bytes -= len(self._kept.pop(old))

    def size(self, number: int) -> int:
        """Return the bytes of a segment that is there."""
        return len(self._kept.get(number, b""))

    def passed(self, job: "Job") -> None:
        """Note up to where a job has come."""
        self._texts.know(self.cuts[job.first], self.cuts[min(job.next, len(self.cuts) - 1)])

    @property
    def texts(self) -> Texts:
        """What is said in the file."""
        return self._texts


class Job:
    """Makes segments in order, as long as somebody asks for them."""

    def __init__(self, film: Film, first: int) -> None:
        """Be at a segment; `run` makes it."""
        self._film = film
        self.first = first
        self.next = first
        """The number of the segment that comes next."""
        self.asked = first
        """The latest one that was asked for."""
        self._asked_at = asyncio.get_running_loop().time()
        self.over = False
        self.error: MiauflixdError | None = None
        self._more = asyncio.Event()

    @property
    def unasked(self) -> range:
        """The segments that are there before they are asked for."""
        return range(self.asked + 1, self.next)

    def covers(self, number: int) -> bool:
        """Whether a segment will come from here soon enough."""
        return not self.over and self.next <= number <= self.next + _SOON

    def ask(self, number: int) -> None:
        """Note that somebody asks for a segment."""
        self.asked = max(self.asked, number) if number >= self.first else self.asked
        self._asked_at = asyncio.get_running_loop().time()
        self._more.set()

    async def run(self) -> None:
        """Make segments until nobody asks for any, or there are no more."""
        film = self._film
        try:
            async with (
                film.worker() as worker,
                aclosing(worker.make(film.wanted(self.first))) as made,
            ):
                async for segment in made:
                    async with film.news:
                        film.init = film.init or segment.init
                        film.keep(segment.number, segment.data)
                        film.texts.add(segment.texts)
                        self.next = segment.number + 1
                        film.passed(self)
                        film.news.notify_all()
                    if not await self._wanted_on():
                        break
        except MiauflixdError as error:
            self.error = error
        finally:
            self.over = True
            async with film.news:
                film.jobs.remove(self)
                film.news.notify_all()

    async def _wanted_on(self) -> bool:
        """Wait while there is enough ahead, and return whether somebody still asks."""
        loop = asyncio.get_running_loop()
        while self._is_ahead():
            self._more.clear()
            left = self._asked_at + IDLE - loop.time()
            if left <= 0:
                return False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._more.wait()
        return loop.time() - self._asked_at < IDLE

    def _is_ahead(self) -> bool:
        unasked = self.unasked
        if len(unasked) < 1:
            return False
        return (
            len(unasked) >= _AHEAD
            or sum(self._film.size(number) for number in unasked) >= _AHEAD_BYTES
        )


class Viewing:
    """One client's way through a film; the port `HlsStream`."""

    def __init__(
        self, film: Film, *, start: float, spawn: Callable[[Job], "asyncio.Task[None]"]
    ) -> None:
        """Ask for nothing yet.

        Args:
            film: what is watched.
            start: seconds at which it will probably begin.
            spawn: has a job run.
        """
        self.film = film
        self._start = hls.number_at(film.cuts, start)
        self._spawn = spawn
        self._job: Job | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def durations(self) -> Sequence[float]:
        """See `HlsStream`."""
        return self.film.durations

    @property
    def codecs(self) -> str:
        """See `HlsStream`."""
        return self.film.codecs

    def warm(self) -> None:
        """Begin to make what the client will probably ask for first."""
        film = self.film
        if film.kept(self._start) is None and self._job_for(self._start) is None:
            self._begin(self._start)

    async def init(self) -> bytes:
        """See `HlsStream`. It comes with whichever segment is made first."""
        return await self._got(lambda: self.film.init or None, None)

    async def segment(self, number: int) -> bytes:
        """See `HlsStream`."""
        if not 0 <= number < len(self.film.durations):
            raise NoSegmentError("The film has no such segment")
        self._start = number
        if self._job is not None:
            self._job.ask(number)
        return await self._got(lambda: self.film.kept(number), number)

    async def aclose(self) -> None:
        """Make nothing more for this client."""
        task, self._task, self._job = self._task, None, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _got(self, find: Callable[[], bytes | None], number: int | None) -> bytes:
        """Return what is found, having it made if need be; a worker that dies is replaced.

        Args:
            find: looks whether it is there.
            number: of the segment; `None`: any will do.
        """
        film, lives = self.film, _LIVES
        while True:
            async with film.news:
                if (found := find()) is not None:
                    return found
                job = self._job_for(number)
                if job is not None:
                    if number is not None:
                        job.ask(number)
                    await film.news.wait()
                    if (found := find()) is not None:
                        return found
                    if not job.over or job.error is None:
                        continue
                    lives -= 1
                    if not isinstance(job.error, WorkerDiedError) or lives == 0:
                        raise job.error
            await self._restart(number)

    def _job_for(self, number: int | None) -> Job | None:
        for job in self.film.jobs:
            if job.covers(number) if number is not None else not job.over:
                return job
        return None

    async def _restart(self, number: int | None) -> None:
        await self.aclose()
        if self._job_for(number) is None:
            self._begin(self._start if number is None else number)

    def _begin(self, number: int) -> None:
        self._job = Job(self.film, number)
        self.film.jobs.append(self._job)
        self._task = self._spawn(self._job)


def _codecs(media: Media, recipe: Recipe) -> str:
    """Return the codecs of what is made, RFC 6381."""
    video = next((one for one in media.video if one.index == recipe.video), None)
    audio = next((one for one in media.audio if one.index == recipe.audio), None)
    said = []
    if recipe.encoding is not None:
        said.append("avc1.64002a")
    elif video is not None and video.codec_string is not None:
        said.append(video.codec_string)
    if audio is not None:
        aac = recipe.audio_codec == "aac"
        said.append("mp4a.40.2" if aac else audio.codec_string or "mp4a.40.2")
    return ",".join(said)
