"""Whoever gets titles ready, for a web layer."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from miauflixd.catalogue.model import TitleId
from miauflixd.sources.listing_model import ListingId, NothingToPlayError
from miauflixd.sources.playing import Ready
from miauflixd.sources.preload_plan import Nearness, Onlooker
from miauflixd.sources.ranking import Preference
from miauflixd.sources.release_names import parse
from miauflixd.torrents.model import SourceId


def ready(
    name: str,
    *,
    source: str = "source-1",
    file: int | None = 0,
    listing: str = "00112233aabbccdd",
) -> Ready:
    """Return a title that is played from a release of this name."""
    return Ready(
        source_id=SourceId(source),
        file_index=file,
        listing_id=ListingId(listing),
        release=parse(name),
        plays="direct",
        reasons=("many have it",),
    )


@dataclass
class FakePlaying:
    """Makes sources of the titles that a test names."""

    titles: dict[TitleId, Ready | Exception] = field(default_factory=dict)
    others: dict[TitleId, list[Ready]] = field(default_factory=dict)
    """Better than those."""
    liked: list[Preference] = field(default_factory=list)
    taken: list[SourceId] = field(default_factory=list)
    disappointing: list[SourceId] = field(default_factory=list)

    async def ready(
        self,
        title_id: TitleId,
        preference: Preference,
        *,
        not_these: Collection[ListingId] = (),
    ) -> Ready:
        self.liked.append(preference)
        for other in self.others.get(title_id, ()):
            if other.listing_id not in not_these:
                return other
        found = self.titles.get(title_id)
        if isinstance(found, Ready) and found.listing_id in not_these:
            raise NothingToPlayError("Nothing else was found")
        match self.titles.get(title_id):
            case None:
                raise NothingToPlayError("Nothing was found")
            case Exception() as error:
                raise error
            case Ready() as found:
                return found

    async def chosen(self, source_id: SourceId) -> None:
        self.taken.append(source_id)

    async def gave_nothing(self, source_id: SourceId) -> None:
        self.disappointing.append(source_id)


@dataclass
class FakePreloading:
    """Remembers what clients show."""

    shown: dict[str, tuple[Onlooker, dict[TitleId, Nearness]]] = field(default_factory=dict)

    def see(self, client: str, viewer: Onlooker, items: Mapping[TitleId, Nearness]) -> None:
        self.shown[client] = viewer, dict(items)
