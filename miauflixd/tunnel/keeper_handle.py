"""The keeper's process from its start until somebody talks to it.

It is started while the house may still do everything, long before there is an event loop; the house
then gives its privileges up and cannot start another.
"""

import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from miauflixd.errors import MiauflixdError
from miauflixd.runtime import children

logger = logging.getLogger(__name__)

END_WITHIN = 10.0
"""Seconds for the keeper to take everything down; systemd allows the whole daemon 30."""

COMMAND = (sys.executable, "-m", "miauflixd.keeper")
"""How a keeper is started; the descriptor of its end of the socket pair follows."""


class KeeperDiedError(MiauflixdError):
    """The keeper's process has ended though nobody asked it to."""

    code = "keeper_died"


class KeeperHandle:
    """A keeper that was started and to whom nobody has talked yet."""

    def __init__(self, process: subprocess.Popen[bytes], end: socket.socket) -> None:
        self._process = process
        self._end = end

    @classmethod
    def start(cls, command: Sequence[str] = COMMAND) -> Self:
        """Start a keeper with the privileges of the moment; it waits for `Configure`.

        A block of the handle's ends the keeper, should it never come to a conversation.

        Raises:
            KeeperDiedError: the system lets no process start.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    [*command, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=children.environment(),
                    stdin=subprocess.DEVNULL,
                    # A signal to the terminal's or the house's group is not for it: it ends when it
                    # is told to, after all that lives in its namespace.
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise KeeperDiedError(f"The keeper cannot be started ({error.strerror})") from error
        return cls(process, ours)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.close()
        try:
            self._process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            kill(self._process)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process; whoever talks to it waits for its end, too."""
        return self._process

    @property
    def end(self) -> socket.socket:
        """Our end of the conversation; to be taken over once."""
        return self._end


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a keeper that does not end by itself, if that is still allowed.

    It may not be: the keeper has privileges that the house has given up. Then systemd does it, a
    moment later, with all that is left of the unit.
    """
    try:
        process.send_signal(signal.SIGKILL)
    except PermissionError:
        logger.warning("The keeper is left to systemd: it may not be killed from here")
    else:
        process.wait()
