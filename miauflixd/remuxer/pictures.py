"""Pictures on their way from one container to the other: copied, or encoded anew."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Protocol

import av
from av.video import VideoStream
from av.video.frame import PictureType, VideoFrame

from miauflixd.remuxer.messages import Video

TICKS = 90_000
"""Per second, of the output's video: those of MPEG, in which every usual frame rate is whole."""

_BIT_RATES = {1080: 6_000_000, 720: 3_000_000, 480: 1_400_000}
"""Bits per second of H.264 for so many lines."""

_NEARLY = 0.001
"""Seconds by which a picture may be before its cut: containers round."""


class Pictures(Protocol):
    """What stands between the demuxer's packets of video and the muxer."""

    def add_to(self, output: Any) -> VideoStream:
        """Return the stream of the output that takes the packets."""
        ...

    def packets(self, packet: Any) -> Iterator[Any]:
        """Yield what a packet becomes."""
        ...

    def finish(self) -> Iterator[Any]:
        """Yield what is left."""
        ...


class Copy:
    """Hands packets on as they are."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream

    def add_to(self, output: Any) -> VideoStream:
        """See `Pictures`."""
        made: VideoStream = output.add_stream_from_template(self._stream, opaque=True)
        if self._stream.codec_context.name == "hevc":
            made.codec_context.codec_tag = "hvc1"  # the only name Apple's players know it by
        made.time_base = Fraction(1, TICKS)
        return made

    def packets(self, packet: Any) -> Iterator[Any]:
        """See `Pictures`."""
        yield packet

    def finish(self) -> Iterator[Any]:
        """See `Pictures`."""
        return iter(())


class Encode:
    """Decodes pictures and encodes them as H.264, with a keyframe at each cut."""

    def __init__(
        self, stream: VideoStream, how: Video, *, cuts: Sequence[float], start: float
    ) -> None:
        """Be ready to encode.

        Args:
            stream: what is decoded.
            how: by which encoder, and how high.
            cuts: seconds at which segments begin, from the first that is made.
            start: seconds in the file's own count that are 0.
        """
        self._stream = stream
        self._how = how
        self._first = cuts[0]
        self._cuts = list(cuts)
        self._start = start
        self._encoder: Any = None
        context = stream.codec_context
        context.thread_type = "AUTO"
        height = min(how.height, context.height)
        self._height = max(2, height - height % 2)
        width = round(context.width * self._height / context.height)
        self._width = max(2, width - width % 2)

    def add_to(self, output: Any) -> VideoStream:
        """See `Pictures`."""
        rate = self._stream.average_rate or Fraction(25)
        self._encoder = encoded_stream(
            output, self._how.encoder, rate=rate, width=self._width, height=self._height
        )
        made: VideoStream = self._encoder
        return made

    def packets(self, packet: Any) -> Iterator[Any]:
        """See `Pictures`."""
        try:
            frames: Sequence[VideoFrame] = packet.decode()
        except av.InvalidDataError:
            return  # a damaged picture is left out
        for frame in frames:
            yield from self._encoded(frame)

    def finish(self) -> Iterator[Any]:
        """See `Pictures`."""
        for frame in self._stream.decode(None):
            yield from self._encoded(frame)
        yield from self._encoder.encode(None)

    def _encoded(self, frame: VideoFrame) -> Iterator[Any]:
        if frame.pts is None:
            return
        at = float(frame.pts * (frame.time_base or Fraction(1, TICKS))) - self._start
        if at < self._first - _NEARLY:
            return  # decoded only to get here
        even = frame.reformat(width=self._width, height=self._height, format="yuv420p")
        even.pict_type = PictureType.NONE
        if self._cuts and at >= self._cuts[0] - _NEARLY:
            even.pict_type = PictureType.I
            self._cuts = [cut for cut in self._cuts if cut > at + _NEARLY]
        even.pts = round((at + self._start) * TICKS)
        even.time_base = Fraction(1, TICKS)
        yield from self._encoder.encode(even)


def encoded_stream(
    output: Any, encoder: str, *, rate: Fraction, width: int, height: int
) -> VideoStream:
    """Return a stream of an output whose pictures are encoded as H.264.

    Args:
        output: an `av` container.
        encoder: FFmpeg's name of it.
        rate: pictures per second.
        width: pixels, even.
        height: lines, even.
    """
    options = {"preset": "veryfast", "forced-idr": "1", "sc_threshold": "0"}
    made: VideoStream = output.add_stream(
        encoder, rate=rate, options=options if encoder == "libx264" else {}
    )
    made.width, made.height, made.pix_fmt = width, height, "yuv420p"
    made.bit_rate = next(rate for lines, rate in _BIT_RATES.items() if lines <= max(height, 480))
    made.codec_context.time_base = Fraction(1, TICKS)
    made.time_base = Fraction(1, TICKS)
    return made
