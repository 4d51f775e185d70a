"""What is given back to swarms, and what must never be for it: somebody's film."""

from miauflixd.torrents.active import ActiveTorrent
from miauflixd.torrents.settings import TorrentsSettings

LINGER = 600.0
"""Seconds after the last reader for which a source stays in the swarm and its file is fetched on.

A player that has buffered enough closes its connection for minutes, and comes back.
"""

_WHILE_OTHERS_WATCH = 16 * 2**10
"""Bytes per second that a source gives at most which nobody watches, while somebody waits for data
of another one: acknowledgements of what comes need room in an uplink, too."""


def may_leave(active: ActiveTorrent, *, settings: TorrentsSettings, now: float) -> bool:
    """Return whether a source has no more to do in its swarm.

    Args:
        active: the source.
        settings: how much is to be given back, and for how long.
        now: on the loop's clock.
    """
    idle = now - active.last_used
    if active.readers or active.leaving or (active.kept and active.wanting) or idle <= LINGER:
        return False
    return not _still_gives(active, settings=settings, idle=idle)


def _still_gives(active: ActiveTorrent, *, settings: TorrentsSettings, idle: float) -> bool:
    if active.progress is None or active.only_preloaded or idle > settings.seed_time:
        return False
    have = 0 if active.layout is None else active.pieces.total(active.layout)
    return active.progress.uploaded < settings.seed_ratio * have


def upload_limit(active: ActiveTorrent, *, hungry: bool) -> int:
    """Return how many bytes per second a source may give; 0: as many as all together may."""
    return _WHILE_OTHERS_WATCH if hungry and not active.readers else 0
