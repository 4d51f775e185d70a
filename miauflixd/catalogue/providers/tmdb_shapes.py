"""What TMDB answers, as far as it is of use. No I/O.

Fields are `Any` on purpose: anybody can edit TMDB, and its fields change their type. They are
looked at one by one in `tmdb_facts`, where one that makes no sense costs that field, not the film.
"""

from typing import Any

from msgspec import Struct


class Paged(Struct, frozen=True):
    """A page of a list, a search or a change feed."""

    results: list[Any]
    total_pages: Any = 1


class Found(Struct, frozen=True):
    """What `/find` knows."""

    movie_results: Any = None
    tv_results: Any = None


class GenreName(Struct, frozen=True):
    """A genre in one language."""

    id: int
    name: str


class Genres(Struct, frozen=True):
    """All genres of movies, or of shows."""

    genres: list[Any]


class Configuration(Struct, frozen=True):
    """That it can be asked at all; where it says that its images are is not followed."""

    images: dict[str, Any]


class Changed(Struct, frozen=True):
    """Something that has changed."""

    id: Any = None
    adult: Any = None


class Entry(Struct, frozen=True):
    """A movie or show, as it stands in a list."""

    id: Any = None
    adult: Any = None
    media_type: Any = None
    """`movie`, `tv`, `person`: only where the list holds several kinds."""

    # A movie's, then a show's.
    title: Any = None
    name: Any = None
    original_title: Any = None
    original_name: Any = None
    release_date: Any = None
    first_air_date: Any = None

    original_language: Any = None
    overview: Any = None
    genre_ids: Any = None
    poster_path: Any = None
    backdrop_path: Any = None
    popularity: Any = None
    vote_average: Any = None
    vote_count: Any = None


class Details(Entry, frozen=True):
    """A movie or show in full, with all that can be appended."""

    genres: Any = None
    imdb_id: Any = None
    tagline: Any = None
    status: Any = None
    runtime: Any = None
    episode_run_time: Any = None
    last_air_date: Any = None
    last_episode_to_air: Any = None
    created_by: Any = None
    seasons: Any = None

    external_ids: Any = None
    translations: Any = None
    images: Any = None
    credits: Any = None
    videos: Any = None
    release_dates: Any = None
    content_ratings: Any = None


class SeasonDetails(Struct, frozen=True):
    """A season: within its show without episodes, or by itself with them."""

    id: Any = None
    season_number: Any = None
    name: Any = None
    overview: Any = None
    air_date: Any = None
    poster_path: Any = None
    episode_count: Any = None
    episodes: Any = None


class Episode(Struct, frozen=True):
    """An episode, within its season."""

    id: Any = None
    episode_number: Any = None
    name: Any = None
    overview: Any = None
    air_date: Any = None
    runtime: Any = None
    still_path: Any = None
    vote_average: Any = None
    vote_count: Any = None


class Translation(Struct, frozen=True):
    """What is written in one language, as it is spoken in one country."""

    iso_639_1: str
    iso_3166_1: str = ""
    data: dict[str, Any] = {}


class Picture(Struct, frozen=True):
    """One of a title's images."""

    file_path: Any = None
    iso_639_1: Any = None
    width: Any = None
    height: Any = None


class Person(Struct, frozen=True):
    """Somebody's part in a title."""

    id: Any = None
    name: Any = None
    character: Any = None
    job: Any = None
    department: Any = None
    profile_path: Any = None
    adult: Any = None


class Video(Struct, frozen=True):
    """Something to watch elsewhere."""

    site: str
    key: str
    type: Any = None
    official: Any = None
    iso_639_1: Any = None


class Release(Struct, frozen=True):
    """A release in one country."""

    certification: Any = None
    type: Any = None


class Country(Struct, frozen=True):
    """How a title is rated in one country: a show's `rating`, or a movie's `release_dates`."""

    iso_3166_1: str
    rating: Any = None
    release_dates: Any = None
