"""What a media file holds, as its container says. No I/O.

Codecs and containers go by FFmpeg's names (`h264`, `hevc`, `subrip`, `matroska`), whatever the
words are that files themselves use. Times are seconds from the beginning of the presentation.
"""

from typing import Literal

from msgspec import Struct

HdrFormat = Literal["hdr10", "hlg", "dolby_vision"]


class VideoTrack(Struct, frozen=True, kw_only=True):
    """Moving pictures. Covers and thumbnails are attachments."""

    index: int
    """Of the track among all tracks of the file, as FFmpeg counts them."""
    codec: str
    profile: str | None = None
    """As FFmpeg names it: `High`, `Main 10`."""
    level: int | None = None
    """As in the bit stream: 41 is H.264's 4.1, 120 is HEVC's 4.0."""
    width: int
    """Pixels, as coded."""
    height: int
    bit_depth: int = 8
    frame_rate: float | None = None
    """Pictures per second on average; `None` when nothing says so."""
    hdr: HdrFormat | None = None
    interlaced: bool = False
    rotation: int = 0
    """Degrees clockwise by which it is to be shown."""
    codec_string: str | None = None
    """For `MediaSource.isTypeSupported`, RFC 6381: `avc1.640028`; `None`: not known."""
    language: str | None = None
    default: bool = False


class AudioTrack(Struct, frozen=True, kw_only=True):
    """Sound."""

    index: int
    codec: str
    profile: str | None = None
    channels: int
    sample_rate: int
    """Samples per second."""
    bit_rate: int | None = None
    """Bits per second."""
    codec_string: str | None = None
    """RFC 6381: `mp4a.40.2`."""
    language: str | None = None
    """BCP 47; `None`: it does not say."""
    title: str | None = None
    """What whoever made the file calls it: `Commentary`."""
    default: bool = False
    visual_impaired: bool = False
    """Whether it describes the pictures."""
    commentary: bool = False


class SubtitleTrack(Struct, frozen=True, kw_only=True):
    """Subtitles within the file."""

    index: int
    codec: str
    kind: Literal["text", "image"]
    """An image can be shown only by a player that can draw it."""
    language: str | None = None
    title: str | None = None
    default: bool = False
    forced: bool = False
    hearing_impaired: bool = False
    header: bytes = b""
    """What stands before the events of an ASS track: styles."""


class Chapter(Struct, frozen=True, kw_only=True):
    """A part of the film with a name."""

    start: float
    stop: float
    title: str | None = None


class Attachment(Struct, frozen=True, kw_only=True):
    """A file within the file: a font, a cover."""

    index: int
    name: str
    media_type: str | None = None
    size: int
    """Bytes."""


class Media(Struct, frozen=True, kw_only=True):
    """All that is known of a file without playing it."""

    container: str
    """The first name of FFmpeg's demuxer: `matroska`, `mov`, `avi`, `mpegts`."""
    duration: float | None = None
    """Seconds; `None` when neither the file nor its bit rate says so."""
    bit_rate: int | None = None
    """Bits per second of the whole file."""
    video: tuple[VideoTrack, ...] = ()
    audio: tuple[AudioTrack, ...] = ()
    subtitles: tuple[SubtitleTrack, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    keyframes: tuple[float, ...] = ()
    """When the pictures are shown at which the first video track can be entered, in order; empty
    when the container has no index of them."""

    @property
    def picture(self) -> VideoTrack | None:
        """The video track that is shown."""
        return next((one for one in self.video if one.default), next(iter(self.video), None))


class SubtitlePacket(Struct, frozen=True, kw_only=True):
    """One event of a text track as the container holds it, not converted yet.

    The data is the text of a `subrip` or `webvtt` event, the fields behind `Dialogue:` of an `ass`
    one (`ReadOrder,Layer,Style,...`, as Matroska keeps them), or a `mov_text` sample (3GPP TS
    26.245: two bytes of length, text, boxes of style).
    """

    start: float
    duration: float | None
    """Seconds; `None`: until the next one."""
    data: bytes
