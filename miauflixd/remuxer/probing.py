"""What a file holds, as FFmpeg's demuxers understand it."""

from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.stream import AttachmentStream, Disposition, Stream

from miauflixd.remuxer import codec_strings
from miauflixd.remuxer.languages import tag
from miauflixd.remuxer.media import (
    Attachment,
    AudioTrack,
    Chapter,
    HdrFormat,
    Media,
    SubtitleTrack,
    VideoTrack,
)

_TEXT = frozenset({"ass", "mov_text", "ssa", "subrip", "srt", "text", "webvtt"})
"""Codecs whose events are words."""

_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image

_TRANSFERS: dict[int, HdrFormat] = {16: "hdr10", 18: "hlg"}
"""ITU-T H.273, table 3: SMPTE ST 2084 and ARIB STD-B67."""

_PROGRESSIVE = (0, 1)
"""AVFieldOrder: unknown, progressive."""


def media_of(container: InputContainer) -> Media:
    """Return what a file that was just opened holds; seeks to the beginning."""
    video, audio, subtitles, attachments = [], [], [], []
    for stream in container.streams:
        if isinstance(stream, AttachmentStream):
            attachments.append(_attachment(stream))
        elif stream.type == "video" and not stream.disposition & _COVERS:
            video.append(_video(stream))
        elif stream.type == "audio":
            audio.append(_audio(stream))
        elif stream.type == "subtitle":
            subtitles.append(_subtitle(stream))
    return Media(
        container=container.format.name.partition(",")[0],
        duration=_duration(container),
        bit_rate=container.bit_rate or None,
        video=tuple(video),
        audio=tuple(audio),
        subtitles=tuple(subtitles),
        chapters=_chapters(container),
        attachments=tuple(attachments),
        keyframes=_keyframes(container, video[0].index if video else None),
    )


def start_of(container: InputContainer) -> float:
    """Return the seconds that are the beginning of the presentation in the file's own count."""
    start: int | None = container.start_time
    if start is None or abs(start) > _NO_TIME:
        return 0.0
    return start / av.time_base


_NO_TIME = 2**62
"""About where FFmpeg's word for no time is (AV_NOPTS_VALUE)."""

_TAIL = 15.0
"""Seconds, and a fifth of the film, that may lie behind the last keyframe of a whole index."""


class KeyClock:
    """Tells when keyframes are, such that the index and the packets agree.

    The index of an MP4 counts decoding times, which are as much before the showing as the encoder
    pleased; others count when pictures are shown.
    """

    def __init__(self, container: InputContainer, index: int) -> None:
        stream = container.streams[index]
        self._base = float(stream.time_base or Fraction(1, av.time_base))
        self._start = start_of(container) / self._base
        self.decoding = container.format.name.startswith("mov")
        if self.decoding and len(stream.index_entries):
            self._start = float(stream.index_entries[0].timestamp)

    def indexed(self, timestamp: int) -> float:
        """Return the seconds at which an entry of the index is."""
        return max(0.0, (timestamp - self._start) * self._base)

    def of(self, packet: Any) -> float | None:
        """Return the seconds at which a packet is, or `None` when it does not say."""
        timestamp = packet.dts if self.decoding else packet.pts
        return None if timestamp is None else (timestamp - self._start) * self._base

    def timestamp(self, seconds: float) -> int:
        """Return seconds in the stream's own count, to seek to."""
        return round(seconds / self._base + self._start)


def _duration(container: InputContainer) -> float | None:
    duration = container.duration
    return duration / av.time_base if duration is not None and duration > 0 else None


def _video(stream: Any) -> VideoTrack:
    context = stream.codec_context
    name: str = context.name
    depth = 8
    if context.format is not None and context.format.components:
        depth = context.format.components[0].bits
    rate: Fraction | None = stream.average_rate or stream.guessed_rate
    extradata = bytes(context.extradata or b"")
    hdr: HdrFormat | None = _TRANSFERS.get(context.color_trc)
    if str(context.codec_tag).lower() in ("dvh1", "dvhe", "dav1", "dva1", "dvav"):
        hdr = "dolby_vision"
    name = {"libdav1d": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8"}.get(name, name)
    return VideoTrack(
        index=stream.index,
        codec=name,
        profile=stream.profile,
        level=context.level if context.level > 0 else None,
        width=context.width,
        height=context.height,
        bit_depth=depth,
        frame_rate=float(rate) if rate else None,
        hdr=hdr,
        interlaced=int(context.field_order) not in _PROGRESSIVE,
        rotation=_rotation(stream),
        codec_string=codec_strings.video(
            name, extradata, profile=stream.profile, level=context.level, depth=depth
        ),
        language=_language(stream),
        default=bool(stream.disposition & Disposition.default),
    )


def _rotation(stream: Any) -> int:
    said = stream.metadata.get("rotate", "0")
    return int(said) % 360 if said.lstrip("-").isdigit() else 0


def _audio(stream: Any) -> AudioTrack:
    context = stream.codec_context
    name = {"dca": "dts", "mp3float": "mp3", "libopus": "opus", "ac3_fixed": "ac3"}.get(
        context.name, context.name
    )
    title = stream.metadata.get("title")
    return AudioTrack(
        index=stream.index,
        codec=name,
        profile=stream.profile,
        channels=context.channels,
        sample_rate=context.sample_rate,
        bit_rate=context.bit_rate or None,
        codec_string=codec_strings.audio(name, profile=stream.profile),
        language=_language(stream),
        title=title,
        default=bool(stream.disposition & Disposition.default),
        visual_impaired=bool(stream.disposition & Disposition.visual_impaired),
        commentary=bool(stream.disposition & Disposition.comment)
        or "comment" in (title or "").lower(),
    )


def _subtitle(stream: Any) -> SubtitleTrack:
    context = stream.codec_context
    name = context.name if context is not None else "unknown"
    name = {"srt": "subrip", "ssa": "ass", "pgssub": "hdmv_pgs_subtitle"}.get(name, name)
    title = stream.metadata.get("title")
    words = (title or "").lower()
    return SubtitleTrack(
        index=stream.index,
        codec=name,
        kind="text" if name in _TEXT else "image",
        language=_language(stream),
        title=title,
        default=bool(stream.disposition & Disposition.default),
        forced=bool(stream.disposition & Disposition.forced) or "forced" in words,
        hearing_impaired=bool(stream.disposition & Disposition.hearing_impaired)
        or "sdh" in words.split(),
        header=bytes(context.extradata or b"") if name == "ass" else b"",
    )


def _attachment(stream: AttachmentStream) -> Attachment:
    return Attachment(
        index=stream.index,
        name=stream.name or f"{stream.index}",
        media_type=stream.mimetype,
        size=len(stream.data),
    )


def _language(stream: Stream) -> str | None:
    return tag(stream.metadata.get("language"))


def _chapters(container: InputContainer) -> tuple[Chapter, ...]:
    start = start_of(container)
    return tuple(
        Chapter(
            start=max(0.0, float(one["start"] * one["time_base"]) - start),
            stop=max(0.0, float(one["end"] * one["time_base"]) - start),
            title=one["metadata"].get("title"),
        )
        for one in container.chapters()
        if one["time_base"] is not None
    )


def _keyframes(container: InputContainer, index: int | None) -> tuple[float, ...]:
    """Return when the keyframes of a track are shown, as far as the container has an index.

    Matroska's is read at the first seek only; that of an MP4 is there from the start. An index
    that does not reach the end is of what FFmpeg has passed by, and is none.
    """
    if index is None:
        return ()
    stream = container.streams[index]
    if stream.time_base is None:
        return ()
    try:
        container.seek(0)
    except av.FFmpegError:
        return ()
    clock = KeyClock(container, index)
    found = [clock.indexed(entry.timestamp) for entry in stream.index_entries if entry.is_keyframe]
    length = _duration(container) or 0.0
    last = found[-1] if found else 0.0
    if length - last > _TAIL + length / 5:
        return ()
    return tuple(sorted(set(found)))
