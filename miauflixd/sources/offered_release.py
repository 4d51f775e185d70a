"""What an offer's name says of the release, and what its directory does beside it. No I/O."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from miauflixd.catalogue.locales import language_of, parse_locale
from miauflixd.sources.offers import Hints, Offer
from miauflixd.sources.release_model import AudioCodec, Quality, Release, SourceType, VideoCodec
from miauflixd.sources.release_names import parse

E = TypeVar("E", Quality, SourceType, VideoCodec, AudioCodec)

_NOTHING = Hints()

read = lru_cache(maxsize=8192)(parse)
"""A name takes up to a millisecond. What is offered for one episode is offered for the next, and a
title with 300 listings is looked at again and again."""


def release_of(offer: Offer) -> Release:
    """Return what the name of an offer says, and where it says nothing, what its directory does."""
    release = read(offer.name)
    hints = offer.hints
    if hints == _NOTHING and not offer.web_files:
        return release
    return replace(
        release,
        quality=release.quality or _known(Quality, hints.quality),
        source_type=release.source_type or _known(SourceType, hints.source_type),
        video_codec=release.video_codec or _known(VideoCodec, hints.video_codec),
        audio_codecs=release.audio_codecs or _sound(hints.audio_codec),
        bit_depth=release.bit_depth or hints.bit_depth,
        channels=release.channels or hints.channels,
        languages=release.languages or tuple(dict.fromkeys(_languages(hints.languages))),
        three_d=release.three_d or hints.three_d,
        repack=release.repack or hints.repack,
        container=release.container or _container(offer),
    )


def _known(kind: type[E], value: str | None) -> E | None:
    return kind(value) if value in {one.value for one in kind} else None


def _sound(value: str | None) -> tuple[AudioCodec, ...]:
    codec = _known(AudioCodec, value)
    return () if codec is None else (codec,)


def _languages(said: Iterable[str]) -> Iterator[str]:
    for one in said:
        if (locale := parse_locale(one)) is not None:
            yield language_of(locale)
        else:
            # A word, which means what it would mean in a name.
            yield from read(f"Film 2000 1080p {one.title()}").languages


def _container(offer: Offer) -> str | None:
    """Return the container of what comes from a server, by the name of its file."""
    name = offer.web_files[0].name if offer.web_files else ""
    _, dot, ending = name.rpartition(".")
    return ending.lower() if dot and ending.isalnum() and len(ending) <= 4 else None  # noqa: PLR2004 -- as file endings are
