"""A server of one file, with every habit and fault that servers of files have."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from aiohttp import web
from aiohttp.test_utils import TestServer

Fault = Literal[
    "none",
    "no ranges",  # everything, whatever is asked for
    "no length",  # that, and nobody knows how long it is
    "wrong start",  # other bytes than those that were asked for
    "wrong size",  # of the file, from one answer to the next
    "unknown size",  # `bytes 0-9/*`
    "no content range",
    "gzip",
    "longer",  # more bytes than it said
    "short",  # the connection ends in the middle of the answer
    "capped",  # fewer bytes than were asked for, as it says itself
    "silent",  # accepts, and says nothing
    "stuck",  # an answer, and no bytes
    "416",
    "multipart",
    "huge",  # a file of 2^62 bytes
    "negative",
    "page",  # a login
]

_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")


class RangeServer:
    """What it has, what it does wrong, and what it was asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.fault: Fault = "none"
        self.faulty = -1
        """So many answers are wrong; all, if negative."""
        self.status = 0
        """What it answers instead, so many times."""
        self.headers: dict[str, str] = {}
        self.etag: str | None = '"v1"'
        self.modified: str | None = None
        self.redirect_to: str | None = None
        self.cut_at = 100_000
        """Bytes of an answer after which a short one ends, or of which a capped one consists."""
        self.gate = asyncio.Event()
        """Bytes come only as long as it is set."""
        self.gate.set()
        self.asked: list[tuple[str, str | None]] = []
        """Path and `Range` of each request."""
        self.under_way = 0
        self.most_under_way = 0
        self.sent = 0
        self.origin = ""

    def url(self, path: str = "/film.mp4") -> str:
        return self.origin + path

    @property
    def ranges(self) -> list[str | None]:
        return [each for _, each in self.asked]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, request.headers.get("Range")))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self._answer(request)
        finally:
            self.under_way -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.redirect_to is not None and request.path != "/elsewhere.mp4":
            return web.Response(status=302, headers={"Location": self.redirect_to})
        fault = self.fault if self.faulty else "none"
        if self.faulty > 0:
            self.faulty -= 1
        if self.status and fault == "none" and self.faulty != 0:
            return web.Response(status=self.status, headers=self.headers, text="<h1>no</h1>")
        if fault == "silent":
            await asyncio.Event().wait()
        if fault == "416":
            return web.Response(status=416, headers={"Content-Range": "bytes */7"})
        if fault == "page":
            return web.Response(status=403, text="<html>log in</html>")
        return await self._send(request, fault)

    def _content_range(self, fault: Fault, start: int, stop: int) -> dict[str, str]:
        size = len(self.content)
        if fault in ("no content range", "multipart"):
            return {}
        value = {
            "wrong start": f"bytes {start + 1}-{stop - 1}/{size}",
            "wrong size": f"bytes {start}-{stop - 1}/{size + len(self.asked)}",
            "unknown size": f"bytes {start}-{stop - 1}/*",
            "huge": f"bytes {start}-{stop - 1}/{2**62}",
            "negative": f"bytes {start}-{stop - 1}/-{size}",
        }.get(fault, f"bytes {start}-{stop - 1}/{size}")
        return {"Content-Range": value}

    async def _send(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        size = len(self.content)
        asked = _RANGE.fullmatch(request.headers.get("Range", ""))
        headers: dict[str, Any] = {"ETag": self.etag, "Last-Modified": self.modified}
        headers = {name: value for name, value in headers.items() if value}
        if asked is None or fault in ("no ranges", "no length"):
            response = web.StreamResponse(headers=headers)
            start, stop = 0, size
        else:
            start, stop = int(asked[1]), min(int(asked[2] or size) + 1, size)
            if start >= size:
                return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
            if fault == "capped":
                stop = min(stop, start + self.cut_at)
            response = web.StreamResponse(status=206, headers=headers)
            response.headers.update(self._content_range(fault, start, stop))
        if fault == "gzip":
            response.headers["Content-Encoding"] = "gzip"
        body = self.content[start:stop]
        if fault == "longer":
            body += b"x" * 5000
        if fault == "no length":
            response.enable_chunked_encoding()
        else:
            response.content_length = len(body)
        await response.prepare(request)
        if fault == "stuck":
            await asyncio.Event().wait()
        if fault == "short":
            await response.write(body[: self.cut_at])
            assert request.transport is not None
            request.transport.close()
            return response
        for at in range(0, len(body), 2**16):
            await self.gate.wait()
            await response.write(body[at : at + 2**16])
            self.sent += len(body[at : at + 2**16])
        return response


@asynccontextmanager
async def serving(server: RangeServer, *, ssl: Any = None) -> AsyncIterator[RangeServer]:
    """Have it listen on the loopback for the length of the block."""
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    listening = TestServer(app, host="127.0.0.1", scheme="https" if ssl else "http")
    await listening.start_server(ssl=ssl)
    try:
        server.origin = str(listening.make_url("/")).rstrip("/")
        yield server
    finally:
        await listening.close()
