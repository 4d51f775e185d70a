"""What playing is made of. No I/O."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NewType

PlaybackId = NewType("PlaybackId", str)
"""Sixteen hexadecimal digits."""

Method = Literal["direct", "remux", "transcode", "external"]
"""How a client gets a file: as it is; its tracks in fMP4, sound perhaps as AAC; with its pictures
encoded anew; or not at all, only by a player of its own."""


class Reason(StrEnum):
    """Why a file cannot be handed out as it is."""

    CONTAINER_NOT_SUPPORTED = "container_not_supported"
    VIDEO_CODEC_NOT_SUPPORTED = "video_codec_not_supported"
    VIDEO_BIT_DEPTH_NOT_SUPPORTED = "video_bit_depth_not_supported"
    VIDEO_RANGE_NOT_SUPPORTED = "video_range_not_supported"
    VIDEO_RESOLUTION_NOT_SUPPORTED = "video_resolution_not_supported"
    AUDIO_CODEC_NOT_SUPPORTED = "audio_codec_not_supported"
    AUDIO_TRACK_CHOSEN = "audio_track_chosen"
    """A browser plays the first track of a file, whichever was wanted."""
    DIRECT_PLAY_FAILED = "direct_play_failed"
    """The client tried it."""
    NOT_A_MEDIA_FILE = "not_a_media_file"
    """Nothing could be found out about it."""
    NO_PICTURES = "no_pictures"
    ENCODING_NOT_ALLOWED = "encoding_not_allowed"
    NO_ENCODER = "no_encoder"
    """This machine has none that works as fast as it is watched."""
    HLS_NOT_SUPPORTED = "hls_not_supported"
    LENGTH_NOT_KNOWN = "length_not_known"
    """Neither the file nor its bit rate says how long it is, so it cannot be cut into segments."""
    NOT_LOOKED_INTO = "not_looked_into"
    """What it holds could not be found out yet; it may turn out not to play."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """How pictures are encoded anew, to H.264."""

    encoder: str
    """FFmpeg's name of one that has proved itself on this machine: `h264_vaapi`."""
    height: Literal[1080, 720, 480]
    """Lines at most; what has fewer keeps them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What is made of a file for HLS. Equal recipes of one file make the same segments."""

    video: int
    """The index of the track."""
    audio: int | None
    """Likewise; `None`: the file has no sound."""
    audio_codec: Literal["copy", "aac"] = "copy"
    audio_channels: int = 2
    """At most, of AAC."""
    encoding: Encoding | None = None
    """`None`: the pictures are copied."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """How a client is to get a file, and why not more simply."""

    method: Method
    reasons: tuple[Reason, ...] = ()
    """Empty: nothing stands against handing it out as it is."""
    recipe: Recipe | None = None
    """Of `remux` and `transcode`."""
    audio: int | None = None
    """The index of the track that is heard."""
