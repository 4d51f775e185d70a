"""Which listing of a title somebody gets, and why. No I/O."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from miauflixd.auth.model import Profile
from miauflixd.catalogue.model import Particulars
from miauflixd.sources.listing_model import OWN, ChosenFile, Listing, ListingId, Part
from miauflixd.sources.offered_release import release_of
from miauflixd.sources.offers import DirectoryId
from miauflixd.sources.ranking import BROWSER, Candidate, Client, Plays, Preference, State, rank
from miauflixd.sources.release_model import Quality, Release
from miauflixd.torrents.model import SourceId

_OF_THE_HOUSE = 0.9
"""The trust in what somebody of the house has added: they have looked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedListing:
    """A listing in its place."""

    listing: Listing
    part: Part
    release: Release
    """What its name says, and directories beside it."""
    state: State
    score: float
    reasons: tuple[str, ...]
    """What counted most, for and against; a few words each."""
    plays: Plays
    usable: bool
    """Whether it may be played at all; if not, the first reason says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The listing to play a title from."""

    listing: Listing
    file: ChosenFile | None
    """`None`: nobody knows yet what it holds."""
    release: Release
    plays: Plays
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """What is the same for all listings of a title at a moment."""

    now: datetime
    trust: Callable[[DirectoryId], float]
    """How far what a directory says is believed."""
    is_cached: Callable[[SourceId], bool]
    """Whether all of a source is on the disk."""


def preference(
    profile: Profile,
    *,
    client: Client = BROWSER,
    quality: Quality | None = None,
    max_height: int | None = None,
    transcodes: bool = False,
) -> Preference:
    """Return what somebody would like, whatever the title.

    Args:
        profile: what they like in general.
        client: what they play it with.
        quality: what they want this time; `None`: as in general.
        max_height: lines of the screen, where that is known.
        transcodes: whether the house can encode video as fast as it is watched.
    """
    usual = None if profile.quality == "auto" else Quality(profile.quality)
    return Preference(
        quality=quality or usual,
        max_height=max_height or Preference().max_height,
        languages=profile.audio_languages,
        client=client,
        transcodes=transcodes,
    )


def for_title(wanted: Preference, title: Particulars) -> Preference:
    """Return a preference with what a title is like; who likes no language hears the original."""
    original = title.original_language or None
    return replace(
        wanted,
        languages=wanted.languages or ((original,) if original else ()),
        original_language=original,
        runtime=title.runtime,
    )


def read(listings: Iterable[tuple[Listing, Part]]) -> None:
    """Read the names of listings, which is remembered: what `ranked` would take most time for."""
    for listing, _ in listings:
        release_of(listing.offer)


def ranked(
    listings: Iterable[tuple[Listing, Part]], wanted: Preference, around: Circumstances
) -> Sequence[RankedListing]:
    """Return listings in the order in which to try them, those not to be tried last."""
    known = {listing.id: (listing, part, release_of(listing.offer)) for listing, part in listings}
    return [
        RankedListing(
            listing=known[listing_id][0],
            part=known[listing_id][1],
            release=one.candidate.release,
            state=one.candidate.state,
            score=one.score,
            reasons=_reasons(known[listing_id][0], one.reasons),
            plays=one.plays,
            usable=one.usable,
        )
        for one in rank(
            (
                _candidate(listing, part, release, around)
                for listing, part, release in known.values()
            ),
            wanted,
        )
        for listing_id in (ListingId(str(one.candidate.id)),)
    ]


def best(found: Sequence[RankedListing], *, not_these: Collection[ListingId] = ()) -> Chosen | None:
    """Return the first that may be played, without some that were tried already."""
    for one in found:
        if one.usable and one.listing.id not in not_these:
            return Chosen(
                listing=one.listing,
                file=one.part.file,
                release=one.release,
                plays=one.plays,
                reasons=one.reasons,
            )
    return None


def _candidate(listing: Listing, part: Part, release: Release, around: Circumstances) -> Candidate:
    trust = (
        _OF_THE_HOUSE if listing.offer.directory == OWN else around.trust(listing.offer.directory)
    )
    counted = listing.counted_at
    return Candidate(
        id=listing.id,
        release=release,
        size=_size(listing, part, release),
        seeders=listing.seeders,
        seeders_before=listing.seeders_before,
        counted_ago=None if counted is None else max((around.now - counted).total_seconds(), 0),
        trust=trust if part.certain else trust / 2,
        state=_state(listing, around),
        needs_swarm=listing.needs_swarm,
        broken=listing.broken is not None,
    )


def _state(listing: Listing, around: Circumstances) -> State:
    if listing.source_id is not None and around.is_cached(listing.source_id):
        return "cached"
    return listing.state


def _size(listing: Listing, part: Part, release: Release) -> int | None:
    """Return the bytes of what would be played."""
    if part.file is not None:
        return part.file.size
    if not part.pack:
        return listing.size
    episodes = len(release.episodes)
    return listing.size // episodes if listing.size and episodes else None


def _reasons(listing: Listing, reasons: tuple[str, ...]) -> tuple[str, ...]:
    return reasons if listing.broken is None else (*reasons[:1], listing.broken, *reasons[1:])
