"""The tunnel's client with sockets of a real namespace: no other road, and nothing falls back."""

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from miauflixd.egress.clients import tunnel_client
from miauflixd.egress.errors import EgressError
from miauflixd.tunnel.errors import TunnelDownError
from tests.egress_fakes import Datagrams, FakeResolver, FakeRoad

INSIDE, SERVER = "1.2.3.1", "1.2.3.4"

pytestmark = [
    pytest.mark.netns,
    pytest.mark.allow_hosts(["127.0.0.1", INSIDE, SERVER]),
]

_ETH_P_ALL = 3

_CHILD = """
import socket, sys
end = socket.socket(fileno=int(sys.argv[1]))
while asked := end.recv(12):
    made = socket.socket(*__import__("struct").unpack("iii", asked))
    socket.send_fds(end, [b"."], [made.fileno()])
    made.close()
"""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Namespace:
    """A network namespace, and a child in it that makes sockets for others."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-c", _CHILD, str(number)]
            self._child = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{name}", *command], pass_fds=[number]
            )

    def make(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        self._ours.send(struct.pack("iii", family, kind, protocol))
        _, fds, _, _ = socket.recv_fds(self._ours, 1, 1)
        return socket.socket(fileno=fds[0])

    async def open_socket(self, family, kind) -> socket.socket:
        return self.make(
            socket.AF_INET if family == "inet" else socket.AF_INET6,
            socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM,
        )

    def close(self) -> None:
        self._ours.close()
        self._child.wait(10)


@pytest.fixture
def namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    """The inside, closed but for one link, and the internet at its end."""
    names = [f"miau-{os.getpid()}-{kind}" for kind in ("in", "net")]
    with contextlib.ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
            ip("-n", name, "link", "set", "lo", "up")
        inside, internet = names
        ip(
            "-n",
            inside,
            "link",
            "add",
            "near",
            "type",
            "veth",
            "peer",
            "name",
            "far",
            "netns",
            internet,
        )
        for name, link, address in ((inside, "near", INSIDE), (internet, "far", SERVER)):
            ip("-n", name, "address", "add", f"{address}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")
        made = []
        for name in names:
            made.append(Namespace(name))
            stack.callback(made[-1].close)
        yield made[0], made[1]


class Capture:
    """Counts the packets of one namespace that say anything of what the test does."""

    def __init__(self, make: Callable[[int, int, int], socket.socket]) -> None:
        self._packets = make(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._packets.settimeout(0)

    def count(self) -> int:
        seen = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = self._packets.recv(65535)
                signs = (socket.inet_aton(SERVER), b"\x04site\x07example", b"GET /canary")
                seen += any(sign in packet for sign in signs)
        return seen

    def close(self) -> None:
        self._packets.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (await reader.readline()).strip():
        pass
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    writer.close()


async def test_requests_leave_by_the_namespace_or_not_at_all(namespaces):
    inside, internet = namespaces
    loop = asyncio.get_running_loop()
    road = FakeRoad()
    listener = internet.make(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((SERVER, 80))
    stub = inside.make(socket.AF_INET, socket.SOCK_DGRAM)
    stub.bind(("127.0.0.1", 53))
    resolver = FakeResolver(names={"site.example": [SERVER]})
    answering, _ = await loop.create_datagram_endpoint(lambda: Datagrams(resolver), sock=stub)
    url = "http://site.example/canary"

    async with contextlib.AsyncExitStack() as stack:
        stack.callback(answering.close)
        server = await stack.enter_async_context(await asyncio.start_server(serve, sock=listener))
        within, outside = (
            stack.enter_context(contextlib.closing(Capture(make)))
            for make in (inside.make, socket.socket)
        )
        client = await stack.enter_async_context(tunnel_client(opener=inside, road=road))

        answer = await client.request("GET", url, timeout=10, limit=100)
        assert (answer.status, answer.body) == (200, b"hello")
        assert resolver.asked == ["site.example A"]
        assert within.count() > 5  # the capture sees what there is to see

        # The link goes: the sockets know no other one.
        ip("-n", inside.name, "link", "set", "near", "down")
        for where in (url, f"http://{SERVER}/canary"):
            with pytest.raises(EgressError) as raised:
                await client.request("GET", where, timeout=10, limit=100)
            assert raised.value.reason == "connect"
            assert "unreachable" in str(raised.value)

        # The tunnel is known to be down: nobody is even asked for the name.
        asked = len(resolver.asked)
        road.up = False
        with pytest.raises(TunnelDownError):
            await client.request("GET", url, timeout=10, limit=100)
        assert len(resolver.asked) == asked

        # It is back, and the sockets that were kept ready are good.
        ip("-n", inside.name, "link", "set", "near", "up")
        road.up = True
        answer = await client.request("GET", url, timeout=10, limit=100)
        assert answer.status == 200

        assert outside.count() == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            control.sendto(b"GET /canary", ("127.0.0.1", 9))
        assert outside.count() > 0  # the capture outside would have seen one
        server.close()
    await asyncio.sleep(0)  # a transport closes its socket in the loop's next turn
