"""What a provider is, whoever it is; and how it is doing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, Literal, Protocol, TypeVar

from miauflixd.catalogue.model import (
    Facts,
    GenreSlug,
    Kind,
    ListSlug,
    Locale,
    OutsideIds,
    ProviderName,
    SeasonFacts,
)
from miauflixd.errors import NotFoundError, UnavailableError
from miauflixd.runtime.priority import Priority

T = TypeVar("T")

Condition = Literal["off", "unknown", "ok", "failing", "refused", "resting"]
"""`off`: the settings do not want it. `unknown`: not asked yet. `refused`: its key is not accepted.
`resting`: it asked to be left alone for a while."""


class ProviderUnavailableError(UnavailableError):
    """A provider does not answer, or with something that cannot be used."""

    code = "provider_unavailable"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        """Say what happened.

        Args:
            message: a sentence for a person, without titles and without a key.
            retry_after: seconds after which the provider itself wants to be asked again.
        """
        super().__init__(message)
        self.retry_after = retry_after


class ProviderRefusedError(ProviderUnavailableError):
    """A provider does not accept the key that the settings have for it."""

    code = "provider_refused"


class ProviderOffError(ProviderUnavailableError):
    """The settings have no key for a provider, or do not want it."""

    code = "provider_off"


class NoProviderError(NotFoundError):
    """There is no provider of this name."""

    code = "no_provider"


class GoneError(NotFoundError):
    """A provider does not know, or not any more, what was asked for."""

    code = "gone"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderState:
    """How a provider is doing: what, since when, why, and what next."""

    name: ProviderName
    condition: Condition
    since: datetime
    reason: str
    next: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[T]):
    """A part of what a provider lists."""

    items: tuple[T, ...]
    pages: int
    """How many parts there are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderList:
    """A list that a provider fills."""

    slug: ListSlug
    title: str
    kind: Literal["movie", "show", "mixed"]
    pages: int
    """How many parts of it are wanted."""


class Provider(Protocol):
    """Somebody who knows what there is to watch.

    Each method raises `ProviderUnavailableError` (or a kind of it) when it gets no usable answer.
    """

    @property
    def name(self) -> ProviderName:
        """Which one it is."""
        ...

    def state(self) -> ProviderState:
        """Return how it is doing; asks nobody."""
        ...

    async def check(self) -> ProviderState:
        """Ask it something small, and return how it is doing; raises nothing."""
        ...

    def lists(self) -> Sequence[ProviderList]:
        """Return the lists that it fills; none while it is off."""
        ...

    async def page(self, slug: ListSlug, number: int) -> Page[Facts]:
        """Return a part of a list, 1 being the first. Entries that make no sense are left out."""
        ...

    async def details(self, kind: Kind, ids: OutsideIds, *, priority: Priority) -> Facts:
        """Return all that it knows of a title.

        Raises:
            GoneError: it knows nothing of it, or not any more.
        """
        ...

    async def search(self, text: str, *, kind: Kind | None = None) -> Sequence[Facts]:
        """Return what fits these words, the best first; for somebody who waits."""
        ...


class SeriesProvider(Provider, Protocol):
    """A provider that knows episodes too, finds by others' ids, and tells what has changed."""

    async def season(self, ids: OutsideIds, number: int, *, priority: Priority) -> SeasonFacts:
        """Return a season with its episodes.

        Raises:
            GoneError: there is none.
        """
        ...

    async def find(self, imdb_id: str) -> Facts | None:
        """Return what has this id elsewhere; for somebody who waits."""
        ...

    async def genres(self, locale: Locale) -> Mapping[GenreSlug, str]:
        """Return what genres are called in a language."""
        ...

    async def changes(self, kind: Kind, *, since: date, until: date, number: int) -> Page[int]:
        """Return the TMDB ids of what has changed between two days, at most 14 apart."""
        ...
