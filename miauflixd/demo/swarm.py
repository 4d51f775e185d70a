"""Seeders of one film on the loopback, with their tracker: a swarm that belongs to nobody else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from miauflixd.demo.metainfo import Torrent, make_torrent
from miauflixd.demo.tracker import Tracker
from miauflixd.engine.messages import AddMetainfo, Configure, Rejected
from miauflixd.errors import UnavailableError
from miauflixd.torrents.engine_process import EngineProcess
from miauflixd.torrents.launching import PlainLauncher

_FIRST_ADDRESS = 11
"""The last number of the first address, 127.0.0.11: well away from everybody's 127.0.0.1."""

_MOST_SEEDERS = 240
"""As many as there are addresses up to 127.0.0.250."""

_START_WITHIN = 30.0
"""Seconds for all seeders to be known to the tracker; each starts a process."""

_CONNECTIONS = 50
"""Peers that one seeder talks to at most."""

_TORRENT_ID = "film"
_FIRST_FILE = "0"
"""What an engine calls the file on the disk: its index."""


class SwarmError(UnavailableError):
    """The seeders did not come up."""

    code = "swarm"


class Seeder:
    """One seeder: an engine's process that has the whole film."""

    def __init__(self, address: str, *, task: asyncio.Task[None], leave: asyncio.Event) -> None:
        self.address = address
        self._task = task
        self._leave = leave

    async def stop(self) -> None:
        """Take it out of the swarm, and return when its process is gone."""
        self._leave.set()
        await asyncio.wait([self._task])


class Swarm:
    """A film, its torrent, a tracker and seeders."""

    def __init__(self, *, torrent: Torrent, tracker: Tracker, seeders: Sequence[Seeder]) -> None:
        self.torrent = torrent
        self.tracker = tracker
        self.seeders = seeders

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        film: Path,
        *,
        directory: Path,
        seeders: int = 3,
        upload_rate: int = 0,
        piece_length: int | None = None,
        name: str | None = None,
    ) -> AsyncIterator[Self]:
        """Share a film for the length of the block; inside it every seeder is known to the tracker.

        Args:
            film: the file to share; it is only read, through a link.
            directory: for the seeders' use; made when missing.
            seeders: how many.
            upload_rate: bytes per second of each at most; 0 for no limit.
            piece_length: bytes; chosen by the film's size when left out.
            name: what the film is called in the swarm; the file's name when left out.

        Raises:
            ExceptionGroup: what the block raised; `SwarmError` when they did not come up;
                `EngineDiedError` when one died.
        """
        if not 0 <= seeders <= _MOST_SEEDERS:
            raise ValueError(f"{seeders} seeders")
        # Not in a thread, which would outlive a cancellation and make the folder anew.
        content = _place(film, directory)
        async with Tracker.open() as tracker, asyncio.TaskGroup() as group:
            torrent = await asyncio.to_thread(
                make_torrent,
                film,
                name=name or film.name,
                announce_url=tracker.announce_url,
                piece_length=piece_length,
            )
            leaves = [asyncio.Event() for _ in range(seeders)]
            started = []
            for number, leave in enumerate(leaves):
                address = f"127.0.0.{_FIRST_ADDRESS + number}"
                seeding = _seed(torrent, content, address=address, rate=upload_rate, leave=leave)
                task = group.create_task(seeding, name=f"seeder {address}")
                started.append(Seeder(address, task=task, leave=leave))
            await _wait_until_seeded(tracker, torrent, seeders)
            yield cls(torrent=torrent, tracker=tracker, seeders=tuple(started))
            # Together, not one after the other: each needs its time to say goodbye. Not a
            # cancellation, either: when one of them dies the group cancels the others, and a second
            # one would cut their clean-up short.
            for leave in leaves:
                leave.set()


def _place(film: Path, directory: Path) -> Path:
    """Put a film where an engine looks for its torrent's content; return that directory."""
    # An engine recognises a torrent by the last component of its path.
    content = directory / _TORRENT_ID
    content.mkdir(parents=True, exist_ok=True)
    link = content / _FIRST_FILE
    link.unlink(missing_ok=True)
    link.symlink_to(film.resolve(strict=True))
    return content


async def _seed(
    torrent: Torrent, content: Path, *, address: str, rate: int, leave: asyncio.Event
) -> None:
    """Seed until it is time to leave."""
    settings = Configure(
        listen=[f"{address}:0"],
        connections=_CONNECTIONS,
        download_rate=0,
        upload_rate=rate,
        dht=False,
    )
    async with (
        EngineProcess.open(settings, launcher=PlainLauncher()) as engine,
        asyncio.TaskGroup() as group,
    ):
        engine.set_network(up=True)  # the loopback, which is always there
        engine.send(
            AddMetainfo(
                torrent_id=_TORRENT_ID,
                save_path=str(content),
                metainfo=torrent.metainfo,
                seed=True,
            )
        )
        listening = group.create_task(_listen(engine), name=f"seeder {address} events")
        await leave.wait()
        listening.cancel()


async def _listen(engine: EngineProcess) -> None:
    async for event in engine.events():
        if isinstance(event, Rejected):
            raise SwarmError(f"A seeder refused the film: {event.detail}")


async def _wait_until_seeded(tracker: Tracker, torrent: Torrent, seeders: int) -> None:
    try:
        async with asyncio.timeout(_START_WITHIN):
            await tracker.seeded(torrent.info_hash, seeders=seeders)
    except TimeoutError:
        raise SwarmError(f"The seeders did not come up within {_START_WITHIN:.0f} s") from None
