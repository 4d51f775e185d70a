"""The programs that the keeper uses: found, run without a shell, and ended when they hang."""

import asyncio
import errno
import os
import select
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Not the caller's: `nft` and `ip` are not on everybody's path, and what runs as root should not
come from a folder of somebody else's."""

HANGING: Final = 5.0
"""Seconds; nothing here takes longer than 50 ms on a healthy machine."""

ENDING: Final = 5.0
"""Seconds that a killed process may take to be gone; a disk that hangs can hold one."""


def find(name: str) -> str | None:
    """Return where a program is."""
    return shutil.which(name, path=SEARCH_PATH)


def path(name: str) -> str:
    """Return where a program is.

    Raises:
        FileNotFoundError: it is not installed.
    """
    if found := find(name):
        return found
    raise FileNotFoundError(errno.ENOENT, f"the program {name} is not installed")


async def run(
    *command: str,
    namespace: str | None = None,
    text: str = "",
    descriptors: Sequence[int] = (),
) -> str:
    """Run a program to its end, with `text` on its standard input; return what it wrote.

    Args:
        command: the program's name, and its arguments.
        namespace: path of the network namespace to run it in.
        text: what it reads.
        descriptors: those of ours that it inherits under the same numbers.

    Raises:
        OSError: it is missing, failed or did not end; the message is its own.
    """
    name, *arguments = command
    whole = [path(name), *arguments]
    if namespace is not None:
        whole = [path("nsenter"), f"--net={namespace}", *whole]
    process = await asyncio.create_subprocess_exec(
        *whole,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=descriptors,
        env={"PATH": SEARCH_PATH, "LC_ALL": "C", "HOME": os.sep},
    )
    try:
        async with asyncio.timeout(HANGING):
            out, complaint = await process.communicate(text.encode())
    except TimeoutError:
        raise TimeoutError(errno.ETIMEDOUT, f"{name} did not end in {HANGING:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = complaint.decode(errors="replace").strip() or f"status {process.returncode}"
        raise OSError(errno.EIO, f"{name}: {said}")
    return out.decode(errors="replace")


def kill(process: int) -> None:
    """Kill a process, and see it gone; being gone already is fine.

    Raises:
        TimeoutError: it does not go.
    """
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        kill_by(descriptor)
    finally:
        os.close(descriptor)


def kill_by(descriptor: int) -> None:
    """Kill the process of a pidfd, and see it gone; being gone already is fine.

    Raises:
        TimeoutError: it does not go.
    """
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    gone = select.poll()
    gone.register(descriptor, select.POLLIN)
    if not gone.poll(ENDING * 1000):
        raise TimeoutError(errno.ETIMEDOUT, f"a killed process is there after {ENDING:.0f} s")
    reap(descriptor)


def reap(descriptor: int) -> None:
    """Let go of the process of a pidfd that ended, if it is our child."""
    with suppress(ChildProcessError):  # its parent is somebody else, who waits for it
        os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG)
