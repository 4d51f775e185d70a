"""To which title a torrent belongs that several claim. No I/O.

Nobody can have the same torrent for two films, but for a pack that holds both. So what is known
stays, unless somebody else is surer of it: a directory that offers one torrent under every title
takes none away.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from miauflixd.catalogue.model import TitleId
from miauflixd.sources.listing_model import Part


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """Who has it from now on, of those who claim it."""

    kept: tuple[Part, ...]
    given_up: tuple[TitleId, ...] = ()


def settle(known: Collection[Part], claimed: Sequence[Part]) -> Settled:
    """Return which claims to a torrent hold, and which titles have to give it up.

    Args:
        known: the titles that have it.
        claimed: the titles that it was now found for, by one search.
    """
    claims = {part.title_id for part in claimed}
    rivals = [part for part in known if part.title_id not in claims]
    held = {part.title_id for part in known}
    kept = tuple(
        part
        for part in claimed
        if part.title_id in held
        or all(_may_share(part, rival) for rival in rivals)
        or _surer(part, rivals)
    )
    given_up = tuple(
        rival.title_id
        for rival in rivals
        if any(
            part.title_id not in held and not _may_share(part, rival) and part.certain
            for part in kept
        )
    )
    return Settled(kept=kept, given_up=given_up)


def _may_share(part: Part, rival: Part) -> bool:
    return part.pack or rival.pack or (part.certain and rival.certain)


def _surer(part: Part, rivals: Sequence[Part]) -> bool:
    """Whether it takes it from all of them with whom it cannot share it."""
    return part.certain and all(
        not rival.certain for rival in rivals if not _may_share(part, rival)
    )
