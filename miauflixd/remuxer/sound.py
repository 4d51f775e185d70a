"""Sound as AAC, such that what is made from here and what was made from elsewhere fit together."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
from av.audio import AudioFrame, AudioStream
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler

FRAME = 1024
"""Samples of a packet of AAC, and of what the encoder puts before the first (its priming)."""

RATE = 48_000
"""Samples per second; browsers resample to it anyway."""

_HOLE = RATE // 5
"""Samples that may be missing before they are made up for by silence."""

_RATES = {1: 96_000, 2: 160_000, 6: 384_000}
"""Bits per second by channels."""

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


class AacTrack:
    """Decodes the packets of one track and encodes them on a grid of whole AAC frames from 0.

    Since the grid is the same wherever one begins, segments of different errands join without a
    gap or an overlap.
    """

    def __init__(self, stream: AudioStream, *, channels: int, start: float) -> None:
        """Be ready to decode.

        Args:
            stream: what is decoded.
            channels: at most.
            start: seconds in the file's own count that are 0.
        """
        self._stream = stream
        self._start = start
        have = stream.codec_context.channels or 2
        self.channels = next(n for n in (6, 2, 1) if n <= max(1, min(channels, have)))
        self._layout = _LAYOUTS[self.channels]
        self._resampler = AudioResampler(format="fltp", layout=self._layout, rate=RATE)
        self._fifo = av.AudioFifo()
        self._next: int | None = None
        """Of the first sample in the fifo, by the grid."""
        self._encoder: AudioCodecContext | None = None

    def add_to(self, output: Any) -> AudioStream:
        """Return the stream of the output that takes the packets."""
        made: AudioStream = output.add_stream("aac", rate=RATE, layout=self._layout)
        made.bit_rate = _RATES[self.channels]
        made.time_base = Fraction(1, RATE)
        self._encoder = made.codec_context
        return made

    def packets(self, packet: Any, *, begin: float) -> Iterator[Any]:
        """Yield what a packet becomes; `begin` is the first second that is wanted."""
        try:
            decoded: Iterable[Any] = packet.decode()
        except av.InvalidDataError:
            return  # a damaged packet is a moment of silence
        for frame in decoded:
            for even in self._resampler.resample(frame):
                yield from self._take_in(even, begin)

    def finish(self, *, begin: float) -> Iterator[Any]:
        """Yield what is left."""
        for even in self._resampler.resample(None):
            yield from self._take_in(even, begin)
        if self._encoder is not None and self._next is not None:
            yield from self._encoder.encode(None)

    def _take_in(self, frame: AudioFrame, begin: float) -> Iterator[Any]:
        if frame.pts is None or frame.samples == 0:
            return
        at = round((frame.pts * float(frame.time_base or Fraction(1, RATE)) - self._start) * RATE)
        if self._next is None:
            # One frame more than is wanted: the encoder's first packet is only its priming.
            self._next = max(-FRAME, FRAME * (-(-round(begin * RATE) // FRAME) - 1))
            if at > self._next:
                self._silence(at - self._next)
        expected = self._next + self._fifo.samples
        if at + frame.samples <= expected - _HOLE:
            return  # of a moment that is over
        if at > expected + _HOLE:
            self._silence(at - expected)
        skip = expected - at if self._fifo.samples == 0 and at < expected else 0
        self._write(frame, skip)
        yield from self._encode()

    def _write(self, frame: AudioFrame, skip: int) -> None:
        frame.pts = None
        if skip <= 0:
            self._fifo.write(frame)
            return
        if skip >= frame.samples:
            return
        scratch = av.AudioFifo()
        scratch.write(frame)
        scratch.read(skip)
        rest = scratch.read(0, partial=True)
        if rest is not None:
            rest.pts = None
            self._fifo.write(rest)

    def _silence(self, samples: int) -> None:
        while samples > 0:
            some = min(samples, RATE)
            frame = AudioFrame(format="fltp", layout=self._layout, samples=some)
            frame.sample_rate = RATE
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.pts = None
            self._fifo.write(frame)
            samples -= some

    def _encode(self) -> Iterator[Any]:
        if self._encoder is None or self._next is None:
            return
        while self._fifo.samples >= FRAME:
            frame = self._fifo.read(FRAME)
            if frame is None:
                return
            frame.pts = self._next
            frame.time_base = Fraction(1, RATE)
            self._next += FRAME
            yield from self._encoder.encode(frame)
