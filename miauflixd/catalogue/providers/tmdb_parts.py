"""What TMDB appends to a title: people, images, words, ratings, trailers. No I/O.

Nothing is believed: a part that makes no sense is left out, and costs no other part.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from miauflixd.catalogue.model import (
    Credit,
    Image,
    ImageKey,
    ImageRole,
    Locale,
    Region,
    Text,
    Trailer,
)
from miauflixd.catalogue.providers.replies import each
from miauflixd.catalogue.providers.tmdb_images import image_key
from miauflixd.catalogue.providers.tmdb_shapes import (
    Country,
    Details,
    Person,
    Picture,
    Release,
    Translation,
    Video,
)
from miauflixd.catalogue.text import NAME, OVERVIEW, TAGLINE, TITLE, clean, prose, whole_number

Part = Literal["cast", "director", "writer", "creator"]

MOST_ID = 2**31 - 1
"""TMDB's ids are below ten millions."""

_CAST = 30
"""Who else is in a film, nobody looks for here."""

_CREW = 10

_IMAGES = 12
"""Of each role; a well-known film has hundreds."""

_MOST_PIXELS = 100_000
_RATING = 20
"""Characters of a certification; "Unrated" is a long one."""

_LANGUAGE = re.compile(r"[a-z]{2}")
_REGION = re.compile(r"[A-Z]{2}")
_NO_LANGUAGE = "xx"

_SITES = {
    "YouTube": ("youtube", re.compile(r"[A-Za-z0-9_-]{6,20}")),
    "Vimeo": ("vimeo", re.compile(r"[0-9]{5,12}")),
}

_RELEASES = (3, 2, 1, 4, 5, 6)
"""Types of releases, that first whose rating people know: in cinemas, in a few of them, a first
night, digital, on a disc, on television."""

_ROLES: Mapping[str, ImageRole] = {"posters": "poster", "backdrops": "backdrop", "logos": "logo"}


def inside(raw: object, field: str) -> Any:
    """Return a field of what may be an object; `None` if it is none."""
    return raw.get(field) if isinstance(raw, dict) else None


def language_of(locale: Locale) -> str:
    """Return the language of `pt-BR`, which is `pt`."""
    return locale.partition("-")[0]


def texts(details: Details, original_title: str, original_language: str) -> dict[Locale, Text]:
    """Return what is written in other languages."""
    found: dict[Locale, Text] = {}
    for one in each(inside(details.translations, "translations"), Translation):
        locale = _locale(one)
        if locale is None or locale in found:
            continue
        title = clean(one.data.get("title") or one.data.get("name"), TITLE)
        if not title and one.iso_639_1 == original_language:
            # Nobody translates a title into the language that it is in.
            title = original_title
        text = Text(
            title=title,
            tagline=clean(one.data.get("tagline"), TAGLINE),
            overview=prose(one.data.get("overview"), OVERVIEW),
        )
        if text != Text():
            found[locale] = text
    return found


def credits_of(details: Details) -> Iterator[Credit]:
    """Yield who made a title, and who is in it, the most important first."""
    creators = each(details.created_by, Person)
    crew = each(inside(details.credits, "crew"), Person)
    parts: tuple[tuple[Part, list[Person]], ...] = (
        ("creator", creators),
        ("director", [one for one in crew if one.job == "Director"]),
        ("writer", [one for one in crew if one.department == "Writing"]),
        ("cast", each(inside(details.credits, "cast"), Person)),
    )
    for part, people in parts:
        seen = set()
        for one in people:
            name = clean(one.name, NAME)
            number = whole_number(one.id, least=1, most=MOST_ID)
            # Who wrote both the story and the screenplay is named twice.
            if not name or (number or name) in seen:
                continue
            seen.add(number or name)
            yield Credit(
                name=name,
                tmdb_id=number,
                part=part,
                character=clean(one.character, NAME) if part == "cast" else "",
                profile=image_key("profile", one.profile_path),
            )
            if len(seen) == (_CAST if part == "cast" else _CREW):
                break


def images(
    details: Details, *, poster: ImageKey | None, backdrop: ImageKey | None, language: str
) -> Iterator[Image]:
    """Yield the images of a title, those first that stand in lists, then those in this language."""
    shown = {poster, backdrop} - {None}
    for section, role in _ROLES.items():
        first = poster if role == "poster" else backdrop if role == "backdrop" else None
        found: dict[ImageKey, Image] = {}
        if first is not None:
            found[first] = Image(role=role, key=first)
        for one in each(inside(details.images, section), Picture):
            key = image_key(role, one.file_path)
            # A drawing can hold a program, and nothing here shows any.
            if key is None or key.endswith(".svg") or (key in found and key not in shown):
                continue
            found[key] = Image(
                role=role,
                key=key,
                language=one.iso_639_1 if _is_language(one.iso_639_1) else None,
                width=whole_number(one.width, most=_MOST_PIXELS) or 0,
                height=whole_number(one.height, most=_MOST_PIXELS) or 0,
            )
        # TMDB has the best ones first, of all languages; sorting keeps that order.
        best = (language, "en", None) if role != "backdrop" else (None, language, "en")
        ranks = {one: rank for rank, one in reversed(list(enumerate(best)))}
        ranked = sorted(
            found.values(), key=lambda one: (one.key != first, ranks.get(one.language, len(best)))
        )
        yield from ranked[:_IMAGES]


def trailer(details: Details, language: str) -> Trailer | None:
    """Return the best trailer: an official one in this language, if there is one."""

    def worth(video: Video) -> tuple[bool, bool, bool]:
        return (
            video.type == "Trailer",
            video.iso_639_1 == language,
            video.official is True,
        )

    found = [
        one
        for one in each(inside(details.videos, "results"), Video)
        if one.type in ("Trailer", "Teaser")
        and one.site in _SITES
        and _SITES[one.site][1].fullmatch(one.key)
    ]
    best = max(found, key=worth, default=None)
    if best is None:
        return None
    return Trailer(site="youtube" if best.site == "YouTube" else "vimeo", key=best.key)


def certifications(details: Details) -> dict[Region, str]:
    """Return how a title is rated, by country."""
    found: dict[Region, str] = {}
    countries = (
        *each(inside(details.release_dates, "results"), Country),
        *each(inside(details.content_ratings, "results"), Country),
    )
    for one in countries:
        rating = clean(one.rating, _RATING) or _of_releases(each(one.release_dates, Release))
        if rating and _REGION.fullmatch(one.iso_3166_1):
            found.setdefault(Region(one.iso_3166_1), rating)
    return found


def _of_releases(releases: list[Release]) -> str:
    for wanted in _RELEASES:
        for one in releases:
            if one.type == wanted and (rating := clean(one.certification, _RATING)):
                return rating
    return ""


def _locale(one: Translation) -> Locale | None:
    if not _is_language(one.iso_639_1) or one.iso_639_1 == _NO_LANGUAGE:
        return None
    if not _REGION.fullmatch(one.iso_3166_1):
        return Locale(one.iso_639_1)
    return Locale(f"{one.iso_639_1}-{one.iso_3166_1}")


def _is_language(raw: object) -> bool:
    return isinstance(raw, str) and _LANGUAGE.fullmatch(raw) is not None
