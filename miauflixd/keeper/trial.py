"""Trying an endpoint beside the one in use, for whoever wants to know before using it."""

import asyncio
import logging
from collections.abc import Sequence

from miauflixd.keeper.line import Line
from miauflixd.keeper.messages import Endpoint, Tested

logger = logging.getLogger(__name__)

_ANSWER = 3.0
"""Seconds for the handshake with each of the server's addresses."""

_EGRESS = 3.0
"""Seconds for an echo, and for a name, from beyond the server."""

_LOOK = 0.02
"""Seconds between two looks for the handshake."""

_TRIAL = 0
"""The number of a trial's link, which none of the lifecycle's has."""


async def trial(
    endpoint: Endpoint, *, line: Line, targets: Sequence[str], resolvers: Sequence[str]
) -> Tested:
    """Connect the line to an endpoint, see what it is good for, and disconnect."""
    try:
        handshake = await _handshake(endpoint, line)
        if handshake is None:
            return failed(endpoint, f"{endpoint.name} does not answer; its keys may be wrong")
        egress = await line.beyond.egress(targets, (), within=_EGRESS)
        names = await line.beyond.egress((), [*endpoint.dns, *resolvers], within=_EGRESS)
    except OSError as error:
        return failed(endpoint, f"{endpoint.name} could not be tried: {error.strerror or error}")
    finally:
        try:
            await line.disconnect()
        except OSError as error:
            logger.warning("The standby tunnel cannot be disconnected: %s", error)
    return Tested(
        endpoint_id=endpoint.id,
        handshake=handshake,
        egress=egress,
        names=names,
        detail=outcome(endpoint.name, egress=egress, names=names),
    )


def failed(endpoint: Endpoint, detail: str) -> Tested:
    """Return what there is to say of an endpoint that never answered."""
    return Tested(endpoint_id=endpoint.id, handshake=None, egress=False, names=False, detail=detail)


async def _handshake(endpoint: Endpoint, line: Line) -> float | None:
    loop = asyncio.get_running_loop()
    for server in endpoint.servers:
        began = loop.time()
        stale = line.sample()
        await line.connect(endpoint, server, link=_TRIAL)
        while loop.time() - began < _ANSWER:
            sample = line.sample()
            if sample and (sample.handshake is not None if stale is None else sample.proves(stale)):
                return loop.time() - began
            await asyncio.sleep(_LOOK)
    return None


def outcome(name: str, *, egress: bool, names: bool) -> str:
    """Return what to say of an endpoint that answers."""
    if egress and names:
        return f"{name} works"
    if egress:
        return f"{name} works, but resolves no names"
    if names:
        return f"{name} resolves names; no echo comes back from the internet through it"
    return f"{name} answers, but nothing comes back from the internet"
