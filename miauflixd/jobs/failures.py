"""What went wrong, for a record and for a log."""

from miauflixd.errors import MiauflixdError

TIMED_OUT = "timed_out"
INTERNAL = "internal"
"""Nobody raised it on purpose."""

_LONGEST = 300
"""Characters of a message to keep: it may repeat what a stranger sent."""


def cause(raised: Exception) -> Exception:
    """Return the error itself: of several at once (a task group's), the first that is ours."""
    if not isinstance(raised, ExceptionGroup):
        return raised
    leaves = [cause(one) for one in raised.exceptions]
    return next((one for one in leaves if isinstance(one, MiauflixdError)), leaves[0])


def code(error: Exception) -> str:
    """Return the code under which it is known."""
    match error:
        case MiauflixdError():
            return error.code
        case TimeoutError():
            return TIMED_OUT
        case _:
            return INTERNAL


def words(error: Exception) -> str:
    """Return a sentence for an administrator."""
    match error:
        case MiauflixdError():
            return str(error)[:_LONGEST] or error.code
        case TimeoutError():
            return "It took too long and was stopped"
        case _:
            return "Something broke; the log tells what"
