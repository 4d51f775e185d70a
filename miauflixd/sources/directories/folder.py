"""A folder into which people put `.torrent` files and magnet links."""

import asyncio
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from miauflixd.runtime.clock import Clock
from miauflixd.runtime.priority import Priority
from miauflixd.sources import said
from miauflixd.sources.directories import fetching
from miauflixd.sources.directories.directory import (
    Capabilities,
    DirectoryKind,
    DirectoryUnavailableError,
    NothingThereError,
    TorrentBytes,
)
from miauflixd.sources.offers import (
    DirectoryId,
    Offer,
    Query,
    info_hash_of,
    magnet_of,
    sieve,
    trackers_of,
)
from miauflixd.sources.torrent_outline import NotTorrentError, outline
from miauflixd.torrents.magnet import Magnet, parse_magnet

_MAX_FILES = 2000
"""That are looked at; who has more has a server for it."""

_MAX_DEPTH = 4
"""Folders within folders."""

_MAX_BYTES = 256 * 2**20
"""That are read at one look; what is beyond comes at the next, since files are remembered."""

_MAX_TEXT = 256 * 2**10
"""Bytes of a list of magnet links; some hundred long ones."""

_MAX_LINKS = 500
"""Of one such list."""

_MAX_OFFERS = 20_000
"""Of a folder; memory for more would be better used."""

_SETTLED = 2.0
"""Seconds since a file was written last. Copying over a network writes more often than that."""

_TORRENTS = frozenset({".torrent"})
_TEXTS = frozenset({".magnet", ".txt"})


class _Version(NamedTuple):
    """What tells that a file is still the one that was read."""

    inode: int
    size: int
    written: int


class Folder:
    """One folder, looked through when somebody asks."""

    kind: DirectoryKind = "folder"

    def __init__(
        self,
        *,
        id: DirectoryId,  # noqa: A002 -- the Protocol's word
        title: str,
        path: Path,
        clock: Clock,
    ) -> None:
        self.id = id
        self.title = title
        self._path = path
        self._clock = clock
        self._read: dict[str, tuple[_Version, tuple[Offer, ...]]] = {}
        """What is in each file, by its path from the folder; of the last look."""
        self._one_at_a_time = asyncio.Lock()

    def capabilities(self) -> Capabilities:
        """See `Directory`."""
        return Capabilities()

    async def search(self, query: Query, *, priority: Priority) -> Sequence[Offer]:
        """See `Directory`."""
        return await self._look(sieve(query))

    async def check(self) -> None:
        """See `Directory`."""
        await self._look(lambda _: False)

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        """See `Directory`."""
        if offer.magnet and (known := fetching.known_magnet(offer)) is not None:
            return known
        async with self._one_at_a_time:
            data = await asyncio.to_thread(self._bytes_of, offer)
        if data is not None:
            return TorrentBytes(data)
        if (known := fetching.known_magnet(offer)) is not None:
            return known
        raise NothingThereError("The file is not in the folder any more")

    async def _look(self, could_be: Callable[[str], bool]) -> Sequence[Offer]:
        # One at a time, so that the thread alone has what was read.
        async with self._one_at_a_time:
            try:
                return await asyncio.to_thread(self._scan, could_be)
            except OSError as error:
                raise DirectoryUnavailableError(
                    f"The folder of {self.title} cannot be read: {error.strerror}"
                ) from error

    def _scan(self, could_be: Callable[[str], bool]) -> Sequence[Offer]:
        now = self._clock().timestamp()
        known, self._read = self._read, {}
        left = _MAX_BYTES
        for name, version, descriptor in _entries(self._path):
            with os.fdopen(descriptor, "rb") as file:
                if abs(now - version.written / 1e9) < _SETTLED:
                    continue  # somebody may still be writing
                before = known.get(name)
                if before is None or before[0] != version:
                    data = file.read(left) if version.size <= min(_limit(name), left) else b""
                    if len(data) < version.size <= _limit(name):
                        continue
                    left -= len(data)
                    before = (version, tuple(self._offers(Path(name), data)))
                self._read[name] = before
        found = (offer for _, offers in self._read.values() for offer in offers)
        return [
            offer
            for offer in islice(found, _MAX_OFFERS)
            if any(map(could_be, (offer.name, *offer.other_names)))
        ]

    def _bytes_of(self, offer: Offer) -> bytes | None:
        names = {
            name
            for name, (_, offers) in self._read.items()
            if offer.info_hash and any(each.info_hash == offer.info_hash for each in offers)
        }
        for name, version, descriptor in _entries(self._path):
            with os.fdopen(descriptor, "rb") as file:
                if (
                    name in names
                    and Path(name).suffix.lower() in _TORRENTS
                    and version.size <= fetching.TORRENT_LIMIT
                    and fetching.is_torrent(data := file.read(fetching.TORRENT_LIMIT))
                ):
                    return data
        return None

    def _offers(self, path: Path, data: bytes) -> Iterator[Offer]:
        if path.suffix.lower() in _TORRENTS:
            with suppress(NotTorrentError):
                found = outline(data)
                yield Offer(
                    directory=self.id,
                    name=found.name or said.text(path.stem),
                    info_hash=found.info_hash,
                    magnet=None if found.info_hash else found.magnet,
                    size=found.size,
                    trackers=found.trackers,
                    files=found.files,
                    # People rename a file to what it is, and torrents are called anything.
                    other_names=(said.text(path.stem),),
                )
            return
        links = data.decode("utf-8", "replace").split()
        for link in links[:_MAX_LINKS]:
            if (magnet := magnet_of(link)) is not None:
                named = parse_magnet(magnet).name
                yield Offer(
                    directory=self.id,
                    name=said.text(named) or said.text(path.stem),
                    info_hash=info_hash_of(magnet),
                    magnet=magnet,
                    trackers=trackers_of(magnet),
                )


def _limit(name: str) -> int:
    return fetching.TORRENT_LIMIT if Path(name).suffix.lower() in _TORRENTS else _MAX_TEXT


def _entries(folder: Path) -> Iterator[tuple[str, _Version, int]]:
    """Yield the files of a folder, opened: path, version and descriptor, which the caller closes.

    Links are not followed, neither to folders nor to files, so nothing outside is ever opened.
    """
    seen = 0
    os.scandir(folder).close()  # `fwalk` would not say that there is no such folder
    for top, folders, files, descriptor in os.fwalk(folder):
        relative = Path(top).relative_to(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(relative.parts) >= _MAX_DEPTH:
            folders.clear()
        for name in sorted(files):
            if name.startswith(".") or Path(name).suffix.lower() not in _TORRENTS | _TEXTS:
                continue
            seen += 1
            if seen > _MAX_FILES:
                return
            try:
                # Not to hang at a pipe that nobody writes into.
                opened = os.open(
                    name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor
                )
            except OSError:
                continue  # a link, gone meanwhile, or not for us
            found = os.fstat(opened)
            if stat.S_ISREG(found.st_mode):
                version = _Version(found.st_ino, found.st_size, found.st_mtime_ns)
                yield str(relative / name), version, opened
            else:
                os.close(opened)
