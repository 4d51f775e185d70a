"""What a source looks like in JSON; nothing in it tells which torrent it is."""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from miauflixd.cache.model import Use
from miauflixd.torrents.model import Source, SourceFile

Moment = Annotated[datetime, Meta(tz=True)]
"""A time, in UTC; said so that the description says it too."""


class FileShape(Struct, frozen=True, kw_only=True):
    """One file of a source."""

    index: int
    name: str
    size: int
    available: tuple[tuple[int, int], ...] | UnsetType = UNSET
    """Spans of bytes that can be read at once, for files that were read lately."""


class AddedShape(Struct, frozen=True, kw_only=True):
    """The answer to adding a source."""

    source_id: str
    name: str | UnsetType = UNSET
    files: list[FileShape]


class SourceShape(Struct, frozen=True, kw_only=True):
    """A source as it is now."""

    id: str
    name: str | None
    added_at: Moment
    state: str
    since: Moment
    reason: str
    next: str
    size: int | None
    have: int
    progress: float
    """From 0 to 1."""
    download_rate: int
    upload_rate: int
    peers: int
    seeds: int
    known_peers: int
    readers: int
    pinned: bool
    """Whether it stays on the disk whatever room is needed."""
    used_at: Moment | None
    """When somebody last watched it."""
    main_file: int | None
    """Index of the file that is played when none is named."""
    files: list[FileShape]


class RemovedShape(Struct, frozen=True, kw_only=True):
    """A source that is gone."""

    id: str
    removed: bool = True


class NewTorrent(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants to add; exactly one of them."""

    magnet: str | UnsetType = UNSET
    info_hash: str | UnsetType = UNSET


class StreamQuery(Struct, frozen=True, kw_only=True):
    """What stands behind the address of a stream. Players add more, which is left alone."""

    file: Annotated[int, Meta(ge=0, le=999_999_999)] | None = None
    """Index of the file; the main one without."""
    key: str | None = None
    """A stream key, for players that do not send headers."""


def added(source: Source) -> AddedShape:
    """Return the answer to adding a source."""
    return AddedShape(
        source_id=source.id, name=source.name or UNSET, files=[_file(one) for one in _files(source)]
    )


class TorrentChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done with a source; what is left out stays."""

    pinned: bool | UnsetType = UNSET
    """Keep it on the disk whatever room is needed."""
    paused: bool | UnsetType = UNSET
    """Fetch and give nothing until somebody plays it; `false`: fetch all of its main file."""


def shape(source: Source, use: Use) -> SourceShape:
    """Return a source as clients see it, and how it was used."""
    size = source.layout.total_size if source.layout else None
    return SourceShape(
        id=source.id,
        name=source.name,
        added_at=source.added_at.astimezone(UTC),
        state=source.condition.activity.value,
        since=source.condition.since.astimezone(UTC),
        reason=source.condition.reason,
        next=source.condition.next,
        size=size,
        have=source.have,
        progress=source.have / size if size else 0.0,
        download_rate=source.download_rate,
        upload_rate=source.upload_rate,
        peers=source.peers,
        seeds=source.seeds,
        known_peers=source.known_peers,
        readers=source.readers,
        pinned=use.pinned,
        used_at=None if use.used_at is None else use.used_at.astimezone(UTC),
        main_file=_main_file(source),
        files=[_file(one, source.available.get(one.index, UNSET)) for one in _files(source)],
    )


def _files(source: Source) -> tuple[SourceFile, ...]:
    return source.layout.files if source.layout else ()


def _main_file(source: Source) -> int | None:
    largest = max(_files(source), key=lambda file: file.size, default=None)
    return largest.index if largest and largest.size else None


def _file(
    file: SourceFile, available: tuple[tuple[int, int], ...] | UnsetType = UNSET
) -> FileShape:
    return FileShape(index=file.index, name=file.name, size=file.size, available=available)
