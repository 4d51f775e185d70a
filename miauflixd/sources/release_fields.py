"""What the words in the name of a release say together. No I/O."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from miauflixd.sources.release_model import (
    IN_A_CINEMA,
    MULTIPLE,
    AudioCodec,
    Hdr,
    Quality,
    Release,
    SourceType,
)
from miauflixd.sources.release_words import Word

_JOINED = re.compile(r"[\s._,+&/()\[\]:|-]*(?:and[\s._])?")
"""What stands between languages, and between them and the word for subtitles."""

_CHANNELS = r"([1-9])[ .-]?([0-4])(?:\.[24])?(?:ch)?(?![^\W_])"
_CHANNELS_BEHIND = re.compile(r"[ .+-]{0,3}" + _CHANNELS, re.IGNORECASE)
_CHANNELS_ALONE = re.compile(r"(?<=[ .\[(+-])(?<!\d\.)(?=\d\.)" + _CHANNELS, re.IGNORECASE)
_CYRILLIC = re.compile(r"(?=.*[\u0430-\u044f])(?:.*(?P<ukrainian>[іїєґІЇЄҐ]))?")
_UNLIKELY = frozenset({*IN_A_CINEMA, SourceType.SCREENER, SourceType.WORKPRINT})
"""Whoever admits one of these means it, whatever better word is there as well."""

_LESS_EXACT = frozenset({SourceType.WEB, SourceType.HDRIP})

Said = dict[str, list[Any]]


def describe(text: str, words: Sequence[Word]) -> Release:
    """Return the release that some of the words of a name describe, without title and numbers."""
    said: Said = {}
    for word in words:
        for place, field in enumerate(word.fields):
            said.setdefault(field, []).append(word.value if place == 0 else True)
    spoken, written = _languages(text, words)
    if not spoken and (cyrillic := _CYRILLIC.search(text)):
        # Nobody says so who writes for those who read it: it is dubbed, or of that country.
        spoken.append("uk" if cyrillic["ukrainian"] else "ru")
    # "DL" says so in German names only, where it need not stand beside the language.
    dual = "dual_audio" in said or ("dual_german" in said and "de" in spoken)
    if "multiple" in said or (dual and len(spoken) < len(("this", "that"))):
        spoken.append(MULTIPLE)
    return Release(
        quality=_quality(said),
        source_type=_source_type(said),
        remux="remux" in said,
        video_codec=_first(said, "codec"),
        bit_depth=10 if "depth10" in said else _first(said, "depth"),
        hdr=_hdr(said),
        audio_codecs=_audio_codecs(said),
        channels=_channels(text, words),
        languages=tuple(spoken),
        dual_audio=dual,
        dubbed="dubbed" in said,
        subbed=bool(written) or "subbed" in said or "hardcoded" in said,
        subtitles=tuple(written),
        proper="proper" in said,
        repack="repack" in said,
        editions=_unique(said.get("edition", ())),
        three_d="three_d" in said,
        complete="complete" in said,
        container=_container(words),
        extra=_first(said, "extra"),
    )


def _first(said: Said, field: str) -> Any:
    values = said.get(field)
    return values[0] if values else None


def _unique(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _quality(said: Said) -> Quality | None:
    """Return how many lines; what is said of the disc counts only where that is all."""
    for field in ("quality", "quality_hint"):
        if field in said:
            return Quality(said[field][0])
    if "uhd" in said:
        return Quality.P2160
    bare = _first(said, "quality_bare")
    return None if bare is None else Quality(f"{bare}p")


def _source_type(said: Said) -> SourceType | None:
    types: list[SourceType] = said.get("source", [])
    if not types:
        return SourceType.BLURAY if "remux" in said else None
    # Of those that are alike `min` takes the first.
    return min(types, key=lambda one: (one not in _UNLIKELY, one in _LESS_EXACT))


def _hdr(said: Said) -> tuple[Hdr, ...]:
    kinds = set(said.get("hdr", ()))
    if "hdr10" in said:
        kinds.add(Hdr.HDR10)
    return tuple(kind for kind in Hdr if kind in kinds)


def _audio_codecs(said: Said) -> tuple[AudioCodec, ...]:
    codecs = set(said.get("audio", ()))
    if "atmos" in said:
        codecs.add(AudioCodec.ATMOS)
    return tuple(codec for codec in AudioCodec if codec in codecs)


def _container(words: Sequence[Word]) -> str | None:
    return next((word.text.lower() for word in words if word.fields[0] == "container"), None)


def _channels(text: str, words: Sequence[Word]) -> str | None:
    """Return the most channels that are said: behind a codec, or with a dot anywhere."""
    if not words:
        return None
    found = [str(word.value) for word in words if word.fields[0] == "channels"]
    behind = (_CHANNELS_BEHIND.match(text, word.end) for word in words if word.fields[0] == "audio")
    alone = _CHANNELS_ALONE.finditer(text, words[0].start)
    found.extend(f"{match[1]}.{match[2]}" for match in (*behind, *alone) if match)
    return max(found, default=None)


def _languages(text: str, words: Sequence[Word]) -> tuple[list[str], list[str]]:
    """Return the languages that are spoken, and those of subtitles.

    Of "Hindi, English subs" only the last is written; of "ITA ENG sub ITA FRE" all behind it.
    """
    spoken: dict[str, int] = {}  # with where the word ends
    written: dict[str, None] = {}
    subs_end: int | None = None
    for word in words:
        if subs_end is not None and not _JOINED.fullmatch(text, subs_end, word.start):
            subs_end = None
        match word.fields[0]:
            case "language" if subs_end is not None:
                written[str(word.value)] = None
                subs_end = word.end
            case "language":
                spoken.setdefault(str(word.value), word.end)
            case "subtitles":
                written[str(word.value)] = None
            case "subbed":
                last = next(reversed(spoken), None)
                follows = any(
                    other.fields[0] == "language"
                    and other.start >= word.end
                    and _JOINED.fullmatch(text, word.end, other.start)
                    for other in words
                )
                if follows:
                    subs_end = word.end
                elif last and _JOINED.fullmatch(text, spoken[last], word.start):
                    del spoken[last]
                    written[last] = None
            case _:
                pass
    return [*spoken], [*written]
