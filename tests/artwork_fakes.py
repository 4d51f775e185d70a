"""A host of images with behaviour, and images that are as small as images can be."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from miauflixd.catalogue.artwork import ArtworkFigures, Found
from miauflixd.catalogue.images import ImageSize
from miauflixd.catalogue.model import ImageKey, NoImageError

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 "
AVIF = b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1miafMA1B"


class FakeImageHost:
    """Has an image of any name, unless a test says something else."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        """By path."""
        self.size = 2000
        """Bytes of an image."""
        self.answers: dict[str, web.Response] = {}
        """What is answered instead, by path."""
        self.trouble: web.Response | None = None
        """What is answered to everything."""
        self.open = asyncio.Event()
        """Answers wait for it."""
        self.open.set()
        self.at_once = 0
        self.most_at_once = 0

    def image(self, path: str) -> bytes:
        return JPEG + path.encode().ljust(self.size - len(JPEG), b"\0")

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        answer = self.trouble or self.answers.get(request.path)
        if answer is not None:
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        return web.Response(body=self.image(request.path), content_type="text/html")

    @asynccontextmanager
    async def serving(self, host: str = "127.0.0.1") -> AsyncIterator[str]:
        """Answer at the origin that is yielded."""
        async with TestServer(self.application(), host=host) as server:
            try:
                yield str(server.make_url("")).rstrip("/")
            finally:
                self.open.set()


class FakeArtwork:
    """The images of a house that has those which a test gives it."""

    def __init__(self) -> None:
        self.images: dict[tuple[str, str], Found] = {}
        self.trouble: Exception | None = None
        self.counted = ArtworkFigures()

    def figures(self) -> ArtworkFigures:
        return self.counted

    def add(self, key: str, size: ImageSize = "small", *, content: bytes = JPEG) -> Found:
        found = Found(
            content=content, size=len(content), media_type="image/jpeg", etag=f'"{len(content)}"'
        )
        self.images[ImageKey(key), size] = found
        return found

    async def image(self, key: str, size: str) -> Found:
        if self.trouble is not None:
            raise self.trouble
        try:
            return self.images[key, size]
        except KeyError:
            raise NoImageError("There is no such image") from None
