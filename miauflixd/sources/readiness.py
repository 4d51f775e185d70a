"""All that gets titles ready to be played, built together and kept going."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from miauflixd.catalogue.title_store import TitleStore
from miauflixd.database.database import Database
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.services import running
from miauflixd.sources.counting import Counting
from miauflixd.sources.getting_ports import Stock, Swarms, Watched
from miauflixd.sources.opening import Opening
from miauflixd.sources.playing import Playing
from miauflixd.sources.preload_store import PreloadStore
from miauflixd.sources.preloading import Preloading
from miauflixd.sources.service import Sources


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
        stock: Stock,
        swarms: Swarms,
        database: Database,
        clock: Clock,
    ) -> AsyncIterator[Self]:
        """Have it for the length of the block.

        Args:
            sources: where titles can be had.
            titles: what there is to watch.
            watched: how far people are.
            stock: the sources.
            swarms: what can be asked without a source.
            database: where is kept what was fetched though nobody has played it.
            clock: the time of day.
        """
        opening = Opening(sources=sources, titles=titles, swarms=swarms, stock=stock)
        preloading = Preloading(
            sources=sources,
            opening=opening,
            stock=stock,
            watched=watched,
            notes=PreloadStore(database=database),
            clock=clock,
        )
        async with running("preloading", preloading.run):
            yield cls(
                opening=opening,
                playing=Playing(
                    sources=sources, opening=opening, stock=stock, preloading=preloading
                ),
                preloading=preloading,
                counting=Counting(sources=sources, swarms=swarms, clock=clock),
            )
