"""What Trakt knows of what somebody has seen, and what we make of it. No I/O."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

import msgspec

from miauflixd.catalogue import text
from miauflixd.catalogue.model import Kind
from miauflixd.catalogue.providers import trakt_shapes
from miauflixd.catalogue.trakt_model import Paused, SeenMovie, SeenShow

T = TypeVar("T")

_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
"""Nobody saw anything before; Trakt itself says 1970 of what was seen at some time or other."""

_SLACK = timedelta(hours=1)
"""By how much Trakt's own times may be at odds with each other."""

_SEASONS = 1_000
_EPISODES = 5_000
"""Of a show, and of a season of it; those that run each day for a year have some 260."""

_HIGHEST = 10**6
"""Of the numbers of seasons and episodes; some are called by the year, or the day."""

_MINUTES = 24 * 60

_LONGEST_STAMP = 40
"""Characters; Trakt's have 24."""

_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Changed(msgspec.Struct, frozen=True):
    watched_at: Any = None
    paused_at: Any = None


class ActivitiesAnswer(msgspec.Struct, frozen=True):
    """When what somebody watches last changed."""

    movies: _Changed = _Changed()
    episodes: _Changed = _Changed()

    @property
    def seen_movies(self) -> str:
        """When what they have seen of movies did; empty: never, as far as it says."""
        return _stamp(self.movies.watched_at)

    @property
    def seen_episodes(self) -> str:
        """When what they have seen of shows did."""
        return _stamp(self.episodes.watched_at)

    @property
    def paused(self) -> str:
        """Stands for what they are in the middle of: another one when that has changed."""
        return f"{_stamp(self.movies.paused_at)} {_stamp(self.episodes.paused_at)}".strip()


def moment(stamp: Any) -> datetime | None:
    """Return a time as Trakt writes it; nothing of what cannot be one."""
    try:
        said = msgspec.convert(stamp, datetime)
    except _ERRORS:
        return None
    return None if said.tzinfo is None or said < _EARLIEST else said


def seen_movies(
    raws: Sequence[msgspec.Raw], *, since: datetime | None, now: datetime
) -> Sequence[SeenMovie]:
    """Return the movies of a history, without what makes no sense, and what is older than that."""

    def movie(values: Mapping[str, Any]) -> SeenMovie | None:
        facts = trakt_shapes.title(_table(values.get("movie")), Kind.MOVIE)
        at = _past(values.get("last_watched_at"), now)
        return None if facts is None or at is None else SeenMovie(facts=facts, at=at)

    return _each(raws, movie, since)


def seen_shows(
    raws: Sequence[msgspec.Raw], *, since: datetime | None, now: datetime
) -> Sequence[SeenShow]:
    """Return the shows of a history, likewise."""

    def show(values: Mapping[str, Any]) -> SeenShow | None:
        facts = trakt_shapes.title(_table(values.get("show")), Kind.SHOW)
        episodes = dict(_episodes(values, now))
        return None if facts is None or not episodes else SeenShow(facts=facts, episodes=episodes)

    return _each(raws, show, since)


def paused(raws: Sequence[msgspec.Raw], *, now: datetime) -> Sequence[Paused]:
    """Return what somebody is in the middle of, without what makes no sense."""

    def one(values: Mapping[str, Any]) -> Paused | None:
        kind: Literal[Kind.MOVIE, Kind.SHOW] = (
            Kind.SHOW if values.get("type") == "episode" else Kind.MOVIE
        )
        facts = trakt_shapes.title(_table(values.get(kind.value)), kind)
        about = _table(values.get("movie" if kind is Kind.MOVIE else "episode"))
        minutes = text.number(about.get("runtime"), most=_MINUTES)
        percent = text.number(values.get("progress"), most=100.0)
        at = _past(values.get("paused_at"), now)
        episode = None if kind is Kind.MOVIE else _place(about.get("season"), about.get("number"))
        if facts is None or at is None or not minutes or percent is None:
            return None
        if kind is Kind.SHOW and episode is None:
            return None
        return Paused(
            facts=facts, episode=episode, part=percent / 100, duration=minutes * 60, at=at
        )

    return _each(raws, one, None)


def _each(
    raws: Sequence[msgspec.Raw],
    read: Callable[[Mapping[str, Any]], T | None],
    since: datetime | None,
) -> list[T]:
    found = []
    for raw in raws:
        try:
            values = msgspec.json.decode(raw)
        except _ERRORS:
            continue
        if not isinstance(values, dict) or _is_old(values, since):
            continue
        if (one := read(values)) is not None:
            found.append(one)
    return found


def _is_old(values: Mapping[str, Any], since: datetime | None) -> bool:
    # Not when it was seen, which people also say years later.
    changed = moment(values.get("last_updated_at"))
    return since is not None and changed is not None and changed < since - _SLACK


def _episodes(
    values: Mapping[str, Any], now: datetime
) -> Iterator[tuple[tuple[int, int], datetime]]:
    for season in _list(values.get("seasons"))[:_SEASONS]:
        for episode in _list(_table(season).get("episodes"))[:_EPISODES]:
            place = _place(_table(season).get("number"), _table(episode).get("number"))
            at = _past(_table(episode).get("last_watched_at"), now)
            if place is not None and at is not None:
                yield place, at


def _place(season: Any, number: Any) -> tuple[int, int] | None:
    known = text.whole_number(season, most=_HIGHEST), text.whole_number(number, most=_HIGHEST)
    return None if known[0] is None or known[1] is None else (known[0], known[1])


def _past(stamp: Any, now: datetime) -> datetime | None:
    """Return a time at which somebody can have done something: what is to come is now."""
    said = moment(stamp)
    return None if said is None else min(said, now).astimezone(UTC)


def _stamp(raw: Any) -> str:
    return raw[:_LONGEST_STAMP] if isinstance(raw, str) else ""


def _table(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []
