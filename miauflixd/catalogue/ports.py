"""What the catalogue wants of others."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from miauflixd.catalogue.model import TitleId
from miauflixd.catalogue.watching import Step


class Outline(Protocol):
    """Which episodes shows have, as far as is known."""

    async def outline(self, show: TitleId) -> Sequence[Step]:
        """Return the episodes of a show, specials too; none of a show that is not known."""
        ...

    async def outlines(self, shows: Collection[TitleId]) -> Mapping[TitleId, Sequence[Step]]:
        """Return the same of several shows at once, without those that have none."""
        ...

    async def shows_of(self, episodes: Collection[TitleId]) -> Mapping[TitleId, TitleId]:
        """Return the show of each of these episodes, without those that are not known."""
        ...


class Errands(Protocol):
    """Work that goes on by itself, and that somebody may be in a hurry for."""

    async def fetch_title(self, title_id: TitleId, *, within: float) -> None:
        """Have a title looked up next; return when it is done, or after so many seconds."""
        ...

    async def fetch_season(self, show: TitleId, number: int, *, within: float) -> None:
        """Have a season looked up next; return when it is done, or after so many seconds."""
        ...
