"""The daemon as systemd sees it: signals in, notifications and an exit status out."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from miauflixd import daemon

pytestmark = pytest.mark.daemon

ROOT = Path(__file__).parent.parent

PROGRAM = """
import asyncio, sys
from contextlib import asynccontextmanager
from miauflixd import daemon
from miauflixd.config.settings import Config, LogSettings
from miauflixd.errors import SettingsError, UnavailableError
from miauflixd.runtime.services import running

daemon._STATUS_EVERY = 0.01  # the test will not wait ten seconds for the second line
how = sys.argv[1]


class Application:
    url = "http://127.0.0.1:1"

    def __init__(self):
        self._looks = 0

    def status_line(self):
        self._looks += 1
        return "One stream" if self._looks < 3 else "Zwei Ströme →\\n2 MB/s"


async def service():
    if how == "dies":
        raise UnavailableError("The engine has died of SIGKILL")
    if how == "breaks":
        raise ZeroDivisionError("by nothing at all")
    if how == "returns":
        return
    await asyncio.Event().wait()


async def other_service():
    try:
        await asyncio.Event().wait()
    finally:
        if how == "dies":
            raise UnavailableError("The tunnel would not close")


@asynccontextmanager
async def application(config):
    print("starting", flush=True)
    try:
        if how == "never ready":
            await asyncio.Event().wait()
        if how == "misconfigured":
            raise SettingsError("a.toml:1: this\\nb.toml:2: that")
        async with running("other", other_service), running("service", service):
            yield Application()
    finally:
        if how == "slow to stop":
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        print("undone", flush=True)


sys.exit(daemon.run(Config(log=LogSettings(level="info")), application=application))
"""


@dataclass(frozen=True)
class Ended:
    status: int
    out: list[str]
    err: str


class Daemon:
    """The program above as a process, and what it tells systemd."""

    def __init__(self, process: subprocess.Popen[str], notifications: socket.socket) -> None:
        self.process = process
        self._notifications = notifications

    def told_until(self, wanted: str) -> list[str]:
        """Return the lines it tells, up to and with the one that is waited for."""
        told: list[str] = []
        while wanted not in told:
            told += self._notifications.recv(4096).decode().split("\n")
        return told

    def told_since(self) -> list[str]:
        """Return the lines that it has told, after its end."""
        told: list[str] = []
        self._notifications.settimeout(0)
        while True:
            try:
                told += self._notifications.recv(4096).decode().split("\n")
            except BlockingIOError:
                return told

    def ended(self, *, reading: str = "") -> Ended:
        """Wait for the end; `reading` is what it finds on its standard input."""
        out, err = self.process.communicate(reading)
        # Whatever it did, nothing is left open and no coroutine forgotten.
        assert "Warning" not in err
        return Ended(self.process.returncode, out.splitlines(), err)


@contextmanager
def started(how: str, directory: Path, **environment: str) -> Iterator[Daemon]:
    address = str(directory / "notify")
    base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.bind(address)
        notifications.settimeout(15)
        process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-c", PROGRAM, how],
            env={**base, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": address, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield Daemon(process, notifications)
            finally:
                process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path, number):
    with started("well", tmp_path) as running:
        assert running.told_until("READY=1") == ["STATUS=Starting", "READY=1"]
        running.process.send_signal(number)
        told = running.told_until("STATUS=Stopping")
        ended = running.ended()
    assert (ended.status, ended.out) == (0, ["starting", "undone"])
    assert told[-2:] == ["STOPPING=1", "STATUS=Stopping"]
    assert "Traceback" not in ended.err
    assert "Ready at http://127.0.0.1:1" in ended.err


def test_sigterm_ends_it_while_it_starts(tmp_path):
    with started("never ready", tmp_path) as running:
        assert running.process.stdout is not None
        assert running.process.stdout.readline() == "starting\n"
        running.process.terminate()
        ended = running.ended()
        told = running.told_since()
    assert (ended.status, ended.out) == (0, ["undone"])
    assert told == ["STATUS=Starting", "STOPPING=1", "STATUS=Stopping"]


def test_a_second_signal_does_not_cut_the_stop_short(tmp_path):
    with started("slow to stop", tmp_path) as running:
        running.told_until("READY=1")
        running.process.terminate()
        running.told_until("STOPPING=1")
        running.process.terminate()
        running.process.send_signal(signal.SIGINT)
        assert running.process.stderr is not None
        seen = ""
        while "Got SIGINT; still stopping" not in seen:
            seen += running.process.stderr.readline()
        assert running.process.poll() is None
        ended = running.ended(reading="now\n")
    assert (ended.status, ended.out) == (0, ["starting", "undone"])


def test_a_dead_service_ends_it_with_every_reason_and_no_traceback(tmp_path):
    with started("dies", tmp_path) as running:
        ended = running.ended()
        told = running.told_since()
    reason = "The tunnel would not close; The engine has died of SIGKILL"
    assert (ended.status, ended.out) == (1, ["starting", "undone"])
    assert f"Ended: {reason}\n" in ended.err
    assert "Traceback" not in ended.err
    assert told[-2:] == ["STOPPING=1", f"STATUS=Failed: {reason}"]


def test_a_service_that_returns_ends_it_too(tmp_path):
    with started("returns", tmp_path) as running:
        ended = running.ended()
    assert ended.status == 1
    assert "Ended: The service 'service' ended by itself\n" in ended.err


def test_a_bug_ends_it_with_a_traceback(tmp_path):
    with started("breaks", tmp_path) as running:
        ended = running.ended()
    assert (ended.status, ended.out) == (1, ["starting", "undone"])
    assert "Ended: by nothing at all\n" in ended.err
    assert "ZeroDivisionError: by nothing at all" in ended.err
    assert "Traceback" in ended.err


def test_settings_that_turn_out_wrong_have_a_status_of_their_own(tmp_path):
    with started("misconfigured", tmp_path) as running:
        ended = running.ended()
    assert (ended.status, ended.out) == (78, ["starting", "undone"])
    assert "a.toml:1: this\nb.toml:2: that\n" in ended.err
    assert "Traceback" not in ended.err


def test_a_status_line_that_changed_is_told_again_on_one_line_and_in_utf8(tmp_path):
    with started("well", tmp_path) as running:
        told = running.told_until("STATUS=Zwei Ströme → 2 MB/s")
    assert told == [
        "STATUS=Starting",
        "READY=1",
        "STATUS=One stream",
        "STATUS=Zwei Ströme → 2 MB/s",
    ]


def test_the_watchdog_is_fed_from_start_to_end(tmp_path):
    with started("slow to stop", tmp_path, WATCHDOG_USEC="20000") as running:
        running.told_until("READY=1")
        running.told_until("WATCHDOG=1")
        running.process.terminate()
        running.told_until("STATUS=Stopping")
        running.told_until("WATCHDOG=1")
        ended = running.ended(reading="now\n")
    assert ended.status == 0


def test_without_systemd_nobody_is_told_and_nothing_leaks(tmp_path):
    with started("well", tmp_path, NOTIFY_SOCKET="") as running:
        assert running.process.stderr is not None
        while "Ready at" not in running.process.stderr.readline():
            pass
        running.process.terminate()
        ended = running.ended()
        assert running.told_since() == []
    assert ended.status == 0


@pytest.mark.parametrize(
    ("usec", "pid", "every"),
    [
        ("30000000", None, 15.0),
        ("30000000", "self", 15.0),
        ("30000000", "1", None),
        ("0", None, None),
        ("often", None, None),
        (None, None, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_the_time_allowed(monkeypatch, usec, pid, every):
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, str(os.getpid()) if value == "self" else value)
    assert daemon._watchdog_interval() == every
