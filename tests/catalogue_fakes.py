"""A catalogue in dictionaries: what there is to watch, and who may see it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from miauflixd.auth.model import User, UserId
from miauflixd.catalogue.browsing import Place, Query
from miauflixd.catalogue.model import (
    Audience,
    Card,
    EpisodeCard,
    ImageKey,
    Kind,
    Locale,
    NoTitleError,
    OutsideIds,
    Row,
    RowItem,
    Title,
    TitleId,
)
from miauflixd.catalogue.searching import Found
from miauflixd.catalogue.service import EpisodeView, SeasonView
from miauflixd.catalogue.title_store import CardPage, GenreCount
from miauflixd.catalogue.watched import Watching
from miauflixd.catalogue.watching import Step


def movie(number: int) -> TitleId:
    return TitleId(Kind.MOVIE, number)


def show(number: int) -> TitleId:
    return TitleId(Kind.SHOW, number)


def episode(number: int) -> TitleId:
    return TitleId(Kind.EPISODE, number)


@dataclass(kw_only=True)
class FakeCatalogue:
    """Titles that a test has added; those in `hidden` are not for the users named there."""

    titles: dict[TitleId, Card | EpisodeCard] = field(default_factory=dict)
    hidden: dict[TitleId, UserId] = field(default_factory=dict)
    steps: dict[TitleId, list[Step]] = field(default_factory=dict)

    async def outside(self, ids: Collection[TitleId]) -> Mapping[TitleId, OutsideIds]:
        return {}

    async def next_episode(self, title_id: TitleId) -> TitleId | None:
        for steps in self.steps.values():
            ids = [step.id for step in steps]
            if title_id in ids[:-1]:
                return ids[ids.index(title_id) + 1]
        return None

    def add_movies(self, *numbers: int) -> list[TitleId]:
        ids = [movie(number) for number in numbers]
        self.titles |= {one: _card(one, f"Film {one.number}") for one in ids}
        return ids

    def add_show(
        self, number: int, *, seasons: Mapping[int, Sequence[date | None]]
    ) -> list[TitleId]:
        """Add a show and the dates on which its episodes are aired, and return their ids.

        Episode `e` of season `s` of show `n` is number `n * 10_000 + s * 100 + e`.
        """
        whole = _card(show(number), f"Series {number}")
        steps = [
            Step(
                season=season,
                number=place,
                id=episode(number * 10_000 + season * 100 + place),
                aired=aired,
            )
            for season, dates in seasons.items()
            for place, aired in enumerate(dates, start=1)
        ]
        self.titles[whole.id] = whole
        self.steps[whole.id] = steps
        self.titles |= {
            step.id: EpisodeCard(
                id=step.id,
                show=whole,
                season=step.season,
                episode=step.number,
                title=f"Part {step.number}",
                still=None,
                aired=step.aired,
                available=True,
            )
            for step in steps
        }
        return [step.id for step in steps]

    def audience(self, user: User | None) -> Audience:
        return Audience(user_id=None if user is None else user.id, locale=Locale("en"), limit=None)

    def limit_of(self, rating: str) -> int:
        return 18

    async def cards(
        self, ids: Collection[TitleId], audience: Audience
    ) -> Mapping[TitleId, Card | EpisodeCard]:
        return {
            one: self.titles[one]
            for one in ids
            if one in self.titles and self.hidden.get(one) != audience.user_id
        }

    async def home(self, audience: Audience) -> Sequence[Row]:
        items = tuple(RowItem(card=card) for card in await self._movies_and_shows(audience))
        return [Row(id="all", title="Everything", kind="list", items=items)] if items else []

    async def title(self, title_id: TitleId, audience: Audience) -> Title:
        raise NoTitleError("Of its titles this house knows their cards only")

    async def episode(self, episode_id: TitleId, audience: Audience) -> EpisodeView:
        raise NoTitleError("Of its titles this house knows their cards only")

    async def season(self, show_id: TitleId, number: int, audience: Audience) -> SeasonView:
        raise NoTitleError("Of its titles this house knows their cards only")

    async def find(self, ids: OutsideIds, kind: Kind | None, audience: Audience) -> Card | None:
        return None

    async def browse(
        self, query: Query, audience: Audience, *, after: Place | None, count: int
    ) -> CardPage:
        cards = await self._movies_and_shows(audience)
        return CardPage(cards=tuple(cards[:count]), total=len(cards), next=None)

    async def search(
        self, text: str, *, kind: Kind | None, audience: Audience, count: int
    ) -> Found:
        cards = [one for one in await self._movies_and_shows(audience) if text in one.title]
        return Found(cards=cards[:count], searching=False)

    async def genres(self, audience: Audience) -> Sequence[GenreCount]:
        return []

    async def _movies_and_shows(self, audience: Audience) -> list[Card]:
        cards = await self.cards(self.titles, audience)
        return [card for card in cards.values() if isinstance(card, Card)]

    async def outline(self, show: TitleId) -> Sequence[Step]:
        return self.steps.get(show, [])

    async def outlines(self, shows: Collection[TitleId]) -> Mapping[TitleId, Sequence[Step]]:
        return {show: self.steps[show] for show in shows if show in self.steps}

    async def shows_of(self, episodes: Collection[TitleId]) -> Mapping[TitleId, TitleId]:
        return {
            step.id: show
            for show, steps in self.steps.items()
            for step in steps
            if step.id in episodes
        }


class FakeScrobbling:
    """Notes here what is watched, and tells nobody else."""

    def __init__(self, watching: Watching) -> None:
        self.note = watching.note


def _card(title_id: TitleId, title: str) -> Card:
    return Card(
        id=title_id,
        title=title,
        year=1999,
        poster=ImageKey(f"tmdb-poster-{title_id.number}.jpg"),
        backdrop=None,
        rating=7.5,
        available=True,
    )
