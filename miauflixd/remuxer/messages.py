"""What the house and a worker say to each other.

The worker is given one file and one errand at a time. Until the errand is over, only the worker
begins: each of its questions (`Want`, `Made`, `Texts`) gets exactly one answer, so neither side
needs to listen while it works, and an errand that nobody wants any more ends at its next question.
"""

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from miauflixd.remuxer.media import Media, SubtitlePacket


class Open(Struct, frozen=True, kw_only=True, tag="open"):
    """First of all: the file."""

    size: int
    """Bytes, also of those that are not here yet."""


class Probe(Struct, frozen=True, kw_only=True, tag="probe"):
    """Say what the file holds: `Probed` or `Failed`."""


class Video(Struct, frozen=True, kw_only=True, tag="video"):
    """How pictures are encoded anew."""

    encoder: str
    """FFmpeg's name; one that this process has itself."""
    height: int
    """Lines at most."""


class Make(Struct, frozen=True, kw_only=True, tag="make"):
    """Make segments from one on, until told to stop: `Made` each, and `Finished` or `Failed`."""

    video: int
    """The index of the track."""
    audio: int | None
    audio_codec: Literal["copy", "aac"]
    audio_channels: int
    """At most, of AAC."""
    encoding: Video | None = None
    cuts: tuple[float, ...]
    """Seconds at which the segments begin, the first at 0 or before, and the last one's end."""
    exact: bool
    """Whether cuts are keyframes of the container's index; if not, segments begin at the first
    keyframe behind their cut, but the first that is made at one before it if there is one."""
    first: int
    """The number of the segment to begin with."""
    texts: tuple[int, ...] = ()
    """Indices of text tracks whose packets are told on the way."""


class Read(Struct, frozen=True, kw_only=True, tag="read"):
    """Tell the packets of text tracks between two moments: `Texts`, then `Finished`."""

    texts: tuple[int, ...]
    start: float
    stop: float


class Attach(Struct, frozen=True, kw_only=True, tag="attach"):
    """Hand out a file within the file: `Attached` or `Failed`."""

    index: int


class Try(Struct, frozen=True, kw_only=True, tag="try"):
    """Encode some pictures, without any file: `Tried`."""

    encoder: str
    """FFmpeg's name."""


class Have(Struct, frozen=True, kw_only=True, tag="have"):
    """Answers `Want`: bytes up to but not with `stop` may be read, from the place asked for.

    Comes with a descriptor of the file whenever it was opened anew.
    """

    stop: int


class GoOn(Struct, frozen=True, kw_only=True, tag="go_on"):
    """Answers `Made` and `Texts`."""


class Stop(Struct, frozen=True, kw_only=True, tag="stop"):
    """Answers anything: the errand is over. `Finished` follows."""


Question: TypeAlias = Open | Probe | Make | Read | Attach | Try | Have | GoOn | Stop
QUESTIONS = msgspec.msgpack.Decoder(Question)


class Ready(Struct, frozen=True, kw_only=True, tag="ready"):
    """The worker is up, and shut in as far as the kernel can."""

    shut_in: bool


class Want(Struct, frozen=True, kw_only=True, tag="want"):
    """Some bytes are needed to go on."""

    offset: int
    length: int
    """A hint; one byte is enough to go on with."""


class Probed(Struct, frozen=True, kw_only=True, tag="probed"):
    """What the file holds."""

    media: Media


class Made(Struct, frozen=True, kw_only=True, tag="made"):
    """A segment."""

    number: int
    init: bytes
    """The initialisation segment, the same each time."""
    data: bytes
    texts: dict[int, list[SubtitlePacket]]
    """What was passed on the way, by track."""
    passed: float
    """Seconds up to which all of the texts are told that began within the errand."""


class Texts(Struct, frozen=True, kw_only=True, tag="texts"):
    """Packets of text tracks."""

    texts: dict[int, list[SubtitlePacket]]
    passed: float


class Attached(Struct, frozen=True, kw_only=True, tag="attached"):
    """A file within the file."""

    data: bytes


class Tried(Struct, frozen=True, kw_only=True, tag="tried"):
    """How an encoder did."""

    pace: float | None
    """How many times as fast as it is watched; `None`: it does not work here."""


class Finished(Struct, frozen=True, kw_only=True, tag="finished"):
    """The errand is over; the next one may come."""


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """The errand is over, for this file does not allow it."""

    reason: str
    """In FFmpeg's words, without names."""


Answer: TypeAlias = Ready | Want | Probed | Made | Texts | Attached | Tried | Finished | Failed
ANSWERS = msgspec.msgpack.Decoder(Answer)
