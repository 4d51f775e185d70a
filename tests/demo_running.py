"""The demo as somebody starts it in a terminal."""

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from miauflixd.demo.film import film

_END_WITHIN = 30.0
"""Seconds for everything to be gone."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A demo that was started, in a session of its own."""

    process: subprocess.Popen[str]
    temporary: Path
    """The folder that it has for temporary things."""

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read what it prints until a line matches."""
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            if match := re.search(pattern, line):
                return match
            said += line
        raise AssertionError(f"It ended without saying {pattern!r}, and said:\n{said}")

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Press Ctrl-C: the signal goes to all that run in the terminal."""
        os.killpg(self.process.pid, number)

    def end(self) -> tuple[int, str]:
        """Wait until it has ended; return its status and what it still said, errors included."""
        said, _ = self.process.communicate(timeout=_END_WITHIN)
        return self.process.returncode, said

    def children(self, containing: str = "") -> list[int]:
        """Return who lives in its session except itself, by a part of the command line."""
        return [
            pid
            for pid in _session(self.process.pid)
            if pid != self.process.pid and containing in _command_line(pid)
        ]

    def left_behind(self) -> list[object]:
        """Return what should not be there after the end."""
        return [*_session(self.process.pid), *self.temporary.iterdir()]


@contextmanager
def demo(*arguments: str, cache: Path, temporary: Path, **environment: str) -> Iterator[Demo]:
    """Start a demo; whatever happens, none of it is left when the block ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "miauflixd", "demo", "--data", os.fspath(cache), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | {"TMPDIR": os.fspath(temporary)} | environment,
    ) as process:
        running = Demo(process=process, temporary=temporary)
        try:
            yield running
        finally:
            process.terminate()
            try:
                process.wait(_END_WITHIN)
            finally:
                for pid in _session(process.pid):
                    os.kill(pid, signal.SIGKILL)


def film_in_cache(factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a folder and the demo's film in it, which is made once in a run of the tests."""
    cache = factory.getbasetemp() / "demo-film"
    return cache, asyncio.run(film(cache))


def wait_until_gone(pids: list[int]) -> None:
    """Wait for the end of processes that are not our children."""
    deadline = time.monotonic() + _END_WITHIN
    for pid in pids:
        try:
            watched = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            gone, _, _ = select.select([watched], [], [], max(0, deadline - time.monotonic()))
            assert gone, f"{_command_line(pid)} does not end"
        finally:
            os.close(watched)


def _session(number: int) -> list[int]:
    """Return the processes of a session, proc(5); not those that only wait to be buried."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue  # it has ended meanwhile
        # The name, in parentheses, may hold anything; behind it: state, parent, group, session.
        state, _, _, session = stat.rpartition(")")[2].split()[:4]
        if int(session) == number and state != "Z":
            found.append(int(entry.name))
    return found


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
