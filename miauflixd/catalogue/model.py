"""What there is to watch. No I/O.

`Facts` is what one provider says of a title; `Card`, `Title` and their like are what this house
knows, put together from all of them and said in one language.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal, NewType, Self

from miauflixd.auth.model import UserId
from miauflixd.errors import ConflictError, InvalidInputError, NotFoundError

Locale = NewType("Locale", str)
"""A BCP 47 tag, `pt-BR` or `pt`: language in lower case, region in upper case."""

Region = NewType("Region", str)
"""ISO 3166-1 alpha-2, `US`."""

GenreSlug = NewType("GenreSlug", str)
"""A genre whoever names it, `science-fiction`."""

ListSlug = NewType("ListSlug", str)
"""The name of a list in an address: `tmdb-movies-popular`, `own-1a2b3c`."""

ImageKey = NewType("ImageKey", str)
"""Where an image is, without saying where: `tmdb-poster-abc.jpg`, `archive-night_of_the_dead`."""

ProviderName = Literal["tmdb", "archive", "trakt"]

ImageRole = Literal["poster", "backdrop", "logo", "still", "profile"]


class Kind(StrEnum):
    """What a title is."""

    MOVIE = "movie"
    SHOW = "show"
    EPISODE = "episode"


_KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind}


class NoTitleError(NotFoundError):
    """There is no such title, or not for the one who asks."""

    code = "no_title"


class NoListError(NotFoundError):
    """There is no such list, or not for the one who asks."""

    code = "no_list"


class NoImageError(NotFoundError):
    """There is no such image."""

    code = "no_image"


class BuiltInListError(ConflictError):
    """A list that is not somebody's own cannot be changed."""

    code = "built_in_list"


class BadListError(InvalidInputError):
    """A list cannot be called so, or cannot hold that."""

    code = "bad_list"


@dataclass(frozen=True, slots=True, order=True)
class TitleId:
    """A movie, show or episode of ours. Movies and shows share one series of numbers."""

    kind: Kind
    number: int

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the id that is written so.

        Raises:
            NoTitleError: none is.
        """
        kind, _, number = text.partition(":")
        # The digits that Python takes for a number are more than ten, and SQLite's numbers fewer.
        is_number = number.isascii() and number.isdecimal() and len(number) < 16  # noqa: PLR2004 -- 64 bits
        if kind in _KINDS and is_number and (number == "0" or number[0] != "0"):
            return cls(_KINDS[kind], int(number))
        raise NoTitleError("There is no such title")


# --- what a provider says -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class OutsideIds:
    """What others call a title; a provider says what it knows."""

    tmdb: int | None = None
    imdb: str | None = None
    """`tt0111161`."""
    archive: str | None = None
    trakt: int | None = None
    tvdb: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A title in one language; what is empty has not been translated."""

    title: str = ""
    tagline: str = ""
    overview: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credit:
    """Somebody's part in a title."""

    name: str
    tmdb_id: int | None = None
    part: Literal["cast", "director", "writer", "creator"] = "cast"
    character: str = ""
    profile: ImageKey | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """One of a title's images."""

    role: ImageRole
    key: ImageKey
    language: str | None = None
    """ISO 639-1 of the words in it; `None`: there are none."""
    width: int = 0
    height: int = 0
    """Pixels; 0 when nobody says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trailer:
    """Where a trailer can be watched."""

    site: Literal["youtube", "vimeo"]
    key: str
    """The site's own id of it, letters, digits, `-` and `_`."""

    @property
    def url(self) -> str:
        """The page to open."""
        if self.site == "youtube":
            return f"https://www.youtube.com/watch?v={self.key}"
        return f"https://vimeo.com/{self.key}"


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeFacts:
    """What a provider says of an episode, in the language that it was asked in."""

    number: int
    tmdb_id: int | None = None
    title: str = ""
    overview: str = ""
    aired: date | None = None
    runtime: int | None = None
    """Seconds."""
    still: ImageKey | None = None
    rating: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SeasonFacts:
    """What a provider says of a season; its episodes only where it was asked for just this one."""

    number: int
    """0 holds the specials."""
    tmdb_id: int | None = None
    title: str = ""
    overview: str = ""
    aired: date | None = None
    poster: ImageKey | None = None
    episode_count: int = 0
    episodes: tuple[EpisodeFacts, ...] | None = None
    """`None`: nobody asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a provider says of a movie or show; what it does not say is `None` or empty.

    Clean already: text without markup and control characters, dates that exist, images with keys.
    """

    provider: ProviderName
    kind: Literal[Kind.MOVIE, Kind.SHOW]
    ids: OutsideIds
    locale: Locale
    """The language of `text`."""
    text: Text
    original_title: str = ""
    original_language: str = ""
    """ISO 639-1."""
    released: date | None = None
    """In the cinema, or the first episode."""
    year: int | None = None
    """Where only that is known."""
    genres: tuple[GenreSlug, ...] = ()
    rating: float | None = None
    """From 0 to 10."""
    votes: int = 0
    popularity: float = 0.0
    """Of no unit; only to be compared within a provider."""
    poster: ImageKey | None = None
    backdrop: ImageKey | None = None
    full: bool = False
    """Whether this is all that the provider knows. What follows is meant only then."""
    runtime: int | None = None
    """Seconds; of a show's episodes, as a rule."""
    status: str = ""
    """In the provider's words: `Released`, `Returning Series`, `Ended`."""
    ended: date | None = None
    """The last episode so far."""
    certifications: Mapping[Region, str] = field(default_factory=dict)
    texts: Mapping[Locale, Text] = field(default_factory=dict)
    """In other languages; title, tagline and overview each where they were translated."""
    credits: tuple[Credit, ...] = ()
    """The most important first."""
    images: tuple[Image, ...] = ()
    """The best of each role first."""
    trailer: Trailer | None = None
    seasons: tuple[SeasonFacts, ...] = ()


# --- what this house knows ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far somebody is with something."""

    title_id: TitleId
    position: float
    """Seconds; 0 when it was seen to its end."""
    duration: float
    """Seconds."""
    watched: bool
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """A title as it stands in a row."""

    id: TitleId
    title: str
    year: int | None
    poster: ImageKey | None
    backdrop: ImageKey | None
    rating: float | None
    available: bool
    """Whether something is known that it can be played from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeCard:
    """An episode as it stands in a row, and whose it is."""

    id: TitleId
    show: Card
    season: int
    episode: int
    title: str
    still: ImageKey | None
    aired: date | None
    available: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Season:
    """A season, as it stands in its show."""

    number: int
    title: str
    overview: str
    episode_count: int
    aired: date | None
    poster: ImageKey | None
    synced: bool
    """Whether its episodes are known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """An episode, as it stands in its season."""

    id: TitleId
    season: int
    number: int
    title: str
    overview: str
    aired: date | None
    runtime: int | None
    """Seconds."""
    still: ImageKey | None
    rating: float | None
    available: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Genre:
    """A genre, by its name in one language."""

    slug: GenreSlug
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Title:
    """A movie or show in full, in one language."""

    card: Card
    ids: OutsideIds
    original_title: str
    original_language: str
    locale: Locale | None
    """The language that the overview is in; `None`: nobody has written one."""
    tagline: str
    overview: str
    released: date | None
    ended: date | None
    runtime: int | None
    """Seconds."""
    status: str
    votes: int
    genres: tuple[Genre, ...]
    certification: str | None
    """As in the region of this house, or where it is known."""
    certification_region: Region | None
    credits: tuple[Credit, ...]
    images: tuple[Image, ...]
    trailer: Trailer | None
    seasons: tuple[Season, ...]
    full: bool
    """Whether a provider has told all that it knows, or only what stands in lists."""
    checked_at: datetime | None
    """When it last did."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Particulars:
    """What tells a movie or an episode from all others; for those who look for it elsewhere."""

    id: TitleId
    """Of a movie that turned out to be another one, that one's."""
    show: TitleId | None
    """Whose episode it is."""
    titles: tuple[str, ...]
    """Of the movie or show, in all languages that are known; the house's first."""
    year: int | None
    """Of the movie, or of the show's first episode."""
    ids: OutsideIds
    """Of the movie or show."""
    original_language: str
    """ISO 639-1; empty: nobody says."""
    runtime: int | None
    """Seconds."""
    released: date | None = None
    """The movie, in the cinema; or the show's first episode."""
    season: int | None = None
    episode: int | None = None
    absolute: int | None = None
    """Counted from the first of the first season, where all seasons before are known."""
    aired: date | None = None
    daily: bool = False
    """Whether the show's episodes are rather known by their dates."""


# --- what somebody sees ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Audience:
    """For whom something is put together."""

    user_id: UserId | None
    """`None`: the machine's own administrator, who has seen nothing."""
    locale: Locale
    """What they like to read."""
    limit: int | None
    """The age up to which they may see; `None`: everything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowItem:
    """What stands at one place of a row."""

    card: Card | EpisodeCard
    progress: Progress | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row of the home page."""

    id: str
    """Stays what it is: `continue-watching`, `next-up`, or the slug of a list."""
    title: str
    kind: Literal["continue_watching", "next_up", "list"]
    items: tuple[RowItem, ...]
