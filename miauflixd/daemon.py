"""The daemon as a process: signals, what systemd is told, and the exit status.

Stopping is always a cancellation of the one main task, also while things still start. Whatever was
started by then is undone by the blocks it was started in, in reverse.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Protocol

import sdnotify

from miauflixd.config.settings import Config
from miauflixd.errors import MiauflixdError, SettingsError
from miauflixd.runtime import logs
from miauflixd.runtime.services import running

_STATUS_EVERY = 10.0
"""Seconds between two looks at the line for `systemctl status`, which people read, not programs."""

_log = logging.getLogger(__name__)

Tell = Callable[[str], None]
"""Tells systemd some lines of `NAME=value`, or nobody when there is no systemd."""


class Application(Protocol):
    """What the daemon wants to know of what it runs."""

    @property
    def url(self) -> str:
        """Where people reach it."""
        ...

    def status_line(self) -> str:
        """Return what it is doing, in one line."""
        ...


ApplicationFactory = Callable[[Config], AbstractAsyncContextManager[Application]]


def run(config: Config, *, application: ApplicationFactory) -> int:
    """Run an application until SIGTERM or SIGINT, or until it fails, and return the exit status.

    Args:
        config: the settings.
        application: runs for the length of its block, and ends the block when it fails.

    Returns:
        0 after a signal, 78 when the settings turned out not to work, 1 for any other end.
    """
    logs.to_stderr(config.log.level)
    with _systemd() as tell:
        try:
            asyncio.run(_main(config, application, tell))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 -- the last one to catch
            reason = _reason(error)
            tell(f"STOPPING=1\nSTATUS=Failed: {' '.join(reason.split())}")
            return _exit_status(error, reason)
        return 0


async def _main(config: Config, application: ApplicationFactory, tell: Tell) -> None:
    stop = _Stop(tell)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.request, number)
    try:
        await _serve(config, application, tell)
    except asyncio.CancelledError:
        if not stop.requested:
            raise
    _log.info("Stopped")


async def _serve(config: Config, application: ApplicationFactory, tell: Tell) -> None:
    """Run the application until cancelled."""

    async def beat() -> None:
        # From a task, so that a loop that is stuck misses its beats and systemd ends us.
        every = _watchdog_interval()
        while every is not None:
            tell("WATCHDOG=1")
            await asyncio.sleep(every)
        await asyncio.Event().wait()

    async def keep_status() -> None:
        told = ""
        while True:
            line = " ".join(app.status_line().split())
            if line != told:
                tell(f"STATUS={line}")
                told = line
            await asyncio.sleep(_STATUS_EVERY)

    tell("STATUS=Starting")
    # The watchdog watches the start and the stop as well, so it is the first in and the last out.
    async with running("watchdog", beat), application(config) as app:
        _log.info("Ready at %s", app.url)
        tell("READY=1")
        async with running("status", keep_status):
            await asyncio.Event().wait()


class _Stop:
    """The wish to stop, which a signal makes and nothing takes back."""

    def __init__(self, tell: Tell) -> None:
        task = asyncio.current_task()
        assert task is not None  # made in the main task
        self._task = task
        self._tell = tell
        self.requested = False

    def request(self, number: signal.Signals) -> None:
        """Cancel the main task, once: a second cancellation would cut the clean-up short."""
        if self.requested:
            _log.info("Got %s; still stopping", number.name)
            return
        self.requested = True
        _log.info("Got %s; stopping", number.name)
        self._tell("STOPPING=1\nSTATUS=Stopping")
        self._task.cancel()


@contextmanager
def _systemd() -> Iterator[Tell]:
    """Give the way to tell systemd something for the length of the block."""
    if not os.environ.get("NOTIFY_SOCKET"):
        yield lambda _: None  # the notifier would make a socket all the same, and forget it
        return
    notifier = sdnotify.SystemdNotifier()
    try:
        # It encodes as Latin-1 and drops what does not fit, where systemd wants UTF-8. So it gets
        # the bytes of UTF-8, each dressed up as the character that Latin-1 makes that byte of.
        yield lambda lines: notifier.notify(lines.encode().decode("latin-1"))
    finally:
        if notifier.socket is not None:
            notifier.socket.close()


def _watchdog_interval() -> float | None:
    """Return the seconds between two beats, half of what systemd allows; `None` for no beats."""
    allowed = os.environ.get("WATCHDOG_USEC", "")
    # The variables are inherited, and may be meant for a parent: sd_watchdog_enabled(3).
    meant_for = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not allowed.isdecimal() or int(allowed) == 0 or meant_for != str(os.getpid()):
        return None
    return int(allowed) / 2 / 1e6


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


def _reason(error: BaseException) -> str:
    """Return why it ended: what each leaf of a group says, or else of what kind it is."""
    separator = "\n" if _is_about_settings(error) else "; "
    words = [str(leaf) or type(leaf).__name__ for leaf in _leaves(error)]
    return separator.join(dict.fromkeys(words))


def _is_about_settings(error: BaseException) -> bool:
    return any(isinstance(leaf, SettingsError) for leaf in _leaves(error))


def _exit_status(error: BaseException, reason: str) -> int:
    """Log why it ended, and return what that is for systemd."""
    if _is_about_settings(error):
        _log.error("%s", reason)
        return os.EX_CONFIG  # the unit has RestartPreventExitStatus=78
    expected = all(isinstance(leaf, MiauflixdError) for leaf in _leaves(error))
    # For what we raise on purpose the sentence is enough; anything else is a bug, traced in full.
    _log.error("Ended: %s", reason, exc_info=None if expected else error)
    if expected:
        _log.debug("It came about like this", exc_info=error)
    return 1
