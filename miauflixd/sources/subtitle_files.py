"""Files with subtitles that lie beside a video. No I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from miauflixd.sources.release_names import parse
from miauflixd.sources.said import words
from miauflixd.torrents.model import SourceFile

_TEXT = frozenset({"srt", "vtt", "ass", "ssa", "sub", "smi", "ttml"})
"""What can be shown as text; `idx` and `sup` hold pictures."""

_MOST = 100
"""For one video; some have forty languages, twice."""

_LARGEST = 8 * 2**20
"""Bytes; the longest film's have a few hundred thousand. What is larger is something else."""

_FORCED = frozenset({"forced", "foreign"})
_DEAF = frozenset({"sdh", "cc", "hi"})

_CODES: dict[str, str] = {
    code: language
    for language, codes in (
        ("en", "eng english"),
        ("de", "ger deu german deutsch"),
        ("fr", "fre fra french"),
        ("es", "spa spanish espanol castellano"),
        ("it", "ita italian"),
        ("pt", "por portuguese"),
        ("nl", "dut nld dutch"),
        ("sv", "swe swedish"),
        ("da", "dan danish"),
        ("nb", "nor nob norwegian"),
        ("fi", "fin finnish"),
        ("is", "ice isl icelandic"),
        ("pl", "pol polish"),
        ("cs", "cze ces czech"),
        ("sk", "slo slk slovak"),
        ("hu", "hun hungarian"),
        ("ro", "rum ron romanian"),
        ("bg", "bul bulgarian"),
        ("hr", "hrv croatian"),
        ("sr", "srp serbian"),
        ("sl", "slv slovenian"),
        ("el", "gre ell greek"),
        ("ru", "rus russian"),
        ("uk", "ukr ukrainian"),
        ("tr", "tur turkish"),
        ("ar", "ara arabic"),
        ("he", "heb hebrew"),
        ("fa", "per fas persian farsi"),
        ("hi", "hin hindi"),
        ("ja", "jpn japanese"),
        ("ko", "kor korean"),
        ("zh", "chi zho chinese"),
        ("th", "tha thai"),
        ("vi", "vie vietnamese"),
        ("id", "ind indonesian"),
        ("et", "est estonian"),
        ("lv", "lav latvian"),
        ("lt", "lit lithuanian"),
    )
    for code in (language, *codes.split())
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Subtitles:
    """A file with the subtitles of a video, as its name says."""

    file: SourceFile
    language: str | None
    """BCP 47; `None`: nobody says."""
    forced: bool = False
    """Only what is not spoken in the language of the sound."""
    for_deaf: bool = False
    """With what is heard besides words."""


def beside(video: SourceFile, files: Sequence[SourceFile], *, alone: bool) -> tuple[Subtitles, ...]:
    """Return the subtitles of a video, in the order of their names.

    Args:
        video: which one.
        files: all of the torrent.
        alone: whether it is the only one in it, so that all subtitles must be its own.
    """
    stem = _stem(video.name).lower()
    number = _number(stem)
    found = [
        _described(file, stem)
        for file in files
        if 0 < file.size <= _LARGEST
        and file.name.rpartition(".")[2].lower() in _TEXT
        and (alone or _belongs(file.name.lower(), stem, number))
    ]
    return tuple(sorted(found, key=lambda one: one.file.name)[:_MOST])


def _belongs(path: str, stem: str, number: tuple[int, int] | None) -> bool:
    """Whether it is named, or lies in a folder that is named, like the video or its episode."""
    own = _stem(path)
    *folders, _ = re.split(r"[/\\]", path)
    if own == stem or own.startswith((f"{stem}.", f"{stem}_", f"{stem}-", f"{stem} ")):
        return True
    if stem in folders:
        return True
    return number is not None and _number(own) == number


def _number(stem: str) -> tuple[int, int] | None:
    release = parse(stem[:300])
    if release.season is None or len(release.episodes) != 1:
        return None
    return release.season, release.episodes[0]


def _described(file: SourceFile, stem: str) -> Subtitles:
    own = _stem(file.name).lower()
    rest = words(own.removeprefix(stem)) or words(own)
    flags = set(rest)
    language = next((found for word in reversed(rest) if (found := _language(word, rest))), None)
    return Subtitles(
        file=file,
        language=language,
        forced=bool(flags & _FORCED),
        # `movie.en.hi.srt`; alone it is Hindi.
        for_deaf=bool(flags & (_DEAF - {"hi"})) or ("hi" in flags and language != "hi"),
    )


def _language(word: str, rest: Sequence[str]) -> str | None:
    if word == "hi" and any(other in _CODES for other in rest if other != "hi"):
        return None
    return _CODES.get(word)


def _stem(path: str) -> str:
    base = re.split(r"[/\\]", path)[-1]
    return base.rpartition(".")[0] or base
