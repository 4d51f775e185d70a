"""Which file of a torrent is the film, or the episode. No I/O.

A torrent is what somebody has put together: the film beside its trailer, a season with its extras
under names that say no more than `05`, three discs of one film. The names count first, by the same
reading as those of releases; sizes only where names say nothing. The wrong episode is worse than
none, so what cannot be told is refused, with the reason.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from miauflixd.catalogue.model import Kind
from miauflixd.sources.matching import Fit, Wanted, fit
from miauflixd.sources.release_model import Release
from miauflixd.sources.release_names import parse
from miauflixd.sources.said import MAX_NAME, words
from miauflixd.sources.subtitle_files import Subtitles, beside
from miauflixd.torrents.model import SourceFile

_VIDEO = frozenset(
    {
        *("mkv", "mk3d", "mp4", "m4v", "mov", "webm", "avi", "divx", "ts", "m2ts", "mts", "mpg"),
        *("mpeg", "m2v", "vob", "wmv", "asf", "flv", "f4v", "ogv", "ogm", "rm", "rmvb", "3gp"),
    }
)
_PACKED = re.compile(r"\.(?:rar|r\d\d|zip|7z|z\d\d|00\d|tar|gz)$", re.IGNORECASE)
_DISC_IMAGE = re.compile(r"\.(?:iso|img|nrg|mdf|bin)$", re.IGNORECASE)
_PROGRAM = re.compile(r"\.(?:exe|scr|msi|bat|cmd|com|lnk|vbs|js|jar|apk)$", re.IGNORECASE)

_MOST_VIDEOS = 1_000
"""Videos whose names are read, the largest: a second of work at most, and the longest series that
there are come in parts."""

_DOMINANT = 2.0
"""Times the size of the next, from which on a file is what the torrent is about."""

_TINY = 0.01
"""Of the largest video, below which one is an advertisement, whatever it is called."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What to play."""

    file: SourceFile
    certain: bool
    """Whether its name, or the torrent's, says so; else nothing speaks against it."""
    parts: tuple[SourceFile, ...] = ()
    """What comes behind it, where a film is in several files, in order."""
    subtitles: tuple[Subtitles, ...] = ()
    """Files with subtitles of it."""


@dataclass(frozen=True, slots=True)
class NoChoice:
    """There is nothing to play in it, or nobody can tell which."""

    reason: str
    """A sentence for a person; it says no title."""


def choose(files: Sequence[SourceFile], wanted: Wanted, *, name: str) -> Choice | NoChoice:
    """Return which file is what is wanted.

    Args:
        files: of one torrent, or one item on the web, with their paths within it.
        wanted: the film or the episode.
        name: the torrent's own; it has been matched already, by itself or what a directory said.
    """
    videos = [file for file in files if file.size > 0 and _ending(file.name) in _VIDEO]
    if not videos:
        return NoChoice(_why_nothing(files))
    videos = sorted(videos, key=lambda file: file.size, reverse=True)[:_MOST_VIDEOS]
    largest = videos[0].size
    titles = {word for title in wanted.titles for word in words(title)}
    read = [_read(file, titles) for file in videos]
    mains = [one for one in read if not one.extra and one.file.size >= largest * _TINY]
    if not mains:
        return NoChoice("There are only samples, trailers or extras in it")
    mains.sort(key=lambda one: _natural(one.file.name))
    said = _parsed(name[:MAX_NAME])
    if wanted.kind is Kind.EPISODE:
        found = _episode(mains, wanted, said)
    else:
        found = _movie(mains, wanted, said)
    if isinstance(found, NoChoice):
        return found
    return Choice(
        file=found.file,
        certain=found.certain,
        parts=found.parts,
        subtitles=beside(found.file, files, alone=len(mains) - len(found.parts) == 1),
    )


# --- reading names --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """A video with what its name says."""

    file: SourceFile
    stem: str
    release: Release
    extra: bool
    """Whether it, or the folder that it is in, is called one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    file: SourceFile
    certain: bool
    parts: tuple[SourceFile, ...] = ()


_parsed = lru_cache(maxsize=4096)(parse)
"""A season's files are looked through for each of its episodes."""

_EXTRA_FOLDER = re.compile(
    r"(?:samples?|proof|trailers?|extras?|bonus|featurettes?|specials? features|interviews?"
    r"|(?:deleted|alternate|extended) scenes?|behind the scenes|making of|shorts|other|creditless"
    r"|nc(?:op|ed)s?|soundtracks?|ost)"
)
_EXTRA_WORDS = frozenset({"sample", "trailer", "teaser", "proof", "featurette", "ncop", "nced"})


def _read(file: SourceFile, titles: set[str]) -> _Read:
    *folders, base = _parts(file.name)
    stem = base.rpartition(".")[0][:MAX_NAME]
    release = _parsed(stem)
    called = {word for word in words(stem) if word in _EXTRA_WORDS} | {str(release.extra)}
    for folder in folders:
        own = words(folder)
        if _EXTRA_FOLDER.fullmatch(" ".join(own)):
            called |= set(own)
    # There are films and shows of which it is the title: "Extras", "Trailer Park Boys".
    extra = bool(called - titles - {"None"})
    return _Read(file=file, stem=stem, release=release, extra=extra)


def _parts(path: str) -> list[str]:
    return [part for part in re.split(r"[/\\]", path) if part] or [""]


def _ending(path: str) -> str:
    return path.rpartition(".")[2].lower()


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """Return what sorts `CD2` before `CD10`."""
    pieces = re.split(r"([0-9]{1,9})", text.lower())
    return tuple(
        (int(piece), "") if place % 2 else (0, piece) for place, piece in enumerate(pieces)
    )


def _why_nothing(files: Iterable[SourceFile]) -> str:
    names = [file.name for file in files]
    if any(_PACKED.search(name) for name in names):
        return "It is packed into an archive, which cannot be played while it comes"
    if any(_DISC_IMAGE.search(name) for name in names):
        return "It is the image of a disc, which cannot be played"
    if any(_PROGRAM.search(name) for name in names):
        return "There is a program in it, and no video"
    return "There is no video in it"


# --- films ----------------------------------------------------------------------------------------

_PART = re.compile(r"(?i)(?<![a-z0-9])(?:cd|dis[ck]|dvd|part|pt)[ ._-]?([1-9])(?![0-9])")
_TITLE_SET = re.compile(r"(?i)(VTS_[0-9]{2})_([1-9])")


def _movie(mains: Sequence[_Read], wanted: Wanted, said: Release) -> _Found | NoChoice:
    groups = _grouped(mains)
    if len(groups) == 1:
        return _whole(groups[0], certain=True)
    fits = [(group, fit(group[0].release, wanted)) for group in groups]
    fitting = [(group, how) for group, how in fits if isinstance(how, Fit)]
    if fitting:
        # The same film twice: the better copy is the bigger one, and the certain before both.
        group, how = max(fitting, key=lambda one: (one[1].certain, _size(one[0])))
        return _whole(group, certain=how.certain or len(fitting) == 1)
    by_size = sorted(groups, key=_size, reverse=True)
    if _size(by_size[0]) >= _DOMINANT * _size(by_size[1]) and not said.complete:
        return _whole(by_size[0], certain=False)
    return NoChoice("There are several films in it, and none is called like this one")


def _grouped(mains: Sequence[_Read]) -> list[list[_Read]]:
    """Put the parts of one film together; they are sorted already."""
    groups: dict[tuple[str, ...], list[_Read]] = {}
    for one in mains:
        *folders, _ = _parts(one.file.name)
        match = _PART.search(one.stem) or _TITLE_SET.fullmatch(one.stem)
        if match is not None:
            key = (*folders, _unnumbered(one.stem, match))
        elif folders and _PART.fullmatch(folders[-1]):  # each disc in a folder of its own
            key = (*folders[:-1], "#")
        elif one.stem.upper().startswith(("VTS_", "VIDEO_TS")):
            continue  # a menu of a disc
        else:
            key = (one.file.name,)
        groups.setdefault(key, []).append(one)
    return list(groups.values()) or [[one] for one in mains]


def _unnumbered(stem: str, match: re.Match[str]) -> str:
    number = match.re.groups  # the last group is the number
    return f"{stem[: match.start(number)]}#{stem[match.end(number) :]}".lower()


def _whole(group: Sequence[_Read], *, certain: bool) -> _Found:
    first, *rest = (one.file for one in group)
    return _Found(file=first, certain=certain, parts=tuple(rest))


def _size(group: Sequence[_Read]) -> int:
    return sum(one.file.size for one in group)


# --- episodes -------------------------------------------------------------------------------------

_BARE = re.compile(r"(?i)^(?:e|ep|episode|folge|part|#)?[ ._-]*([0-9]{1,3})(?:v[0-9])?(?![0-9p])")
"""`05`, `E07 - The One`, `05v2 Name`."""

_TRAILING = re.compile(r"(?i)[ ._-](?:e|ep|#)?([0-9]{2,3})(?:v[0-9])?(?:[ ._]*[\[(].*)?$")
"""`Show 03v2`, `Show - 12 (1080p)`."""


def _episode(mains: Sequence[_Read], wanted: Wanted, said: Release) -> _Found | NoChoice:
    hits = [
        (strength, one) for one in mains if (strength := _strength(one, wanted, said)) is not None
    ]
    if hits:
        # The single episode before the double one, then the better copy.
        strength, best = max(
            hits, key=lambda hit: (hit[0], -len(hit[1].release.episodes), hit[1].file.size)
        )
        return _Found(file=best.file, certain=strength >= _NUMBERED)
    if len(mains) == 1:
        about = fit(said, wanted)
        own = mains[0].release
        # Its own number, where it has one, is another.
        if isinstance(about, Fit) and not about.pack and not own.episodes and own.aired is None:
            return _Found(file=mains[0].file, certain=about.certain)
    return NoChoice("This episode is not in it, or nobody can tell which it is")


_NAMED = 3
_NUMBERED = 2
_COUNTED = 1


def _strength(one: _Read, wanted: Wanted, said: Release) -> int | None:
    """Return how clearly a file is the episode: by title and number, numbers, or its place."""
    release = one.release
    how = fit(release, wanted)
    if isinstance(how, Fit) and (release.episodes or release.aired):
        return _NAMED if how.certain else _NUMBERED
    if release.aired is not None:
        return _NUMBERED if release.aired == wanted.aired else None
    numbers = release.episodes or _numbers(one.stem)
    if release.seasons and release.episodes:
        matches = wanted.season in release.seasons and wanted.episode in numbers
        return _NUMBERED if matches else None
    season = release.season or _season_around(one, said)
    if season is not None and season == wanted.season and wanted.episode in numbers:
        return _NUMBERED
    # Counted on from the first of the series, within a season or without one.
    if wanted.absolute is not None and season in (None, wanted.season):
        return _COUNTED if wanted.absolute in numbers else None
    first = season is None and wanted.season == 1
    return _COUNTED if first and wanted.episode in numbers else None


def _season_around(one: _Read, said: Release) -> int | None:
    """Return the season that the nearest folder, or the torrent itself, is of."""
    *folders, _ = _parts(one.file.name)
    for folder in reversed(folders):
        release = _parsed(folder[:MAX_NAME])
        if len(release.seasons) == 1:
            return release.seasons[0]
        if " ".join(words(folder)) in ("specials", "season 0"):
            return 0
    return said.seasons[0] if len(said.seasons) == 1 else None


def _numbers(stem: str) -> tuple[int, ...]:
    match = _BARE.search(stem) or _TRAILING.search(stem)
    return (int(match[1]),) if match else ()
