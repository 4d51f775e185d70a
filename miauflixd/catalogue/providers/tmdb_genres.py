"""TMDB's genres, of which movies and shows have different ones, as one set of our own. No I/O."""

from collections.abc import Iterable, Mapping

from miauflixd.catalogue.model import GenreSlug

_SLUGS: Mapping[int, tuple[str, ...]] = {
    28: ("action",),
    12: ("adventure",),
    16: ("animation",),
    35: ("comedy",),
    80: ("crime",),
    99: ("documentary",),
    18: ("drama",),
    10751: ("family",),
    14: ("fantasy",),
    36: ("history",),
    27: ("horror",),
    10762: ("kids",),
    10402: ("music",),
    9648: ("mystery",),
    10763: ("news",),
    10764: ("reality",),
    10749: ("romance",),
    878: ("science-fiction",),
    10766: ("soap",),
    10767: ("talk",),
    53: ("thriller",),
    10770: ("tv-movie",),
    10752: ("war",),
    37: ("western",),
    # Shows have these in pairs: each is found under both of what movies have one by one.
    10759: ("action", "adventure"),
    10765: ("science-fiction", "fantasy"),
    10768: ("war", "politics"),
}
"""By the numbers of `/genre/movie/list` and `/genre/tv/list`, which have not changed since 2016."""

ENGLISH: Mapping[GenreSlug, str] = {GenreSlug("politics"): "Politics"}
"""What has no name of its own at TMDB, in no language."""


def slugs(numbers: Iterable[int]) -> tuple[GenreSlug, ...]:
    """Return the genres with these numbers, each once; unknown ones are left out."""
    found = (slug for number in numbers for slug in _SLUGS.get(number, ()))
    return tuple(dict.fromkeys(GenreSlug(slug) for slug in found))


def slug_of_name(number: int) -> GenreSlug | None:
    """Return the genre whose name TMDB tells under this number; a pair's is no genre's name."""
    found = _SLUGS.get(number, ())
    return GenreSlug(found[0]) if len(found) == 1 else None
