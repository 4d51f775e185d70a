"""A vault on any file system: gocryptfs, through FUSE.

Names and contents lie encrypted in one folder, and are seen in another one for as long as gocryptfs
runs. It runs as the owner of the files, never as root, and learns its password by standard input.

Who started as root mounts the folder by hand, before privileges are given up, and lets gocryptfs
serve it by the descriptor ("/dev/fd/N", as of libfuse 3.3): the unit sets no_new_privs, with which
fusermount3 could not help. An ordinary user is helped by it.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from miauflixd.runtime import children
from miauflixd.runtime.processor import has_aes
from miauflixd.vault import mounts
from miauflixd.vault.backend import BackendName, Owner
from miauflixd.vault.errors import VaultBusyError, VaultError, WrongVaultKeyError

_PROGRAM = "gocryptfs"
_KIND = "fuse.gocryptfs"
_CONFIGURATION = "gocryptfs.conf"

_PASSWORD_INCORRECT = 12
"""Exit status, gocryptfs(1)."""

_OPEN_WITHIN = 20.0
"""Seconds for gocryptfs to serve the folder; it takes some 20 ms."""

_END_WITHIN = 5.0
"""Seconds for it to end after its folder was unmounted."""

_LOOK_EVERY = 0.005

_COMMON = (
    *("-fg", "-nosyslog", "-q", "-nodev", "-nosuid", "-noexec"),
    # A film comes in any order: room that is not written to yet is nobody's.
    "-noprealloc",
    # Nobody else changes anything behind its back, so what was decrypted stays in memory.
    "-kernel_cache",
)


class Gocryptfs:
    """One vault of this kind."""

    name: BackendName = "gocryptfs"
    key_size = 32

    def __init__(self, folder: Path, *, encrypted: Path) -> None:
        """Look after a folder.

        Args:
            folder: where names and contents are seen.
            encrypted: where they lie.
        """
        self._folder = folder
        self._encrypted = encrypted
        self._owner: Owner | None = None
        self._running: _Running | None = None

    def exists(self) -> bool:
        """See `Backend`."""
        return (self._encrypted / _CONFIGURATION).exists()

    def obstacle(self) -> str | None:
        """See `Backend`."""
        if shutil.which(_PROGRAM) is None:
            return "gocryptfs is not installed (`apt install gocryptfs`)"
        if not mounts.DEVICE.exists():
            return f"there is no {mounts.DEVICE} (a container has to be given it)"
        if os.geteuid() != 0 and shutil.which("fusermount3") is None:
            return "fusermount3 is not installed (`apt install fuse3`)"
        return None

    def is_open(self) -> bool:
        """See `Backend`."""
        return mounts.kind_at(self._folder) == _KIND

    def prepare(self, owner: Owner | None) -> None:
        """Mount the folder if we may, and have a process wait that becomes gocryptfs."""
        self.clear()
        self._owner = owner
        if os.geteuid() != 0:
            self._running = _Running(self._gocryptfs(str(self._folder)), guard=None)
            return
        as_owner = owner or Owner(os.geteuid(), os.getegid())
        descriptor = mounts.mount_fuse(self._folder, kind=_PROGRAM, owner=as_owner)
        try:
            self._running = _Running(
                self._gocryptfs(f"/dev/fd/{descriptor}", descriptor),
                # Whatever becomes of us: once we are gone, so is the mount. It is root's to undo.
                guard=_start(["/bin/sh", "-c", _GUARD, "sh", str(self._folder)]),
            )
        finally:
            os.close(descriptor)

    def _gocryptfs(self, served: str, *passed: int) -> subprocess.Popen[bytes]:
        return _start(
            [
                *self._as_owner(),
                *("/bin/sh", "-c", _AFTER_A_WORD, "sh"),
                *(_PROGRAM, *_COMMON, "--", str(self._encrypted), served),
            ],
            passed,
        )

    def _as_owner(self) -> list[str]:
        become: list[str] = []
        if self._owner is not None and os.geteuid() == 0:
            become = [
                f"--reuid={self._owner.uid}",
                f"--regid={self._owner.gid}",
                *("--clear-groups", "--bounding-set=-all", "--no-new-privs"),
            ]
        return ["setpriv", *become, "--pdeathsig=TERM", "--"]

    def unlock(self, key: bytes) -> None:
        """See `Backend`."""
        running = self._running
        if running is None:
            raise VaultError("Nobody has prepared the vault to be opened")
        password = key.hex().encode() + b"\n"
        try:
            if not self.exists():
                self._make(password)
            running.tell(b"now\n" + password)
            self._wait_until_open(running)
        except BaseException:
            self.lock()
            raise

    def _make(self, password: bytes) -> None:
        self._encrypted.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._owner is not None and os.geteuid() == 0:
            os.chown(self._encrypted, self._owner.uid, self._owner.gid)
        # The password is a key already, so nothing has to make guessing it dear.
        options = ["-init", "-q", "-scryptn", "10", *([] if has_aes() else ["-xchacha"])]
        made = subprocess.run(  # noqa: S603 - see _start
            [*self._as_owner(), _PROGRAM, *options, "--", str(self._encrypted)],
            env=children.environment(),
            input=password,
            capture_output=True,
            check=False,
        )
        if made.returncode:
            said = (made.stderr or made.stdout).decode(errors="replace").strip()
            raise VaultError(f"gocryptfs makes no vault in {self._encrypted}: {said}")

    def _wait_until_open(self, running: "_Running") -> None:
        deadline = time.monotonic() + _OPEN_WITHIN
        while not self.is_open():
            self._require_alive(running)
            if time.monotonic() > deadline:
                raise VaultError("gocryptfs does not open the vault")
            time.sleep(_LOOK_EVERY)
        try:
            self._folder.stat()  # waits until it is served, or nobody is there to do it
        except OSError as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.gocryptfs.wait(1.0)
            self._require_alive(running)
            raise VaultError(f"The vault cannot be read ({error.strerror})") from error

    def _require_alive(self, running: "_Running") -> None:
        status = running.gocryptfs.poll()
        if status is None:
            return
        if status == _PASSWORD_INCORRECT:
            raise WrongVaultKeyError(self._encrypted)
        raise VaultError(f"gocryptfs has ended with status {status}; the journal may say why")

    def lock(self) -> None:
        """See `Backend`."""
        running, self._running = self._running, None
        if running is None:
            self.clear()
        else:
            running.end()

    def clear(self) -> None:
        """Unmount the folder whoever serves it.

        Raises:
            VaultBusyError: it is still there.
        """
        if not self.is_open():
            return
        command = ["umount", "--lazy"] if os.geteuid() == 0 else ["fusermount3", "-u", "-z"]
        subprocess.run(  # noqa: S603 - see _start
            [*command, str(self._folder)],
            env=children.environment(),
            capture_output=True,
            check=False,
        )
        if self.is_open():
            raise VaultBusyError(f"{self._folder} is mounted, and cannot be unmounted")

    async def watch(self) -> None:
        """See `Backend`."""
        if self._running is None:
            raise VaultError("The vault is not open")
        process = self._running.gocryptfs
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        descriptor = os.pidfd_open(process.pid)
        try:
            loop.add_reader(descriptor, ended.set)
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        status = process.wait()
        cause = signal.strsignal(-status) if status < 0 else f"status {status}"
        raise VaultError(f"gocryptfs, which shows what is in the vault, has ended ({cause})")


class _Running:
    """gocryptfs, and who unmounts its folder once we are gone."""

    def __init__(
        self, gocryptfs: subprocess.Popen[bytes], *, guard: subprocess.Popen[bytes] | None
    ) -> None:
        self.gocryptfs = gocryptfs
        self._guard = guard

    def tell(self, words: bytes) -> None:
        """Have it begin; that it may have ended already is seen elsewhere."""
        if self.gocryptfs.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self.gocryptfs.stdin as stdin:
                stdin.write(words)

    def end(self) -> None:
        """End both; blocks."""
        for process in (self.gocryptfs, self._guard):
            if process is not None and process.stdin is not None:
                process.stdin.close()
        if self._guard is None:
            self.gocryptfs.terminate()  # it unmounts as it ends
        else:
            self._guard.wait(_END_WITHIN)
        try:
            self.gocryptfs.wait(_END_WITHIN)
        except subprocess.TimeoutExpired:
            # Somebody holds files open still; without gocryptfs they hold nothing.
            self.gocryptfs.kill()
            self.gocryptfs.wait()


def _start(command: Sequence[str], passed: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - programs of the system, and our own folders
        command,
        env=children.environment(),
        stdin=subprocess.PIPE,
        pass_fds=passed,
        # What ends the house with a signal to its group has to end the engine first.
        start_new_session=True,
    )


_AFTER_A_WORD = 'read -r _ && exec "$@"'
"""Waits, as somebody without rights yet, until there is a key; `read` takes no byte too many."""

_GUARD = 'read -r _; umount --lazy -- "$1"'
"""Ends the mount when the house has ended, or says so."""
