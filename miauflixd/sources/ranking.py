"""Which source of a title is the best for somebody, and why. No I/O.

Every consideration is a function that gives points and says in a few words what it saw. The points
add up; 100 is a source about which there is nothing to complain. What must not be played at all is
put behind everything else, whatever its points.

Not a learned formula: each number is a judgement about what a person would rather wait for, put
down such that it can be argued with. The order of magnitude: sound in no language of the viewer's
is worse than half the lines, and nothing is better than what is on the disk already.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import log1p
from typing import Literal, NamedTuple

from miauflixd.sources.release_model import (
    MULTIPLE,
    AudioCodec,
    Hdr,
    Quality,
    Release,
    SourceType,
    VideoCodec,
)

State = Literal["cached", "ready", "magnet", "dead"]
Plays = Literal["direct", "remux", "transcode", "external"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """What whoever plays it can play."""

    containers: frozenset[str] = frozenset({"mp4", "m4v", "webm", "mkv"})
    video: frozenset[VideoCodec] = frozenset(
        {VideoCodec.H264, VideoCodec.VP8, VideoCodec.VP9, VideoCodec.AV1}
    )
    audio: frozenset[AudioCodec] = frozenset(
        {AudioCodec.AAC, AudioCodec.MP3, AudioCodec.OPUS, AudioCodec.VORBIS, AudioCodec.FLAC}
    )
    hdr: bool = False
    remux: bool = True
    """Whether it takes what the house has put into other containers: HLS."""


BROWSER = Client()
"""What Chromium and Firefox play without help from the machine that they run on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """For whom, and on what."""

    quality: Quality | None = None
    """`None`: what starts soon at a good quality."""
    max_height: int = 1080
    """Lines of the screen."""
    languages: tuple[str, ...] = ("en",)
    """To hear, BCP 47, the dearest first."""
    original_language: str | None = None
    """In which a release is that says nothing of languages."""
    runtime: float | None = None
    """Seconds."""
    client: Client = BROWSER
    transcodes: bool = False
    """Whether the house can encode video as fast as it is watched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A source, as far as it is known. Numbers are believed only within reason."""

    id: Hashable
    release: Release
    size: int | None = None
    """Bytes of what would be played, not of a whole pack."""
    seeders: int | None = None
    seeders_before: int | None = None
    """At the count before the last."""
    counted_ago: float | None = None
    """Seconds since the last count."""
    trust: float = 0.5
    """In who listed it, from 0 to 1."""
    state: State = "magnet"
    needs_swarm: bool = True
    """Whether it comes from peers; a server is always there."""
    broken: bool = False
    """Whether somebody, or an attempt to play it, found it so."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in its place."""

    candidate: Candidate
    score: float
    reasons: tuple[str, ...]
    """What counted most, for and against; a few words each."""
    plays: Plays
    usable: bool
    """Whether it may be played at all; if not, the first reason says why."""


def rank(candidates: Iterable[Candidate], preference: Preference) -> Sequence[Ranked]:
    """Return candidates in the order in which to try them, those not to be tried last."""
    context = _Context(preference)
    ranked = [_rank(candidate, context) for candidate in candidates]
    # Sorting is stable: of equals the one that was found first.
    ranked.sort(key=lambda one: (not one.usable, -one.score))
    return ranked


class _Points(NamedTuple):
    points: float
    reason: str | None = None


_NOTHING = _Points(0)


class _Context:
    """What is the same for all candidates."""

    def __init__(self, preference: Preference) -> None:
        self.preference = preference
        self.wanted = tuple(_primary(language) for language in preference.languages)
        target = preference.quality.height if preference.quality else preference.max_height
        self.lines = {quality.height: _lines(quality.height, target) for quality in Quality}


def _rank(candidate: Candidate, context: _Context) -> Ranked:
    release = candidate.release
    bitrate = _bitrate(candidate, context)
    height = release.quality.height if release.quality else _likely_height(release, bitrate)
    plays, how = _playing(release, height, context)
    found = (
        _availability(candidate),
        context.lines[height],
        _ORIGINS[release.source_type],
        _language(release, context),
        how,
        _brightness(release, context),
        _speed(candidate, bitrate, context),
    )
    score = 10 * (candidate.trust - 0.5)
    if release.proper or release.repack:
        score += 1
    said = []
    for points, reason in found:
        score += points
        if reason:
            said.append((-abs(points), reason))
    said.sort()
    reasons = tuple(reason for _, reason in said)
    against = _out(candidate, height, bitrate, context)
    return Ranked(
        candidate=candidate,
        score=round(score, 1),
        reasons=(against, *reasons) if against else reasons,
        plays=plays,
        usable=against is None,
    )


# --- what must not be played ----------------------------------------------------------------------

_SMALLEST = 50 * 2**20
"""Bytes of what claims to last `_LONG`; samples are smaller, and so are most things that harm."""

_LONG = 20 * 60
"""Seconds."""

_FAKE = 0.2
"""Of the bitrate at which a quality begins to be worth its name; people do encode at a third."""

_HUGEST = 250.0
"""Megabits a second; a disc in UHD has at most 144."""


def _out(candidate: Candidate, height: int, bitrate: float | None, context: _Context) -> str | None:
    release = candidate.release
    runtime = context.preference.runtime
    size = candidate.size
    against: str | None = None
    if candidate.broken:
        against = "found to be broken"
    elif candidate.state == "dead":
        against = "dead"
    elif release.three_d:
        against = "in 3D"
    elif release.extra is not None:
        against = "not the film itself"
    elif runtime and runtime >= _LONG and size is not None and 0 < size < _SMALLEST:
        against = "far too small, probably a sample or a fake"
    elif bitrate is not None and bitrate < _FAKE * _worth(release.video_codec, height):
        against = "too small for what it claims to be"
    elif bitrate is not None and bitrate > _HUGEST:
        against = "too big for one film"
    return against


# --- how soon it comes ----------------------------------------------------------------------------

_MANY = 50
"""Seeders; more make it no faster."""

_MOST = 1_000
"""Seeders; whoever tells of more does not make it better."""

_STALE = 3 * 86_400.0
"""Seconds after which half of a count is believed."""


_FEW = 5


def _availability(candidate: Candidate) -> _Points:
    if candidate.state == "cached":
        return _Points(55, "already here")
    if not candidate.needs_swarm:
        return _Points(30, "from a server")
    swarm = _swarm(candidate)
    # Its metadata need not be asked for.
    return swarm._replace(points=swarm.points + 4) if candidate.state == "ready" else swarm


def _swarm(candidate: Candidate) -> _Points:
    seeders = candidate.seeders
    if seeders is None or seeders < 0:
        return _Points(8, "nobody knows who has it")
    if seeders == 0:
        return _Points(-20, "nobody has all of it")
    believed = float(min(seeders, _MOST))
    if candidate.counted_ago is not None and candidate.counted_ago > 0:
        believed *= 0.5 ** min(candidate.counted_ago / _STALE, 10)
    points = 30 * min(log1p(believed) / log1p(_MANY), 1.0)
    before = candidate.seeders_before or 0
    if seeders < before / 2:
        return _Points(points - 4, "fewer have it than before")
    if seeders > before * 1.5 > 0:
        points += 2
    if seeders >= _MANY:
        return _Points(points, "many have it")
    return _Points(points, "few have it" if seeders < _FEW else "enough have it")


def _speed(candidate: Candidate, bitrate: float | None, context: _Context) -> _Points:
    """Return what its size costs: what is big starts later, and may not keep up."""
    if bitrate is None or candidate.state == "cached":
        return _NOTHING
    points = 0.0
    if candidate.needs_swarm and candidate.seeders and candidate.seeders > 0:
        # About what a seeder at home gives away, in megabits a second.
        supply = 2.0 * min(candidate.seeders, _MOST)
        if supply < bitrate:
            points -= min(15.0, 8 * (bitrate / supply - 1))
    if context.preference.quality is None:
        points -= min(8.0, bitrate / 5)
    return _Points(points, "big, so it may start late") if points <= -5 else _Points(points)  # noqa: PLR2004


# --- how it looks ---------------------------------------------------------------------------------

_LINES = {
    quality.height: place
    for place, quality in enumerate(sorted(Quality, key=lambda one: -one.height))
}
"""The formats, the highest first, with their places."""


def _lines(height: int, target: int) -> _Points:
    steps = _LINES[height] - _LINES[_at_most(target)]
    if steps == 0:
        return _Points(30, f"{height}p, as wanted")
    if steps < 0:
        return _Points(14, f"{height}p, more than can be seen")
    # 1440 lines are so rare that 1080 are the next below 2160.
    if target >= 2160 and height < 2160:  # noqa: PLR2004 -- as just said
        steps -= 1
    below = (30, 22, 8, 4, 0)
    return _Points(below[min(steps, 4)], f"only {height}p")


def _at_most(height: int) -> int:
    """Return the format that a picture of so many lines fills."""
    return next((format_ for format_ in _LINES if format_ <= height), 360)


_ORIGINS: dict[SourceType | None, _Points] = {
    SourceType.BLURAY: _Points(10),
    SourceType.WEB_DL: _Points(10),
    SourceType.WEB: _Points(9),
    SourceType.WEBRIP: _Points(8),
    SourceType.HDTV: _Points(6),
    SourceType.HDRIP: _Points(5),
    SourceType.DVD: _Points(5),
    SourceType.TV: _Points(4),
    SourceType.VHS: _Points(0, "from a tape"),
    SourceType.SCREENER: _Points(-15, "a copy for reviewers"),
    SourceType.WORKPRINT: _Points(-25, "not finished"),
    SourceType.TELECINE: _Points(-40, "taken in a cinema"),
    SourceType.TELESYNC: _Points(-45, "filmed in a cinema"),
    SourceType.CAM: _Points(-50, "filmed in a cinema"),
    None: _Points(5),
}


def _brightness(release: Release, context: _Context) -> _Points:
    if not release.hdr or release.hdr == (Hdr.SDR,):
        return _NOTHING
    if context.preference.client.hdr:
        return _Points(4, "HDR")
    if Hdr.DOLBY_VISION in release.hdr and len(release.hdr) == 1:
        return _Points(-15, "Dolby Vision only, wrong colours on this screen")
    return _Points(-6, "HDR, which this screen does not show")


# Megabits a second from which on a picture of so many lines is worth its name; below it is rather
# of the next. Out of the system that this one follows, where it names formats by bitrate.
_WORTH: dict[VideoCodec, dict[int, float]] = {
    VideoCodec.AV1: {4320: 14, 2160: 6, 1440: 3.5, 1080: 1.5, 720: 1, 576: 0.5},
    VideoCodec.H265: {4320: 20, 2160: 10, 1440: 4.5, 1080: 2, 720: 1.5, 576: 0.7},
    VideoCodec.VP9: {4320: 16, 2160: 8, 1440: 4, 1080: 1.8, 720: 1.2, 576: 0.6},
    VideoCodec.H264: {4320: 40, 2160: 20, 1440: 8, 1080: 4.5, 720: 2.5, 576: 1},
    VideoCodec.XVID: {4320: 40, 2160: 20, 1440: 10, 1080: 5, 720: 2.5, 576: 1.25},
}
_TINY = 0.4
"""Megabits a second of what has fewer than 576 lines."""


def _worth(codec: VideoCodec | None, height: int) -> float:
    # Who does not say how may have used the best there is: a fake has to be beyond doubt.
    table = _WORTH.get(codec or VideoCodec.AV1, _WORTH[VideoCodec.H264])
    return table.get(height, _TINY)


def _bitrate(candidate: Candidate, context: _Context) -> float | None:
    """Return megabits a second, if size and runtime are known."""
    runtime = context.preference.runtime
    if not candidate.size or candidate.size < 0 or not runtime or runtime <= 0:
        return None
    return candidate.size * 8 / runtime / 1e6


def _likely_height(release: Release, bitrate: float | None) -> int:
    """Return how many lines something has that does not say so."""
    if bitrate is not None:
        table = _WORTH.get(release.video_codec or VideoCodec.H264, _WORTH[VideoCodec.H264])
        return next((height for height, least in table.items() if bitrate >= least), 480)
    if release.source_type is SourceType.BLURAY:
        return 720
    return 480


# --- what is heard --------------------------------------------------------------------------------


def _language(release: Release, context: _Context) -> _Points:
    wanted = context.wanted
    if not wanted:
        return _NOTHING
    if not release.languages:
        return _unsaid(release, context)
    spoken = [_primary(language) for language in release.languages]
    for place, language in enumerate(wanted):
        if language in spoken:
            return _Points(max(15 - 2 * place, 9), f"speaks {language}")
    if MULTIPLE in spoken:
        return _Points(9, "in several languages")
    return _Points(-30, "in none of the wanted languages")


def _unsaid(release: Release, context: _Context) -> _Points:
    """Return what to expect of the sound of a release that says nothing: the original."""
    original = context.preference.original_language
    if release.dubbed or original is None:
        return _Points(8)
    if _primary(original) in context.wanted:
        return _Points(14)
    return _Points(-5, "probably in its own language only")


def _primary(language: str) -> str:
    return language.partition("-")[0].lower()


# --- what plays it --------------------------------------------------------------------------------

_MOSTLY_STEREO = ("yts", "yify")
"""They encode AAC in MP4, and say neither."""

_PLAYING: dict[Plays, _Points] = {
    "direct": _Points(15, "plays as it is"),
    "remux": _Points(10, "needs other sound or wrapping"),
    "transcode": _Points(-12, "has to be encoded again"),
    "external": _Points(-30, "plays only in another program"),
}


_FULL_HD = 1080


def _playing(release: Release, height: int, context: _Context) -> tuple[Plays, _Points]:
    plays = plays_how(
        release, context.preference.client, height, transcodes=context.preference.transcodes
    )
    return plays, _PLAYING[plays]


def plays_how(release: Release, client: Client, height: int, *, transcodes: bool) -> Plays:
    """Return how a client can probably play a release, from what its name says.

    Where it says nothing, what most releases of its kind have is taken for granted.
    """
    small = (release.group or "").lower().startswith(_MOSTLY_STEREO)
    container = release.container or ("mp4" if small else "mkv")
    codec = release.video_codec or _likely_codec(container, height)
    if codec not in client.video:
        # Nothing here encodes UHD as fast as it is watched.
        return "transcode" if transcodes and height <= _FULL_HD else "external"
    if release.audio_codecs:
        audible = all(
            audio in client.audio for audio in release.audio_codecs if audio is not AudioCodec.ATMOS
        )
    else:
        # To be taken for mute costs a second; to be mute costs the evening, for no player says so.
        audible = small or (release.channels == "2.0" and AudioCodec.AAC in client.audio)
    if audible and container in client.containers:
        return "direct"
    return "remux" if client.remux else "external"


def _likely_codec(container: str, height: int) -> VideoCodec:
    if height > _FULL_HD:
        return VideoCodec.H265
    return VideoCodec.XVID if container in ("avi", "divx") else VideoCodec.H264
