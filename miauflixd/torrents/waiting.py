"""Waiting for something from the swarm, with a patience that a missing road does not use up."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from miauflixd.torrents.reader import NoDataError
from miauflixd.torrents.road import Road

NOBODY_TOLD = "No peer has told what this torrent holds"


T = TypeVar("T")


async def until(
    found: Callable[[], T | None],
    *,
    news: Callable[[], asyncio.Event],
    road: Road,
    began: float,
    patience: float,
    otherwise: str,
) -> T:
    """Wait for something and return it.

    Args:
        found: returns it, or nothing as long as it is not there; it may raise instead.
        news: returns the event that is set when it is worth looking again, also for a change of
            the road.
        road: the way to the swarm.
        began: when the waiting has, on the loop's clock.
        patience: seconds to wait as long as there is a road.
        otherwise: what to tell a person when it is in vain.

    Raises:
        NoDataError: it did not come about in time.
        TunnelDownError: nor could it, for there is no way to the swarm.
    """
    loop = asyncio.get_running_loop()
    while (it := found()) is None:
        deadline = road.deadline(began, patience=patience, begun=False)
        if loop.time() >= deadline:
            road.require()
            raise NoDataError(otherwise)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await news().wait()
    return it
