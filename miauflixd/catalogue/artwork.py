"""Posters and the like: fetched once, kept on the disk, and there without the internet.

Invariants: nothing is fetched but what `urls` names, nothing is kept that did not come from one of
the hosts, and nothing is served that is no image by its first bytes.
"""

import asyncio
import errno
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Final, Self

from miauflixd.catalogue.image_files import ImageFile, ImageFiles
from miauflixd.catalogue.image_source import (
    HostAwayError,
    ImageSource,
    ImageUnavailableError,
    host_of,
)
from miauflixd.catalogue.images import ImageSize, MediaType, is_image_key, is_image_size
from miauflixd.catalogue.ladder import Ladder
from miauflixd.catalogue.model import ImageKey, NoImageError
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.http import Http

_log = logging.getLogger(__name__)

_IN_MEMORY = 2**18
"""Bytes of an image that is handed out in memory: every poster and most backdrops. To a client that
reads slowly a larger one is sent from the file."""

_AT_ONCE = 8
"""Fetches under way, a fraction of what the client does: a page of new posters must not keep a
person's search waiting."""

_WAITING = 500
"""Fetches that are wanted but not done; more than stand on a page is somebody who scrolls."""

_ANSWERED_WITHIN = 15.0
"""Seconds that somebody waits for an image, with its turn. It is fetched all the same, for the next
who looks."""

_BROKEN: Final = (60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
"""Seconds to leave an image alone after each failure: something is wrong with just this one."""

_AWAY: Final = (2.0, 5.0, 15.0, 60.0)
"""Seconds to leave a host alone after each failure to reach it. Short: when the internet comes back
somebody looks at empty frames. Yet a page of a hundred is not a hundred time-outs."""

_MISSING = 24 * 3600.0
"""Seconds to believe that there is no such image."""

Urls = Callable[[ImageKey, ImageSize], str | None]
"""Says where an image is; `None`: nowhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """An image."""

    content: bytes | Path
    """What is in it; of a large one, where that is. It may be gone when the path is opened late."""
    size: int
    """Bytes."""
    media_type: MediaType
    etag: str
    """A strong validator, in its quotes."""


@dataclass(kw_only=True, slots=True)
class ArtworkFigures:
    """What is counted since the start, and what there is."""

    hits: int = 0
    """Images that were here."""
    fetched: int = 0
    """Images that were fetched and kept."""
    failed: int = 0
    """Fetches that gave nothing."""
    received: int = 0
    """Bytes of what was fetched."""
    images: int = 0
    """Images that are kept now."""
    used: int = 0
    """Bytes that they take on the disk."""


class Artwork:
    """The images of the house."""

    def __init__(
        self,
        *,
        files: ImageFiles,
        quota: int,
        source: ImageSource,
        urls: Urls,
        tasks: asyncio.TaskGroup,
        seconds: Callable[[], float],
    ) -> None:
        self._files = files
        # In the order in which they were last wanted, so that the first is the next to go.
        self._kept: OrderedDict[str, ImageFile] = OrderedDict()
        self._stock_taken = asyncio.Event()
        self._quota = quota
        self._source = source
        self._urls = urls
        self._tasks = tasks
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._fetching: dict[str, asyncio.Task[ImageFile | ImageUnavailableError | NoImageError]]
        self._fetching = {}
        self._broken = Ladder[str](steps=_BROKEN, clock=seconds)
        self._missing = Ladder[str](steps=(_MISSING,), clock=seconds)
        self._away = Ladder[str](steps=_AWAY, clock=seconds)
        self._figures = ArtworkFigures()
        self._gone = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        folder: Path,
        *,
        quota: int,
        http: Http,
        urls: Urls,
        hosts: Collection[str],
        allow: Collection[str] = (),
        clock: Callable[[], float] = time.time,
        seconds: Callable[[], float] = time.monotonic,
    ) -> AsyncIterator[Self]:
        """Have images for the length of the block.

        Args:
            folder: where they are kept; ours alone.
            quota: bytes on the disk.
            http: the client of the host's network.
            urls: where images are.
            hosts: from whom an image may come, behind all redirects: `image.tmdb.org`, or
                `*.archive.org` for all names below that one.
            allow: origins that may be on a private network, as for `http`.
            clock: the wall clock, seconds since the epoch.
            seconds: seconds that never go back.

        Raises:
            OSError: there can be no such folder.
        """
        files = ImageFiles(folder, clock=clock)
        await asyncio.to_thread(files.prepare)
        async with asyncio.TaskGroup() as tasks:
            artwork = cls(
                files=files,
                quota=quota,
                source=ImageSource(http=http, hosts=hosts, allow=allow),
                urls=urls,
                tasks=tasks,
                seconds=seconds,
            )
            stock = tasks.create_task(artwork._take_stock(), name="the stock of images")
            try:
                yield artwork
            finally:
                stock.cancel()
                for task in [*artwork._fetching.values()]:
                    task.cancel()

    async def image(self, key: str, size: str) -> Found:
        """Return an image, fetching it if it is not here.

        Raises:
            NoImageError: there is none.
            ImageUnavailableError: it is not here, and cannot be fetched now.
        """
        if not is_image_key(key) or not is_image_size(size):
            raise NoImageError("There is no such image")
        await self._stock_taken.wait()
        mark = _mark(key, size)
        if (found := await self._kept_one(mark)) is not None:
            self._figures.hits += 1
            return found
        await self._fetched(key, size, mark)
        if (found := await self._kept_one(mark)) is not None:
            return found
        raise ImageUnavailableError("This image is not here any more")  # the quota is that small

    def set_quota(self, quota: int) -> None:
        """Keep at most so many bytes on the disk from now on; what is beyond goes at once."""
        self._quota = quota
        if self._stock_taken.is_set():  # and else when it is
            self._tasks.create_task(self._make_room(), name="room for images")

    async def tidy(self) -> int:
        """Return how many images had to go for others since this was last asked."""
        await self._stock_taken.wait()
        await self._make_room()
        gone, self._gone = self._gone, 0
        return gone

    def figures(self) -> ArtworkFigures:
        """Return what is counted."""
        return replace(self._figures, images=len(self._kept))

    # --- what is here -----------------------------------------------------------------------------

    async def _take_stock(self) -> None:
        """Look at what is on the disk: 0.2 s for 20,000, and no reason to hold up the house."""
        try:
            stock = await asyncio.to_thread(self._files.take_stock)
        except OSError as error:
            _log.warning("The folder of images cannot be read: %s", error.strerror)
            stock = []
        self._kept.update((file.mark, file) for file in stock)
        self._figures.used = sum(file.room for file in stock)
        await self._make_room()
        self._stock_taken.set()
        await self._make_room()  # for a quota that was set meanwhile

    async def _kept_one(self, mark: str) -> Found | None:
        """Return an image that is here, and have it go last."""
        if (file := self._kept.get(mark)) is None:
            return None
        self._kept.move_to_end(mark)
        try:
            content = await asyncio.to_thread(self._files.read, file, limit=_IN_MEMORY)
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                raise ImageUnavailableError("Too much is going on to read this image") from error
            # Somebody has cleaned up, or the power failed: as if it had never been here.
            await self._drop(file)
            return None
        return Found(
            content=self._files.path(file) if content is None else content,
            size=file.size,
            media_type=file.media,
            etag=f'"{file.digest}"',
        )

    async def _keep(self, file: ImageFile) -> None:
        if (other := self._kept.get(file.mark)) is not None:
            await self._drop(other)
        self._kept[file.mark] = file
        self._figures.used += file.room
        await self._make_room()

    async def _make_room(self) -> None:
        leaving = []
        while self._figures.used > self._quota and self._kept:
            _, file = self._kept.popitem(last=False)
            self._figures.used -= file.room
            leaving.append(file)
        self._gone += len(leaving)
        if leaving:
            await asyncio.to_thread(self._files.remove, leaving)

    async def _drop(self, file: ImageFile) -> None:
        if self._kept.get(file.mark) is file:
            del self._kept[file.mark]
            self._figures.used -= file.room
            await asyncio.to_thread(self._files.remove, [file])

    # --- what is fetched --------------------------------------------------------------------------

    async def _fetched(self, key: ImageKey, size: ImageSize, mark: str) -> None:
        """Have an image fetched, once for all who want it now.

        Whoever gives up waiting does not end it: others may wait, and it will be wanted again.
        """
        if (task := self._fetching.get(mark)) is None:
            url = self._may_be_fetched(key, size, mark)
            task = self._tasks.create_task(self._fetch(url, mark), name="an image")
            self._fetching[mark] = task
            task.add_done_callback(lambda _: self._fetching.pop(mark, None))
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN):
                result = await asyncio.shield(task)
        except TimeoutError:
            raise ImageUnavailableError("This image is on its way") from None
        if isinstance(result, MiauflixdError):
            raise type(result)(*result.args) from result

    def _may_be_fetched(self, key: ImageKey, size: ImageSize, mark: str) -> str:
        if self._missing.wait(mark) or (url := self._urls(key, size)) is None:
            raise NoImageError("There is no such image")
        if self._broken.wait(mark):
            raise ImageUnavailableError("This image could not be used when it was last asked for")
        if self._away.wait(host_of(url)):
            raise ImageUnavailableError("Where this image is could not be reached just now")
        if len(self._fetching) >= _WAITING:
            raise ImageUnavailableError("So many images are on their way that this one has to wait")
        return url

    async def _fetch(self, url: str, mark: str) -> ImageFile | ImageUnavailableError | NoImageError:
        """Fetch an image; what goes wrong is the result, for those who wait may have gone."""
        host = host_of(url)
        async with self._turn:
            try:
                if self._away.wait(host):  # it was not yet when this one was asked for
                    raise ImageUnavailableError("Where this image is cannot be reached now")
                content, media = await self._source.download(url)
                file = await asyncio.to_thread(self._files.write, mark, content, media)
                await self._keep(file)
            except NoImageError as error:
                self._missing.failed(mark)
                failure: ImageUnavailableError | NoImageError = error
            except HostAwayError as error:
                if self._away.failed(host, at_least=error.at_least):
                    _log.warning("Images of %s cannot be fetched now", host)
                failure = ImageUnavailableError(str(error))
            except ImageUnavailableError as error:
                self._broken.failed(mark)
                failure = error
            except OSError as error:
                self._broken.failed(mark)
                _log.warning("An image cannot be kept: %s", error.strerror)
                failure = ImageUnavailableError("There is no place for this image")
            except Exception:  # noqa: BLE001 - the edge: strangers' bytes must not end the house
                self._broken.failed(mark)
                _log.exception("An image could not be fetched, and nobody had thought of why")
                failure = ImageUnavailableError("There is no image where this one should be")
            else:
                self._broken.succeeded(mark)
                self._missing.succeeded(mark)
                self._figures.fetched += 1
                self._figures.received += len(content)
                if self._away.succeeded(host):
                    _log.info("Images of %s can be fetched again", host)
                return file
        self._figures.failed += 1
        return failure


def _mark(key: ImageKey, size: ImageSize) -> str:
    """Return what stands for an image in a file's name; which title it belongs to is not in it."""
    return blake2b(f"{size}/{key}".encode(), digest_size=16).hexdigest()
