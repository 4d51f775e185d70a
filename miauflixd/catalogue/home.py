"""The home page: what somebody has begun, what comes next, and then the lists.

The rows of lists are put together once and kept until something in them changes. What somebody
has begun is a handful of titles, and read each time.
"""

from collections.abc import Collection, Mapping, Sequence

from miauflixd.auth.model import UserId
from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.model import (
    Audience,
    Card,
    EpisodeCard,
    Kind,
    Progress,
    Row,
    RowItem,
    TitleId,
)
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.catalogue.watched import Watching
from miauflixd.runtime.remembered import Remembered

_WIDE = 20
"""Titles of a row: three screens of a television. All of a list is one click away."""

_LOOKED_AT = 120
"""Titles of a list that are looked at to fill a row for somebody who may not see all of them."""

_REMEMBERED = 32
"""People whose rows are kept: a large household, each in the language that they like."""

_NOBODY = UserId("")
"""Has no lists, and sees those that are built in or shared: the control socket."""


class Home:
    """Puts rows together."""

    def __init__(self, *, titles: TitleStore, lists: Lists, watching: Watching) -> None:
        self._titles = titles
        self._lists = lists
        self._watching = watching
        self._rows = Remembered(self._of_lists, size=_REMEMBERED)

    def forget(self) -> None:
        """Put the rows of lists together anew: one of them, or a title, has changed."""
        self._rows.forget_all()

    async def rows(self, audience: Audience) -> Sequence[Row]:
        """Return all rows that have something in them, in the order in which they are shown."""
        return [*await self._of_somebody(audience), *await self._rows.get(audience)]

    async def _of_somebody(self, audience: Audience) -> Sequence[Row]:
        """Return what they are in the middle of, and which episodes come next."""
        if audience.user_id is None:
            return ()
        begun = await self._watching.continue_watching(audience.user_id, _WIDE)
        progress = {one.title_id: one for one in begun}
        following = await self._watching.next_up(audience.user_id, _WIDE)
        if not (progress or following):
            return ()
        items = await self._items([*progress, *following], audience, progress)
        return _filled(
            Row(
                id="continue-watching",
                title="Continue watching",
                kind="continue_watching",
                items=_each_once([items[one] for one in progress if one in items]),
            ),
            Row(
                id="next-up",
                title="Next up",
                kind="next_up",
                items=_each_once([items[one] for one in following if one in items]),
            ),
        )

    async def _items(
        self, ids: Sequence[TitleId], audience: Audience, progress: Mapping[TitleId, Progress]
    ) -> Mapping[TitleId, RowItem]:
        cards = await any_cards(self._titles, ids, audience)
        return {one: RowItem(card=card, progress=progress.get(one)) for one, card in cards.items()}

    async def _of_lists(self, audience: Audience) -> Sequence[Row]:
        """Return a row for each list that has something to show, all of them by two queries."""
        count = _WIDE if audience.limit is None else _LOOKED_AT
        lists = await self._lists.beginnings(audience.user_id or _NOBODY, count)
        everything = list(dict.fromkeys(one for found in lists for one in found.ids))
        cards = await self._titles.cards(everything, audience.locale, audience.limit)
        return _filled(
            *(
                Row(
                    id=found.info.slug,
                    title=found.info.title,
                    kind="list",
                    items=_each_once(
                        [RowItem(card=cards[one]) for one in found.ids if one in cards]
                    ),
                )
                for found in lists
            )
        )


async def any_cards(
    titles: TitleStore, ids: Collection[TitleId], audience: Audience
) -> Mapping[TitleId, Card | EpisodeCard]:
    """Return those of these titles and episodes that there are, and that somebody may see."""
    whole = [one for one in ids if one.kind is not Kind.EPISODE]
    episodes = [one for one in ids if one.kind is Kind.EPISODE]
    found: dict[TitleId, Card | EpisodeCard] = {}
    if whole:
        found |= await titles.cards(whole, audience.locale, audience.limit)
    if episodes:
        found |= await titles.episode_cards(episodes, audience.locale, audience.limit)
    return found


def _each_once(items: Sequence[RowItem]) -> tuple[RowItem, ...]:
    """Return a row of these; two of them may have turned out to be one title."""
    once: dict[TitleId, RowItem] = {}
    for item in items:
        once.setdefault(item.card.id, item)
    return tuple(once.values())[:_WIDE]


def _filled(*rows: Row) -> Sequence[Row]:
    return tuple(row for row in rows if row.items)
