"""What people have seen elsewhere, by Trakt: seen here too, or to be gone on with.

last_activities -- as at the last time --> nothing to do
                -- another --> what was seen, what was paused --> remembered here
                                  | a show whose episodes are not known here
                                  +--> is asked for, and taken up the next time
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import TitleId
from miauflixd.catalogue.providers.trakt_history_shapes import ActivitiesAnswer, moment
from miauflixd.catalogue.syncing import Syncing
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.catalogue.trakt_accounts import TraktAccounts
from miauflixd.catalogue.trakt_model import NotLinkedError, Paused
from miauflixd.catalogue.watched import Begun, Watching
from miauflixd.catalogue.watching import State, report
from miauflixd.runtime.clock import Clock

T = TypeVar("T")

_AT_ONCE = 25
"""Titles written in one go: 25 ms in which the database does nothing else."""

_TRIES = 24
"""Looks, one an hour, for episodes that are not known here. What nobody has told of after a day is
numbered otherwise at Trakt than where episodes are told of, and will be next month."""

_BEGUN, _MISSED, _SEEN = 1.0, 0.5, 0.0
"""How much titles are wanted: what is on the home page, what cannot be remembered before its
episodes are known, and what nobody may ever look at."""


class HistoryPlace(msgspec.Struct, frozen=True):
    """How far somebody's history has been taken over: all that Trakt had by these times of its."""

    movies: str = ""
    episodes: str = ""
    paused: str = ""
    tries: int = 0
    """Looks since then after which an episode was still missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What came of taking over somebody's history."""

    place: HistoryPlace
    wanted: Mapping[TitleId, float]
    """Titles of which more is to be learnt, and how much they are wanted: from 0 to 1."""


class TraktHistory:
    """Takes over what people have seen; what is taken twice makes no difference."""

    def __init__(
        self,
        *,
        titles: TitleStore,
        watching: Watching,
        syncing: Syncing,
        trakt: TraktAccounts,
        clock: Clock,
    ) -> None:
        self._titles = titles
        self._watching = watching
        self._syncing = syncing
        self._trakt = trakt
        self._clock = clock

    async def take_over(self, user_id: UserId, place: HistoryPlace) -> Taken:
        """Take over what is new in somebody's history.

        Args:
            user_id: whose.
            place: what the last time returned.

        Raises:
            NotLinkedError: they are not linked, or not any more.
            ProviderUnavailableError: Trakt does not answer; what was taken over by then stays.
        """
        now = await self._trakt.activities(user_id)
        found = _Found()
        if now.seen_movies != place.movies:
            await self._take_movies(user_id, moment(place.movies), found)
        if now.seen_episodes != place.episodes:
            await self._take_shows(user_id, moment(place.episodes), found)
        if now.paused != place.paused:
            await self._take_paused(user_id, found)
        incomplete = await self._syncing.incomplete(list(found.titles))
        wanted = {one: found.titles[one] for one in incomplete}
        wanted |= {one: max(found.titles[one], _MISSED) for one in found.missed}
        return Taken(place=self._place(now, place, found), wanted=wanted)

    def _place(self, now: ActivitiesAnswer, place: HistoryPlace, found: "_Found") -> HistoryPlace:
        # While there is nobody to ask for episodes, no try has failed.
        tries = place.tries + (1 if found.missed and self._syncing.has_series else 0)
        if found.missed and tries < _TRIES:
            return msgspec.structs.replace(place, movies=now.seen_movies, tries=tries)
        return HistoryPlace(movies=now.seen_movies, episodes=now.seen_episodes, paused=now.paused)

    async def _take_movies(self, user_id: UserId, since: datetime | None, found: "_Found") -> None:
        movies = await self._trakt.seen_movies(user_id, since=since)
        for some in _batches(movies):
            ids = await self._titles.save([movie.facts for movie in some], at=self._clock())
            seen: dict[TitleId, datetime] = {}
            for title_id, movie in zip(ids, some, strict=True):
                seen[title_id] = max(movie.at, seen.get(title_id, movie.at))
                found.note(title_id, _SEEN)
            self._require_linked(user_id)
            await self._watching.remember_watched(user_id, seen)

    async def _take_shows(self, user_id: UserId, since: datetime | None, found: "_Found") -> None:
        shows = await self._trakt.seen_shows(user_id, since=since)
        for some in _batches(shows):
            ids = await self._titles.save([show.facts for show in some], at=self._clock())
            for title_id, show in zip(ids, some, strict=True):
                found.note(title_id, _SEEN)
                known = await self._episodes(title_id)
                seen = {known[place]: at for place, at in show.episodes.items() if place in known}
                if len(seen) < len(show.episodes):
                    found.missed.add(title_id)
                self._require_linked(user_id)
                await self._watching.remember_watched(user_id, seen)

    async def _take_paused(self, user_id: UserId, found: "_Found") -> None:
        paused = await self._trakt.paused(user_id)
        ids = await self._titles.save([one.facts for one in paused], at=self._clock())
        begun: dict[TitleId, Begun] = {}
        for title_id, one in zip(ids, paused, strict=True):
            found.note(title_id, _BEGUN)
            what: TitleId | None = title_id
            if one.episode is not None:
                what = (await self._episodes(title_id)).get(one.episode)
            if what is None:
                found.missed.add(title_id)
            elif what not in begun or begun[what].at < one.at:
                begun[what] = _begun(one)
        self._require_linked(user_id)
        await self._watching.remember_begun(user_id, begun)

    async def _episodes(self, show: TitleId) -> Mapping[tuple[int, int], TitleId]:
        steps = await self._titles.outline(show)
        return {(step.season, step.number): step.id for step in steps}

    def _require_linked(self, user_id: UserId) -> None:
        # Of somebody who has gone meanwhile, nothing is to be remembered.
        if not self._trakt.is_linked(user_id):
            raise NotLinkedError("There is no account with Trakt any more")


@dataclass(kw_only=True, slots=True)
class _Found:
    titles: dict[TitleId, float] = field(default_factory=dict)
    """And how much they are wanted."""
    missed: set[TitleId] = field(default_factory=set)
    """Those shows of which an episode is not known here."""

    def note(self, title_id: TitleId, wanted: float) -> None:
        self.titles[title_id] = max(wanted, self.titles.get(title_id, wanted))


def _begun(paused: Paused) -> Begun:
    said = report(
        position=paused.part * paused.duration, duration=paused.duration, state=State.PAUSED
    )
    return Begun(said=said, at=paused.at)


def _batches(everything: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(everything), _AT_ONCE):
        yield everything[start : start + _AT_ONCE]
