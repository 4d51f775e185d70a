"""What sources want of others."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from miauflixd.runtime.priority import Priority


class Turns(Protocol):
    """Who may ask a server when."""

    def turn(self, who: Priority, /) -> AbstractAsyncContextManager[None]:
        """Wait for a turn, and have it for the length of the block.

        Raises:
            UnavailableError: the server wants to be left alone for longer than one can wait.
        """
        ...

    def rest(self, seconds: float) -> None:
        """Begin no turn for so long."""
        ...
