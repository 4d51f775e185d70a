"""One film cut into segments of fragmented MP4, from any of them on.

What is made of a segment does not depend on where the errand began: times are absolute, segments
begin at the cuts that the house has chosen, and the initialisation segment is the same each time.
FFmpeg's muxer is told so by `frag_discont` (times go on from what came before, which may have been
made by others) and `use_editlist=0` (its start is no part of the initialisation).
"""

import io
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer

from miauflixd.remuxer.decoding_times import DecodingTimes, Timed
from miauflixd.remuxer.fragments import Boxes, decode_times
from miauflixd.remuxer.media import SubtitlePacket
from miauflixd.remuxer.messages import Make
from miauflixd.remuxer.pictures import TICKS, Copy, Encode, Pictures
from miauflixd.remuxer.probing import KeyClock, start_of
from miauflixd.remuxer.sound import FRAME, RATE, AacTrack

_NEARLY = 0.02
"""Seconds by which a keyframe may be before its cut: containers round."""

_EARLIER = 0.25
"""Seconds before its cut at which the sound of the first segment begins.

The muxer lays sound beside pictures by when they are decoded, which is a few pictures before they
are shown; so the segment before ends there. Too much does no harm: it is the same sound.
"""

_BACK = 4.0
"""Seconds before a cut at which a keyframe is looked for where there is no index of them."""

_FLAGS = "frag_keyframe+delay_moov+default_base_moof+frag_discont+skip_sidx+skip_trailer"


class NothingToShowError(Exception):
    """The file has no picture where one was asked for."""


@dataclass(slots=True)
class Segment:
    """What was made."""

    number: int
    data: bytearray = field(default_factory=bytearray)


class _Sink(io.RawIOBase):
    """Where the muxer writes to."""

    def __init__(self, boxes: Boxes) -> None:
        super().__init__()
        self._boxes = boxes

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        taken = bytes(data)
        self._boxes.take_in(taken)
        return len(taken)


class Segments:
    """Makes the segments of a film, one after the other."""

    def __init__(self, container: InputContainer, wanted: Make) -> None:
        """Be ready to begin.

        Args:
            container: the film.
            wanted: what of it, and how.
        """
        self._container = container
        self._wanted = wanted
        self._cuts = wanted.cuts
        self._start = start_of(container)
        self._video: Any = container.streams[wanted.video]
        self._audio: Any = None if wanted.audio is None else container.streams[wanted.audio]
        self._clock = KeyClock(container, wanted.video)
        self._boxes = Boxes()
        self._keys: list[tuple[int, int]] = []
        """Decoding time of each keyframe that went to the muxer, and its segment."""
        self._number = wanted.first
        self._texts: dict[int, list[SubtitlePacket]] = {}
        self.init = b""
        """The initialisation segment, from the first segment on."""
        self._begun = False
        self._first_shown = 0
        self._sound: AacTrack | None = None
        self._pictures: Pictures = self._how_pictures()
        self._output: Any = None
        self._video_out: Any = None
        self._audio_out: Any = None
        rate = self._video.average_rate or Fraction(25)
        self._times: DecodingTimes[Any] = DecodingTimes(step=int(TICKS / rate))
        self._current: Segment | None = None
        self._made = wanted.first - 1
        self._missed = range(0)
        self._fragment_at = 0
        self._sound_last = -1
        self._without_headers: BitStreamFilterContext | None = None

    def __iter__(self) -> Iterator[Segment]:
        """Yield each segment as soon as it is whole.

        Raises:
            NothingToShowError: there is not one picture.
            av.FFmpegError: the file is broken.
        """
        self._output = av.open(
            _Sink(self._boxes),
            "w",
            format="mp4",
            options={
                "movflags": _FLAGS,
                "use_editlist": "0",
                "avoid_negative_ts": "disabled",
                "strict": "experimental",
            },
        )
        self._video_out = self._pictures.add_to(self._output)
        self._add_sound()
        begin = self._cuts[self._wanted.first]
        if self._wanted.first > 0:
            # Without an index one lands anywhere, and the keyframe before may be farther back.
            indexed = self._container.format.name.startswith(("matroska", "mov"))
            sure = self._wanted.exact and (indexed or self._wanted.encoding is None)
            target = self._clock.timestamp(begin if sure else begin - _BACK)
            self._container.seek(max(0, target), stream=self._video, backward=True)
        else:
            self._container.seek(min(0, self._clock.timestamp(0)), stream=self._video)
        sound_from = begin - _EARLIER if self._wanted.first else 0.0
        for packet in self._container.demux(*self._tracks()):
            if packet.stream_index == self._video.index:
                self._show(packet)
            elif self._audio is not None and packet.stream_index == self._audio.index:
                self._hear(packet, sound_from)
            else:
                self._read(packet)
            yield from self._whole()
        yield from self._rest(sound_from)

    def taken_texts(self) -> dict[int, list[SubtitlePacket]]:
        """Return the text packets that were passed since the last time."""
        texts, self._texts = self._texts, {}
        return texts

    # --- tracks -----------------------------------------------------------------------------------

    def _how_pictures(self) -> Pictures:
        if self._wanted.encoding is None:
            return Copy(self._video)
        return Encode(
            self._video,
            self._wanted.encoding,
            cuts=self._cuts[self._wanted.first : -1],
            start=self._start,
        )

    def _add_sound(self) -> None:
        if self._audio is None:
            return
        if self._wanted.audio_codec == "aac":
            self._sound = AacTrack(
                self._audio, channels=self._wanted.audio_channels, start=self._start
            )
            self._audio_out = self._sound.add_to(self._output)
        else:
            self._audio_out = self._output.add_stream_from_template(self._audio, opaque=True)
            context = self._audio.codec_context
            if context.name == "aac" and not context.extradata:
                # Out of a transport stream each packet has a header of its own (ADTS).
                self._without_headers = BitStreamFilterContext("aac_adtstoasc", self._audio)

    def _tracks(self) -> list[Any]:
        tracks = [self._video, *([] if self._audio is None else [self._audio])]
        return tracks + [self._container.streams[index] for index in self._wanted.texts]

    def _read(self, packet: Any) -> None:
        if packet.pts is None or packet.size == 0:
            return
        told = text_packet(packet, start=self._start)
        self._texts.setdefault(packet.stream_index, []).append(told)

    # --- pictures ---------------------------------------------------------------------------------

    def _show(self, packet: Any) -> None:
        if packet.size == 0:
            return  # the demuxer's way to say that it is at the end
        if self._wanted.encoding is not None:
            for made in self._pictures.packets(packet):
                self._time(made)
            return
        if not self._begun:
            at = self._clock.of(packet)
            early = (
                self._wanted.exact
                and self._wanted.first > 0
                and at is not None
                and at < self._cuts[self._wanted.first] - _NEARLY
            )
            if not packet.is_keyframe or early:
                return
            self._begun = True
            self._first_shown = packet.pts if packet.pts is not None else -(2**62)
        elif packet.pts is not None and packet.pts < self._first_shown:
            return  # it leans on pictures before the first one
        self._time(packet)

    def _time(self, packet: Any) -> None:
        base = packet.time_base * TICKS
        start = round(self._start * TICKS)
        pts = None if packet.pts is None else round(packet.pts * base) - start
        dts = None if packet.dts is None else round(packet.dts * base) - start
        for timed in self._times.add(packet, pts=pts, dts=dts):
            self._mux(timed)

    def _mux(self, timed: Timed[Any]) -> None:
        packet = timed.packet
        if packet.is_keyframe:
            self._keys.append((timed.dts, self._segment_of(packet, timed)))
        packet.time_base = Fraction(1, TICKS)
        packet.pts, packet.dts = timed.pts, timed.dts
        packet.stream = self._video_out
        self._output.mux_one(packet)

    def _segment_of(self, packet: Any, timed: Timed[Any]) -> int:
        """Return the segment that a keyframe begins or is in."""
        at = timed.pts / TICKS
        if self._wanted.encoding is None:
            clocked = self._clock.of(packet)
            at = at if clocked is None else clocked
        number = bisect_right(self._cuts, at + _NEARLY, hi=len(self._cuts) - 1) - 1
        self._number = max(self._number, number)
        return self._number

    # --- sound ------------------------------------------------------------------------------------

    def _hear(self, packet: Any, begin: float) -> None:
        if self._sound is not None:
            for made in self._sound.packets(packet, begin=begin):
                self._mux_sound(made, begin)
        elif packet.size and packet.pts is not None:
            base = packet.time_base
            packet.pts -= round(self._start / base)
            packet.dts = packet.pts
            if packet.pts >= 0 and packet.pts * base >= begin and packet.pts > self._sound_last:
                self._sound_last = packet.pts
                for bare in (
                    [packet]
                    if self._without_headers is None
                    else self._without_headers.filter(packet)
                ):
                    bare.stream = self._audio_out
                    self._output.mux_one(bare)

    def _mux_sound(self, packet: Any, begin: float) -> None:
        wanted = FRAME * -(-round(begin * RATE) // FRAME)
        if packet.pts is None or packet.pts < max(0, wanted):
            return
        packet.dts = packet.pts
        packet.stream = self._audio_out
        self._output.mux_one(packet)

    # --- segments ---------------------------------------------------------------------------------

    def _whole(self) -> Iterator[Segment]:
        for kind, box in self._boxes:
            if kind in (b"ftyp", b"moov"):
                self.init += box
                continue
            if kind == b"moof":
                yield from self._before(box)
            if self._current is None:
                self._current = Segment(self._wanted.first)
            self._current.data += box
            if kind == b"mdat" and self._is_last_of_its_segment():
                yield from self._over()

    def _before(self, moof: bytes) -> Iterator[Segment]:
        """Yield the segment that a fragment shows to be over."""
        at = decode_times(moof).get(1)
        if at is None:
            return
        self._fragment_at = at
        number = self._segment_at(at)
        if self._current is not None and number > self._current.number:
            yield from self._over()
        if self._current is None:
            # Where keyframes are rarer than was hoped, a segment has none of its own: whoever asks
            # for it gets the next one's pictures before their time.
            self._missed = range(self._made + 1, number)
            self._current = Segment(number)

    def _over(self) -> Iterator[Segment]:
        """Yield the segment that is whole, and those that it stands in for."""
        whole, self._current = self._current, None
        if whole is None:
            return
        for missed in self._missed:
            yield Segment(missed, whole.data)
        self._missed = range(0)
        self._made = whole.number
        yield whole

    def _segment_at(self, dts: int) -> int:
        place = bisect_right(self._keys, (dts, len(self._cuts))) - 1
        return self._keys[place][1] if place >= 0 else self._wanted.first

    def _is_last_of_its_segment(self) -> bool:
        """Whether the keyframe behind the fragment that was just written begins another segment."""
        place = bisect_right(self._keys, (self._fragment_at, len(self._cuts)))
        return (
            self._current is not None
            and place < len(self._keys)
            and self._keys[place][1] > self._current.number
        )

    def _rest(self, sound_from: float) -> Iterator[Segment]:
        if self._wanted.encoding is not None:
            for made in self._pictures.finish():
                self._time(made)
        for timed in self._times.finish():
            self._mux(timed)
        if self._sound is not None:
            for made in self._sound.finish(begin=sound_from):
                self._mux_sound(made, sound_from)
        if not self._keys:
            raise NothingToShowError
        self._output.close()
        yield from self._whole()
        yield from self._over()


def text_packet(packet: Any, *, start: float) -> SubtitlePacket:
    """Return a packet of a text track as it is told."""
    base = float(packet.time_base)
    duration = packet.duration * base if packet.duration else None
    return SubtitlePacket(
        start=max(0.0, packet.pts * base - start), duration=duration, data=bytes(packet)
    )
