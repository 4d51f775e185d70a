"""Peers behind links with a length and a width, on a machine without netem."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from miauflixd.demo import bencode

Address = tuple[str, int]

_CHUNK = 2**14
"""Bytes carried at once: a block, which at 1.5 MB/s takes 11 ms."""


@asynccontextmanager
async def relay(target: Address, *, delay: float, rate: float) -> AsyncIterator[Address]:
    """Listen for the length of the block, and be the link to the target: as long, and as narrow.

    libtorrent's own limiter hands out its quota in ticks, so that every message of a handshake
    waits for the next one; a link does not.

    Args:
        target: whom to connect to.
        delay: seconds that every byte takes, one way. The kernel accepts the connection itself at
            once, so it is held back for a round trip before the first byte goes on.
        rate: bytes per second from the target, over all connections; 0 for no limit.
    """
    link = _Link(rate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * delay)
        try:
            far_reader, far_writer = await _connect(target)
        except OSError:
            writer.close()
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_carry(reader, far_writer, delay, _Link(0)))
                group.create_task(_carry(far_reader, writer, delay, link))
        except* OSError:
            pass
        finally:
            writer.close()
            far_writer.close()

    server = await asyncio.start_server(serve, target[0], 0, limit=_CHUNK)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()


async def _connect(target: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect with the buffers of an Ethernet, not of the loopback.

    The loopback's segments of 64 KiB give the sender a buffer of 2.6 MB, which a link of 1.5 MB/s
    would need two seconds to empty: no cancelled request would ever be felt.
    """
    end = socket.socket()
    end.setblocking(False)  # noqa: FBT003 - the standard library's signature
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * _CHUNK)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1448)
    try:
        await asyncio.get_running_loop().sock_connect(end, target)
    except OSError:
        end.close()
        raise
    return await asyncio.open_connection(sock=end, limit=_CHUNK)


class _Link:
    """What goes through one after the other."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._free_at = 0.0

    def through_at(self, size: int, now: float) -> float:
        """Return when so many bytes that come now will be through."""
        if not self.rate:
            return now
        self._free_at = max(now, self._free_at) + size / self.rate
        return self._free_at


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, link: _Link
) -> None:
    loop = asyncio.get_running_loop()
    # No more than fits into the link: what waits before it waits at the sender.
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(
        maxsize=2 + int(link.rate * delay / _CHUNK) if link.rate else 64
    )

    async def deliver() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    async with asyncio.TaskGroup() as group:
        group.create_task(deliver())
        data = b"-"
        while data:
            data = await reader.read(_CHUNK)
            await under_way.put((link.through_at(len(data), loop.time()) + delay, data))


@asynccontextmanager
async def tracker(peers: Sequence[Address], *, round_trip: float) -> AsyncIterator[str]:
    """Answer every announce with these peers, two round trips later (TCP, then HTTP)."""
    compact = b"".join(socket.inet_aton(host) + struct.pack(">H", port) for host, port in peers)
    answer = bencode.encode({"interval": 1800, "peers": compact})

    async def announce(_request: web.Request) -> web.Response:
        await asyncio.sleep(2 * round_trip)
        return web.Response(body=answer, content_type="text/plain")

    app = web.Application()
    app.router.add_get("/announce", announce)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/announce"
    finally:
        await runner.cleanup()
