"""What the Internet Archive answers, and what we make of it. No I/O.

Whatever a field holds elsewhere, here it may hold a list of it, a number in quotes, or nonsense
that an uploader has typed. So everything is taken as it comes, and read with care.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from miauflixd.catalogue import text
from miauflixd.catalogue.model import (
    Credit,
    Facts,
    GenreSlug,
    Image,
    Kind,
    Locale,
    OutsideIds,
    Text,
)
from miauflixd.catalogue.providers.archive_images import image_key
from miauflixd.catalogue.providers.archive_rule import IDENTIFIER, Item, Reviewed

FIELDS = (
    "identifier",
    "title",
    "year",
    "date",
    "description",
    "creator",
    "subject",
    "language",
    "licenseurl",
    "runtime",
    "downloads",
    "avg_rating",
    "num_reviews",
    "collection",
    "mediatype",
    "external-identifier",
    "access-restricted-item",
)
"""What is asked for of each item that is found."""

_DAY = 24 * 3600
"""Seconds; nothing that is shown takes longer."""

_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,4}):(\d{1,2})(?:[.,]\d{1,6})?\Z", re.ASCII)
_HOURS = re.compile(r"(\d{1,2})\s*(?:h|hr|hrs|hours?)(?![a-z])", re.ASCII | re.IGNORECASE)
_MINUTES = re.compile(r"(\d{1,4})\s*(?:m|min|mins|minutes?)(?![a-z])", re.ASCII | re.IGNORECASE)
_SECONDS = re.compile(r"(\d{1,5})\s*(?:s|sec|secs|seconds?)(?![a-z])", re.ASCII | re.IGNORECASE)
_IMDB = re.compile(r"urn:imdb:(tt\d{7,10})\Z", re.ASCII | re.IGNORECASE)

_VALUES = 50
"""Values of one field that are looked at."""

_CREATORS = 5

_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises over what is not as it should be."""

_GENRES = {
    "action": "action",
    "adventure": "adventure",
    "animated": "animation",
    "animation": "animation",
    "cartoon": "animation",
    "cartoons": "animation",
    "comedy": "comedy",
    "crime": "crime",
    "documentary": "documentary",
    "drama": "drama",
    "family": "family",
    "fantasy": "fantasy",
    "history": "history",
    "horror": "horror",
    "music": "music",
    "musical": "music",
    "mystery": "mystery",
    "romance": "romance",
    "sci-fi": "science-fiction",
    "science fiction": "science-fiction",
    "scifi": "science-fiction",
    "thriller": "thriller",
    "war": "war",
    "western": "western",
}
"""Genres among the subjects, which are anybody's words."""

_LANGUAGES = {
    "ara": "ar", "arabic": "ar", "chi": "zh", "chinese": "zh", "cze": "cs", "czech": "cs",
    "dan": "da", "danish": "da", "deu": "de", "dut": "nl", "dutch": "nl", "eng": "en",
    "english": "en", "fin": "fi", "finnish": "fi", "fra": "fr", "fre": "fr", "french": "fr",
    "ger": "de", "german": "de", "gre": "el", "greek": "el", "heb": "he", "hebrew": "he",
    "hin": "hi", "hindi": "hi", "hun": "hu", "hungarian": "hu", "ita": "it", "italian": "it",
    "japanese": "ja", "jpn": "ja", "kor": "ko", "korean": "ko", "nld": "nl", "nor": "no",
    "norwegian": "no", "pol": "pl", "polish": "pl", "por": "pt", "portuguese": "pt", "rus": "ru",
    "russian": "ru", "spa": "es", "spanish": "es", "swe": "sv", "swedish": "sv", "tur": "tr",
    "turkish": "tr", "zho": "zh",
}  # fmt: skip
"""ISO 639-1 of how the Archive has them: names, and both kinds of ISO 639-2."""


class Found(msgspec.Struct, frozen=True):
    """What a search has found."""

    number: int = msgspec.field(name="numFound")
    docs: list[msgspec.Raw]


class Answer(msgspec.Struct, frozen=True):
    """The answer to a search; with an error in it, it may still have a status of 200."""

    response: Found | None = None
    error: Any = None


class Metadata(msgspec.Struct, frozen=True):
    """All about one item."""

    metadata: dict[str, Any]
    is_dark: Any = False
    nodownload: Any = False

    @property
    def is_withheld(self) -> bool:
        """Whether the Archive has taken it down, or does not hand it out."""
        return _is_true(self.is_dark) or _is_true(self.nodownload)


def found_items(found: Found) -> list[Item]:
    """Return what was found, without what makes no sense."""
    items = []
    for raw in found.docs:
        try:
            item = item_of(msgspec.json.decode(raw, type=dict[str, Any]))
        except _ERRORS:
            continue
        if item is not None:
            items.append(item)
    return items


def metadata_of(raw: object) -> Metadata | None:
    """Return all about an item; of one that is not there, the Archive says `[]` or `{}`."""
    try:
        return msgspec.convert(raw, type=Metadata)
    except _ERRORS:
        return None


def item_of(values: dict[str, Any], *, withheld: bool = False) -> Item | None:
    """Return what an item's fields say, or nothing when it has no identifier or no title."""
    identifier = values.get("identifier")
    title = text.clean(_first(values.get("title")), text.TITLE)
    if not (isinstance(identifier, str) and IDENTIFIER.match(identifier) and title):
        return None
    votes = text.whole_number(_first(values.get("num_reviews"))) or 0
    stars = text.number(_first(values.get("avg_rating")), most=5.0)
    return Item(
        identifier=identifier,
        title=title,
        year=_year(values),
        description="\n".join(
            filter(None, (text.prose(one, text.OVERVIEW) for one in _all(values, "description")))
        )[: text.OVERVIEW],
        language=_language(values.get("language")),
        runtime=seconds(_first(values.get("runtime"))),
        subjects=tuple(text.clean(one, text.NAME).lower() for one in _all(values, "subject")),
        imdb=_imdb(values),
        downloads=text.whole_number(_first(values.get("downloads"))) or 0,
        # Nobody has given no stars: it is how the Archive says that nobody has given any.
        rating=stars * 2 if stars and votes else None,
        votes=votes,
        creators=tuple(
            filter(None, (text.clean(one, text.NAME) for one in _all(values, "creator")))
        )[:_CREATORS],
        licence=text.clean(_first(values.get("licenseurl")), text.NAME),
        collections=frozenset(
            one.lower() for one in _all(values, "collection") if isinstance(one, str)
        ),
        is_film=_first(values.get("mediatype")) == "movies",
        withheld=withheld or _is_true(values.get("access-restricted-item")),
    )


def facts_of(item: Item, *, seen: Reviewed | None, full: bool) -> Facts:
    """Return what an item says of the film that it holds; whoever looked at it knows better."""
    poster = image_key(item.identifier)
    language = Locale(item.language)
    return Facts(
        provider="archive",
        kind=Kind.MOVIE,
        ids=OutsideIds(
            archive=item.identifier, imdb=(seen.imdb if seen is not None else None) or item.imdb
        ),
        locale=language,
        text=Text(title=item.title if seen is None else seen.title, overview=item.description),
        # No day of its release: what an uploader calls the date is, as a rule, a first of January.
        year=item.year if seen is None else seen.year,
        genres=_genres(item.subjects),
        rating=item.rating,
        votes=item.votes,
        popularity=float(item.downloads),
        poster=poster,
        full=full,
        runtime=item.runtime,
        credits=tuple(Credit(name=name, part="creator") for name in item.creators) if full else (),
        images=(Image(role="poster", key=poster),) if full and poster is not None else (),
    )


def seconds(raw: object) -> int | None:
    """Return how long `1:35:20`, `95 min`, `1 hr 35 min`, `95:20` or `5720` is, if it is a time."""
    said = text.clean(raw, text.NAME) if isinstance(raw, str) else raw
    if not isinstance(said, str):
        return _length(text.number(said, least=1, most=_DAY))
    if match := _CLOCK.match(said):
        hours, minutes, rest = (int(part or 0) for part in match.groups())
        return _length(hours * 3600 + minutes * 60 + rest)
    units = ((_HOURS, 3600), (_MINUTES, 60), (_SECONDS, 1))
    total = sum(int(match[1]) * unit for named, unit in units if (match := named.search(said)))
    return _length(total or text.number(said, least=1, most=_DAY))


def _length(total: float | None) -> int | None:
    return round(total) if total is not None and 1 <= total <= _DAY else None


def _year(values: dict[str, Any]) -> int | None:
    for name in ("year", "date"):
        if (year := text.plausible_year(_first(values.get(name)))) is not None:
            return year
    return None


def _language(raw: Any) -> str:
    # A silent film has a language, too: that of what is written between its scenes.
    said = text.clean(_first(raw), text.NAME).lower()
    return said if said in _LANGUAGES.values() else _LANGUAGES.get(said, "en")


def _imdb(values: dict[str, Any]) -> str | None:
    for one in _all(values, "external-identifier"):
        if match := _IMDB.match(text.clean(one, text.NAME)):
            return text.imdb_id(match[1].lower())
    return None


def _genres(subjects: Sequence[str]) -> tuple[GenreSlug, ...]:
    # Some have one subject that holds all of them: "horror; zombies".
    words = (word.strip() for subject in subjects for word in re.split(r"[;,/]", subject))
    return tuple(dict.fromkeys(GenreSlug(_GENRES[word]) for word in words if word in _GENRES))


def _first(raw: Any) -> Any:
    return next(iter(raw), None) if isinstance(raw, list) else raw


def _all(values: dict[str, Any], name: str) -> list[Any]:
    raw = values.get(name)
    if raw is None:
        return []
    return raw[:_VALUES] if isinstance(raw, list) else [raw]


def _is_true(raw: Any) -> bool:
    return text.clean(str(_first(raw)), text.NAME).lower() in {"true", "1", "yes"}
