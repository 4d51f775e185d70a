"""Programs that the lab starts and ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

_END_WITHIN = 5.0


class Child:
    """A program in a session of its own, so that it can be ended with all that it started."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> "Child":
        """Start a program; what it prints is appended to a file."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=None if environment is None else dict(environment),
            )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status; `None` while it runs."""
        return self._process.returncode

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def wait(self) -> int:
        return await self._process.wait()

    async def kill(self) -> None:
        """End it at once, with its session, and return when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and make it if it does not."""
        if self._process.returncode is None:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_WITHIN):
                    await self._process.wait()
        await self.kill()


def processes() -> Mapping[int, Sequence[str]]:
    """Return the command lines of all processes of the run, by number."""
    found: dict[int, Sequence[str]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")[:-1]
                if words:  # kernel threads and the dead have none
                    found[int(folder.name)] = [os.fsdecode(word) for word in words]
    return found
