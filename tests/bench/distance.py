"""Peers and tracker that are far away, on a machine without netem."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from miauflixd.demo import bencode

Address = tuple[str, int]


@asynccontextmanager
async def relay(target: Address, *, delay: float) -> AsyncIterator[Address]:
    """Listen for the length of the block, and hold back every byte to and from the target.

    `delay` is one way, in seconds. The connection itself is accepted by the kernel at once, so it
    is held back by a whole round trip before the first byte goes on.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * delay)
        try:
            far_reader, far_writer = await asyncio.open_connection(*target)
        except OSError:
            writer.close()
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_carry(reader, far_writer, delay))
                group.create_task(_carry(far_reader, writer, delay))
        except* OSError:
            pass
        finally:
            writer.close()
            far_writer.close()

    server = await asyncio.start_server(serve, target[0], 0, limit=2**18)
    async with server:
        yield server.sockets[0].getsockname()[:2]


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=256)

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
            data = await reader.read(65536)
            await under_way.put((loop.time() + delay, data))


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
