"""Why nothing comes of a file at the moment, and when it is tried again. No I/O."""

from miauflixd.egress.errors import EgressError
from miauflixd.errors import MiauflixdError
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.web_files.answers import AnswerError

_PAUSES = (0.25, 1.0, 2.0, 4.0, 8.0)
"""Seconds after the first trouble in a row, the second, and so on."""

_LOOK_FOR_ROAD = 1.0
"""Seconds between looks whether there is a tunnel again, which costs nobody anything."""

_NONSENSE = 5
"""Answers in a row that make no sense, after which it is no accident; with the pauses, seven
seconds."""

_HOPELESS = frozenset({"refused", "tls"})
"""Reasons of `EgressError` that are the same in a minute."""


class Troubles:
    """Those of one file, since a byte came last."""

    def __init__(self) -> None:
        self.error: MiauflixdError | None = None
        """The last one."""
        self.again_at = 0.0
        """Before when nothing is asked for, on the loop's clock."""
        self._in_a_row = 0

    @property
    def no_road(self) -> bool:
        """Whether there is no tunnel."""
        return isinstance(self.error, TunnelDownError)

    def note(self, error: MiauflixdError, *, now: float) -> bool:
        """Note one, and return whether it is worth trying again."""
        self._in_a_row += 1
        self.error = error
        if _is_final(error) or (_is_nonsense(error) and self._in_a_row >= _NONSENSE):
            return False
        pause = _PAUSES[min(self._in_a_row, len(_PAUSES)) - 1]
        self.again_at = now + (min(pause, _LOOK_FOR_ROAD) if self.no_road else pause)
        return True

    def over(self, *, now: float) -> None:
        """Note that bytes come."""
        # Before it was tried again, they come by another connection than the one that had it.
        if now >= self.again_at:
            self.error, self._in_a_row = None, 0


def _is_final(error: MiauflixdError) -> bool:
    if isinstance(error, AnswerError):
        return error.final
    return isinstance(error, EgressError) and error.reason in _HOPELESS


def _is_nonsense(error: MiauflixdError) -> bool:
    if isinstance(error, AnswerError):
        return not error.busy
    return isinstance(error, EgressError) and error.reason == "protocol"
