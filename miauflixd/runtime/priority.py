"""Who waits for a piece of work."""

from enum import IntEnum


class Priority(IntEnum):
    """How urgent a piece of work is; the smaller number goes first."""

    WAITED_FOR = 0
    """A person waits for just this."""
    ON_SCREEN = 1
    """A person sees where it is missing."""
    ROUTINE = 2
    """Nobody will notice when it happens."""
