"""What a listing is: an offer that is kept, and what is known of it. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NewType

from miauflixd.catalogue.model import TitleId
from miauflixd.errors import InvalidInputError, NotFoundError
from miauflixd.sources.offers import DirectoryId, Offer
from miauflixd.torrents.model import SourceId

ListingId = NewType("ListingId", str)
"""Sixteen hexadecimal digits that say nothing about the torrent."""

ListingState = Literal["magnet", "ready", "dead"]
"""`magnet`: what it holds is for the swarm to say. `ready`: that is known, or no swarm is needed.
`dead`: nobody has had it for long."""

OWN = DirectoryId("own")
"""What people of the house have added stands in no directory."""


class NoListingError(NotFoundError):
    """There is no such listing, or not for the one who asks."""

    code = "no_source"


class NothingToPlayError(NotFoundError):
    """Nothing is known that a title can be played from; the message says what was found instead."""

    code = "no_source"


class NotPlayableError(InvalidInputError):
    """A show is not played, but its episodes are."""

    code = "not_playable"


class BadSourceError(InvalidInputError):
    """What somebody adds leads to nothing that could be played."""

    code = "bad_source"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenFile:
    """The file of a listing that is the title."""

    index: int
    """As in `torrents.model.SourceFile`; of what needs no swarm, its place in `web_files`."""
    name: str = field(repr=False)
    size: int
    """Bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What of a listing is a title."""

    title_id: TitleId
    certain: bool
    """Whether all agrees; else only nothing speaks against it."""
    pack: bool = False
    """Whether there is more in it."""
    file: ChosenFile | None = None
    """`None`: nobody knows yet which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """Where a title can be had, as far as is known."""

    id: ListingId
    offer: Offer
    """What directories say; its name is the one that fits the title."""
    state: ListingState
    seeders: int | None = None
    leechers: int | None = None
    seeders_before: int | None = None
    """At the count before the last."""
    counted_at: datetime | None = None
    broken: str | None = None
    """Why it is not to be played; a sentence for a person."""
    source_id: SourceId | None = None
    """The source that it has become, once it was played, preloaded or added."""
    added_at: datetime
    seen_at: datetime
    """When a directory last offered it."""

    @property
    def needs_swarm(self) -> bool:
        """Whether it comes from peers; else from a server, which is always there."""
        return not self.offer.web_files

    @property
    def size(self) -> int | None:
        """Bytes of all of it, if anybody says."""
        return self.offer.size


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """An offer, and of which titles it is: what a search brings."""

    offer: Offer
    parts: tuple[Part, ...]
    """Empty: it is kept alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """What came of saving."""

    ids: tuple[ListingId | None, ...]
    """The listing of each that was found; `None`: what it is of is surer of another title."""
    gained: frozenset[TitleId] = frozenset()
    """Titles that have a listing which they had not."""
    lost: frozenset[TitleId] = frozenset()
    """Titles that had to give one up, since another is surer to be what it holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """The last search for a title."""

    at: datetime
    found: int
    """Offers that fit."""
    in_vain: int
    """Searches in a row, this one too, after which nothing was known."""
    complete: bool
    """Whether every directory has answered."""
    refused: Mapping[str, int]
    """How many did not fit, by the reason, which is a sentence that says no title."""
