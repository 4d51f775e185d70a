"""What is said in a film, on its way from whatever holds it to WebVTT. No I/O.

Files are parsed by pysubs2, which knows a dozen formats and what is usually broken in them; so are
the events that a container holds, as the files they once were.
"""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pysubs2
from charset_normalizer import from_bytes
from pysubs2.formats.substation import parse_tags

from miauflixd.errors import InvalidInputError
from miauflixd.remuxer.media import SubtitlePacket, SubtitleTrack

_PLACE = re.compile(r"\{[^}]*\\an?(\d+)")
"""Where on the screen, as the keys of a number pad (`\\an8`), or as SSA counted (`\\a6`)."""

_TAG = re.compile(r"<\s*(/?)\s*([ibu])\s*>", re.IGNORECASE)
"""What SubRip and WebVTT share."""

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Encodings by what a file in them begins with."""

_UNTIL_NEXT = 4.0
"""Seconds that something without an end is shown, unless something else comes before."""

_SHORTEST = 0.002
"""Seconds; what is shorter nobody sees, and WebVTT cannot say."""

_LONGEST_LINE = 20_000
"""Characters of one event; more is no subtitle."""

_CHARSETS = {
    "da": "cp1252", "de": "cp1252", "en": "cp1252", "es": "cp1252", "fi": "cp1252",
    "fr": "cp1252", "is": "cp1252", "it": "cp1252", "nb": "cp1252", "nl": "cp1252",
    "pt": "cp1252", "sv": "cp1252",
    "ar": "cp1256", "bg": "cp1251", "cs": "cp1250", "el": "cp1253", "he": "cp1255",
    "hr": "cp1250", "hu": "cp1250", "ja": "cp932", "ko": "cp949", "pl": "cp1250", "ro": "cp1250",
    "ru": "cp1251", "sk": "cp1250", "sl": "cp1250", "sr": "cp1250", "th": "cp874", "tr": "cp1254",
    "uk": "cp1251", "vi": "cp1258", "zh": "gb18030",
}  # fmt: skip
"""In what subtitles of a language are written that are not Unicode."""


class BadSubtitlesError(InvalidInputError):
    """Nothing can be made of a file with subtitles."""

    code = "bad_subtitles"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cue:
    """Something that is shown for a while."""

    start: float
    stop: float
    """Seconds."""
    text: str
    """As WebVTT has it, with its tags."""
    top: bool = False
    """Whether it stands above the pictures' middle."""


def cues_of_packets(track: SubtitleTrack, packets: Sequence[SubtitlePacket]) -> list[Cue]:
    """Return what a track's packets show."""
    events = []
    for place, packet in enumerate(packets):
        stop = packet.start + (packet.duration or _UNTIL_NEXT)
        if packet.duration is None and place + 1 < len(packets):
            stop = min(stop, packets[place + 1].start)
        text = _text_of(track.codec, packet.data)[:_LONGEST_LINE]
        events.append((packet.start, stop, text, track.codec in ("ass", "ssa")))
    return [
        cue
        for start, stop, text, is_ass in events
        if (cue := _cue(start, stop, text if is_ass else _as_ass(text))) is not None
    ]


def cues_of_file(data: bytes, *, language: str | None = None) -> list[Cue]:
    """Return what a file beside the video shows, whatever it is written in.

    Raises:
        BadSubtitlesError: it is none that anybody can read.
    """
    try:
        found = pysubs2.SSAFile.from_string(decoded(data, language=language), fps=23.976)
    except (pysubs2.Pysubs2Error, ValueError, IndexError, KeyError, ArithmeticError) as error:
        raise BadSubtitlesError("These subtitles cannot be read") from error
    cues = [
        cue
        for event in found
        if event.type == "Dialogue"
        and (
            cue := _cue(
                event.start / 1000, event.end / 1000, event.text[:_LONGEST_LINE], found.styles
            )
        )
        is not None
    ]
    if not cues and data.strip():
        raise BadSubtitlesError("There is nothing to show in these subtitles")
    return sorted(cues, key=lambda cue: cue.start)


def decoded(data: bytes, *, language: str | None = None) -> str:
    """Return the text of a file in whatever encoding."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    usual = _CHARSETS.get((language or "").partition("-")[0])
    if usual is not None:
        try:
            return data.decode(usual)
        except UnicodeDecodeError:
            pass
    best = from_bytes(data[: 2**18]).best()
    encoding = "cp1252" if best is None else best.encoding
    return data.decode(encoding, errors="replace")


def webvtt(
    cues: Iterable[Cue],
    *,
    start: float = 0.0,
    stop: float | None = None,
    delay: float = 0.0,
    mapped: bool = False,
) -> str:
    """Return cues as a WebVTT file (W3C WebVTT: The Web Video Text Tracks Format).

    Args:
        cues: in order.
        start: seconds; what is over before is left out.
        stop: what begins after is left out.
        delay: seconds by which all are shown later.
        mapped: whether it is a segment of HLS, which says what its times are (RFC 8216, 3.5).
    """
    lines = ["WEBVTT"]
    if mapped:
        lines.append("X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000")
    lines.append("")
    for cue in cues:
        begin, end = cue.start + delay, cue.stop + delay
        if end <= max(start, 0.0) or (stop is not None and begin >= stop):
            continue
        place = " line:5%" if cue.top else ""
        lines += [f"{_stamp(max(0.0, begin))} --> {_stamp(end)}{place}", cue.text, ""]
    return "\n".join(lines) + "\n"


def ass_file(track: SubtitleTrack, packets: Iterable[SubtitlePacket]) -> str:
    """Return an ASS track as the file that it was, for clients that draw it themselves."""
    header = track.header.decode("utf-8", errors="replace").replace("\r\n", "\n").strip("\x00\n ")
    if "[Events]" not in header:
        header += (
            "\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV,"
            " Effect, Text"
        )
    lines = []
    for packet in packets:
        # Matroska keeps ReadOrder, Layer, Style, ... and the times apart.
        _, _, rest = packet.data.decode("utf-8", errors="replace").partition(",")
        layer, _, others = rest.partition(",")
        stop = packet.start + (packet.duration or _UNTIL_NEXT)
        times = f"{_ass_stamp(packet.start)},{_ass_stamp(stop)}"
        lines.append(f"Dialogue: {layer},{times},{others}".replace("\n", "\\N"))
    return "\n".join([header, *lines, ""])


def _text_of(codec: str, data: bytes) -> str:
    """Return the words of a packet, with the marks of its format."""
    match codec:
        case "mov_text":
            length = int.from_bytes(data[:2], "big")
            return data[2 : 2 + length].decode("utf-8", errors="replace")
        case "ass" | "ssa":
            # ReadOrder, Layer, Style, Name, MarginL, MarginR, MarginV, Effect, Text.
            fields = data.decode("utf-8", errors="replace").split(",", 8)
            return fields[-1] if len(fields) == 9 else ""  # noqa: PLR2004 -- counted above
        case _:
            return data.decode("utf-8", errors="replace")


def _as_ass(text: str) -> str:
    """Return SubRip's or WebVTT's words with ASS's marks."""
    text = html.unescape(text.replace("\r", "").strip("\x00\n "))
    text = _TAG.sub(lambda tag: f"{{\\{tag[2].lower()}{0 if tag[1] else 1}}}", text)
    return re.sub(r"</?[a-zA-Z][^>]*>", "", text).replace("\n", "\\N")


def _cue(
    start: float,
    stop: float,
    text: str,
    styles: dict[str, pysubs2.SSAStyle] | None = None,
) -> Cue | None:
    shown = []
    for fragment, style in parse_tags(text, pysubs2.SSAStyle(), styles or {}):
        if style.drawing:
            continue
        words = html.escape(re.sub(r"\\[Nn]", "\n", fragment).replace("\\h", "\u00a0"), quote=False)
        if words.strip() and style.italic:
            words = f"<i>{words}</i>"
        if words.strip() and style.bold:
            words = f"<b>{words}</b>"
        shown.append(words)
    # An empty line ends a cue.
    lines = [line.strip() for line in "".join(shown).replace("-->", "→").splitlines()]
    kept = "\n".join(line for line in lines if line).replace("\x00", "")
    if not kept or stop - start < _SHORTEST or start < 0:
        return None
    place = _PLACE.search(text)
    return Cue(start=start, stop=stop, text=kept, top=place is not None and place[1] in "789")


def _stamp(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


def _ass_stamp(seconds: float) -> str:
    hundredths = round(seconds * 100)
    hours, rest = divmod(hundredths, 360_000)
    minutes, rest = divmod(rest, 6_000)
    return f"{hours}:{minutes:02}:{rest // 100:02}.{rest % 100:02}"
