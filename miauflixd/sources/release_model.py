"""What the name of a release says. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from typing import Literal

MULTIPLE = "mul"
"""The language of a release that has several and does not say which; so ISO 639-2 writes it."""


class Quality(StrEnum):
    """How many lines the picture has, by the format that it fits in."""

    P4320 = "4320p"
    P2160 = "2160p"
    P1440 = "1440p"
    P1080 = "1080p"
    P720 = "720p"
    P576 = "576p"
    P480 = "480p"
    P360 = "360p"

    height: int
    """The lines, of a picture that is as high as the format."""

    def __init__(self, value: str) -> None:
        self.height = int(value.removesuffix("p"))


class SourceType(StrEnum):
    """What it was made from."""

    BLURAY = "bluray"
    WEB_DL = "web-dl"
    """As a streaming service sends it."""
    WEBRIP = "webrip"
    """Recorded or encoded again from that."""
    WEB = "web"
    """One of the two; nobody says which."""
    HDRIP = "hdrip"
    """Something in high definition, encoded again."""
    HDTV = "hdtv"
    TV = "tv"
    DVD = "dvd"
    VHS = "vhs"
    WORKPRINT = "workprint"
    """Before it was finished."""
    SCREENER = "scr"
    TELECINE = "tc"
    """From a reel of a cinema."""
    TELESYNC = "ts"
    """A camera in a cinema, with sound from elsewhere."""
    CAM = "cam"


class VideoCodec(StrEnum):
    """How the picture is encoded."""

    AV1 = "av1"
    H265 = "h265"
    H264 = "h264"
    VP9 = "vp9"
    VP8 = "vp8"
    VC1 = "vc1"
    XVID = "xvid"
    """MPEG-4 Part 2, by whichever encoder."""
    MPEG2 = "mpeg2"


class Hdr(StrEnum):
    """A range of brightness; there may be several layers."""

    DOLBY_VISION = "dolby_vision"
    HDR10PLUS = "hdr10plus"
    HDR10 = "hdr10"
    """Also what is only called HDR."""
    HLG = "hlg"
    SDR = "sdr"
    """Said to be none of them."""


class AudioCodec(StrEnum):
    """How the sound is encoded; Atmos stands beside what carries it."""

    TRUEHD = "truehd"
    ATMOS = "atmos"
    DTS_X = "dts-x"
    DTS_HD_MA = "dts-hd-ma"
    DTS_HD = "dts-hd"
    DTS = "dts"
    EAC3 = "eac3"
    AC3 = "ac3"
    AAC = "aac"
    FLAC = "flac"
    OPUS = "opus"
    VORBIS = "vorbis"
    MP3 = "mp3"
    PCM = "pcm"


class Edition(StrEnum):
    """Which version of a film."""

    EXTENDED = "extended"
    DIRECTORS_CUT = "directors_cut"
    FINAL_CUT = "final_cut"
    THEATRICAL = "theatrical"
    UNRATED = "unrated"
    UNCUT = "uncut"
    UNCENSORED = "uncensored"
    REMASTERED = "remastered"
    RESTORED = "restored"
    IMAX = "imax"
    OPEN_MATTE = "open_matte"
    CRITERION = "criterion"
    ANNIVERSARY = "anniversary"
    ULTIMATE = "ultimate"
    SPECIAL = "special"
    COLLECTORS = "collectors"


Extra = Literal["sample", "trailer", "extras", "soundtrack"]
"""What comes with a film and is not the film."""

IN_A_CINEMA = frozenset({SourceType.CAM, SourceType.TELESYNC, SourceType.TELECINE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """What the name of a release says; what it does not say is `None`, false or empty."""

    title: str = ""
    """As written, with blanks between the words; empty where nothing can be read."""
    other_titles: tuple[str, ...] = ()
    """The same in another language, or what it is also known as."""
    year: int | None = None
    other_years: tuple[int, ...] = ()
    """Other numbers that may be its year: of the original, or part of the title."""
    seasons: tuple[int, ...] = ()
    """Ascending; empty for a film, a date, and episodes that are counted from the first."""
    episodes: tuple[int, ...] = ()
    """Ascending; empty, where there are seasons, for all of them."""
    aired: date | None = None
    """Of a daily show."""
    complete: bool = False
    """Whether it says that it is all of a season, show or series of films."""
    quality: Quality | None = None
    source_type: SourceType | None = None
    remux: bool = False
    """Whether the streams are those of the disc, untouched."""
    video_codec: VideoCodec | None = None
    bit_depth: int | None = None
    """Only as said: HDR means 10 or more, and is not repeated here."""
    hdr: tuple[Hdr, ...] = ()
    audio_codecs: tuple[AudioCodec, ...] = ()
    channels: str | None = None
    """`5.1`; the most, where there are several."""
    languages: tuple[str, ...] = ()
    """BCP 47, what is spoken; `mul` for several that are not all named."""
    dual_audio: bool = False
    dubbed: bool = False
    subbed: bool = False
    """Whether it speaks of subtitles, in the file or in the picture."""
    subtitles: tuple[str, ...] = ()
    """Their languages, as `languages`."""
    group: str | None = None
    """Who made it."""
    proper: bool = False
    repack: bool = False
    editions: tuple[Edition, ...] = ()
    three_d: bool = False
    container: str | None = None
    """`mkv`; in lower case."""
    extra: Extra | None = None

    @property
    def season(self) -> int | None:
        """The first season."""
        return self.seasons[0] if self.seasons else None

    @property
    def episode(self) -> int | None:
        """The first episode."""
        return self.episodes[0] if self.episodes else None

    @property
    def cam(self) -> bool:
        """Whether it was taken in a cinema."""
        return self.source_type in IN_A_CINEMA

    def to_mapping(self) -> Mapping[str, object]:
        """Return all of it in the types of JSON."""
        said: dict[str, object] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            said[field.name] = value.isoformat() if isinstance(value, date) else value
            if field.name in ("seasons", "episodes"):
                said[field.name[:-1]] = getattr(self, field.name[:-1])
        return said | {"cam": self.cam}
