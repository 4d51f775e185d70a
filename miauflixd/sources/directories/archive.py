"""The Internet Archive: a title that is an item there can be had without anybody's swarm."""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from miauflixd.runtime.priority import Priority
from miauflixd.sources import said
from miauflixd.sources.directories import fetching
from miauflixd.sources.directories.directory import (
    EVERYTHING,
    Capabilities,
    DirectoryKind,
    TorrentBytes,
)
from miauflixd.sources.directories.exchange import Exchange
from miauflixd.sources.offers import (
    MAX_FILES,
    DirectoryId,
    Hints,
    Offer,
    OfferedFile,
    Query,
    info_hash_of,
)
from miauflixd.torrents.magnet import Magnet
from miauflixd.web_files.model import WebFile

_ITEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_TORRENT = "Archive BitTorrent"

_FORMATS = ("h.264", "h.264 IA", "h.264 HD", "MPEG4", "Matroska", "512Kb MPEG4", "Ogg Video")
"""What plays, the best first: browsers take the first ones as they are. Others (MPEG2, QuickTime,
Cinepak) are originals of which there are derivatives in these, as good as always."""

_WITHHELD = frozenset({"stream_only", "inlibrary", "printdisabled"})
"""Collections of what is lent or shown, and not given away."""

_QUALITIES = ((2000, "2160p"), (1000, "1080p"), (700, "720p"), (540, "576p"), (400, "480p"))
"""Lines at least, a little less than the name says since films are wider than television."""

_CHECKED = "night_of_the_living_dead"
"""An item that has been there for twenty years, to see whether the server answers."""


class Archive:
    """The Internet Archive, or a server that answers as it does."""

    kind: DirectoryKind = "archive"

    def __init__(
        self,
        *,
        id: DirectoryId,  # noqa: A002 -- the Protocol's word
        title: str,
        exchange: Exchange,
    ) -> None:
        self.id = id
        self.title = title
        self._exchange = exchange
        self._base = exchange.base.rstrip("/")

    def capabilities(self) -> Capabilities:
        """See `Directory`."""
        return Capabilities(kinds=EVERYTHING, ids=frozenset({"archive"}), words=False)

    async def search(self, query: Query, *, priority: Priority) -> Sequence[Offer]:
        """See `Directory`."""
        if query.archive_id is None or not _ITEM.fullmatch(query.archive_id):
            return ()
        item = await self._item(query.archive_id, priority)
        if not item or not _is_free(item):
            return ()
        files = [said.fields(file) for file in said.items(item.get("files"))[: 10 * MAX_FILES]]
        return [*self._web(query, item, files), *self._torrent(query, item, files)]

    async def check(self) -> None:
        """See `Directory`."""
        await self._item(_CHECKED, Priority.WAITED_FOR)

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        """See `Directory`."""
        return await fetching.fetch(offer, self._exchange, priority=priority)

    async def _item(self, name: str, priority: Priority) -> Mapping[str, object]:
        response = await self._exchange.get(f"{self._base}/metadata/{name}", priority=priority)
        # What is not there is an empty object, or an empty list.
        return said.fields(self._exchange.decoded(self._exchange.accepted(response)))

    def _web(
        self, query: Query, item: Mapping[str, object], files: Sequence[Mapping[str, object]]
    ) -> Iterator[Offer]:
        chosen = _chosen(files)
        web_files = tuple(
            WebFile(
                name=said.text(file.get("name")),
                size=said.size(file.get("size")),
                url=self._address(query, str(file["name"])),
            )
            for file in chosen
        )
        if web_files:
            first = chosen[0]
            yield Offer(
                directory=self.id,
                name=_name(item, query),
                web_files=web_files,
                size=web_files[0].size,
                published=said.moment(item.get("created")),
                imdb_id=query.imdb_id,
                archive_id=query.archive_id,
                runtime=_seconds(first.get("length")),
                hints=_hints(first),
            )

    def _torrent(
        self, query: Query, item: Mapping[str, object], files: Sequence[Mapping[str, object]]
    ) -> Iterator[Offer]:
        for file in files:
            info_hash = info_hash_of(file.get("btih"))
            if file.get("format") == _TORRENT and info_hash and _is_plain(file.get("name")):
                yield Offer(
                    directory=self.id,
                    name=_name(item, query),
                    info_hash=info_hash,
                    torrent_url=self._address(query, str(file["name"])),
                    size=said.size(item.get("item_size")),
                    published=said.moment(item.get("created")),
                    imdb_id=query.imdb_id,
                    archive_id=query.archive_id,
                    files=tuple(
                        OfferedFile(
                            name=said.text(each.get("name")), size=said.size(each.get("size"))
                        )
                        for each in files
                        if each.get("format") in _FORMATS
                    )[:MAX_FILES],
                )
                return

    def _address(self, query: Query, name: str) -> str:
        return f"{self._base}/download/{query.archive_id}/{quote(name)}"


def _is_free(item: Mapping[str, object]) -> bool:
    about = said.fields(item.get("metadata"))
    collections = {str(each) for each in said.items(about.get("collection"))}
    return not (
        _is_true(item.get("is_dark"))
        or _is_true(item.get("nodownload"))
        or _is_true(about.get("access-restricted-item"))
        or collections & _WITHHELD
    )


def _is_true(value: object) -> bool:
    return value is True or str(value).lower() in ("true", "1")


def _chosen(files: Sequence[Mapping[str, object]]) -> Sequence[Mapping[str, object]]:
    """Return the best file of each film within the item, the longest film first."""
    best: dict[str, Mapping[str, object]] = {}
    for file in files:
        if (
            file.get("format") not in _FORMATS
            or not _is_plain(file.get("name"))
            or _is_true(file.get("private"))
        ):
            continue
        # A derivative says what it was made from; an original is that itself.
        film = str(file.get("original") or file.get("name"))
        known = best.get(film)
        if known is None or _rank(file) < _rank(known):
            best[film] = file
    return sorted(
        best.values(),
        key=lambda file: (_seconds(file.get("length")) or 0, said.size(file.get("size")) or 0),
        reverse=True,
    )[:MAX_FILES]


def _rank(file: Mapping[str, object]) -> int:
    return _FORMATS.index(str(file.get("format")))


def _is_plain(name: object) -> bool:
    """Whether a file's name stays within its item when it becomes part of an address."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= said.MAX_NAME
        and name.isprintable()
        and not any(part in ("", ".", "..") for part in name.split("/"))
    )


def _name(item: Mapping[str, object], query: Query) -> str:
    about = said.fields(item.get("metadata"))
    # Whatever is there once may be there several times.
    title = next(filter(None, map(said.text, said.items(about.get("title")))), query.archive_id)
    years = (said.number(each, most=9999, least=1) for each in said.items(about.get("year")))
    year = next((each for each in years if each is not None), None)
    return f"{title} ({year})" if year else f"{title}"


def _seconds(value: object) -> int | None:
    """Return a running time, written as seconds or as `1:35:50`."""
    parts = str(value).split(":") if isinstance(value, str | int | float) else []
    total = 0.0
    try:
        for part in parts[:3]:
            total = total * 60 + float(part)
        return said.number(int(total), most=said.MAX_SECONDS, least=1)
    except (ValueError, OverflowError):  # no number, or none that is finite
        return None


def _hints(file: Mapping[str, object]) -> Hints:
    """Return what the Archive's own word for a file's format says of it."""
    if not str(file.get("format")).startswith("h.264"):
        return Hints(quality=_quality(file))
    # Made by the Archive from whatever was uploaded, always in the same way.
    return Hints(quality=_quality(file), video_codec="h264", audio_codec="aac")


def _quality(file: Mapping[str, object]) -> str | None:
    height = said.number(file.get("height"), most=10_000, least=1) or 0
    return next((name for lines, name in _QUALITIES if height >= lines), None)
