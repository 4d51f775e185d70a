"""The kinds of error.

A kind tells the caller what to do, a stable `code` tells a machine which error it is, and the
message is a sentence for the person at the other end. A concrete error lives with whoever raises
it, subclasses one of these kinds and sets its own `code`. `web.problems` alone decides what each
kind is in HTTP.
"""

from typing import ClassVar


class MiauflixdError(Exception):
    """Anything that miauflixd raises on purpose."""

    code: ClassVar[str] = "internal"


class InvalidInputError(MiauflixdError):
    """The request can be understood, but what it says makes no sense."""

    code = "invalid_input"


class NotFoundError(MiauflixdError):
    """What was asked for is not here, or not for the one who asks."""

    code = "not_found"


class ConflictError(MiauflixdError):
    """The request is sound, but not in the present state."""

    code = "conflict"


class UnauthenticatedError(MiauflixdError):
    """Nobody knows who asks, so they may try again once they have said."""

    code = "unauthenticated"


class RateLimitedError(MiauflixdError):
    """The one who asks has asked too often."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: float) -> None:
        """Say when it is worth trying again.

        Args:
            message: a sentence for a person.
            retry_after: seconds from now.
        """
        super().__init__(message)
        self.retry_after = retry_after


class ForbiddenError(MiauflixdError):
    """Whoever asks may not do this."""

    code = "forbidden"


class TooLargeError(MiauflixdError):
    """More was sent than is accepted."""

    code = "too_large"


class RangeNotSatisfiableError(MiauflixdError):
    """No byte of the requested range exists."""

    code = "range_not_satisfiable"


class UnavailableError(MiauflixdError):
    """It does not work now, and may work later."""

    code = "unavailable"


class TimedOutError(MiauflixdError):
    """Somebody else, upon whom the answer depends, did not answer in time."""

    code = "timed_out"


class StorageFullError(MiauflixdError):
    """There is no room on the disk for what was asked."""

    code = "storage_full"


class SettingsError(MiauflixdError):
    """The settings cannot be used; the message names each mistake."""

    code = "bad_settings"
