"""What this house knows of titles, in the database."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from miauflixd.catalogue import (
    browsing,
    card_rows,
    particular_rows,
    season_rows,
    title_rows,
    whole_titles,
)
from miauflixd.catalogue.browsing import Place, Query
from miauflixd.catalogue.model import (
    Card,
    Episode,
    EpisodeCard,
    Facts,
    Genre,
    GenreSlug,
    Kind,
    Locale,
    NoTitleError,
    OutsideIds,
    Particulars,
    ProviderName,
    Region,
    SeasonFacts,
    Title,
    TitleId,
)
from miauflixd.catalogue.season_rows import Reader
from miauflixd.catalogue.watching import Step
from miauflixd.database import meta
from miauflixd.database.database import Database

_REGION = "catalogue-region"


@dataclass(frozen=True, kw_only=True, slots=True)
class CardPage:
    """A part of what browsing finds."""

    cards: tuple[Card, ...]
    total: int
    """How many there are in all."""
    next: Place | None
    """What to ask for the part that follows; `None`: none does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GenreCount:
    """A genre, and how much there is of it."""

    genre: Genre
    movies: int
    shows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How much there is."""

    movies: int
    shows: int
    episodes: int


class TitleStore:
    """Titles, their seasons and episodes, drawn from what providers say.

    Where a `locale` is asked for, each text comes in the nearest language that there is. Where a
    `limit` is, it is the highest age that is shown, and what has no known age is not: `None` is no
    limit.
    """

    def __init__(self, *, database: Database, region: Region, language: Locale) -> None:
        self._database = database
        self._region = region
        self._language = language

    @classmethod
    async def open(cls, *, database: Database, region: Region, language: Locale) -> Self:
        """Open it, and let the certifications of the house's region count if it has moved.

        Args:
            database: where it all is.
            region: whose certifications come first.
            language: what is shown where there is nothing in a viewer's own.
        """

        def settle() -> None:
            if meta.read(_REGION) != region.encode():
                title_rows.recompute_ages(database, region)
                meta.write(_REGION, region.encode())

        await database.run(settle)
        return cls(database=database, region=region, language=language)

    # --- what providers say -----------------------------------------------------------------------

    async def save(self, facts: Sequence[Facts], *, at: datetime) -> tuple[TitleId, ...]:
        """Write down what providers say, all or nothing, and return whose titles it is, in order.

        What is unchanged is not written, but for the time of a check in full.
        """

        def save() -> tuple[TitleId, ...]:
            return tuple(
                TitleId(
                    said.kind, title_rows.save(self._database, said, region=self._region, at=at)
                )
                for said in facts
            )

        return await self._database.run(save)

    async def save_season(
        self, show: TitleId, facts: SeasonFacts, *, locale: Locale, at: datetime
    ) -> None:
        """Write a season and its episodes down; those that are not told of any more are hidden.

        Raises:
            NoTitleError: there is no such show.
        """

        def save() -> None:
            there = self._there(show, only=Kind.SHOW)
            season_rows.save(self._database, there.number, facts, locale, at)

        await self._database.run(save)

    async def seasons_to_sync(
        self, limit: int, *, shows: Collection[TitleId] | None = None
    ) -> Sequence[tuple[TitleId, int]]:
        """Return seasons whose episodes are not known, those of the best known shows first.

        Args:
            limit: how many at most.
            shows: only of these; `None`: of all.
        """

        def read() -> list[tuple[TitleId, int]]:
            chosen = None if shows is None else json.dumps([show.number for show in shows])
            rows = self._database.execute(
                # Named, or SQLite reads all seasons: of a partial index it expects nothing.
                "SELECT s.title_id, s.number FROM seasons s INDEXED BY seasons_unsynced"
                " JOIN titles t ON t.id = s.title_id"
                " WHERE s.synced_at IS NULL AND t.tmdb IS NOT NULL"
                " AND (? IS NULL OR s.title_id IN (SELECT value FROM json_each(?)))"
                " ORDER BY t.renown DESC, t.id, s.number = 0, s.number LIMIT ?",
                (chosen, chosen, limit),
            )
            return [(TitleId(Kind.SHOW, show), season) for show, season in rows]

        return await self._database.run(read)

    async def unsync(self, show: TitleId) -> None:
        """Let all seasons of a show be asked for again."""
        await self._database.run(lambda: season_rows.unsync(self._database, self._number(show)))

    async def mark_gone(self, title: TitleId, *, provider: ProviderName, at: datetime) -> None:
        """Note that a provider does not know a title any more, until it speaks of it again."""
        await self._database.run(
            lambda: title_rows.mark_gone(self._database, self._number(title), provider, at)
        )

    async def save_genre_names(self, names: Mapping[GenreSlug, Mapping[Locale, str]]) -> None:
        """Write down what genres are called; what they were called in other languages stays."""

        def save() -> None:
            for genre, translations in names.items():
                for locale, name in translations.items():
                    self._database.execute(
                        "INSERT INTO genre_names (genre, locale, name) VALUES (?, ?, ?)"
                        " ON CONFLICT DO UPDATE SET name = excluded.name"
                        " WHERE name <> excluded.name",
                        (genre, locale, name),
                    )

        await self._database.run(save)

    async def forget(
        self, kept: Collection[TitleId], *, before: datetime, limit: int
    ) -> Sequence[TitleId]:
        """Forget titles that nobody wants, and return which; their numbers are never used again.

        Args:
            kept: what stays in any case, and what that turned out to be.
            before: only what no provider has named since then, give or take a week, and told all
                of at no time.
            limit: how many at most.
        """

        def forget() -> Sequence[TitleId]:
            numbers = [one.number for one in kept if one.kind is not Kind.EPISODE]
            return title_rows.forget(self._database, numbers, before=before, limit=limit)

        return await self._database.run(forget)

    async def set_available(
        self, ids: Collection[TitleId], *, available: bool
    ) -> Collection[TitleId]:
        """Note whether something is known that these can be played from.

        A show is available while one of its episodes is.

        Returns:
            Those of which it was not known, shows included.
        """

        def write() -> list[TitleId]:
            episodes = json.dumps(_episodes(ids))
            changed = [
                *self._ids(
                    "UPDATE titles SET available = ? WHERE available <> ?"
                    " AND id IN (SELECT value FROM json_each(?)) RETURNING kind, id",
                    (available, available, json.dumps([*self._numbers(ids).values()])),
                ),
                *self._ids(
                    "UPDATE episodes SET available = ? WHERE available <> ?"
                    " AND id IN (SELECT value FROM json_each(?)) RETURNING 'episode', id",
                    (available, available, episodes),
                ),
            ]
            there = "EXISTS (SELECT 1 FROM episodes e WHERE e.title_id = titles.id AND e.available)"
            return [
                *changed,
                *self._ids(
                    f"UPDATE titles SET available = {there} WHERE available <> {there}"  # noqa: S608 -- as above
                    " AND id IN (SELECT title_id FROM episodes"
                    " WHERE id IN (SELECT value FROM json_each(?))) RETURNING kind, id",
                    (episodes,),
                ),
            ]

        return await self._database.run(write)

    # --- what people see --------------------------------------------------------------------------

    async def cards(
        self, ids: Collection[TitleId], locale: Locale, limit: int | None
    ) -> Mapping[TitleId, Card]:
        """Return the movies and shows among these that there are and that may be seen.

        One that turned out to be another title is that one, whose id is on its card.
        """
        return await self._database.run(
            card_rows.cards_of, self._database, ids, self._reader(locale), limit
        )

    async def episode_cards(
        self, ids: Collection[TitleId], locale: Locale, limit: int | None
    ) -> Mapping[TitleId, EpisodeCard]:
        """Return the episodes among these that there are and whose show may be seen."""

        def read() -> dict[TitleId, EpisodeCard]:
            found = card_rows.episode_cards(
                self._database, _episodes(ids), self._reader(locale), limit
            )
            return {card.id: card for card in found.values()}

        return await self._database.run(read)

    async def title(self, title: TitleId, locale: Locale, limit: int | None) -> Title:
        """Return all that is known of a movie or show.

        Raises:
            NoTitleError: there is no such one, or not within this limit.
        """

        def read() -> Title:
            there = self._there(title, limit)
            return whole_titles.read(
                self._database, there, self._reader(locale), region=self._region
            )

        return await self._database.run(read)

    async def episodes(
        self, show: TitleId, season: int, locale: Locale, limit: int | None
    ) -> Sequence[Episode]:
        """Return a season's episodes in order; none while they are not known.

        Raises:
            NoTitleError: there is no such show, or not within this limit.
        """

        def read() -> list[Episode]:
            number = self._there(show, limit, only=Kind.SHOW).number
            reader = card_rows.reader_of(self._database, number, self._reader(locale))
            where, values = "e.title_id = ? AND e.season = ?", (number, season)
            return [
                episode
                for _, episode in season_rows.episodes_of(self._database, where, values, reader)
            ]

        return await self._database.run(read)

    async def episode(
        self, episode: TitleId, locale: Locale, limit: int | None
    ) -> tuple[Card, Episode]:
        """Return an episode, and the show that it is of.

        Raises:
            NoTitleError: there is no such one, or not within this limit.
        """

        def read() -> tuple[Card, Episode]:
            found = self._episode(episode, self._reader(locale))
            if found is None:
                raise NoTitleError("There is no such title")
            number, _ = found
            reader = card_rows.reader_of(self._database, number, self._reader(locale))
            shows = card_rows.cards(self._database, [number], reader, limit)
            again = self._episode(episode, reader)
            if number not in shows or again is None:
                raise NoTitleError("There is no such title")
            return shows[number], again[1]

        return await self._database.run(read)

    async def browse(
        self, query: Query, locale: Locale, *, after: Place | None = None, size: int = 50
    ) -> CardPage:
        """Return the titles that somebody wants to see, from a place in their order on.

        Args:
            query: which, and in what order.
            locale: the viewer's language.
            after: the end of the part before; what makes no sense leads anywhere, or nowhere.
            size: how many.
        """

        def read() -> CardPage:
            numbers, end = browsing.page(self._database, query, after, size)
            found = card_rows.cards(self._database, numbers, self._reader(locale), query.limit)
            return CardPage(
                cards=tuple(found[number] for number in numbers if number in found),
                total=browsing.total(self._database, query),
                next=end,
            )

        return await self._database.run(read)

    async def search(
        self,
        text: str,
        *,
        kind: Kind | None = None,
        locale: Locale,
        limit: int | None,
        count: int = 50,
    ) -> Sequence[Card]:
        """Return titles that have these words in a name of theirs, in whatever language.

        Args:
            text: as somebody typed it; the last word may not be finished.
            kind: only those.
            locale: the viewer's language.
            limit: the highest age, or none.
            count: how many at most.
        """

        def read() -> list[Card]:
            numbers = browsing.search(self._database, text, kind, limit, count)
            found = card_rows.cards(self._database, numbers, self._reader(locale), limit)
            return [found[number] for number in numbers if number in found]

        return await self._database.run(read)

    async def genres(self, locale: Locale, limit: int | None) -> Sequence[GenreCount]:
        """Return the genres that there are titles of, by name."""

        def read() -> list[GenreCount]:
            counts: dict[GenreSlug, dict[str, int]] = {}
            if limit is None:
                rows = self._database.execute(
                    "SELECT genre, kind, count(*) FROM title_genres GROUP BY kind, genre"
                )
            else:
                rows = self._database.execute(
                    "SELECT g.genre, g.kind, count(*) FROM title_genres g"
                    " JOIN titles t ON t.id = g.title_id WHERE t.age <= ?"
                    " GROUP BY g.kind, g.genre",
                    (limit,),
                )
            for genre, kind, count in rows:
                counts.setdefault(genre, {})[kind] = count
            genres = whole_titles.named(self._database, counts, self._reader(locale))
            return sorted(
                (
                    GenreCount(
                        genre=genre,
                        movies=counts[genre.slug].get(Kind.MOVIE, 0),
                        shows=counts[genre.slug].get(Kind.SHOW, 0),
                    )
                    for genre in genres
                ),
                key=lambda counted: counted.genre.name.casefold(),
            )

        return await self._database.run(read)

    # --- what the rest of the house asks ----------------------------------------------------------

    async def find(self, ids: OutsideIds, kind: Kind) -> TitleId | None:
        """Return the movie or show that others call so."""
        number = await self._database.run(title_rows.find, self._database, ids, kind)
        return None if number is None else TitleId(kind, number)

    async def outside(self, ids: Collection[TitleId]) -> Mapping[TitleId, OutsideIds]:
        """Return what others call these movies and shows, without those that there are not."""

        def read() -> dict[TitleId, OutsideIds]:
            numbers = self._numbers(ids)
            found = dict(title_rows.outside(self._database, numbers.values()))
            return {
                title: found[there]
                for title, number in numbers.items()
                if (there := TitleId(title.kind, number)) in found
            }

        return await self._database.run(read)

    async def known(self, kind: Kind, tmdb_ids: Collection[int]) -> Mapping[int, TitleId]:
        """Return which of TMDB's ids are titles of ours."""

        def read() -> dict[int, TitleId]:
            rows = self._database.execute(
                "SELECT t.tmdb, t.id FROM json_each(?) AS asked"
                " CROSS JOIN titles t ON t.kind = ? AND t.tmdb = asked.value",
                (json.dumps([*tmdb_ids]), kind),
            )
            return {tmdb: TitleId(kind, number) for tmdb, number in rows}

        return await self._database.run(read)

    async def briefs(self, provider: ProviderName, limit: int) -> Sequence[TitleId]:
        """Return titles that a provider has told little of, the best known first."""
        return await self._database.run(
            self._ids,
            "SELECT t.kind, t.id FROM tellings s JOIN titles t ON t.id = s.title_id"
            ' WHERE s.provider = ? AND s."full" = 0 AND s.gone = 0'
            " ORDER BY t.renown DESC, t.id LIMIT ?",
            (provider, limit),
        )

    async def brief_among(
        self, provider: ProviderName, ids: Collection[TitleId]
    ) -> Collection[TitleId]:
        """Return those of these titles that this provider knows, and has told little of so far."""
        return await self._among(provider, ids, 'NOT coalesce(s."full", 0)', ())

    async def checked_before(
        self, provider: ProviderName, ids: Collection[TitleId], *, before: datetime
    ) -> Sequence[TitleId]:
        """Return those of these titles that this provider last told all of before this time.

        And those that it has told little of, in the order in which they were given.
        """
        return await self._among(
            provider,
            ids,
            '(NOT coalesce(s."full", 0) OR s.checked_at < ?)',
            (season_rows.stamp(before),),
        )

    async def stale(
        self, provider: ProviderName, kind: Kind, *, before: datetime, limit: int
    ) -> Sequence[TitleId]:
        """Return titles that a provider last told all of before this time, the oldest first."""
        return await self._database.run(
            self._ids,
            "SELECT t.kind, t.id FROM tellings s CROSS JOIN titles t ON t.id = s.title_id"
            ' WHERE s.provider = ? AND s."full" = 1 AND s.gone = 0 AND s.checked_at < ?'
            " AND t.kind = ? ORDER BY s.checked_at LIMIT ?",
            (provider, season_rows.stamp(before), kind, limit),
        )

    async def outline(self, show: TitleId) -> Sequence[Step]:
        """Return a show's episodes in order, the specials last; none where it is not known."""
        return (await self.outlines([show])).get(show, [])

    async def outlines(self, shows: Collection[TitleId]) -> Mapping[TitleId, Sequence[Step]]:
        """Return the same of several shows, without those that have none."""

        def read() -> dict[TitleId, Sequence[Step]]:
            numbers = self._numbers(shows)
            found = season_rows.outlines(self._database, numbers.values())
            return {show: found[number] for show, number in numbers.items() if number in found}

        return await self._database.run(read)

    async def shows_of(self, episodes: Collection[TitleId]) -> Mapping[TitleId, TitleId]:
        """Return the show of each of these episodes, without those that are not known."""

        def read() -> dict[TitleId, TitleId]:
            rows = self._database.execute(
                "SELECT e.id, e.title_id FROM json_each(?) AS asked"
                " CROSS JOIN episodes e ON e.id = asked.value",
                (json.dumps(_episodes(episodes)),),
            )
            return {
                TitleId(Kind.EPISODE, episode): TitleId(Kind.SHOW, show) for episode, show in rows
            }

        return await self._database.run(read)

    async def particulars(self, title: TitleId) -> Particulars:
        """Return what to look for a movie or an episode by.

        Raises:
            NoTitleError: there is no such one; a show is not looked for as a whole.
        """
        return await self._database.run(
            lambda: particular_rows.read(self._database, self._place_of(title), self._language)
        )

    async def season_mates(self, episode: TitleId) -> Sequence[Particulars]:
        """Return all known episodes of an episode's season, itself too, in their order.

        Raises:
            NoTitleError: there is no such one.
        """
        return await self._database.run(
            lambda: particular_rows.season(self._database, episode, self._language)
        )

    async def counts(self) -> Counts:
        """Return how much there is."""

        def read() -> Counts:
            ((movies, shows, episodes),) = self._database.execute(
                "SELECT (SELECT count(*) FROM titles WHERE kind = 'movie'),"
                " (SELECT count(*) FROM titles WHERE kind = 'show'),"
                " (SELECT count(*) FROM episodes) - (SELECT count(*) FROM episodes WHERE gone)"
            )
            return Counts(movies=movies, shows=shows, episodes=episodes)

        return await self._database.run(read)

    # --- inside the database's thread -------------------------------------------------------------

    def _reader(self, locale: Locale) -> Reader:
        return Reader(wanted=locale, house=self._language)

    def _place_of(self, title: TitleId) -> TitleId:
        """Return the id of what a title may have turned out to be."""
        if title.kind is Kind.EPISODE:
            return title
        return TitleId(title.kind, self._number(title))

    def _ids(self, statement: str, values: Sequence[object]) -> Sequence[TitleId]:
        rows = self._database.execute(statement, values)
        return [TitleId(Kind(kind), number) for kind, number in rows]

    async def _among(
        self,
        provider: ProviderName,
        ids: Collection[TitleId],
        condition: str,
        values: Sequence[object],
    ) -> Sequence[TitleId]:
        def read() -> list[TitleId]:
            numbers = self._numbers(ids)
            rows = self._database.execute(
                # Who never said a word can know it all the same, by the id that another one told.
                f"SELECT t.id FROM json_each(?) AS asked"  # noqa: S608 -- the condition is ours
                f" CROSS JOIN titles t ON t.id = asked.value AND t.{provider} IS NOT NULL"
                " LEFT JOIN tellings s ON s.title_id = t.id AND s.provider = ?"
                f" WHERE NOT coalesce(s.gone, 0) AND {condition}",
                (json.dumps([*numbers.values()]), provider, *values),
            )
            found = {number for (number,) in rows}
            return [title for title in ids if numbers.get(title) in found]

        return await self._database.run(read)

    def _numbers(self, ids: Collection[TitleId]) -> Mapping[TitleId, int]:
        numbers = {title: title.number for title in ids if title.kind is not Kind.EPISODE}
        moved = title_rows.moved(self._database, numbers.values())
        return {title: moved.get(number, number) for title, number in numbers.items()}

    def _number(self, title: TitleId) -> int:
        return title_rows.moved(self._database, [title.number]).get(title.number, title.number)

    def _there(
        self, title: TitleId, limit: int | None = None, *, only: Kind | None = None
    ) -> TitleId:
        """Return the id of a title that is there, which may have turned out to be another one."""
        number = self._number(title)
        row = self._database.execute(
            "SELECT 1 FROM titles WHERE id = ? AND kind = ? AND (? IS NULL OR age <= ?)",
            (number, title.kind, limit, limit),
        ).fetchone()
        if row is None or only not in {None, title.kind}:
            raise NoTitleError("There is no such title")
        return TitleId(title.kind, number)

    def _episode(self, episode: TitleId, reader: Reader) -> tuple[int, Episode] | None:
        if episode.kind is not Kind.EPISODE:
            return None
        found = season_rows.episodes_of(self._database, "e.id = ?", (episode.number,), reader)
        return next(found, None)


def _episodes(ids: Collection[TitleId]) -> list[int]:
    return [title.number for title in ids if title.kind is Kind.EPISODE]
