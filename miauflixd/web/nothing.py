"""What stands in for parts that a house does not have."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from miauflixd.catalogue.artwork import ArtworkFigures, Found
from miauflixd.catalogue.model import NoImageError
from miauflixd.catalogue.providers.provider import NoProviderError, ProviderState
from miauflixd.web.ports import Counts


class NoLibrary:
    """Nothing to watch, and nobody who knows of anything."""

    async def counts(self) -> Counts:
        """Return that there is nothing."""
        return Counts(movies=0, shows=0, episodes=0)

    def providers(self) -> Sequence[ProviderState]:
        """Return none."""
        return ()

    async def check(self, name: str) -> ProviderState:
        """Refuse.

        Raises:
            NoProviderError: always.
        """
        raise NoProviderError("There is no provider of this name")

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[tuple[str, ...]]]:
        """Yield nothing, for the length of the block."""
        yield _never()


class NoImages:
    """No artwork."""

    async def image(self, key: str, size: str) -> Found:
        """Refuse.

        Raises:
            NoImageError: always.
        """
        raise NoImageError("There is no such image")

    def figures(self) -> ArtworkFigures:
        """Return that nothing was counted."""
        return ArtworkFigures()


async def _never() -> AsyncIterator[tuple[str, ...]]:
    await asyncio.Event().wait()
    yield ()
