"""Playing, in JSON."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from msgspec import Meta, Struct

from miauflixd.playback.client import ANYTHING, Capabilities
from miauflixd.playback.model import Method, Reason
from miauflixd.playback.service import Playback
from miauflixd.sources.ranking import BROWSER, Client, Plays
from miauflixd.sources.release_model import AudioCodec, VideoCodec
from miauflixd.web.ports import Torrents

_Word = Annotated[str, Meta(max_length=32)]
_Words = Annotated[list[_Word], Meta(max_length=64)]

E = TypeVar("E", AudioCodec, VideoCodec)


class ClientReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client plays; what is left out is as browsers do."""

    containers: _Words | None = None
    """`mp4`, `mkv`, `webm`, `mpegts`."""
    video: _Words | None = None
    """`h264`, `h264-10bit`, `hevc`, `hevc-10bit`, `av1`, `vp9`; others say nothing."""
    audio: _Words | None = None
    """`aac`, `opus`, `flac`, `mp3`, `ac3`, `eac3`, `dts`; `mkv/flac`: also out of that."""
    hls: bool = True
    hdr: bool = False
    channels: Annotated[int, Meta(ge=1, le=8)] = 2
    """Of its loudspeakers."""
    player: bool = False
    """Whether it is a player of its own, such as VLC, that plays whatever there is."""
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
    audio_index: Annotated[int, Meta(ge=0, le=9999)] | None = None
    """The track to hear; by default the one in one's language."""
    failed: Annotated[list[Method], Meta(max_length=4)] = []
    """What the client has tried with this already, in vain."""


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


class AudioShape(Struct, frozen=True, kw_only=True):
    """Sound of a film."""

    index: int
    language: str | None
    """BCP 47."""
    title: str | None
    codec: str
    channels: int
    default: bool


class SubtitleShape(Struct, frozen=True, kw_only=True):
    """Subtitles of a film."""

    index: int
    language: str | None
    label: str
    forced: bool
    default: bool
    """Whether to show them at first, as one likes it."""
    url: str | None
    """WebVTT; `null`: they are images, which only players of their own show."""


class ChapterShape(Struct, frozen=True, kw_only=True):
    """A part of the film."""

    start: float
    stop: float
    title: str | None


class NextShape(Struct, frozen=True, kw_only=True):
    """What comes next of the show."""

    title_id: str


class AttachmentShape(Struct, frozen=True, kw_only=True):
    """A file within the film, such as a font for its subtitles."""

    index: int
    name: str
    media_type: str | None
    size: int
    url: str


class PlaybackShape(Struct, frozen=True, kw_only=True):
    """Where to get it."""

    id: str
    title_id: str | None
    source: PlayedSource
    reasons: list[str]
    """Why this source, and what was wrong with those that were tried before."""
    method: Method
    """`direct`: play `stream_url` as it is; `remux`, `transcode`: `hls_url`; `external`: this
    client cannot show it, but a player such as VLC can, from `stream_url`."""
    obstacles: list[Reason]
    """Why it cannot be played as it is; none with `direct`."""
    stream_url: str
    hls_url: str | None
    playlist_url: str
    """For players of their own: M3U, with where to begin."""
    links: dict[str, str]
    """Addresses that open a player of this device: `vlc`, `vlc-android`, `infuse`, `iina`, `mpv`,
    `outplayer`."""
    duration: float | None
    """Seconds."""
    audio: list[AudioShape]
    audio_index: int | None
    """The track that is heard."""
    subtitles: list[SubtitleShape]
    chapters: list[ChapterShape]
    attachments: list[AttachmentShape]
    """Fonts that the film brings, for clients that draw ASS."""
    next: NextShape | None
    resume_at: float
    """Seconds from the beginning."""
    expires_at: datetime
    """Six hours from now; being used puts it off."""


class EndedShape(Struct, frozen=True, kw_only=True):
    """A playback that is over."""

    id: str
    ended: bool = True


class BufferedShape(Struct, frozen=True, kw_only=True):
    """A part of the film that is here."""

    start: float
    """Of its bytes, from 0 to 1."""
    stop: float


class PlayingShape(Struct, frozen=True, kw_only=True):
    """How it goes with what is played."""

    id: str
    user_id: str
    title_id: str | None
    source: PlayedSource
    name: str | None
    method: Method
    obstacles: list[Reason]
    reasons: list[str]
    began_at: datetime
    position: float
    """Seconds, as last reported."""
    duration: float | None
    state: str
    """What its source does."""
    since: datetime
    reason: str
    next: str
    buffered: list[BufferedShape]
    peers: int
    download_rate: int
    """Bytes per second."""
    stalls: int
    """How often somebody had to wait."""
    stalled: float
    """Seconds in all."""
    swaps: int
    """How often another source was taken. When it grows, `stream_url` and `hls_url` are others."""
    stream_url: str | None = None
    """Of one's own playback."""
    hls_url: str | None = None


class PlaybacksShape(Struct, frozen=True, kw_only=True):
    """What is played."""

    items: list[PlayingShape]


def capabilities_of(report: ClientReport | None) -> Capabilities:
    """Return what a client says of itself, for the decision how it gets a file."""
    if report is None:
        return Capabilities()
    if report.player:
        return ANYTHING
    return Capabilities.reported(
        containers=report.containers,
        video=report.video,
        audio=report.audio,
        hls=report.hls,
        hdr=report.hdr,
        channels=report.channels,
    )


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


def playing_shape(torrents: Torrents, playback: Playback) -> PlayingShape:
    """Return how it goes with what is played.

    Raises:
        NoSourceError: its source was removed.
    """
    source = torrents.source(playback.source_id)
    layout = source.layout
    size = 0 if layout is None else layout.file(playback.file_index).size
    media, condition = playback.media, source.condition
    return PlayingShape(
        id=playback.id,
        user_id=playback.user_id,
        title_id=None if playback.title_id is None else str(playback.title_id),
        source=played_shape(playback),
        name=source.name,
        method=playback.decision.method,
        obstacles=list(playback.decision.reasons),
        reasons=list(playback.why),
        began_at=playback.began_at,
        position=playback.position,
        duration=None if media is None else media.duration,
        state=condition.activity.value,
        since=condition.since,
        reason=condition.reason,
        next=condition.next,
        buffered=[
            BufferedShape(start=start / size, stop=stop / size)
            for start, stop in source.available.get(playback.file_index, ())
            if size
        ],
        peers=source.peers,
        download_rate=source.download_rate,
        stalls=playback.stalls,
        stalled=round(playback.stalled, 1),
        swaps=playback.swaps,
    )


def played_shape(playback: Playback) -> PlayedSource:
    """Return what is read."""
    ready = playback.ready
    quality = None if ready is None else ready.release.quality
    return PlayedSource(
        id=playback.source_id,
        file_index=playback.file_index,
        listing_id=playback.listing_id,
        quality=None if quality is None else quality.value,
        plays=playback.decision.method,
    )
