"""Probes out of a namespace, names in it, and what a program that was put into it can still do."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from miauflixd.keeper import dns_messages as dns
from miauflixd.keeper.confinement import Confinement, EngineChild, EngineLauncher, User
from miauflixd.keeper.probes import NamespaceProber
from miauflixd.keeper.resolver import StubResolver
from tests.namespaces import Place, Upstream, fails, is_silent, place, says
from tests.running import until

pytestmark = [pytest.mark.netns, pytest.mark.timeout(60)]

USER = "nobody"

REMOTE = """
import ctypes, json, os, pathlib, socket, sys, threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
libc = ctypes.CDLL(None, use_errno=True)
def lines(path):
    return dict(line.split(":\\t", 1) for line in open(path).read().splitlines() if "\\t" in line)
def reach(path):
    with socket.socket(socket.AF_UNIX) as s: return s.connect_ex(path)
def attempt(function, *arguments):
    return 0 if function(*arguments) == 0 else ctypes.get_errno()
with socket.socket(fileno=int(sys.argv[1])) as end, end.makefile("rw") as talk:
    for line in talk:
        try: answer = [eval(line), None]
        except OSError as error: answer = [None, error.errno]
        talk.write(json.dumps(answer) + "\\n"); talk.flush()
"""
"""Stands for the engine: it does what it is told, and says what came of it."""


@pytest.fixture
def inside() -> Iterator[Place]:
    with place() as made:
        yield made


# --- confinement ----------------------------------------------------------------------------------


class Engine:
    """The far end of a program that was started confined."""

    def __init__(self, child: EngineChild, end: socket.socket) -> None:
        self.child = child
        self._end = end
        self._talk = end.makefile("rw")

    async def ask(self, expression: str) -> Any:
        """Return what an expression is inside; an `OSError` is raised here."""
        self._talk.write(expression + "\n")
        self._talk.flush()
        answer, error = json.loads(await asyncio.to_thread(self._talk.readline))
        if error is not None:
            raise OSError(error, os.strerror(error))
        return answer


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A data directory as the house has it, where everybody may come in."""
    for folder in [tmp_path, *list(tmp_path.parents)[:2]]:
        folder.chmod(0o755)
    data = tmp_path / "data"
    (data / "downloads").mkdir(parents=True)
    (data / "downloads").chmod(0o777)
    (data / "sealing.key").write_text("secret")
    files = tmp_path / "netns"
    files.mkdir()
    (files / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (files / "nsswitch.conf").write_text("passwd: files\nhosts: files dns\n")
    return tmp_path


def confinement(inside: Place, house: Path) -> Confinement:
    return Confinement(
        network=inside.path,
        configuration=house / "netns",
        user=User.named(USER),
        hidden=house / "data",
        shown=house / "data" / "downloads",
    )


@asynccontextmanager
async def engine(walls: Confinement) -> AsyncIterator[Engine]:
    launcher = EngineLauncher(walls, engine=[sys.executable, "-c", REMOTE])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = await launcher.launch(theirs.fileno())
        theirs.close()
        try:
            yield Engine(child, ours)
        finally:
            child.kill()
            await child.wait()


@contextmanager
def listening(path: Path) -> Iterator[None]:
    """Be a name service: a socket that everybody may connect to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o777)
        listener.listen()
        try:
            yield
        finally:
            path.unlink()


@pytest.fixture
def name_services() -> Iterator[list[str]]:
    """Have sockets where nss-resolve, nscd and D-Bus would have theirs, under names of our own."""
    folder = Path("/run") / f"miauflix-test-{os.urandom(4).hex()}"
    folder.mkdir()
    folder.chmod(0o755)
    try:
        paths = [folder / name for name in ("io.systemd.Resolve", "nscd", "system_bus_socket")]
        with listening(paths[0]), listening(paths[1]), listening(paths[2]):
            yield [str(path) for path in paths] + [f"/var{path}" for path in paths]
    finally:
        folder.rmdir()


async def test_the_only_link_inside_is_the_loopback(inside, house):
    async with engine(confinement(inside, house)) as program:
        assert await program.ask("[name for _, name in socket.if_nameindex()]") == ["lo"]


async def test_no_name_service_of_the_host_can_be_reached(inside, house, name_services):
    for path in name_services:
        with socket.socket(socket.AF_UNIX) as anybody:
            anybody.connect(path)  # so it is not for want of a service
    async with engine(confinement(inside, house)) as program:
        assert await program.ask("os.listdir('/run') + os.listdir('/var/run')") == []
        for path in name_services:
            with pytest.raises(FileNotFoundError):
                await program.ask(f"open({path!r})")
            assert await program.ask(f"reach({path!r})") != 0


async def test_an_abstract_socket_of_the_host_cannot_be_reached(inside, house):
    name = f"\0miauflix-test-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        async with engine(confinement(inside, house)) as program:
            assert await program.ask(f"reach({name!r})") != 0


async def test_names_are_resolved_by_our_stub_and_nobody_else(inside, house):
    async with engine(confinement(inside, house)) as program:
        assert await program.ask("open('/etc/resolv.conf').read()") == "nameserver 127.0.0.1\n"
        assert "hosts: files dns\n" in await program.ask("open('/etc/nsswitch.conf').read()")
        # The rest of /etc is as it was: certificates, time zone, hosts.
        assert await program.ask("open('/etc/hosts').read()") == Path("/etc/hosts").read_text()
        assert await program.ask("open('/etc/os-release').read()")


def below_another_etc(etc: Path, command: list[str]) -> list[str]:
    """Return a command that runs another where /etc is a folder of the test's own."""
    script = 'mount --bind "$1" /etc; shift; exec "$@"'
    start = ["unshare", "--mount", "--propagation=private", "sh", "-ec", script, "-"]
    return [*start, str(etc), *command]


@pytest.fixture
def etc(house: Path) -> Path:
    folder = house / "etc"
    folder.mkdir()
    for name in ("passwd", "group", "ld.so.cache"):
        (folder / name).write_bytes((Path("/etc") / name).read_bytes())
    (folder / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    return folder


def test_a_resolv_conf_that_is_written_anew_outside_changes_nothing(inside, house, etc):
    """That is what NetworkManager, resolvconf and dhclient do."""
    reads = ["sh", "-c", "while read _; do cat /etc/resolv.conf; done"]
    command = confinement(inside, house).command(reads)
    with subprocess.Popen(
        below_another_etc(etc, command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None

        def read() -> str:
            print("again", file=program.stdin, flush=True)
            assert program.stdout is not None
            return program.stdout.readline()

        assert read() == "nameserver 127.0.0.1\n"
        (etc / "new").write_text("nameserver 192.0.2.2\n")
        (etc / "new").rename(etc / "resolv.conf")
        assert read() == "nameserver 127.0.0.1\n"
        (etc / "resolv.conf").unlink()
        (etc / "resolv.conf").symlink_to("/run/systemd/resolve/stub-resolv.conf")
        assert read() == "nameserver 127.0.0.1\n"
        program.stdin.close()


@pytest.mark.parametrize("target", [None, "nowhere/at/all", "/run/systemd/resolve/stub.conf"])
def test_it_does_not_matter_whether_the_host_has_a_resolv_conf(inside, house, etc, target):
    (etc / "resolv.conf").unlink()
    if target is not None:
        (etc / "resolv.conf").symlink_to(target)
    command = confinement(inside, house).command(["cat", "/etc/resolv.conf"])
    result = subprocess.run(
        below_another_etc(etc, command), capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("nameserver 127.0.0.1\n", "")


async def test_no_thread_has_any_privileges_or_can_get_some(inside, house):
    everything = "[lines(f'/proc/self/task/{tid}/status') for tid in os.listdir('/proc/self/task')]"
    user = User.named(USER)
    async with engine(confinement(inside, house)) as program:
        threads = await program.ask(everything)
        assert len(threads) == 2
        for thread in threads:
            assert set(thread["Uid"].split()) == {str(user.uid)}
            assert set(thread["Gid"].split()) == {str(user.gid)}
            assert thread["NoNewPrivs"] == "1"
            for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(thread[kind], 16) == 0, kind
        assert await program.ask("os.getgroups()") == list(user.groups)


async def test_it_cannot_go_back_or_change_what_it_sees(inside, house):
    async with engine(confinement(inside, house)) as program:
        for attempt in (
            "attempt(libc.setns, os.open('/proc/self/ns/net', os.O_RDONLY), 0)",
            "attempt(libc.umount2, b'/run', 2)",
            "attempt(libc.mount, b'none', b'/run', b'tmpfs', 0, None)",
            "attempt(libc.unshare, 0x20000)",
            "attempt(libc.setuid, 0)",
        ):
            assert await program.ask(attempt) == 1, attempt  # EPERM
        ours = Path("/proc") / str(os.getpid())
        for path in ("/proc/1/ns/net", str(ours / "ns/net"), str(ours / "root")):
            with pytest.raises(PermissionError):
                await program.ask(f"os.open({path!r}, os.O_RDONLY)")
        network = await program.ask("os.readlink('/proc/self/ns/net')")
        assert network != str(Path("/proc/self/ns/net").readlink())


async def test_it_sees_its_downloads_and_nothing_else_of_the_house(inside, house):
    data = house / "data"
    async with engine(confinement(inside, house)) as program:
        assert await program.ask(f"os.listdir({str(data)!r})") == ["downloads"]
        with pytest.raises(FileNotFoundError):
            await program.ask(f"open({str(data / 'sealing.key')!r})")
        with pytest.raises(PermissionError):
            await program.ask(f"pathlib.Path({str(data / 'x')!r}).touch()")
        film = data / "downloads" / "0"
        assert await program.ask(f"pathlib.Path({str(film)!r}).write_text('film')") == 4
        assert film.read_text() == "film"
        assert film.stat().st_uid == User.named(USER).uid


async def test_the_working_directory_is_no_way_around_it(inside, house, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(house / "data")
    async with engine(confinement(inside, house)) as program:
        for way in ("sealing.key", "../sealing.key", "../data/sealing.key"):
            assert await program.ask(f"os.path.exists({way!r})") is False


async def test_downloads_on_another_disk_are_seen_and_so_are_disks_that_come_later(inside, house):
    data, downloads = house / "data", house / "data" / "downloads"
    with mounted(downloads):
        subprocess.run(["mount", "--make-shared", downloads], check=True)
        (downloads / "usb").mkdir()
        async with engine(confinement(inside, house)) as program:
            assert await program.ask(f"os.listdir({str(data)!r})") == ["downloads"]
            with mounted(downloads / "usb"):
                (downloads / "usb" / "film").touch()
                listing = f"os.listdir({str(downloads / 'usb')!r})"
                assert await program.ask(listing) == ["film"]
            assert await program.ask(listing) == []


async def test_downloads_may_be_a_symbolic_link_to_another_place(inside, house):
    elsewhere = house / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "film").touch()
    downloads = house / "data" / "downloads"
    downloads.rmdir()
    downloads.symlink_to(elsewhere)
    async with engine(confinement(inside, house)) as program:
        assert await program.ask(f"os.listdir({str(downloads)!r})") == ["film"]


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0777", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_showing_what_is_to_be_hidden_is_refused(tmp_path):
    for shown in (tmp_path, tmp_path.parent):
        with pytest.raises(ValueError, match="to be hidden"):
            Confinement(
                network="",
                configuration=tmp_path,
                user=User(uid=1, gid=1, groups=(1,)),
                hidden=tmp_path,
                shown=shown,
            )


def test_a_user_who_is_not_there_is_named():
    with pytest.raises(LookupError, match="no user 'nobody-at-all'"):
        User.named("nobody-at-all")


async def test_nothing_of_our_environment_and_descriptors_comes_along(inside, house, monkeypatch):
    monkeypatch.setenv("MIAUFLIX_VPN__TOKEN", "secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    with (house / "data" / "sealing.key").open() as key:
        os.set_inheritable(key.fileno(), True)  # noqa: FBT003 -- its form
        async with engine(confinement(inside, house)) as program:
            assert await program.ask("[n for n in os.environ if 'MIAU' in n or 'CRED' in n]") == []
            links = "[os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')]"
            assert not [link for link in await program.ask(links) if "sealing" in link]


async def test_its_number_is_that_of_the_engine_itself_and_its_end_is_told(inside, house):
    async with engine(confinement(inside, house)) as program:
        assert await program.ask("os.getpid()") == program.child.pid
        os.kill(program.child.pid, signal.SIGUSR1)
        assert await program.child.wait() == -signal.SIGUSR1
        program.child.kill()  # being gone already is fine


async def test_it_ends_with_its_exit_status(inside, house):
    launcher = EngineLauncher(confinement(inside, house), engine=["sh", "-c", "exit 7"])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = await launcher.launch(theirs.fileno())
        assert await child.wait() == 7


async def test_without_its_namespace_nothing_is_started(house, capfd):
    walls = Confinement(
        network="/run/netns/not-there", configuration=house / "netns", user=User.named(USER)
    )
    async with engine(walls) as program:
        assert await program.child.wait() != 0
    assert "/run/netns/not-there" in capfd.readouterr().err


async def test_it_does_not_outlive_whoever_started_it(inside, house):
    command = confinement(inside, house).command(["sleep", "60"])
    starter = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid); p.wait()"
    with subprocess.Popen(
        [sys.executable, "-c", starter, *command],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as parent:
        assert parent.stdout is not None
        child = Path(f"/proc/{int(parent.stdout.readline())}")
        await until(lambda: (child / "comm").read_text() == "sleep\n", "it runs")
        parent.kill()
    await until(lambda: not is_alive(child), "it is gone")


def is_alive(process: Path) -> bool:
    """Return whether it runs; whoever inherits the dead may take his time to bury them."""
    try:
        return "\nState:\tZ" not in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


# --- probes ---------------------------------------------------------------------------------------


async def test_an_echo_is_answered_and_timed(inside):
    with closing(NamespaceProber(inside.socket)) as prober:
        prober.probe(["127.0.0.1", "127.1.2.3", "::1"])
        await until(lambda: prober.answered == 3, "all answered")
        assert prober.sent == 3
        assert prober.rtt is not None
        assert prober.rtt >= 0


async def test_where_there_is_no_way_an_echo_is_lost(inside):
    inside.ip("route", "add", "unreachable", "default")
    with closing(NamespaceProber(inside.socket)) as prober:
        prober.probe(["1.1.1.1", "2606:4700::1111", "no address", "127.0.0.1"])
        await until(lambda: prober.answered == 1, "it was answered")
        assert prober.sent == 4


async def test_an_answer_from_somebody_else_or_a_second_one_does_not_count(inside):
    with closing(NamespaceProber(inside.socket)) as prober:
        prober.probe(["127.0.0.1"])
        await until(lambda: prober.answered == 1, "it was answered")
        (echo,) = prober._sockets.values()
        # A request that nobody made, with the kernel's number for this socket.
        echo.sendto(b"\x08\0\0\0\0\0\0\x01" + prober._token, ("127.0.0.1", 0))
        echo.sendto(b"\x08\0\0\0\0\0\0\x09" + prober._token, ("127.0.0.1", 0))
        echo.sendto(b"\x08\0\0\0\0\0\0\x02another", ("127.0.0.1", 0))
        prober.probe(["127.0.0.1"])
        await until(lambda: prober.answered == 2, "it was answered")
        assert prober.sent == 2


async def test_probes_do_not_leave_by_the_hosts_own_network(inside):
    """1.1.1.1 is given to the namespace's loopback, and answers nowhere else here."""
    inside.ip("addr", "add", "1.1.1.1/32", "dev", "lo")
    with closing(NamespaceProber(inside.socket)) as prober:
        prober.probe(["1.1.1.1"])
        await until(lambda: prober.answered == 1, "it was answered")


@asynccontextmanager
async def upstream(inside: Place, address: str, upstream: Upstream) -> AsyncIterator[Upstream]:
    with inside.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((address, 53))
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: upstream, sock=listener)
        try:
            yield upstream
        finally:
            transport.close()


async def test_a_resolver_that_answers_is_told_from_one_that_fails_or_is_silent(inside):
    async with (
        upstream(inside, "127.0.0.2", Upstream(says("1.1.1.1"))) as good,
        upstream(inside, "127.0.0.3", Upstream(fails())),
        upstream(inside, "127.0.0.4", Upstream(is_silent)) as silent,
        upstream(inside, "127.0.0.5", Upstream(lambda query: b"??" + query.message[2:])),
    ):
        with closing(NamespaceProber(inside.socket)) as prober:
            assert await prober.resolves("127.0.0.2", within=5)
            assert good.asked[0].labels == ()
            assert not await prober.resolves("127.0.0.3", within=5)
            assert not await prober.resolves("127.0.0.4", within=0.3)
            assert len(silent.asked) > 1  # it was asked again
            assert not await prober.resolves("127.0.0.5", within=0.3)
            assert not await prober.resolves("127.0.0.6", within=5)  # nobody is there
            inside.ip("route", "add", "unreachable", "127.0.0.7", "table", "local")
            assert not await prober.resolves("127.0.0.7", within=5)


async def test_any_answer_proves_that_there_is_egress(inside):
    async with (
        upstream(inside, "127.0.0.2", Upstream(says("1.1.1.1"))),
        upstream(inside, "127.0.0.3", Upstream(is_silent)),
    ):
        with closing(NamespaceProber(inside.socket)) as prober:
            assert await prober.egress(["127.0.0.9"], ["127.0.0.3"], within=5)
            assert await prober.egress(["1.1.1.1"], ["127.0.0.3", "127.0.0.2"], within=5)
            assert not await prober.egress(["1.1.1.1"], ["127.0.0.3"], within=0.3)


# --- names ----------------------------------------------------------------------------------------


@asynccontextmanager
async def resolver(inside: Place, house: Path) -> AsyncIterator[StubResolver]:
    walls = Confinement(
        network=inside.path,
        configuration=house / "netns",
        user=User.named(USER),
        hidden=house / "data",
    )
    async with StubResolver.open(socket_inside=inside.socket, confinement=walls) as stub:
        yield stub


async def ask(
    inside: Place, name: str, *, kind: int = dns.A, within: float = 8
) -> tuple[int, list[str]] | None:
    """Ask the stub; `None`: it is silent."""
    query = dns.read_query(dns.query(*name.encode().split(b"."), type_=kind, identity=b"me"))
    loop = asyncio.get_running_loop()
    with inside.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0)
        await loop.sock_connect(client, ("127.0.0.1", 53))
        await loop.sock_sendall(client, query.message)
        try:
            async with asyncio.timeout(within):
                reply = dns.read_reply(await loop.sock_recv(client, 65535), query)
        except TimeoutError:
            return None
    return reply.rcode, [str(address) for address in reply.addresses]


async def test_a_name_is_resolved_and_kept_until_others_are_asked(inside, house):
    async with (
        upstream(inside, "127.0.0.2", Upstream(says("45.1.2.3"))) as first,
        upstream(inside, "127.0.0.3", Upstream(says("45.9.9.9"))) as second,
        resolver(inside, house) as stub,
    ):
        await stub.use(["127.0.0.2"])
        assert await ask(inside, "tracker.example") == (0, ["45.1.2.3"])
        asked = len(first.asked)  # more than once, should an answer be late
        assert await ask(inside, "TRACKER.example") == (0, ["45.1.2.3"])
        assert len(first.asked) == asked
        await stub.use(["127.0.0.3"])
        assert await ask(inside, "tracker.example") == (0, ["45.9.9.9"])
        assert len(first.asked) == asked
        assert second.asked[0].question != b""


async def test_a_question_asked_before_the_stub_is_up_is_answered_then(inside, house):
    async with (
        upstream(inside, "127.0.0.2", Upstream(says("45.1.2.3"))),
        resolver(inside, house) as stub,
    ):
        await stub.use(["127.0.0.2"])
        assert stub.pid is None  # it has not even been started
        assert await ask(inside, "tracker.example") == (0, ["45.1.2.3"])


@pytest.mark.parametrize("other", [is_silent, fails(), fails(5), says("192.168.1.1")])
async def test_an_upstream_that_is_silent_fails_or_lies_does_not_win_the_race(inside, house, other):
    async with (
        upstream(inside, "127.0.0.2", Upstream(other)),
        upstream(inside, "127.0.0.3", Upstream(says("45.1.2.3"), after=0.2)),
        resolver(inside, house) as stub,
    ):
        await stub.use(["1.1.1.1", "127.0.0.2", "127.0.0.3", "127.0.0.99"])
        assert await ask(inside, "tracker.example") == (0, ["45.1.2.3"])


async def test_a_failure_is_passed_on_when_all_agree(inside, house):
    async with (
        upstream(inside, "127.0.0.2", Upstream(fails())),
        upstream(inside, "127.0.0.3", Upstream(fails(5))),
        resolver(inside, house) as stub,
    ):
        await stub.use(["127.0.0.2", "127.0.0.3"])
        assert await ask(inside, "broken.example") == (2, [])
        await stub.use(["127.0.0.2", "1.1.1.1"])  # and when the others stay silent
        assert await ask(inside, "broken.example") == (2, [])


async def test_a_name_that_does_not_exist_is_known_at_once_and_remembered(inside, house):
    soa = b"\0\0" + bytes(16) + (40).to_bytes(4)

    def denies(query: dns.Query) -> bytes:
        message = bytearray(dns.empty_reply(query, dns.NO_SUCH_NAME))
        message[9] = 1
        return bytes(message) + b"\xc0\x0c\0\6\0\1\0\0\0\x3c\0\x16" + soa

    async with (
        upstream(inside, "127.0.0.2", Upstream(denies)) as only,
        resolver(inside, house) as stub,
    ):
        await stub.use(["127.0.0.2", "127.0.0.9"])
        assert await ask(inside, "gone.example") == (3, [])
        assert await ask(inside, "gone.example") == (3, [])
        assert len(only.asked) == 1


@pytest.mark.parametrize("address", ["10.0.0.1", "100.64.0.1", "127.0.0.1", "0.0.0.0"])
async def test_a_name_that_leads_into_a_private_network_is_refused(inside, house, address):
    async with (
        upstream(inside, "127.0.0.2", Upstream(says("45.1.2.3", address))),
        resolver(inside, house) as stub,
    ):
        await stub.use(["127.0.0.2"])
        assert await ask(inside, "rebinding.example") == (3, [])


async def test_names_that_are_not_the_internets_are_asked_of_nobody(inside, house):
    async with (
        upstream(inside, "127.0.0.2", Upstream(says("45.1.2.3"))) as only,
        resolver(inside, house) as stub,
    ):
        await stub.use(["127.0.0.2"])
        for name in ("router", "printer.local", "x.onion", "localhost"):
            assert await ask(inside, name) == (3, [])
        assert only.asked == []


async def test_ipv6_addresses_are_told_only_where_there_is_a_way_to_them(inside, house):
    async with (
        upstream(inside, "127.0.0.2", Upstream(says("2606:4700::1111"))),
        resolver(inside, house) as stub,
    ):
        await stub.use(["127.0.0.2"])
        assert await ask(inside, "six.example", kind=dns.AAAA) == (0, [])
        inside.ip("-6", "route", "add", "default", "dev", "lo")
        inside.ip("-6", "addr", "add", "2001:db8::1/128", "dev", "lo", "nodad")
        assert await ask(inside, "six.example", kind=dns.AAAA) == (0, ["2606:4700::1111"])


async def test_without_anybody_to_ask_there_is_silence_until_there_is_somebody(inside, house):
    async with (
        upstream(inside, "127.0.0.2", Upstream(says("45.1.2.3"))),
        upstream(inside, "127.0.0.3", Upstream(is_silent)),
        resolver(inside, house) as stub,
        asyncio.TaskGroup() as asking,
    ):
        answers = [asking.create_task(ask(inside, f"{each}.example")) for each in range(3)]
        await until(lambda: stub.pid is not None, "the stub was started")
        await stub.use(["1.1.1.1", "127.0.0.3"])  # the namespace is closed, or the tunnel dead
        assert await ask(inside, "other.example", within=0.5) is None
        assert not any(answer.done() for answer in answers)
        await stub.use(["127.0.0.2"])
        for answer in answers:
            assert await answer == (0, ["45.1.2.3"])


async def test_a_lost_question_is_asked_again(inside, house):
    only = Upstream(lambda query: says("45.1.2.3")(query) if len(only.asked) > 1 else None)
    async with upstream(inside, "127.0.0.2", only), resolver(inside, house) as stub:
        await stub.use(["127.0.0.2"])
        assert await ask(inside, "tracker.example") == (0, ["45.1.2.3"])
        assert only.asked[0].id == only.asked[1].id


async def test_an_answer_that_is_too_long_for_a_datagram_is_fetched_by_a_stream(inside, house):
    many = [f"45.1.{high}.{low}" for high in range(4) for low in range(1, 101)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2))
        message = says(*many)(dns.read_query(await reader.readexactly(length)))
        writer.write(len(message).to_bytes(2) + message)
        await writer.drain()
        writer.close()

    listener = inside.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.2", 53))
    async with (
        await asyncio.start_server(serve, sock=listener),
        upstream(inside, "127.0.0.2", Upstream(says(truncated=True))),
        resolver(inside, house) as stub,
    ):
        await stub.use(["127.0.0.2"])
        assert await ask(inside, "many.example") == (0, many)


async def test_glibc_finds_names_through_it(inside, house):
    """With our resolv.conf and nsswitch.conf, as the engine does."""
    async with (
        upstream(inside, "127.0.0.2", Upstream(says("45.1.2.3"))),
        resolver(inside, house) as stub,
        engine(confinement(inside, house)) as program,
    ):
        await stub.use(["127.0.0.2"])
        found = (
            "socket.getaddrinfo('tracker.example', 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]"
        )
        assert await program.ask(found) == ["45.1.2.3", 80]


async def test_nonsense_from_clients_and_upstreams_leaves_it_alive(inside, house):
    async with (
        upstream(inside, "127.0.0.2", Upstream(lambda query: query.id + os.urandom(40))),
        upstream(inside, "127.0.0.3", Upstream(says("45.1.2.3"), after=0.2)),
        resolver(inside, house) as stub,
    ):
        await stub.use(["127.0.0.2", "127.0.0.3"])
        with inside.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for length in range(64):
                client.sendto(os.urandom(length), ("127.0.0.1", 53))
        assert await ask(inside, "tracker.example") == (0, ["45.1.2.3"])


async def test_it_is_started_again_and_still_knows_whom_to_ask(inside, house):
    async with (
        upstream(inside, "127.0.0.2", Upstream(says("45.1.2.3"))),
        resolver(inside, house) as stub,
    ):
        await stub.use(["127.0.0.2"])
        assert await ask(inside, "tracker.example") == (0, ["45.1.2.3"])
        first = stub.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert await ask(inside, "another.example") == (0, ["45.1.2.3"])
        assert stub.pid not in (None, first)


async def test_it_ends_with_the_block_and_gives_its_port_back(inside, house):
    async with resolver(inside, house) as stub:
        await stub.use(["127.0.0.2"])
        assert await ask(inside, "localhost") == (3, [])
        pid = stub.pid
    assert not Path(f"/proc/{pid}").exists()
    async with resolver(inside, house):
        pass


async def test_an_upstream_that_is_a_name_is_refused(inside, house):
    async with resolver(inside, house) as stub:
        with pytest.raises(ValueError, match=r"dns\.example"):
            await stub.use(["dns.example"])


async def test_names_are_not_logged(inside, house, capfd):
    async with (
        upstream(inside, "127.0.0.2", Upstream(says("192.168.1.1"))),
        resolver(inside, house) as stub,
    ):
        await stub.use(["127.0.0.2"])
        await ask(inside, "secret-title.example")
    out, err = capfd.readouterr()
    assert "secret-title" not in out + err
