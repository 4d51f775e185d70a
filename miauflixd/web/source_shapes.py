"""Where titles can be had, in JSON. Nothing here tells which torrent something is."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from miauflixd.sources.asking import Outcome
from miauflixd.sources.choosing import RankedListing
from miauflixd.sources.directory_book import DirectoryBook
from miauflixd.sources.listing_model import OWN
from miauflixd.sources.ranking import Plays, State
from miauflixd.sources.service import TitleSources
from miauflixd.web.shapes import Moment

_MAGNET = 2**15
_URL = 8192
"""Characters; as in `sources.said`."""


class SourcesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to look."""

    refresh: bool = False
    """Search again, even if that was just done."""


class NewSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One's own source of a title: exactly one of the two."""

    magnet: Annotated[str, Meta(max_length=_MAGNET)] | UnsetType = UNSET
    url: Annotated[str, Meta(max_length=_URL)] | UnsetType = UNSET
    """Of a `.torrent` file, of what leads to a magnet link, or of a film itself."""


class BrokenReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wrong with a source."""

    broken: bool = True
    """`false`: nothing, after all."""
    reason: Annotated[str, Meta(max_length=200)] = ""
    """A few words for the others."""


class ListingShape(Struct, frozen=True, kw_only=True):
    """A source of a title."""

    id: str
    source_id: str | None
    """The torrent or file that it has become, once it was played; `null`: not yet."""
    name: str
    provider: str
    """Who offers it."""
    quality: str | None
    hdr: list[str]
    source_type: str | None
    video_codec: str | None
    audio_codecs: list[str]
    channels: str | None
    languages: list[str]
    """Spoken, BCP 47; `mul` for several that are not named; empty: nobody says."""
    size: int | None
    """Bytes of what is played, or of all of it where that is not known."""
    seeders: int | None
    leechers: int | None
    score: float
    reasons: list[str]
    """What counted most, for and against."""
    state: State
    plays: Plays
    usable: bool
    """Whether it may be played at all; if not, the first reason says why."""
    certain: bool
    """Whether it is of this title for certain."""
    pack: bool
    """Whether there is more in it."""
    checked_at: Moment | None
    """When its seeders were counted."""


class ReportShape(Struct, frozen=True, kw_only=True):
    """How a directory does in the search that is under way, or did in the last one."""

    directory: str
    outcome: Outcome
    found: int
    reason: str


class TitleSourcesShape(Struct, frozen=True, kw_only=True):
    """Where a title can be had, the best first."""

    items: list[ListingShape]
    total: int
    searching: bool
    """Whether more may come; events of the library tell when."""
    checked_at: Moment | None
    """When the last search was over."""
    refused: dict[str, int] | UnsetType = UNSET
    """How many offers did not fit, by the reason; for administrators."""
    directories: list[ReportShape] | UnsetType = UNSET
    """How each did when it was last searched for; for administrators."""


def listing_shape(one: RankedListing, *, directories: DirectoryBook) -> ListingShape:
    """Return a listing as anybody may see it."""
    listing, release = one.listing, one.release
    by = listing.offer.directory
    return ListingShape(
        id=listing.id,
        source_id=listing.source_id,
        name=listing.offer.name,
        provider="Added here" if by == OWN else directories.titles().get(by, by),
        quality=release.quality,
        hdr=[*release.hdr],
        source_type=release.source_type,
        video_codec=release.video_codec,
        audio_codecs=[*release.audio_codecs],
        channels=release.channels,
        languages=[*release.languages],
        size=listing.size if one.part.file is None else one.part.file.size,
        seeders=listing.seeders,
        leechers=listing.leechers,
        score=one.score,
        reasons=[*one.reasons],
        state=one.state,
        plays=one.plays,
        usable=one.usable,
        certain=one.part.certain,
        pack=one.part.pack,
        checked_at=listing.counted_at,
    )


def title_sources_shape(
    found: TitleSources, *, directories: DirectoryBook, is_admin: bool
) -> TitleSourcesShape:
    """Return where a title can be had."""
    reports = [
        ReportShape(
            directory=report.directory,
            outcome=report.outcome,
            found=report.found,
            reason=report.reason,
        )
        for report in found.reports
    ]
    return TitleSourcesShape(
        items=[listing_shape(one, directories=directories) for one in found.listings],
        total=len(found.listings),
        searching=found.searching,
        checked_at=found.checked_at,
        refused=dict(found.refused) if is_admin else UNSET,
        directories=reports if is_admin else UNSET,
    )
