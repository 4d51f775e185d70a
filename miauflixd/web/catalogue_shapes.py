"""What a title looks like in full, and what may be asked of the catalogue."""

from datetime import date
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from miauflixd.catalogue.model import Credit, Episode, Genre, Image, Row, Season, Title
from miauflixd.catalogue.service import SeasonView
from miauflixd.catalogue.title_store import GenreCount
from miauflixd.web.shapes import Moment
from miauflixd.web.title_shapes import CardShape, ProgressShape, card_shape

Words = Annotated[str, Meta(max_length=20_000)]
"""What somebody types; only its beginning is looked for."""


class RowShape(Struct, frozen=True, kw_only=True):
    """A row of the home page."""

    id: str
    title: str
    kind: Literal["continue_watching", "next_up", "list"]
    items: list[CardShape]


class HomeShape(Struct, frozen=True, kw_only=True):
    """The home page."""

    rows: list[RowShape]


class GenreShape(Struct, frozen=True, kw_only=True):
    """A genre."""

    slug: str
    name: str


class GenreCountShape(Struct, frozen=True, kw_only=True):
    """A genre, and how much there is of it."""

    slug: str
    name: str
    movies: int
    shows: int


class GenresShape(Struct, frozen=True, kw_only=True):
    """All genres that titles have."""

    items: list[GenreCountShape]


class CreditShape(Struct, frozen=True, kw_only=True):
    """Somebody's part in a title."""

    name: str
    part: Literal["cast", "director", "writer", "creator"]
    character: str | None
    profile: str | None
    """The key of an image: `/api/images/small/{key}`."""


class ImageShape(Struct, frozen=True, kw_only=True):
    """One of a title's images."""

    role: Literal["poster", "backdrop", "logo", "still", "profile"]
    key: str
    language: str | None
    width: int | None
    height: int | None


class SeasonLineShape(Struct, frozen=True, kw_only=True):
    """A season, as it stands in its show."""

    number: int
    title: str
    overview: str
    episode_count: int
    air_date: date | None
    poster: str | None


class TitleShape(Struct, frozen=True, kw_only=True):
    """A movie or show in full."""

    id: str
    type: Literal["movie", "show"]
    title: str
    original_title: str
    original_language: str | None
    language: str | None
    """The language of the overview."""
    tagline: str
    overview: str
    year: int | None
    released: date | None
    ended: date | None
    runtime: float | None
    """Seconds; of a show's episodes, as a rule."""
    status: str | None
    rating: float | None
    """From 0 to 10."""
    votes: int
    genres: list[GenreShape]
    certification: str | None
    certification_region: str | None
    credits: list[CreditShape]
    poster: str | None
    backdrop: str | None
    images: list[ImageShape]
    trailer: str | None
    """The address of a page."""
    tmdb_id: int | None
    imdb_id: str | None
    archive_id: str | None
    trakt_id: int | None
    tvdb_id: int | None
    seasons: list[SeasonLineShape]
    available: bool
    progress: ProgressShape | UnsetType = UNSET
    """Of whoever asks; missing: not begun."""
    complete: bool
    """`false`: only what stands in lists is known yet; the rest is being asked for."""
    checked_at: Moment | None


class EpisodeShape(Struct, frozen=True, kw_only=True):
    """An episode."""

    id: str
    type: Literal["episode"] = "episode"
    season: int
    episode: int
    title: str
    overview: str
    air_date: date | None
    runtime: float | None
    """Seconds."""
    still: str | None
    rating: float | None
    available: bool
    progress: ProgressShape | UnsetType = UNSET
    show: CardShape | UnsetType = UNSET
    """Whose it is, where only the episode was asked for."""


class SeasonShape(Struct, frozen=True, kw_only=True):
    """A season with its episodes."""

    show_id: str
    number: int
    title: str
    overview: str
    air_date: date | None
    poster: str | None
    episode_count: int
    episodes: list[EpisodeShape]
    complete: bool
    """`false`: its episodes are being asked for."""


class FoundShape(Struct, frozen=True, kw_only=True):
    """What a search has found so far."""

    items: list[CardShape]
    next_cursor: None = None
    total: int
    searching: bool
    """Whether others are still being asked; the same search then tells more."""


class SearchQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody looks for."""

    q: Words
    type: Literal["movie", "show"] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class TitlesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which titles somebody wants to see."""

    type: Literal["movie", "show"] | None = None
    genre: Annotated[str, Meta(max_length=64)] | None = None
    year: Annotated[int, Meta(ge=1800, le=2200)] | None = None
    year_from: Annotated[int, Meta(ge=1800, le=2200)] | None = None
    year_to: Annotated[int, Meta(ge=1800, le=2200)] | None = None
    rating: Annotated[float, Meta(ge=0, le=10)] | None = None
    """At least."""
    language: Annotated[str, Meta(pattern=r"^[a-z]{2,3}\Z")] | None = None
    """In which it was made."""
    certification: Annotated[str, Meta(min_length=1, max_length=16)] | None = None
    """At most."""
    sort: Literal["popularity", "rating", "newest", "title"] = "popularity"
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=512)] | None = None
    tmdb_id: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    imdb_id: Annotated[str, Meta(pattern=r"^tt[0-9]{7,10}\Z")] | None = None
    archive_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,100}\Z")] | None = None


def row_shape(row: Row) -> RowShape:
    """Return a row as clients see it."""
    return RowShape(
        id=row.id,
        title=row.title,
        kind=row.kind,
        items=[card_shape(item.card, item.progress) for item in row.items],
    )


def genre_shape(genre: Genre) -> GenreShape:
    """Return a genre as clients see it."""
    return GenreShape(slug=genre.slug, name=genre.name)


def genre_count_shape(counted: GenreCount) -> GenreCountShape:
    """Return a genre and its titles as clients see it."""
    return GenreCountShape(
        slug=counted.genre.slug,
        name=counted.genre.name,
        movies=counted.movies,
        shows=counted.shows,
    )


def title_shape(title: Title) -> TitleShape:
    """Return a title as clients see it."""
    card = title.card
    return TitleShape(
        id=str(card.id),
        type=_movie_or_show(title),
        title=card.title,
        original_title=title.original_title,
        original_language=title.original_language or None,
        language=title.locale,
        tagline=title.tagline,
        overview=title.overview,
        year=card.year,
        released=title.released,
        ended=title.ended,
        runtime=title.runtime,
        status=title.status or None,
        rating=card.rating,
        votes=title.votes,
        genres=[genre_shape(one) for one in title.genres],
        certification=title.certification,
        certification_region=title.certification_region,
        credits=[_credit(one) for one in title.credits],
        poster=card.poster,
        backdrop=card.backdrop,
        images=[_image(one) for one in title.images],
        trailer=title.trailer.url if title.trailer else None,
        tmdb_id=title.ids.tmdb,
        imdb_id=title.ids.imdb,
        archive_id=title.ids.archive,
        trakt_id=title.ids.trakt,
        tvdb_id=title.ids.tvdb,
        seasons=[_season_line(one) for one in title.seasons],
        available=card.available,
        complete=title.full,
        checked_at=title.checked_at,
    )


def episode_shape(episode: Episode) -> EpisodeShape:
    """Return an episode as clients see it."""
    return EpisodeShape(
        id=str(episode.id),
        season=episode.season,
        episode=episode.number,
        title=episode.title,
        overview=episode.overview,
        air_date=episode.aired,
        runtime=episode.runtime,
        still=episode.still,
        rating=episode.rating,
        available=episode.available,
    )


def season_shape(view: SeasonView) -> SeasonShape:
    """Return a season as clients see it."""
    season = view.season
    return SeasonShape(
        show_id=str(view.show),
        number=season.number,
        title=season.title,
        overview=season.overview,
        air_date=season.aired,
        poster=season.poster,
        episode_count=season.episode_count,
        episodes=[episode_shape(one) for one in view.episodes],
        complete=season.synced,
    )


def _movie_or_show(title: Title) -> Literal["movie", "show"]:
    return "movie" if title.card.id.kind == "movie" else "show"


def _credit(credit: Credit) -> CreditShape:
    return CreditShape(
        name=credit.name,
        part=credit.part,
        character=credit.character or None,
        profile=credit.profile,
    )


def _image(image: Image) -> ImageShape:
    return ImageShape(
        role=image.role,
        key=image.key,
        language=image.language,
        width=image.width or None,
        height=image.height or None,
    )


def _season_line(season: Season) -> SeasonLineShape:
    return SeasonLineShape(
        number=season.number,
        title=season.title,
        overview=season.overview,
        episode_count=season.episode_count,
        air_date=season.aired,
        poster=season.poster,
    )
