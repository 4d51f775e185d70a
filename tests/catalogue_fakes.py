"""A catalogue in dictionaries: what there is to watch, and who may see it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from miauflixd.auth.model import UserId, Viewer
from miauflixd.catalogue.model import Card, EpisodeCard, ImageKey, Kind, TitleId
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
    outlines: dict[TitleId, list[Step]] = field(default_factory=dict)

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
        self.outlines[whole.id] = steps
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

    async def cards(
        self, ids: Collection[TitleId], viewer: Viewer
    ) -> Mapping[TitleId, Card | EpisodeCard]:
        return {
            one: self.titles[one]
            for one in ids
            if one in self.titles and self.hidden.get(one) != viewer.user_id
        }

    async def outline(self, show: TitleId) -> Sequence[Step]:
        return self.outlines.get(show, [])

    async def shows_of(self, episodes: Collection[TitleId]) -> Mapping[TitleId, TitleId]:
        return {
            step.id: show
            for show, steps in self.outlines.items()
            for step in steps
            if step.id in episodes
        }


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
