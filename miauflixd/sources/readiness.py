"""All that gets titles ready to be played, built together and kept going."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from miauflixd.catalogue.title_store import TitleStore
from miauflixd.database.database import Database
from miauflixd.runtime.services import running
from miauflixd.sources.counting import Counting
from miauflixd.sources.getting_ports import Preloads, Swarms, Torrents, Watched, WebSources
from miauflixd.sources.listing_model import NothingToPlayError
from miauflixd.sources.offers import Offer
from miauflixd.sources.opening import Opening
from miauflixd.sources.playing import Playing
from miauflixd.sources.ports import Clock
from miauflixd.sources.preload_store import PreloadStore
from miauflixd.sources.preloading import Preloading
from miauflixd.sources.service import Sources
from miauflixd.torrents.model import NoSourceError, Source, SourceId


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """From listings to sources, before and after somebody presses play."""

    opening: Opening
    playing: Playing
    preloading: Preloading
    counting: Counting

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        sources: Sources,
        titles: TitleStore,
        watched: Watched,
        torrents: Torrents,
        preloads: Preloads,
        swarms: Swarms,
        web: WebSources,
        database: Database,
        clock: Clock,
    ) -> AsyncIterator[Self]:
        """Have it for the length of the block.

        Args:
            sources: where titles can be had.
            titles: what there is to watch.
            watched: how far people are.
            torrents: the sources that come from peers.
            preloads: has parts of these fetched.
            swarms: what can be asked without a source.
            web: the sources that come from servers.
            database: where is kept what was fetched though nobody has played it.
            clock: the time of day.
        """
        opening = Opening(sources=sources, titles=titles, swarms=swarms, torrents=torrents, web=web)
        preloading = Preloading(
            sources=sources,
            opening=opening,
            torrents=torrents,
            preloads=preloads,
            watched=watched,
            notes=PreloadStore(database=database),
            clock=clock,
        )
        async with running("preloading", preloading.run):
            yield cls(
                opening=opening,
                playing=Playing(
                    sources=sources, opening=opening, torrents=torrents, preloading=preloading
                ),
                preloading=preloading,
                counting=Counting(sources=sources, swarms=swarms, clock=clock),
            )


class NoWebSources:
    """A house that reads nothing from servers."""

    async def add(self, _offer: Offer, /) -> SourceId:
        """Refuse."""
        raise NothingToPlayError("This house does not play files of servers")

    def source(self, _source_id: SourceId, /) -> Source:
        """Find nothing."""
        raise NoSourceError("There is no such source")
