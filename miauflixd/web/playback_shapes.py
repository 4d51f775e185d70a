"""Playing, in JSON."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from msgspec import Meta, Struct

from miauflixd.sources.ranking import BROWSER, Client, Plays
from miauflixd.sources.release_model import AudioCodec, VideoCodec

_Word = Annotated[str, Meta(max_length=32)]
_Words = Annotated[list[_Word], Meta(max_length=64)]

E = TypeVar("E", AudioCodec, VideoCodec)


class ClientReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client plays; what is left out is as browsers do."""

    containers: _Words | None = None
    """`mp4`, `mkv`, `webm`."""
    video: _Words | None = None
    """`h264`, `h265`, `av1`, `vp9`; words that are not known here say nothing."""
    audio: _Words | None = None
    """`aac`, `opus`, `ac3`, `eac3`."""
    hls: bool = True
    hdr: bool = False
    max_height: Annotated[int, Meta(ge=144, le=8640)] | None = None
    """Lines of its screen."""


class NewPlayback(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to watch: a title, or just this source."""

    title_id: Annotated[str, Meta(max_length=32)] | None = None
    """A movie or an episode."""
    source_id: Annotated[str, Meta(max_length=64)] | None = None
    quality: (
        Literal["auto", "4320p", "2160p", "1440p", "1080p", "720p", "576p", "480p", "360p"] | None
    ) = None
    """By default as in one's profile."""
    file_index: Annotated[int, Meta(ge=0, le=999_999_999)] | None = None
    """By default the title's file; of a source the main file, whichever it turns out to be."""
    client: ClientReport | None = None


class PlayedSource(Struct, frozen=True, kw_only=True):
    """What is read."""

    id: str
    file_index: int | None
    """`null`: the main file."""
    listing_id: str | None = None
    """As in the sources of the title, to be marked broken by; `null`: a source was asked for."""
    quality: str | None = None
    plays: Plays | None = None
    """How this client can probably play it."""


class PlaybackShape(Struct, frozen=True, kw_only=True):
    """Where to get it."""

    id: str
    title_id: str | None
    source: PlayedSource
    reasons: list[str]
    """Why this source, and what was wrong with those that were tried before."""
    stream_url: str
    resume_at: float
    """Seconds from the beginning."""
    expires_at: datetime
    """Six hours from now; being used puts it off."""


def client_of(report: ClientReport | None) -> Client:
    """Return what a client says of itself, and as browsers are where it says nothing."""
    if report is None:
        return BROWSER
    return Client(
        containers=(
            BROWSER.containers
            if report.containers is None
            else frozenset(word.lower() for word in report.containers)
        ),
        video=BROWSER.video if report.video is None else _known(VideoCodec, report.video),
        audio=BROWSER.audio if report.audio is None else _known(AudioCodec, report.audio),
        hdr=report.hdr,
        remux=report.hls,
    )


def _known(kind: type[E], said: Iterable[str]) -> frozenset[E]:
    words = {word.lower() for word in said}
    return frozenset(one for one in kind if one.value in words)
