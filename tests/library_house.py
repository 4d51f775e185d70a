"""What a library needs of others, where a test does not care."""

from typing import Any, NoReturn

from miauflixd.catalogue.model import TitleId
from miauflixd.egress.errors import EgressError


class Nowhere:
    """The internet of a house that has none."""

    async def request(self, method: str, url: str, **_: Any) -> NoReturn:
        raise EgressError("There is no internet here", reason="connect")


class NoErrands:
    """Nobody who would look anything up."""

    async def fetch_title(self, title_id: TitleId, *, within: float) -> None:
        return None

    async def fetch_season(self, show: TitleId, number: int, *, within: float) -> None:
        return None
