"""What several providers say of one title, made one; and how it is kept. No I/O.

TMDB is edited by many and asked in the language of the house, so it goes first wherever it speaks;
the Archive's descriptions are its uploaders' own, and Trakt's facts are TMDB's at second hand.
"""

import hashlib
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from miauflixd.catalogue.model import Facts, Kind, Locale, OutsideIds, ProviderName, Text

_RANKS: Mapping[ProviderName, int] = {"tmdb": 0, "trakt": 1, "archive": 2}

_AVERAGE = 6.5
"""About the mean of all that TMDB's users have rated."""

_DOUBT = 200
"""Votes that an opinion needs to weigh as much as the mean: one vote of 10 is no masterpiece."""

_UNRATED = -1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept(Facts):
    # msgspec reads an enumeration, but none of whose members only some are meant.
    kind: Kind  # type: ignore[assignment]


# In order, so that two answers which say the same are the same bytes.
_encoder = msgspec.msgpack.Encoder(order="sorted")
_decoder = msgspec.msgpack.Decoder(_Kept)

_QUICKLY = 1
"""Of zlib: halves texts as well as higher ones nearly do, in a fifth of the time."""


def pack(facts: Facts) -> tuple[bytes, bytes]:
    """Return a mark that is the same for the same facts only, and the facts to keep."""
    plain = _encoder.encode(facts)
    return hashlib.blake2b(plain, digest_size=16).digest(), zlib.compress(plain, _QUICKLY)


def unpack(packed: bytes) -> Facts:
    """Return what `pack` made."""
    return _decoder.decode(zlib.decompress(packed))


def merged(said: Sequence[Facts]) -> Facts:
    """Return what several providers, each at most once, say of a title. At least one has to.

    Where two speak, the better one is believed; what only one says stays. `full` if one of them is.
    """
    best, *others = sorted(said, key=lambda facts: _RANKS[facts.provider])
    for other in others:
        best = completed(best, other)
    if others:
        # Nobody knows a provider's own number better than itself.
        own = {facts.provider: getattr(facts.ids, facts.provider) for facts in said}
        known = {name: value for name, value in own.items() if value is not None}
        best = replace(best, ids=replace(best.ids, **known))
    return best


def texts_of(facts: Facts) -> Mapping[Locale, Text]:
    """Return a title's texts in all languages."""
    texts = dict(facts.texts)
    texts[facts.locale] = _filled(facts.text, texts.get(facts.locale, Text()))
    return texts


def merit(facts: Facts) -> float:
    """Return what to sort by for the best: the rating, as far as there are votes for it."""
    if facts.rating is None:
        return _UNRATED
    votes = max(facts.votes, 0)
    return (facts.rating * votes + _AVERAGE * _DOUBT) / (votes + _DOUBT)


def renown(facts: Facts) -> float:
    """Return what to sort by for the best known, roughly from 0 to 10.

    TMDB counts visits and the Archive downloads, of which it has a thousand times more: its own
    stay in their order, below what TMDB knows to be in demand.
    """
    counted = max(facts.popularity, 0.0)
    if facts.provider == "tmdb":
        return math.log1p(counted)
    return counted / (counted + 10_000)


def completed(best: Facts, other: Facts) -> Facts:
    """Return some facts, and what others say beyond them."""
    said: dict[str, Any] = {
        name: getattr(other, name)
        for name in (
            "original_title",
            "original_language",
            "genres",
            "poster",
            "backdrop",
            "runtime",
            "status",
            "ended",
            "credits",
            "images",
            "trailer",
            "seasons",
        )
        if not getattr(best, name)
    }
    if best.rating is None:
        # A rating means nothing without its votes.
        said.update(rating=other.rating, votes=other.votes)
    if best.released is None and best.year is None:
        said.update(released=other.released, year=other.year)
    if not best.text.title:
        said.update(locale=other.locale, text=other.text)
    texts = dict(texts_of(best))
    for locale, text in texts_of(other).items():
        texts[locale] = _filled(texts.get(locale, Text()), text)
    return replace(
        best,
        ids=either(best.ids, other.ids),
        texts=texts,
        certifications={**other.certifications, **best.certifications},
        full=best.full or other.full,
        **said,
    )


def _filled(text: Text, other: Text) -> Text:
    return Text(
        title=text.title or other.title,
        tagline=text.tagline or other.tagline,
        overview=text.overview or other.overview,
    )


def either(ids: OutsideIds, other: OutsideIds) -> OutsideIds:
    """Return what some call a title, and what others do beyond that."""
    return OutsideIds(
        tmdb=other.tmdb if ids.tmdb is None else ids.tmdb,
        imdb=ids.imdb or other.imdb,
        archive=ids.archive or other.archive,
        trakt=other.trakt if ids.trakt is None else ids.trakt,
        tvdb=other.tvdb if ids.tvdb is None else ids.tvdb,
    )
