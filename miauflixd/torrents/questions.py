"""What a swarm is asked before anybody presses play: what it holds, and how many are in it.

None of it makes a source, and none disturbs one. What is known of a source is not asked again, and
while a source of the same torrent is in the swarm, it is asked through that. The engine has no two
torrents of one hash, and it is the asking that gives way (docs/decisions/0021-guests.md).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from miauflixd.engine.messages import Command, Event, Metadata
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.turns import Turns
from miauflixd.torrents.active import ActiveTorrent
from miauflixd.torrents.inspection import Inspections
from miauflixd.torrents.magnet import Magnet, parse_magnet
from miauflixd.torrents.metadata import fetched
from miauflixd.torrents.metadata_fetch import MetadataFetch
from miauflixd.torrents.model import Fetched, NoSourceError, SourceId, Swarm
from miauflixd.torrents.reader import NoDataError, SourceFailedError
from miauflixd.torrents.road import Road
from miauflixd.torrents.scraping import Scraping
from miauflixd.torrents.store import SourceStore, StoredSource
from miauflixd.torrents.waiting import NOBODY_TOLD, until

_FETCHES = 8
"""Swarms that are joined at once for what they hold: each dials up to thirty peers, and a house
has two hundred connections."""

_FETCHES_RESERVED = 2
"""Of these for what a person waits for: the others may have to wait for dead swarms for minutes."""

_SCRAPES = 16
"""Swarms whose trackers are asked at once; each costs a packet or two for each tracker."""

_SCRAPES_RESERVED = 2

_ATTEMPTS = 5
"""Times that the asking gives way to a source which then is gone before it knows anything."""


class Questions:
    """All that is asked."""

    def __init__(
        self,
        *,
        send: Callable[[Command], None],
        store: SourceStore,
        inspections: Inspections,
        road: Road,
        active: Callable[[SourceId], ActiveTorrent | None],
    ) -> None:
        """Begin with nothing asked.

        Args:
            send: gives the engine a command.
            store: the sources that there are.
            inspections: reads `.torrent` files.
            road: the way to the swarm.
            active: returns a source as it is in the swarm, if it is.
        """
        self._store = store
        self._inspections = inspections
        self._road = road
        self._active = active
        self._fetches = MetadataFetch(send=send, road=road)
        self._fetch_turns = Turns(_FETCHES, reserved=_FETCHES_RESERVED)
        self._scraping = Scraping(send=send)
        self._scrape_turns = Turns(_SCRAPES, reserved=_SCRAPES_RESERVED)

    @property
    def pending(self) -> int:
        """How much is being asked now."""
        return len(self._fetches) + len(self._scraping)

    async def inspect(self, metainfo: bytes) -> Fetched:
        """Return what a `.torrent` file says; whether it is the promised one is for the caller.

        Raises:
            BadTorrentError: the file cannot be used.
        """
        return fetched(await self._inspections.inspect(metainfo))

    async def fetch_metadata(
        self, magnet_uri: str, *, within: float, priority: Priority = Priority.ROUTINE
    ) -> Fetched:
        """Return what a magnet link leads to.

        Nothing is downloaded and nothing is written; the swarm is left afterwards, also when the
        caller is cancelled.

        Args:
            magnet_uri: the link.
            within: seconds for peers to tell; they begin when it is this link's turn, and stand
                still while there is no road.
            priority: who waits for it.

        Raises:
            BadTorrentError: the link cannot be used.
            NoDataError: no peer told in time.
            TunnelDownError: nor could any, for there is no way to the swarm.
            SourceFailedError: what they told was refused.
        """
        magnet = parse_magnet(magnet_uri)
        if (known := await self._known(magnet)) is not None:
            return known
        async with self._fetch_turns.turn(priority):
            began = asyncio.get_running_loop().time()
            for _ in range(_ATTEMPTS):
                await self._until_source_knows(magnet, began=began, within=within)
                if (known := await self._known(magnet)) is not None:
                    return known
                metadata = await self._fetches.fetch(magnet, began=began, within=within)
                if metadata is not None:
                    return _promised(metadata, magnet)
            raise NoDataError("Somebody else adds and removes this torrent all the time")

    async def scrape(
        self, targets: Sequence[Magnet], *, within: float, priority: Priority = Priority.ROUTINE
    ) -> Mapping[bytes, Swarm]:
        """Return how many are in each swarm, by each of its info-hashes that was given.

        All trackers of a link are asked, and the one counts that knows most seeders. A swarm of
        which no tracker tells is missing.

        Args:
            targets: links with trackers; `magnet.from_hash` makes one.
            within: seconds for the trackers of each, from its turn on.
            priority: who waits for it.

        Raises:
            TunnelDownError: there is no way to any tracker, or was none at the end: nothing that
                is missing would mean anything.
        """
        self._road.require()
        swarms: dict[bytes, Swarm] = {}

        async def ask(magnet: Magnet) -> None:
            async with self._scrape_turns.turn(priority):
                if not self._road.up:
                    return
                told = await self._scraping.ask(magnet, within=within)
                counts = told or await self._peers_of_source(magnet)
            if counts is not None:
                swarm = Swarm(seeders=counts[0], leechers=counts[1], at=datetime.now(UTC))
                swarms.update(dict.fromkeys(magnet.hashes, swarm))

        async with asyncio.TaskGroup() as group:
            for magnet in targets:
                group.create_task(ask(magnet), name="scrape")
        if len(swarms) < len(targets):
            self._road.require()
        return swarms

    # --- what others tell -------------------------------------------------------------------------

    def take(self, event: Event) -> bool:
        """Return whether an event was an answer, after passing it on to whoever waits for it."""
        return (
            self._inspections.take(event) or self._fetches.take(event) or self._scraping.take(event)
        )

    def on_road(self) -> None:
        """Take notice: the road has changed."""
        self._fetches.on_road()
        if not self._road.up:
            self._scraping.give_up()

    # --- through sources --------------------------------------------------------------------------

    async def _source_of(self, magnet: Magnet) -> StoredSource | None:
        for info_hash in magnet.hashes:
            if (stored := await self._store.find_by_hash(info_hash)) is not None:
                return stored
        return None

    async def _known(self, magnet: Magnet) -> Fetched | None:
        """Return what some source has learned already."""
        if (stored := await self._source_of(magnet)) is None or stored.layout is None:
            return None
        try:
            content = await self._store.content(stored.id)
        except NoSourceError:  # removed this moment
            return None
        if content.metainfo is None:
            return None
        return _promised(await self._inspections.inspect(content.metainfo), magnet)

    async def _until_source_knows(self, magnet: Magnet, *, began: float, within: float) -> None:
        """Wait, if a source of a swarm is in there, until it knows what it holds, or leaves."""
        stored = await self._source_of(magnet)
        active = None if stored is None else self._active(stored.id)
        if active is None:
            return

        def over() -> Literal[True] | None:
            if active.layout is None and active.failure is not None:
                raise SourceFailedError(active.failure)
            return active.layout is not None or active.removed.is_set() or None

        await until(
            over,
            news=lambda: active.news,
            road=self._road,
            began=began,
            patience=within,
            otherwise=NOBODY_TOLD,
        )

    async def _peers_of_source(self, magnet: Magnet) -> tuple[int, int] | None:
        """Return how many seeders and leechers a source talks to: so many there are at least."""
        stored = await self._source_of(magnet)
        active = None if stored is None else self._active(stored.id)
        if active is None or active.progress is None or active.progress.peers == 0:
            return None
        seeds = active.progress.seeds
        return seeds, max(0, active.progress.peers - seeds)


def _promised(metadata: Metadata, magnet: Magnet) -> Fetched:
    """Return what a torrent holds, if it is the one that a link means."""
    told = fetched(metadata)
    if not set(magnet.hashes) <= set(told.info_hashes):
        raise SourceFailedError("What peers told is another torrent than the link promises")
    return told
