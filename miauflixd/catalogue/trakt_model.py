"""Somebody's account with Trakt, as this house knows it. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import Facts, Kind, OutsideIds
from miauflixd.errors import ConflictError
from miauflixd.runtime.secrets import Secret

LinkState = Literal["off", "unlinked", "waiting", "linked", "broken"]
"""`off`: the settings have no application at Trakt. `waiting`: for somebody to type a code there.
`broken`: it was linked, and Trakt does not accept it any more."""

Action = Literal["start", "pause", "stop"]
"""What a player did; a stop above 80 % is, to Trakt, that it was watched."""


class TraktOffError(ConflictError):
    """The settings have no application at Trakt, so nobody can be linked."""

    code = "trakt_off"


class NotLinkedError(ConflictError):
    """There is no account with Trakt to do it with."""

    code = "trakt_not_linked"


class AlreadyLinkedError(ConflictError):
    """There is an account with Trakt already."""

    code = "trakt_already_linked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """What opens an account."""

    access: Secret
    refresh: Secret
    """Is used once, for the next pair."""
    got_at: datetime
    expires_at: datetime

    @property
    def renew_at(self) -> datetime:
        """When the next pair is fetched: half-way, so that a day without Trakt does no harm."""
        return self.got_at + (self.expires_at - self.got_at) / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredLink:
    """A user's account with Trakt."""

    user_id: UserId
    tokens: Tokens | None
    """`None`: Trakt does not accept them any more."""
    since: datetime
    """When it was linked, or broke."""
    reason: str = ""
    """Why it broke."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceCode:
    """What somebody types at Trakt, to say that they want this."""

    user_code: str
    verification_url: str
    expires_in: float
    """Seconds from now."""
    interval: float
    """Seconds between two questions whether they have."""

    @property
    def complete_url(self) -> str:
        """The address at which the code need not be typed."""
        return f"{self.verification_url.rstrip('/')}/{self.user_code}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TraktLink:
    """How somebody's account is: what, since when, why, and what next."""

    state: LinkState
    since: datetime
    reason: str
    next: str
    code: DeviceCode | None = None
    """While it waits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TraktList:
    """One of somebody's lists there."""

    id: str
    """`watchlist`, or Trakt's number of it."""
    title: str
    whose: Literal["own", "liked"]
    items: tuple[Facts, ...]
    """With little more than ids, title and year."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenMovie:
    """A movie that somebody has seen, by Trakt."""

    facts: Facts
    at: datetime
    """The last time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenShow:
    """A show of which somebody has seen something, by Trakt."""

    facts: Facts
    episodes: Mapping[tuple[int, int], datetime]
    """When they last saw which, by season and number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paused:
    """What somebody is in the middle of, by Trakt."""

    facts: Facts
    """Of the movie, or of the episode's show."""
    episode: tuple[int, int] | None
    """Season and number; `None`: it is the movie."""
    part: float
    """How much has been seen, from 0 to 1."""
    duration: float
    """Seconds, as Trakt knows them: to the minute."""
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """A movie or an episode, as Trakt finds it."""

    kind: Literal[Kind.MOVIE, Kind.EPISODE]
    ids: OutsideIds
    """Of the movie, or of the episode's show."""
    season: int | None = None
    number: int | None = None

    @property
    def can_be_found(self) -> bool:
        """Whether there is an id that Trakt knows."""
        known = any(
            one is not None for one in (self.ids.tmdb, self.ids.imdb, self.ids.trakt, self.ids.tvdb)
        )
        whole = self.kind is Kind.MOVIE or None not in (self.season, self.number)
        return known and whole
