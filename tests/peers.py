"""A peer that lies: it speaks BitTorrent (BEP 3), has every piece, and sends other bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from miauflixd.demo.metainfo import Torrent

_HANDSHAKE = 68
_UNCHOKE, _INTERESTED, _BITFIELD, _REQUEST, _PIECE = 1, 2, 5, 6, 7


class Liar:
    """What it did so far."""

    def __init__(self, torrent: Torrent) -> None:
        self._torrent = torrent
        self.blocks = 0
        """Wrong blocks that it has sent."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one peer until that has enough of it."""
        try:
            await self._talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it was found out
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(_HANDSHAKE)
        protocol = b"\x13BitTorrent protocol" + bytes(8)
        writer.write(protocol + self._torrent.info_hash + b"-LI0001-" + b"x" * 12)
        count = -(-self._torrent.size // self._torrent.piece_length)
        bits = ((1 << count) - 1) << (-count % 8)
        _say(writer, _BITFIELD, bits.to_bytes(-(-count // 8)))
        while True:
            length = int.from_bytes(await reader.readexactly(4))
            message = await reader.readexactly(length)
            if message[:1] == bytes([_INTERESTED]):
                _say(writer, _UNCHOKE)
            elif message[:1] == bytes([_REQUEST]):
                size = int.from_bytes(message[9:13])
                _say(writer, _PIECE, message[1:9] + b"\xbb" * size)
                self.blocks += 1
                await writer.drain()


def _say(writer: asyncio.StreamWriter, kind: int, payload: bytes = b"") -> None:
    writer.write((len(payload) + 1).to_bytes(4) + bytes([kind]) + payload)


@asynccontextmanager
async def liar(torrent: Torrent, *, host: str) -> AsyncIterator[Liar]:
    """Let one be in the swarm, known to its tracker, for the length of the block."""
    lying = Liar(torrent)
    server = await asyncio.start_server(lying.serve, host, 0)
    try:
        query = urlencode(
            {
                "info_hash": torrent.info_hash,
                "port": server.sockets[0].getsockname()[1],
                "left": 0,
            }
        )
        # A tracker believes the address that it sees. The URL is as it should be: no tidying up.
        connector = aiohttp.TCPConnector(local_addr=(host, 0))
        url = URL(f"{torrent.announce_url}?{query}", encoded=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(url) as answer,
        ):
            assert b"failure" not in await answer.read()
        yield lying
    finally:
        server.close()
