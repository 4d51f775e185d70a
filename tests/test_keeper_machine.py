"""The namespace, WireGuard in it, and who looks after both: all of it real, as root."""

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from miauflixd.keeper import programs
from miauflixd.keeper.audit import NamespaceAuditor
from miauflixd.keeper.firewall import ruleset
from miauflixd.keeper.inside import inside
from miauflixd.keeper.kernel import KernelWireGuard, apply_by_wg
from miauflixd.keeper.messages import Configure
from miauflixd.keeper.namespace import Namespace
from miauflixd.keeper.netlink import Netlink
from miauflixd.keeper.peers import Configuration, Peer, decoded
from miauflixd.keeper.prerequisites import problems
from miauflixd.keeper.uplink import HostUplink
from miauflixd.keeper.userspace import WireGuardGo
from miauflixd.keeper.watch import watching
from miauflixd.keeper.wireguard import WireGuardTunnel
from tests.tunnel_servers import (
    ECHO,
    KeyPair,
    TunnelServer,
    ip,
    run,
    scratch_namespace,
    socket_in,
    tunnel_server,
    unique_name,
    until,
)

pytestmark = [
    pytest.mark.netns,
    pytest.mark.enable_socket,  # into the namespaces made here
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
]

NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH)
OUTSIDE = "1.1.1.1"
PRIVATE = "10.66.0.1"


@pytest.fixture
def name() -> Iterator[str]:
    name = unique_name()
    yield name
    left = [
        ip("netns"),
        ip("-brief", "link"),
        str(list(Path("/etc/netns").glob("*"))),
        str(list(Path("/var/run/wireguard").glob("*"))),
        run("ps", "-e", "-o", "args"),
    ]
    assert not [text for text in left if name in text.split()]
    assert not [text for text in left if f"{name}0" in text]


@pytest.fixture
def server() -> Iterator[TunnelServer]:
    with tunnel_server() as server:
        yield server


@pytest.fixture
def other_server() -> Iterator[TunnelServer]:
    with tunnel_server() as server:
        yield server


@pytest.fixture
def keys(server) -> KeyPair:
    keys = KeyPair()
    server.accept(keys)
    return keys


@pytest.fixture
async def host() -> AsyncIterator[Netlink]:
    async with Netlink.open(socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM)) as netlink:
        yield netlink


@pytest.fixture
async def namespace(name) -> AsyncIterator[Namespace]:
    async with Namespace.open(name, interface=f"{name}0") as namespace:
        yield namespace


@asynccontextmanager
async def opened(host, namespace, *, keep=False, changed=lambda: None):
    async with WireGuardTunnel.open(
        host=host,
        namespace=namespace,
        backend="wireguard-go",
        changed=changed,
        keep=lambda: keep,
    ) as tunnel:
        yield tunnel


@pytest.fixture
async def tunnel(host, namespace) -> AsyncIterator[WireGuardTunnel]:
    async with opened(host, namespace) as tunnel:
        yield tunnel


@pytest.fixture
async def connected(tunnel, server, keys):
    await tunnel.connect(*server.endpoint(keys))
    await handshake(tunnel)
    return tunnel


async def handshake(tunnel) -> None:
    """Wait until the server answered."""
    async with asyncio.timeout(10):
        while not ((counters := tunnel.counters()) and counters.handshake):
            await asyncio.sleep(0.002)


def dialled(namespace: Namespace, address=OUTSIDE, *, port=ECHO) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = namespace.socket(family, socket.SOCK_STREAM)
    connection.settimeout(5)
    try:
        connection.connect((address, port))
    except OSError:
        connection.close()
        raise
    return connection


def echoes(connection: socket.socket) -> bool:
    connection.sendall(b"miau")
    return connection.recv(16) == b"miau"


def process_of(interface: str) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(f"/var/run/wireguard/{interface}.sock")
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[:4], sys.byteorder)


# --- born closed ----------------------------------------------------------------------------------


async def test_a_namespace_is_born_closed(namespace):
    with pytest.raises(OSError, match="route") as refused:
        dialled(namespace)
    assert refused.value.errno in NO_WAY
    with pytest.raises(OSError, match="address"):
        dialled(namespace, "2606:4700::1111")


async def test_a_namespace_drops_what_its_rules_do_not_know(namespace):
    rules = run("nft", "list", "ruleset", namespace=namespace.name)
    assert rules.count("policy drop;") == 3


async def test_inside_only_the_stub_resolver_is_asked_for_names(namespace):
    folder = Path("/etc/netns", namespace.name)
    assert (folder / "resolv.conf").read_text().startswith("nameserver 127.0.0.1\n")
    assert "hosts: files dns\n" in (folder / "nsswitch.conf").read_text()


async def test_inside_nobody_needs_privileges_for_echoes_and_port_53(namespace):
    echo = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    echo.close()
    setting = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    assert inside(namespace.descriptor, setting.read_text).strip() == "0"


async def test_making_a_namespace_leaves_this_process_where_it_is(namespace):
    here = Path("/proc/self/ns/net").stat().st_ino
    assert namespace.inode != here

    def everybody_is_here() -> bool:
        with suppress(FileNotFoundError):  # a thread that just ended
            tasks = Path("/proc/self/task").iterdir()
            return all((task / "ns/net").stat().st_ino == here for task in tasks)
        return False

    until(everybody_is_here)


async def test_what_entering_raises_is_raised_outside(namespace):
    with pytest.raises(ZeroDivisionError):
        inside(namespace.descriptor, lambda: 1 // 0)


async def test_a_tunnel_without_a_peer_is_no_way_out(tunnel, namespace):
    with pytest.raises(OSError, match="route") as refused:
        dialled(namespace)
    assert refused.value.errno in NO_WAY
    assert tunnel.counters() is None


# --- a way out ------------------------------------------------------------------------------------


async def test_what_is_said_inside_comes_out_behind_the_server(connected, namespace, server):
    with dialled(namespace) as connection:
        assert echoes(connection)
    assert server.heard == ["10.5.0.2"]


async def test_bytes_are_counted(connected, namespace):
    before = connected.counters()
    with dialled(namespace) as connection:
        assert echoes(connection)
    after = connected.counters()
    assert after.rx > before.rx
    assert after.tx > before.tx


async def test_a_preshared_key_is_used(tunnel, namespace, server):
    keys, shared = KeyPair(), KeyPair().private
    server.accept(keys, preshared=shared)
    await tunnel.connect(*server.endpoint(keys, preshared_key=shared))
    await handshake(tunnel)


async def test_another_server_keeps_interface_port_and_address(
    connected, namespace, server, keys, other_server
):
    other_server.accept(keys)
    link = await namespace.netlink.link(connected.interface)
    port = server.sees(keys)
    await connected.connect(*other_server.endpoint(keys))
    await handshake(connected)
    assert await namespace.netlink.link(connected.interface) == link
    assert other_server.sees(keys) == port
    with dialled(namespace) as connection:
        assert echoes(connection)
    assert other_server.heard == ["10.5.0.2"]


async def test_another_provider_brings_its_own_key_address_mtu_and_gateway(
    connected, namespace, other_server
):
    other_keys = KeyPair()
    other_server.accept(other_keys, "10.99.0.2/32")
    port = connected.listen_port
    await connected.connect(
        *other_server.endpoint(other_keys, addresses=["10.99.0.2/32"], mtu=1300, gateway=PRIVATE)
    )
    await handshake(connected)
    link = await namespace.netlink.link(connected.interface)
    assert link.mtu == 1300
    addresses = await namespace.netlink.addresses(link.index)
    assert [str(found.address) for found in addresses] == ["10.99.0.2/32"]
    with dialled(namespace, PRIVATE) as connection:
        assert echoes(connection)
    assert connected.listen_port == port


async def test_ipv6_is_there_only_while_the_endpoint_has_it(connected, namespace, server):
    both = KeyPair()
    server.accept(both, "10.5.0.3/32", "fd05::3/128")
    await connected.connect(
        *server.endpoint(both, addresses=["10.5.0.3/32", "fd05::3/128"], dns=[])
    )
    await handshake(connected)
    with dialled(namespace, "2606:4700::1111") as connection:
        assert echoes(connection)
    with pytest.raises(ConnectionRefusedError):
        dialled(namespace, "fd99::1")
    assert await connected.restore() == []

    only = KeyPair()
    server.accept(only, "10.5.0.4/32")
    await connected.connect(*server.endpoint(only, addresses=["10.5.0.4/32"]))
    await handshake(connected)
    with pytest.raises(OSError, match="address"):
        dialled(namespace, "2606:4700::1111")
    with dialled(namespace) as connection:
        assert echoes(connection)


async def test_a_server_that_forgot_us_is_cured_by_a_new_handshake(connected, server, namespace):
    server.stop()
    server.start()
    await connected.rehandshake()
    await handshake(connected)
    with dialled(namespace) as connection:
        assert echoes(connection)


async def test_disconnecting_leaves_nothing_but_silence(connected, namespace, server):
    await connected.disconnect()
    assert connected.counters() is None
    datagrams = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with datagrams:
        datagrams.settimeout(0.2)
        datagrams.connect((OUTSIDE, ECHO))
        datagrams.send(b"no error, and no answer: a resolver would remember an error")
        with pytest.raises(TimeoutError):
            datagrams.recv(1)


async def test_nonsense_is_refused_and_changes_nothing(connected, server, keys, namespace):
    with pytest.raises(OSError, match="key"):
        await connected.connect(*server.endpoint(keys, public_key="none"))
    with dialled(namespace) as connection:
        assert echoes(connection)


async def test_old_connections_are_ended_at_once_and_listeners_stay(connected, namespace):
    with (
        namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
        namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as local,
        dialled(namespace) as connection,
    ):
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        local.connect(listener.getsockname())
        assert echoes(connection)
        await connected.close_connections()
        with pytest.raises(ConnectionAbortedError):
            connection.recv(1)
        accepted, _ = listener.accept()
        with accepted:
            local.sendall(b"still here")
            assert accepted.recv(16) == b"still here"


async def test_old_connections_are_reset_by_rules_where_the_kernel_cannot(connected, namespace):
    with dialled(namespace) as connection:
        assert echoes(connection)
        await namespace.firewall.reset_connections()
        with pytest.raises(ConnectionResetError):
            while echoes(connection):
                pass
    with dialled(namespace) as connection:
        assert echoes(connection)


# --- the second line ------------------------------------------------------------------------------


async def test_private_addresses_behind_the_server_are_refused_at_once(connected, namespace):
    with pytest.raises(ConnectionRefusedError):
        dialled(namespace, PRIVATE)


async def test_the_endpoints_own_gateway_is_reached(connected, namespace):
    with dialled(namespace, "10.5.0.1") as connection:
        assert echoes(connection)


async def test_peers_may_connect_to_us(connected, namespace, server):
    with (
        namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
        socket_in(server.name, socket.AF_INET, socket.SOCK_STREAM) as peer,
    ):
        listener.bind(("10.5.0.2", 6881))
        listener.listen()
        peer.bind((OUTSIDE, 0))
        peer.settimeout(5)
        peer.connect(("10.5.0.2", 6881))


@pytest.mark.parametrize(("source", "port"), [(OUTSIDE, 6881), (PRIVATE, 6881), (OUTSIDE, 53)])
async def test_neighbours_of_the_server_get_nothing_in_and_nobody_reaches_the_resolver(
    connected, namespace, server, source, port
):
    gets_in = (source, port) == (OUTSIDE, 6881)
    with (
        namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening,
        socket_in(server.name, socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        listening.bind(("10.5.0.2", port))
        listening.settimeout(5 if gets_in else 0.3)
        peer.bind((source, 0))
        peer.sendto(b"miau", ("10.5.0.2", port))
        if gets_in:
            assert listening.recv(16) == b"miau"
        else:
            with pytest.raises(TimeoutError):
                listening.recv(16)


async def test_a_road_that_somebody_adds_is_still_closed_by_the_rules(connected, namespace):
    with scratch_namespace() as elsewhere:
        ip(
            "link",
            "add",
            "v0",
            "type",
            "veth",
            "peer",
            "v1",
            "netns",
            elsewhere,
            namespace=namespace.name,
        )
        ip("address", "add", "203.0.113.1/24", "dev", "v0", namespace=namespace.name)
        ip("link", "set", "v0", "up", namespace=namespace.name)
        ip("address", "add", "203.0.113.2/24", "dev", "v1", namespace=elsewhere)
        ip("link", "set", "v1", "up", namespace=elsewhere)
        with (
            namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as leaking,
            socket_in(elsewhere, socket.AF_INET, socket.SOCK_DGRAM) as listening,
        ):
            listening.bind(("203.0.113.2", 9))
            listening.settimeout(0.3)
            with suppress(PermissionError):  # the rules say so at once
                leaking.sendto(b"leak", ("203.0.113.2", 9))
            with pytest.raises(TimeoutError):
                listening.recv(16)


# --- put back -------------------------------------------------------------------------------------


async def test_what_is_as_it_should_be_is_left_alone(connected):
    assert await connected.restore() == []


async def test_a_killed_wireguard_go_is_started_again_as_it_was(host, namespace, server, keys):
    told = asyncio.Event()
    async with opened(host, namespace, changed=told.set) as tunnel:
        await tunnel.connect(*server.endpoint(keys))
        await handshake(tunnel)
        port = server.sees(keys)
        os.kill(process_of(tunnel.interface), signal.SIGKILL)
        async with asyncio.timeout(5):
            await told.wait()
        assert tunnel.counters() is None
        assert await tunnel.restore() == [f"The interface {tunnel.interface} was gone."]
        await handshake(tunnel)
        assert server.sees(keys) == port
        with dialled(namespace) as connection:
            assert echoes(connection)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (("link", "delete", "dev"), "was gone"),
        (("link", "set", "down", "dev"), "was down"),
        (("link", "set", "mtu", "576", "dev"), "another MTU"),
        (("address", "flush", "dev"), "An address"),
        (("address", "add", "10.7.7.7/32", "dev"), "an address too many"),
        (("route", "delete", "default", "dev"), "The default route"),
    ],
)
async def test_what_was_damaged_is_put_back(connected, namespace, damage, said):
    ip(*damage, connected.interface, namespace=namespace.name)
    missing = await connected.restore()
    assert any(said in sentence for sentence in missing)
    assert await connected.restore() == []
    with dialled(namespace) as connection:
        assert echoes(connection)


async def test_the_loopback_is_put_back(connected, namespace):
    ip("link", "set", "lo", "down", namespace=namespace.name)
    assert await connected.restore() == ["The namespace's loopback was down."]
    assert await connected.restore() == []


async def test_flushed_rules_are_put_back(connected, namespace):
    run("nft", "flush", "ruleset", namespace=namespace.name)
    assert await connected.restore() == ["The namespace's rules had been changed."]
    with pytest.raises(ConnectionRefusedError):
        dialled(namespace, PRIVATE)
    with dialled(namespace, "10.5.0.1") as connection:
        assert echoes(connection)


async def test_rules_that_say_the_same_again_are_intact(connected, namespace):
    reachable = ["10.5.0.1"]
    run(
        "nft",
        "-f",
        "-",
        namespace=namespace.name,
        text=ruleset(connected.interface, reachable=reachable),
    )
    assert await connected.restore() == []


async def test_the_unreachable_route_is_put_back(connected, namespace):
    ip(
        "route",
        "delete",
        "unreachable",
        "default",
        "metric",
        "4294967295",
        namespace=namespace.name,
    )
    assert len(await connected.restore()) == 1
    routes = ip("route", namespace=namespace.name)
    assert "unreachable default" in routes


async def test_a_lost_peer_is_put_back(connected, server, keys):
    run("wg", "set", connected.interface, "peer", server.keys.public, "remove")
    assert "lost its peer" in (await connected.restore())[0]
    await handshake(connected)


async def test_a_wireguard_go_that_hangs_looks_silent_and_is_replaced_on_the_next_change(
    connected, server, keys, namespace, other_server
):
    other_server.accept(keys)
    before = connected.counters()
    os.kill(process_of(connected.interface), signal.SIGSTOP)
    assert connected.counters() == before
    assert await connected.restore() == []
    await connected.connect(*other_server.endpoint(keys))
    await handshake(connected)
    with dialled(namespace) as connection:
        assert echoes(connection)


async def test_one_that_hung_for_a_while_goes_on(connected, namespace):
    process = process_of(connected.interface)
    os.kill(process, signal.SIGSTOP)
    before = connected.counters()
    assert connected.counters() == before
    os.kill(process, signal.SIGCONT)
    with dialled(namespace) as connection:
        assert echoes(connection)
    until(lambda: connected.counters().rx > before.rx)


async def test_changes_are_told_of_as_they_happen(connected, namespace):
    told = asyncio.Event()
    with watching(namespace, told.set):
        for command in (
            ("ip", "link", "add", "v0", "type", "veth", "peer", "v1"),
            ("ip", "link", "delete", "v0"),
            ("ip", "address", "add", "10.9.9.9/32", "dev", "lo"),
            ("ip", "route", "add", "192.0.2.0/24", "dev", "lo"),
            ("nft", "flush", "ruleset"),
        ):
            told.clear()
            run(*command, namespace=namespace.name)
            async with asyncio.timeout(5):
                await told.wait()


async def test_a_deleted_name_takes_nothing_away(connected, namespace):
    ip("netns", "delete", namespace.name)
    run("true")
    assert await connected.restore() == []
    await connected.close_connections()
    with dialled(namespace) as connection:
        assert echoes(connection)


# --- the third line -------------------------------------------------------------------------------


async def test_an_audit_of_a_sound_tunnel_finds_nothing(connected, namespace):
    assert await NamespaceAuditor(namespace=namespace).findings() == []


async def test_an_audit_finds_a_foreign_interface_and_its_routes(connected, namespace):
    ip("link", "add", "v0", "type", "veth", "peer", "v1", namespace=namespace.name)
    ip("link", "set", "v0", "up", namespace=namespace.name)
    ip("route", "add", "192.0.2.0/24", "dev", "v0", namespace=namespace.name)
    found = await NamespaceAuditor(namespace=namespace).findings()
    assert "The interface v0 (veth) is in the namespace." in found
    assert "A route to 192.0.2.0/24 leads elsewhere than into the tunnel." in found


async def test_an_audit_puts_rules_back_and_says_so(connected, namespace):
    run("nft", "flush", "ruleset", namespace=namespace.name)
    auditor = NamespaceAuditor(namespace=namespace)
    assert await auditor.findings() == [
        "The namespace's rules had been changed; they were put back."
    ]
    assert await auditor.findings() == []


LISTENING = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(flush=True); input()"


@contextmanager
def listening(*before: str) -> Iterator[int]:
    """Run a program with a listening socket for the length of the block."""
    program: Any = subprocess.Popen(
        [*before, sys.executable, "-c", LISTENING], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with program:
        program.stdout.readline()
        yield program.pid
        program.stdin.close()


async def test_an_audit_finds_an_engine_outside_and_its_sockets(namespace):
    with listening() as outside:
        auditor = NamespaceAuditor(namespace=namespace, engine=lambda: outside)
        found = await auditor.findings()
    assert f"Thread {outside} of the engine is outside the namespace." in found
    assert "The engine has a socket outside the namespace." in found


async def test_an_audit_of_an_engine_inside_finds_nothing(namespace):
    with listening(programs.path("nsenter"), f"--net={namespace.path}") as engine:
        auditor = NamespaceAuditor(namespace=namespace, engine=lambda: engine)
        assert await auditor.findings() == []


async def test_an_audit_finds_processes_that_somebody_else_started_inside(namespace):
    # Its parent ends at once, so it is nobody's child that we know.
    run("sh", "-c", f"nsenter --net=/run/netns/{namespace.name} sleep 30 >/dev/null 2>&1 &")
    until(lambda: ip("netns", "pids", namespace.name).split())
    (found,) = await NamespaceAuditor(namespace=namespace).findings()
    assert found.startswith("Process ")
    assert found.endswith(" is in the namespace.")


# --- after a crash --------------------------------------------------------------------------------

CRASHING = """
import asyncio, socket, sys
from miauflixd.keeper.messages import Endpoint, Server
from miauflixd.keeper.namespace import Namespace
from miauflixd.keeper.netlink import Netlink
from miauflixd.keeper.wireguard import WireGuardTunnel
import msgspec

async def main():
    name = sys.argv[1]
    endpoint = msgspec.json.decode(sys.stdin.readline(), type=Endpoint)
    async with (
        Netlink.open(socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM)) as host,
        Namespace.open(name, interface=name + "0") as namespace,
        WireGuardTunnel.open(host=host, namespace=namespace, backend="wireguard-go") as tunnel,
    ):
        await tunnel.connect(endpoint, endpoint.servers[0])
        while not tunnel.counters().handshake:
            await asyncio.sleep(0.002)
        print(tunnel.listen_port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def crashed(name, server, keys):
    """A keeper that was killed, and an engine that it left inside."""
    keeper: Any = subprocess.Popen(
        [sys.executable, "-c", CRASHING, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with keeper:
        endpoint, _ = server.endpoint(keys)
        keeper.stdin.write(msgspec.json.encode(endpoint) + b"\n")
        keeper.stdin.flush()
        port = int(keeper.stdout.readline())
        run("sh", "-c", f"nsenter --net=/run/netns/{name} sleep 30 >/dev/null 2>&1 &")
        until(lambda: ip("netns", "pids", name).split())
        keeper.kill()
    return SimpleNamespace(port=port, process=process_of(f"{name}0"))


async def test_what_a_crash_left_is_adopted_without_a_new_handshake(
    host, name, server, keys, crashed
):
    async with (
        Namespace.open(name, interface=f"{name}0") as namespace,
        opened(host, namespace) as tunnel,
    ):
        assert namespace.adopted
        assert tunnel.adopted
        assert tunnel.listen_port == crashed.port
        assert namespace.processes() == []
        endpoint, first = server.endpoint(keys)
        assert tunnel.has_peer(endpoint)
        before = tunnel.counters()
        await tunnel.connect(endpoint, first)
        with dialled(namespace) as connection:
            assert echoes(connection)
        assert tunnel.counters().handshake == before.handshake
        assert process_of(tunnel.interface) == crashed.process
        # From now on it is a tunnel like any other.
        os.kill(crashed.process, signal.SIGKILL)
        until(lambda: tunnel.counters() is None)
        await asyncio.sleep(0)
        assert await tunnel.restore()
        await handshake(tunnel)


async def test_an_adopted_tunnel_goes_to_another_server_when_told(
    host, name, keys, crashed, other_server
):
    other_server.accept(keys)
    async with (
        Namespace.open(name, interface=f"{name}0") as namespace,
        opened(host, namespace) as tunnel,
    ):
        await tunnel.connect(*other_server.endpoint(keys))
        await handshake(tunnel)
        assert other_server.sees(keys).endswith(f":{crashed.port}")


async def test_what_is_to_stay_stays_for_the_next_run(host, name, server, keys):
    async with (
        Namespace.open(name, interface=f"{name}0", keep=lambda: True) as namespace,
        opened(host, namespace, keep=True) as tunnel,
    ):
        await tunnel.connect(*server.endpoint(keys))
        await handshake(tunnel)
    async with (
        Namespace.open(name, interface=f"{name}0") as namespace,
        opened(host, namespace) as tunnel,
    ):
        assert tunnel.adopted
        with dialled(namespace) as connection:
            assert echoes(connection)


async def test_a_namespace_with_another_road_is_not_adopted(host, name, crashed):
    ip("link", "add", "v0", "type", "veth", "peer", "v1", namespace=name)
    before = Path("/run/netns", name).stat().st_ino
    async with Namespace.open(name, interface=f"{name}0") as namespace:
        assert not namespace.adopted
        assert namespace.inode != before
        async with opened(host, namespace) as tunnel:
            assert not tunnel.adopted


async def test_a_wireguard_go_without_its_interface_is_ended(host, name, crashed):
    ip("netns", "delete", name)  # the interface dies with it
    async with (
        Namespace.open(name, interface=f"{name}0") as namespace,
        opened(host, namespace) as tunnel,
    ):
        assert not tunnel.adopted
        assert process_of(tunnel.interface) != crashed.process


async def test_an_interface_that_was_not_moved_yet_is_made_anew(host, name):
    stray = subprocess.Popen(["wireguard-go", "-f", f"{name}0"], stderr=subprocess.DEVNULL)
    try:
        until(Path(f"/var/run/wireguard/{name}0.sock").exists)
        async with (
            Namespace.open(name, interface=f"{name}0") as namespace,
            opened(host, namespace) as tunnel,
        ):
            assert not tunnel.adopted
            assert process_of(tunnel.interface) != stray.pid
    finally:
        stray.kill()
        stray.wait()


async def test_a_file_that_never_became_a_namespace_is_replaced(name):
    Path("/run/netns").mkdir(exist_ok=True)
    Path("/run/netns", name).touch()
    async with Namespace.open(name, interface=f"{name}0") as namespace:
        assert not namespace.adopted


async def test_the_hosts_own_network_is_never_taken_for_ours(name):
    Path("/run/netns").mkdir(exist_ok=True)
    ip("netns", "attach", name, str(os.getpid()))
    try:
        with pytest.raises(PermissionError, match="the host's own network"):
            async with Namespace.open(name, interface=f"{name}0"):
                pass
    finally:
        ip("netns", "delete", name)


# --- the host -------------------------------------------------------------------------------------


@pytest.fixture
async def home() -> AsyncIterator[SimpleNamespace]:
    """A house with a router."""
    with scratch_namespace() as house, scratch_namespace() as router:
        ip("link", "add", "eth0", "type", "veth", "peer", "lan0", "netns", router, namespace=house)
        ip("address", "add", "192.0.2.2/24", "dev", "eth0", namespace=house)
        ip("address", "add", "192.0.2.1/24", "dev", "lan0", namespace=router)
        ip("link", "set", "eth0", "up", namespace=house)
        ip("link", "set", "lan0", "up", namespace=router)
        connection = socket_in(house, socket.AF_NETLINK, socket.SOCK_DGRAM)
        async with Netlink.open(connection) as netlink:
            yield SimpleNamespace(
                house=house,
                router=router,
                uplink=HostUplink(host=netlink, make_socket=partial(socket_in, house)),
            )


async def test_a_gateway_that_is_there_answers(home):
    ip("route", "add", "default", "via", "192.0.2.1", namespace=home.house)
    assert await home.uplink.answers()  # that nobody knew before
    assert await home.uplink.answers()  # that is known already


async def test_a_gateway_that_went_silent_does_not(home):
    ip("route", "add", "default", "via", "192.0.2.1", namespace=home.house)
    ip(
        "neigh",
        "replace",
        "192.0.2.1",
        "dev",
        "eth0",
        "lladdr",
        router_address(home),
        "nud",
        "reachable",
        namespace=home.house,
    )
    ip("address", "flush", "dev", "lan0", namespace=home.router)
    assert not await home.uplink.answers()


async def test_an_unplugged_cable_is_no_way_out(home):
    ip("route", "add", "default", "via", "192.0.2.1", namespace=home.house)
    ip("link", "set", "lan0", "down", namespace=home.router)
    until(lambda: "NO-CARRIER" in ip("link", "show", "eth0", namespace=home.house))
    assert not await home.uplink.answers()


async def test_no_default_route_is_no_way_out(home):
    assert not await home.uplink.answers()


async def test_a_line_without_a_gateway_counts_while_it_is_up(home):
    ip("route", "add", "default", "dev", "eth0", namespace=home.house)
    assert await home.uplink.answers()


async def test_a_gateway_by_ipv6_counts_too(home):
    for where, link, address in (
        (home.house, "eth0", "2001:db8::2/64"),
        (home.router, "lan0", "2001:db8::1/64"),
    ):
        ip("address", "add", address, "dev", link, "nodad", namespace=where)
    ip("route", "add", "default", "via", "2001:db8::1", namespace=home.house)
    assert await home.uplink.answers()


def router_address(home) -> str:
    return ip("-brief", "link", "show", "lan0", namespace=home.router).split()[2]


# --- the rest -------------------------------------------------------------------------------------


async def test_wg_takes_keys_from_a_descriptor(connected, server, keys):
    endpoint, first = server.endpoint(keys)
    configuration = Configuration(
        decoded(endpoint.private_key), connected.listen_port, Peer.of(endpoint, first)
    )
    await apply_by_wg(connected.interface, configuration)
    await handshake(connected)


async def test_a_kernel_without_wireguard_counts_nothing(host, namespace):
    kernel = KernelWireGuard("none0", host=host, namespace=namespace)
    assert kernel.counters() is None
    assert await kernel.adopt() is None


async def test_a_program_that_fails_says_why():
    with pytest.raises(OSError, match=r"nft: .*syntax error"):
        await programs.run("nft", "-c", "-f", "-", text="nonsense")


async def test_a_program_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(programs, "HANGING", 0.05)
    with pytest.raises(TimeoutError, match="sleep did not end"):
        await programs.run("sleep", "30")


async def test_a_wireguard_go_that_ends_as_it_starts_is_started_again(name):
    ip("link", "add", f"{name}0", "type", "veth", "peer", f"{name}9")  # in its way
    device = WireGuardGo(f"{name}0", changed=lambda: ip("link", "delete", f"{name}9"))
    await device.make(Configuration())
    assert device.is_alive()
    await device.remove()


async def test_a_wireguard_go_that_cannot_start_is_quoted():
    device = WireGuardGo("much-too-long-a-name", changed=lambda: None)
    with pytest.raises(OSError, match="wireguard-go does not start"):
        await device.make(Configuration())
    assert not device.is_alive()


async def test_rules_that_are_read_back_otherwise_are_an_error(namespace, monkeypatch):
    monkeypatch.setattr("miauflixd.keeper.firewall.is_closed", lambda listing: False)
    with pytest.raises(OSError, match="not what was asked for"):
        await namespace.firewall.apply()


async def test_a_program_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        await programs.run("no-such-program")


async def test_here_nothing_is_missing():
    threads = threading.active_count()
    configure = Configure(namespace="miauflix", user="nobody", resolvers=[], hidden="", shown="")
    assert problems(configure) == []
    assert threading.active_count() == threads
