"""The daemon as a child process, the way systemd runs it: it says itself when it is ready."""

import asyncio
import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Self

from miauflixd.errors import MiauflixdError, UnavailableError

_START_WITHIN = 30.0
"""Seconds until it is ready; it takes less than one, but not on a machine that is busy encoding."""

_END_WITHIN = 15.0
"""Seconds until it has ended after SIGTERM; longer than it gives its own engine."""

_DATAGRAM = 4096
"""Bytes of one notification at most."""

_LONGEST_PLACE = 70
"""Bytes of the path of a folder in which ours still has room for a socket."""

_NOT_INHERITED = ("MIAUFLIX_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")
"""Beginnings of variables that would change its settings, or that are meant for somebody else."""


class DaemonDiedError(MiauflixdError):
    """The daemon has ended though nobody asked it to, or did not come up."""

    code = "daemon_died"


class PortInUseError(UnavailableError):
    """Somebody else listens on the port."""

    code = "port_in_use"


def free_port(port: int = 0) -> int:
    """Return a port of 127.0.0.1 that can be listened on now; 0 stands for any.

    Raises:
        PortInUseError: this one cannot.
    """
    with socket.socket() as trial:
        # As servers do: connections that have just been closed do not count.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except PermissionError:
            raise PortInUseError(f"Port {port} is reserved for the system") from None
        except OSError:
            raise PortInUseError(
                f"Port {port} is in use by another program; choose another with --port, "
                "or leave it out for a free one"
            ) from None
        number: int = trial.getsockname()[1]
        return number


class DaemonProcess:
    """A daemon without a tunnel, on the loopback only."""

    def __init__(
        self, process: asyncio.subprocess.Process, *, url: str, control_socket: Path
    ) -> None:
        self._process = process
        self.url = url
        self.control_socket = control_socket
        """Where whoever has started it administers it, without an account."""

    @classmethod
    @asynccontextmanager
    async def open(cls, *, directory: Path, port: int, log_level: str) -> AsyncIterator[Self]:
        """Run a daemon for the length of the block; inside it the daemon answers.

        Args:
            directory: where its settings and its data are put; exists.
            port: a free one of 127.0.0.1.
            log_level: the least important kind of line that it writes to our standard error.

        Raises:
            ExceptionGroup: what the block raised; `DaemonDiedError` when it ended before the block.
        """
        with closing(_Notifications()) as notifications, _short_folder() as folder:
            control_socket = folder / "control.sock"
            settings = _write_settings(
                directory, port=port, log_level=log_level, control_socket=control_socket
            )
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "miauflixd", "--config", str(settings), "run"),
                stdin=asyncio.subprocess.DEVNULL,
                # Ctrl-C is for us alone: we end it in its turn.
                process_group=0,
                env=_environment() | {"NOTIFY_SOCKET": notifications.address},
            )
            try:
                daemon = cls(process, url=f"http://127.0.0.1:{port}", control_socket=control_socket)
                async with asyncio.TaskGroup() as group:
                    watching = group.create_task(daemon._watch(notifications), name="daemon")
                    await notifications.ready(within=_START_WITHIN)
                    yield daemon
                    watching.cancel()
            finally:
                # Nobody listens from here on, and it must not wait for room to say goodbye in.
                notifications.close()
                await _end(process)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def _watch(self, notifications: "_Notifications") -> None:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(notifications.listen(), name="notifications")
            status = await self._process.wait()
            # What it said last may still be in the socket.
            notifications.drain()
            listening.cancel()
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        reason = f": {notifications.status}" if notifications.status else ""
        raise DaemonDiedError(f"The daemon ended {how}{reason}")


class _Notifications:
    """What a daemon tells its service manager, sd_notify(3)."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 -- the library takes no keyword
        # An empty name: the kernel gives a free one outside of the file system, unix(7). It leaves
        # nothing behind, and does not care how long the path of the temporary folder is.
        self._socket.bind("")
        self._ready = asyncio.Event()
        self.status = ""
        """The last line for people."""

    @property
    def address(self) -> str:
        """The value for `NOTIFY_SOCKET`."""
        name: bytes = self._socket.getsockname()
        return "@" + name[1:].decode("ascii")

    async def ready(self, *, within: float) -> None:
        """Wait until it says that it is ready.

        Raises:
            DaemonDiedError: it does not within so many seconds.
        """
        try:
            async with asyncio.timeout(within):
                await self._ready.wait()
        except TimeoutError:
            raise DaemonDiedError(f"The daemon was not ready within {within:.0f} s") from None

    async def listen(self) -> None:
        """Take in what it says until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._take_in(await loop.sock_recv(self._socket, _DATAGRAM))

    def drain(self) -> None:
        """Take in what has arrived, and do not wait for more."""
        try:
            while True:
                self._take_in(self._socket.recv(_DATAGRAM))
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Hear nothing any more."""
        self._socket.close()

    def _take_in(self, datagram: bytes) -> None:
        for line in datagram.decode(errors="replace").splitlines():
            name, _, value = line.partition("=")
            if name == "STATUS":
                self.status = value
            elif line == "READY=1":
                self._ready.set()


def _environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)
    }


@contextmanager
def _short_folder() -> Iterator[Path]:
    """Make a folder for a socket, whose path has room for 107 bytes at most, unix(7)."""
    place = tempfile.gettempdir()
    if len(os.fsencode(place)) > _LONGEST_PLACE:
        place = "/tmp"  # noqa: S108 - what is made in it has a name that nobody can foresee
    with tempfile.TemporaryDirectory(prefix="miauflixd-", dir=place) as folder:
        yield Path(folder)


def _write_settings(directory: Path, *, port: int, log_level: str, control_socket: Path) -> Path:
    """Write the settings file. A JSON string is a TOML string, too."""
    data = json.dumps(str(directory / "data"), ensure_ascii=False)
    path = directory / "miauflixd.toml"
    path.write_text(
        f"""\
[web]
host = "127.0.0.1"
port = {port}
control_socket = {json.dumps(str(control_socket))}

[torrents]
listen = ["127.0.0.1:0"]
dht = false

[vpn]
mode = "off"

[catalogue]
archive = false

[sources]
archive = false

[service]
user = ""

[storage]
path = {data}
# Whoever tries it need not be able to mount anything, and its film is everybody's.
encryption = "off"

[log]
level = {json.dumps(log_level)}
""",
        encoding="utf-8",
    )
    return path


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_END_WITHIN):
            await process.wait()
    finally:
        # Too slow, or somebody does not want to wait: nothing must be left behind.
        if process.returncode is None:
            process.kill()
            await process.wait()
