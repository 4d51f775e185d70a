"""What a worker does with its file, one errand after the other."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.stream import AttachmentStream

from miauflixd.remuxer import trial
from miauflixd.remuxer.conversation import Conversation, HouseGoneError, StoppedError
from miauflixd.remuxer.media import SubtitlePacket
from miauflixd.remuxer.messages import (
    Attach,
    Attached,
    Failed,
    Finished,
    Made,
    Make,
    Open,
    Probe,
    Probed,
    Question,
    Read,
    Texts,
    Tried,
    Try,
)
from miauflixd.remuxer.probing import media_of, start_of
from miauflixd.remuxer.segmenting import NothingToShowError, Segments, text_packet
from miauflixd.remuxer.source_file import SourceFile

_TELL_EVERY = 10.0
"""Seconds of a film between two tellings of its texts."""

_OPTIONS = {
    # Enough to find out the codecs of films; a stranger's file could have everything read.
    "probesize": str(5 * 2**20),
    "analyzeduration": str(5 * 10**6),
}


class Errands:
    """Has a file open, and does what the house wants of it."""

    def __init__(self, house: Conversation) -> None:
        self._house = house
        self._size = 0
        self._file: SourceFile | None = None
        self._container: InputContainer | None = None

    def run(self) -> None:
        """Do errands until the house is gone."""
        try:
            while True:
                self._do(self._house.hear())
        except HouseGoneError:
            return

    def _do(self, question: Question) -> None:
        match question:
            case Open():
                self._size = question.size
            case Probe():
                self._try(self._probe)
            case Make():
                self._try(lambda: self._make(question))
            case Read():
                self._try(lambda: self._read(question))
            case Try(encoder=encoder):
                self._house.say(Tried(pace=trial.pace(encoder)))
            case Attach():
                self._try(lambda: self._attach(question))
            case _:
                pass  # the answer to a question that is over

    def _try(self, errand: Callable[[], None]) -> None:
        try:
            errand()
        except StoppedError:
            self._house.say(Finished())
        except (av.FFmpegError, NothingToShowError, ValueError, IndexError, EOFError) as error:
            given_up = self._file.given_up if self._file is not None else None
            if isinstance(given_up, HouseGoneError):
                raise given_up from error
            if isinstance(given_up, StoppedError):
                self._house.say(Finished())
            else:
                self._house.say(Failed(reason=_reason(error)))
        if self._file is not None and self._file.given_up is not None:
            self._close()

    def _opened(self) -> InputContainer:
        """Return the film; what has failed to read once is opened anew."""
        if self._container is None:
            self._file = SourceFile(self._house, self._size)
            self._container = av.open(
                self._file, "r", options=_OPTIONS, metadata_errors="replace", buffer_size=2**17
            )
        return self._container

    def _close(self) -> None:
        container, self._container, self._file = self._container, None, None
        if container is not None:
            container.close()

    def _probe(self) -> None:
        self._house.say(Probed(media=media_of(self._opened())))

    def _make(self, wanted: Make) -> None:
        segments = Segments(self._opened(), wanted)
        for segment in segments:
            end = wanted.cuts[min(segment.number + 1, len(wanted.cuts) - 1)]
            self._house.ask(
                Made(
                    number=segment.number,
                    init=segments.init,
                    data=bytes(segment.data),
                    texts=segments.taken_texts(),
                    passed=end,
                )
            )
        self._house.say(Finished())

    def _read(self, wanted: Read) -> None:
        container = self._opened()
        start = start_of(container)
        tracks = [container.streams[index] for index in wanted.texts]
        pictures: Any = next(iter(container.streams.video), None)
        guide = tracks[0] if pictures is None else pictures
        base = guide.time_base or Fraction(1, av.time_base)
        container.seek(max(0, round((wanted.start + start) / base)), stream=guide)
        texts: dict[int, list[SubtitlePacket]] = {}
        told = wanted.start
        # The pictures are passed by as well: they tell where one is when nobody says anything.
        for packet in container.demux(guide, *(one for one in tracks if one is not guide)):
            if packet.dts is None or packet.time_base is None:
                continue
            at = float(packet.dts * packet.time_base) - start
            if packet.stream_index in wanted.texts and packet.pts is not None and packet.size:
                found = text_packet(packet, start=start)
                texts.setdefault(packet.stream_index, []).append(found)
            if at >= wanted.stop:
                break
            if at >= told + _TELL_EVERY:
                self._house.ask(Texts(texts=texts, passed=at))
                texts, told = {}, at
        self._house.ask(Texts(texts=texts, passed=wanted.stop))
        self._house.say(Finished())

    def _attach(self, wanted: Attach) -> None:
        stream = self._opened().streams[wanted.index]
        if not isinstance(stream, AttachmentStream):
            raise IndexError(wanted.index)
        self._house.say(Attached(data=bytes(stream.data)))


def _reason(error: Exception) -> str:
    """Return what went wrong, without anything that could be of the file's making."""
    return getattr(error, "strerror", None) or type(error).__name__
