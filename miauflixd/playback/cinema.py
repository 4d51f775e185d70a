"""All of playback together, as the rest of the house sees it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self

from miauflixd.database.database import Database
from miauflixd.playback.encoders import Encoders
from miauflixd.playback.media_files import MediaFiles
from miauflixd.playback.media_store import MediaStore
from miauflixd.playback.playback_store import PlaybackStore
from miauflixd.playback.service import Playback, Playbacks, Playing, Sources
from miauflixd.playback.settings import PlaybackSettings
from miauflixd.playback.subtitles import Subtitles
from miauflixd.playback.waiting import Waiting
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.services import running
from miauflixd.torrents.model import SourceId
from miauflixd.vault.sealing import Sealer


@dataclass(frozen=True, kw_only=True, slots=True)
class Cinema:
    """What is played, and what can be made of files."""

    playbacks: Playbacks
    media: MediaFiles
    subtitles: Subtitles

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        settings: PlaybackSettings,
        sources: Sources,
        playing: Playing,
        database: Database,
        sealer: Sealer,
        clock: Clock,
        prepare: Callable[[Playback], Awaitable[None]] | None = None,
        watched: Callable[[SourceId, float], None] | None = None,
    ) -> AsyncIterator[Self]:
        """Be open for the length of the block.

        Args:
            settings: how many films, and how patient.
            sources: where bytes come from.
            playing: makes sources of titles.
            database: where what is known outlives the process.
            sealer: of what is kept there.
            clock: the time.
            prepare: called when an episode is nearly over.
            watched: told of which source how much has been seen, 0 to 1.
        """
        async with AsyncExitStack() as stack:
            waiting = Waiting(sources)
            media = await stack.enter_async_context(
                MediaFiles.open(
                    settings=settings,
                    sources=waiting,
                    store=MediaStore(database=database, sealer=sealer),
                )
            )
            encoders = Encoders(software=settings.software_encoding)
            await stack.enter_async_context(_finding(encoders))
            playbacks = Playbacks(
                settings=settings,
                sources=sources,
                waiting=waiting,
                playing=playing,
                media=media,
                store=PlaybackStore(database=database, sealer=sealer),
                clock=clock,
                encoder=lambda: encoders.best,
                prepare=prepare,
                watched=watched,
            )
            await stack.enter_async_context(running("playbacks", playbacks.run))
            yield cls(
                playbacks=playbacks,
                media=media,
                subtitles=Subtitles(media=media, sources=waiting),
            )


@asynccontextmanager
async def _finding(encoders: Encoders) -> AsyncIterator[None]:
    """Find out beside the block, which is not held up."""
    async with asyncio.TaskGroup() as group:
        finding = group.create_task(encoders.find(), name="encoders")
        try:
            yield
        finally:
            finding.cancel()
