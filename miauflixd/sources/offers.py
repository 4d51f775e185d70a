"""What is asked of directories, and what they offer. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, NewType

from miauflixd.sources import said
from miauflixd.torrents.magnet import from_info_hash, parse_magnet
from miauflixd.torrents.model import BadTorrentError
from miauflixd.web_files.model import WebFile

DirectoryId = NewType("DirectoryId", str)
"""The name of a directory in this house: `archive`, `prowlarr-2`."""

InfoHash = NewType("InfoHash", str)
"""The SHA-1 info-hash of a torrent: 40 hexadecimal digits in lower case."""

MAX_TRACKERS = 50
"""As many as a magnet link of ours takes."""

MAX_FILES = 500
"""Of one offer; a show with all its seasons has fewer, and a directory's list is only a hint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What is looked for: a movie, an episode, or a whole season."""

    kind: Literal["movie", "episode", "season"]
    titles: tuple[str, ...] = ()
    """Of the movie or show, the main one first."""
    year: int | None = None
    """Of the movie's release, or the show's first episode."""
    imdb_id: str | None = None
    """`tt0111161`; as the other ids, of the movie or the show."""
    tmdb_id: int | None = None
    tvdb_id: int | None = None
    archive_id: str | None = None
    season: int | None = None
    """0 holds the specials."""
    episode: int | None = None
    aired: date | None = None
    """When the episode was broadcast first."""
    daily: bool = False
    """Whether the show's episodes are known by their dates, as those of the news are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hints:
    """What a directory says of the quality itself, in the values of `release_model`."""

    quality: str | None = None
    """`1080p`."""
    source_type: str | None = None
    """`bluray`."""
    video_codec: str | None = None
    """`h265`."""
    audio_codec: str | None = None
    """`aac`."""
    bit_depth: int | None = None
    channels: str | None = None
    """`5.1`."""
    languages: tuple[str, ...] = ()
    """Spoken; as the directory writes it, in lower case: `en`, `english`."""
    three_d: bool = False
    repack: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class OfferedFile:
    """A file that a torrent is said to hold. Its name is to be read, and never part of a path."""

    name: str
    size: int | None
    """Bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """Where a title might be had, as a directory says, and none of it checked but for its form.

    What directories answer becomes offers by `said`, so numbers are within its bounds. What could
    lead to a torrent is not shown by `repr`: links carry keys of private directories.
    """

    directory: DirectoryId
    """Whom to ask for the torrent behind `torrent_url`."""
    name: str
    """The release's, on one line and of at most `said.MAX_NAME` characters."""
    info_hash: InfoHash | None = field(default=None, repr=False)
    magnet: str | None = field(default=None, repr=False)
    """A link of `torrents.magnet`; a torrent of v2 only has this and no `info_hash`."""
    torrent_url: str | None = field(default=None, repr=False)
    """Where the `.torrent` file, or a magnet link, is; on the web."""
    web_files: tuple[WebFile, ...] = field(default=(), repr=False)
    """All of it without a swarm, the most important first."""
    size: int | None = None
    """Bytes."""
    seeders: int | None = None
    leechers: int | None = None
    published: datetime | None = None
    trackers: tuple[str, ...] = field(default=(), repr=False)
    imdb_id: str | None = None
    tmdb_id: int | None = None
    tvdb_id: int | None = None
    archive_id: str | None = None
    season: int | None = None
    episode: int | None = None
    """`None` beside a season: all of it, or nobody says."""
    runtime: int | None = None
    """Seconds."""
    hints: Hints = Hints()
    files: tuple[OfferedFile, ...] = ()
    """Which the torrent is said to hold; empty: nobody says."""
    other_names: tuple[str, ...] = ()
    """What others call the same torrent."""
    also: tuple[DirectoryId, ...] = ()
    """Other directories that have it."""


def info_hash_of(value: object) -> InfoHash | None:
    """Return the info-hash that is written as hex, base32, `urn:btih:...` or a magnet link."""
    if not isinstance(value, str):
        return None
    value = value.strip()
    try:
        if value[:7].lower() == "magnet:":
            v1 = parse_magnet(value).v1
        else:
            bare = value[9:] if value[:9].lower() == "urn:btih:" else value
            v1 = from_info_hash(bare).v1
    except BadTorrentError:
        return None
    # All zeros is what some write for "unknown"; nothing has that hash.
    return InfoHash(v1.hex()) if v1 and any(v1) else None


def magnet_of(value: object) -> str | None:
    """Return a magnet link that can be used, built anew from the one given."""
    if not isinstance(value, str) or value.strip()[:7].lower() != "magnet:":
        return None
    try:
        return parse_magnet(value).uri
    except BadTorrentError:
        return None


def trackers_of(magnet: str | None) -> tuple[str, ...]:
    """Return the trackers that a magnet link names."""
    return parse_magnet(magnet).trackers if magnet else ()


def sieve(query: Query) -> Callable[[str], bool]:
    """Return what tells whether the name of a release begins like one of the titles.

    It is coarse, and for lists that are not searched by whoever has them: whether a release fits
    is for `matching` to say. The second word will do, since some put the group in front:
    `[Group] Show - 05`.
    """
    titles = [words for title in query.titles if (words := said.words(title))]

    def could_be(name: str) -> bool:
        found = said.words(name)
        return any(
            wanted in (found[: len(wanted)], found[1 : 1 + len(wanted)]) for wanted in titles
        )

    return could_be
