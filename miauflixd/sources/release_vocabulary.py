"""The words with which releases are described, but for languages. No I/O."""

from enum import IntEnum
from typing import NamedTuple

from miauflixd.sources.release_model import (
    AudioCodec,
    Edition,
    Hdr,
    Quality,
    SourceType,
    VideoCodec,
)


class Trust(IntEnum):
    """Where a word is believed: people make titles of words that describe releases."""

    CAPITALS = 0
    """Where a title can have ended, and in capitals: "TS", "DV", "NF"."""
    LATER = 1
    """Where a title can have ended: "Web", "Extended", "French"."""
    PASSING = 2
    """Everywhere, but it may be in a title as well."""
    PLAIN = 3
    """Everywhere: nobody would put it into a title, so that the first of them ends the title."""


class Meaning(NamedTuple):
    """How a word is written, and what it says of which fields."""

    pattern: str
    """A regular expression without groups. `~` stands for what may separate the parts of a word:
    nothing, a blank, a dot, a hyphen or an underscore."""
    fields: str
    """Joined by `+`; `value` is the first one's, and the others are simply so."""
    value: object = True
    trust: Trust = Trust.PLAIN


PLAIN, PASSING, LATER, CAPITALS = Trust.PLAIN, Trust.PASSING, Trust.LATER, Trust.CAPITALS

# What is longer comes first: the first that fits is taken.
TECHNICAL: tuple[Meaning, ...] = (
    # --- how many lines
    Meaning(r"(?:4320[pi]|8K)", "quality", Quality.P4320, PLAIN),
    Meaning(r"(?:2160[pi](?:\d\d)?|3840x\d{3,4})", "quality", Quality.P2160, PLAIN),
    Meaning(r"(?:1440p|2560x\d{3,4}|W?QHD)", "quality", Quality.P1440, PLAIN),
    Meaning(r"(?:1080[pi](?:\d\d)?|1920x\d{3,4}|FHD|Full~HD)", "quality", Quality.P1080, PLAIN),
    Meaning(r"(?:720[pi](?:\d\d)?|1280x\d{3}|960p)", "quality", Quality.P720, PLAIN),
    Meaning(r"(?:576[pi]|540p|\d{3,4}x576|960x540)", "quality", Quality.P576, PLAIN),
    Meaning(r"(?:480[pi]|\d{3}x4\d\d)", "quality", Quality.P480, PLAIN),
    Meaning(r"(?:360p|240p|\d{3}x3\d\d)", "quality", Quality.P360, PLAIN),
    Meaning(r"4K", "quality_hint", Quality.P2160, PLAIN),
    Meaning(r"2K", "quality_hint", Quality.P1440, CAPITALS),
    # --- what it was made from
    Meaning(r"(?:HD|HQ)~CAM(?:~Rip)?|CAM~Rip|HQ~CAM", "source", SourceType.CAM, PLAIN),
    Meaning(r"Pre~DVD(?:~Rip)?", "source", SourceType.CAM, PLAIN),
    Meaning(r"S~Print", "source", SourceType.CAM, LATER),
    Meaning(r"CAM", "source", SourceType.CAM, CAPITALS),
    Meaning(r"(?:HD|HQ)~TS(?:~Rip)?|TELE~SYNC|TS~Rip", "source", SourceType.TELESYNC, PLAIN),
    Meaning(r"TS", "source", SourceType.TELESYNC, CAPITALS),
    Meaning(r"HD~TC(?:~Rip)?|TELE~CINE|TC~Rip|R5", "source", SourceType.TELECINE, PLAIN),
    Meaning(r"TC", "source", SourceType.TELECINE, CAPITALS),
    Meaning(
        r"(?:DVD|BD|BR|WEB|HD|Desi)~SCR(?:eener)?|SCREENER", "source", SourceType.SCREENER, PLAIN
    ),
    Meaning(r"SCR", "source", SourceType.SCREENER, CAPITALS),
    Meaning(r"WORKPRINT", "source", SourceType.WORKPRINT, PLAIN),
    Meaning(r"VHS~Rip", "source", SourceType.VHS, PLAIN),
    Meaning(r"VHS", "source", SourceType.VHS, CAPITALS),
    Meaning(
        r"(?:Blu~Ray|BD)~3D|3D~(?:Blu~Ray|BD)(?:~Rip)?",
        "source+three_d",
        SourceType.BLURAY,
        PLAIN,
    ),
    Meaning(r"(?:BD|BR|UHD)~REMUX", "source+remux", SourceType.BLURAY, PLAIN),
    Meaning(r"DVD~REMUX", "source+remux", SourceType.DVD, PLAIN),
    Meaning(
        r"(?:UHD|Full)~(?:Blu~Ray|BD)(?:~Rip)?|UHD~Rip|UHD2BD",
        "source+uhd",
        SourceType.BLURAY,
        PLAIN,
    ),
    Meaning(
        r"Blu~Ray(?:~Rip)?|B[DR]~(?:Rip|Mux)|BDMV|BD(?:25|50|66|100)|BRip|BDR",
        "source",
        SourceType.BLURAY,
        PLAIN,
    ),
    Meaning(r"BD", "source", SourceType.BLURAY, CAPITALS),
    Meaning(r"REMUX", "remux", trust=PLAIN),
    Meaning(r"WEB~DL~Rip|WEB~?Rip(?:ped)?|WEB~Cap", "source", SourceType.WEBRIP, PLAIN),
    Meaning(r"WEB~DL(?:~Mux)?|DL~?Mux", "source", SourceType.WEB_DL, PLAIN),
    Meaning(r"WEB~(?:HD|Mux|UHD)", "source", SourceType.WEB, PLAIN),
    Meaning(r"WEB", "source", SourceType.WEB, LATER),
    Meaning(
        r"(?:HD~)?DVD~(?:Rip|R\d?|5|9|Mux)|DVD~[59]|NTSC~DVD|PAL~DVD",
        "source",
        SourceType.DVD,
        PLAIN,
    ),
    Meaning(r"HD~DVD", "source", SourceType.BLURAY, PLAIN),
    Meaning(r"DVD", "source", SourceType.DVD, LATER),
    Meaning(r"HD~TV~?Rip|HD~?TV", "source", SourceType.HDTV, PLAIN),
    Meaning(
        r"[PS]DTV(?:~?Rip)?|DSR(?:~?Rip)?|DTH~?Rip|DVB(?:~?Rip)?|SAT~Rip|TV~Rip|IPTV~?Rip",
        "source",
        SourceType.TV,
        PLAIN,
    ),
    Meaning(r"HD~Rip|Micro~HD|mHD", "source", SourceType.HDRIP, PLAIN),
    Meaning(r"UHD", "uhd", trust=PLAIN),
    # --- the picture
    Meaning(r"[xh]~26[5]~?(?=10~?bit)|HEVC~?(?=10~?bit)", "codec", VideoCodec.H265, PLAIN),
    Meaning(r"HEVC10|HEVC10p", "codec+depth10", VideoCodec.H265, PLAIN),
    Meaning(r"[xh]~265|HEVC", "codec", VideoCodec.H265, PLAIN),
    Meaning(r"[xh]~264|AVC|MPEG~?4~AVC", "codec", VideoCodec.H264, PLAIN),
    Meaning(r"Hi10P?", "codec+depth10", VideoCodec.H264, PLAIN),
    Meaning(r"Ma10P?", "depth10"),
    Meaning(r"AV1", "codec", VideoCodec.AV1, PLAIN),
    Meaning(r"XviD|DivX\d?|MPEG~?4", "codec", VideoCodec.XVID, PLAIN),
    Meaning(r"VP9", "codec", VideoCodec.VP9, PLAIN),
    Meaning(r"VP8", "codec", VideoCodec.VP8, PLAIN),
    Meaning(r"VC~?1", "codec", VideoCodec.VC1, PLAIN),
    Meaning(r"MPEG~?2|MPEG2VIDEO", "codec", VideoCodec.MPEG2, PLAIN),
    Meaning(r"(?:Main)?~?10~bits?", "depth", 10, PLAIN),
    Meaning(r"8[.-]?bits?", "depth", 8, PLAIN),
    Meaning(r"12~bits?", "depth", 12, PLAIN),
    Meaning(r"HDR10~?(?:\+|Plus|P)", "hdr", Hdr.HDR10PLUS, PLAIN),
    Meaning(r"DV~?HDR(?:10)?", "hdr+hdr10", Hdr.DOLBY_VISION, PLAIN),
    Meaning(r"HDR(?:10)?|PQ10", "hdr", Hdr.HDR10, PLAIN),
    Meaning(r"DoVi|Dolby~Vision", "hdr", Hdr.DOLBY_VISION, PLAIN),
    Meaning(r"DV", "hdr", Hdr.DOLBY_VISION, CAPITALS),
    Meaning(r"HLG", "hdr", Hdr.HLG, CAPITALS),
    Meaning(r"SDR", "hdr", Hdr.SDR, CAPITALS),
    # --- the sound
    Meaning(r"DTS~X(?!\d|~26\d)", "audio", AudioCodec.DTS_X, PLAIN),
    Meaning(r"DTS~HD~?M(?:A|aster(?:~Audio)?)|DTS~MA", "audio", AudioCodec.DTS_HD_MA, PLAIN),
    Meaning(r"DTS~HD(?:~HRA?)?|DTS~HRA?", "audio", AudioCodec.DTS_HD, PLAIN),
    Meaning(r"DTS(?:~ES)?", "audio", AudioCodec.DTS, PLAIN),
    Meaning(r"True~HD", "audio", AudioCodec.TRUEHD, PLAIN),
    Meaning(r"(?:Dolby~)?Atmos|Atmo(?=$)", "audio", AudioCodec.ATMOS, PLAIN),
    Meaning(r"DDPA|EAC3A", "audio+atmos", AudioCodec.EAC3, PLAIN),
    Meaning(r"E~AC~?3|DD\+|DDP|DD2\+|Dolby~Digital~Plus", "audio", AudioCodec.EAC3, PLAIN),
    Meaning(r"AC~?3(?:D)?|Dolby~Digital", "audio", AudioCodec.AC3, PLAIN),
    Meaning(r"DD", "audio", AudioCodec.AC3, CAPITALS),
    Meaning(r"(?:HE~|Q)?AAC(?:~LC)?", "audio", AudioCodec.AAC, PLAIN),
    Meaning(r"FLAC", "audio", AudioCodec.FLAC, PLAIN),
    Meaning(r"MP3", "audio", AudioCodec.MP3, PLAIN),
    Meaning(r"L?PCM", "audio", AudioCodec.PCM, PLAIN),
    Meaning(r"Opus", "audio", AudioCodec.OPUS, LATER),
    Meaning(r"Vorbis", "audio", AudioCodec.VORBIS, PLAIN),
    Meaning(r"8~?CH", "channels", "7.1", PLAIN),
    Meaning(r"6~?CH", "channels", "5.1", PLAIN),
    Meaning(r"2~?CH|Stereo", "channels", "2.0", LATER),
    Meaning(r"Mono", "channels", "1.0", LATER),
    # --- which version
    Meaning(
        r"Extended(?:~(?:Cut|Edition|Version|Director'?s~Cut))?", "edition", Edition.EXTENDED, LATER
    ),
    Meaning(r"Director'?s'?~(?:Cut|Edition)", "edition", Edition.DIRECTORS_CUT, PLAIN),
    Meaning(r"DC", "edition", Edition.DIRECTORS_CUT, CAPITALS),
    Meaning(r"(?:The~)?Final~Cut", "edition", Edition.FINAL_CUT, LATER),
    Meaning(r"Theatrical(?:~(?:Cut|Edition))?", "edition", Edition.THEATRICAL, LATER),
    Meaning(r"Unrated(?:~(?:Cut|Edition))?", "edition", Edition.UNRATED, LATER),
    Meaning(r"Uncut(?:~Edition)?", "edition", Edition.UNCUT, LATER),
    Meaning(r"Uncensored", "edition", Edition.UNCENSORED, LATER),
    Meaning(r"(?:4K~)?Remaster(?:ed)?", "edition", Edition.REMASTERED, LATER),
    Meaning(r"(?:4K~)?Restored|(?:4K~)?Restoration", "edition", Edition.RESTORED, LATER),
    Meaning(r"IMAX(?:~(?:Enhanced|Edition))?", "edition", Edition.IMAX, LATER),
    Meaning(r"Open~Matte", "edition", Edition.OPEN_MATTE, LATER),
    Meaning(
        r"(?:The~)?Criterion(?:~(?:Collection|Edition))?|CC(?=~1080p~Blu)",
        "edition",
        Edition.CRITERION,
        LATER,
    ),
    Meaning(
        r"(?:\d{2,3}(?:th|st|nd|rd)~)?Anniversary(?:~(?:Edition|Ed))?",
        "edition",
        Edition.ANNIVERSARY,
        LATER,
    ),
    Meaning(r"Ultimate~(?:Edition|Cut|Collector'?s~Edition)", "edition", Edition.ULTIMATE, LATER),
    Meaning(r"Special~Edition", "edition", Edition.SPECIAL, LATER),
    Meaning(r"Collector'?s(?:~Edition)?", "edition", Edition.COLLECTORS, LATER),
    Meaning(r"(?:REAL~)?PROPER", "proper", trust=LATER),
    Meaning(r"REPACK~?\d?|RERIP", "repack", trust=PLAIN),
    Meaning(r"(?:H|Half|F|Full)~(?:SBS|O~?U|TAB)|SBS", "three_d", trust=PLAIN),
    Meaning(r"3D", "three_d", trust=LATER),
    Meaning(
        r"(?:The~)?Complete~(?:TV~)?(?:Series|Collection|Saga|Box~Set|Mini~?Series)|Box~Set",
        "complete",
    ),
    Meaning(r"Complet[ea]|Completa|INT[EÉ]GRALE?", "complete", trust=LATER),
    # --- what comes with a film
    Meaning(r"Sample", "extra", "sample", LATER),
    Meaning(r"(?:Official~|Teaser~)?Trailers?|Teaser", "extra", "trailer", LATER),
    Meaning(
        r"Extras|Featurettes?|Bonus(?:~Disc|~Features?)?|Behind~the~Scenes|Making~Of|Gag~Reel",
        "extra",
        "extras",
        LATER,
    ),
    Meaning(r"Deleted~Scenes?|NCOP\d?|NCED\d?", "extra", "extras"),
    Meaning(r"Original~(?:Motion~Picture~)?(?:Soundtrack|Score)", "extra", "soundtrack"),
    Meaning(r"Soundtrack|OST", "extra", "soundtrack", LATER),
    # --- what it is wrapped in
    Meaning(r"MKV|MP4|AVI|M4V|WMV|WEBM|MOV|M2TS", "container", None, LATER),
    # --- what says nothing that is wanted, but ends a title, or is not who made it
    Meaning(r"Hybrid|INTERNAL|LIMITED|FESTIVAL|STV|Retail|iTunes", "noise", None, LATER),
    Meaning(
        r"READ~?NFO|NFOFIX|DIRFIX|SUBFIX|READNFO|UpScaled?|AI~Upscaled?|Low~Bitrate|DS4K|TrueFullHD",
        "noise",
        None,
        PLAIN,
    ),
    Meaning(
        r"AMZN|NF|DSNP|DSNY|HMAX|MAX|HBO|HULU|ATVP?|PCOK|PMTP|STAN|iP|iT|ITV|CR|SHO|STRP|SKST|MA|"
        r"VUDU|CRAV|RED|PLAY|ROKU|TUBI|VIKI|WOWTV|JC|JHS|HS|HOTSTAR|ZEE5|SONYLIV|SNXT|MGMP|AMC|BCORE|"
        r"FOX|CBS|NBC|PBS|SYFY|MTV|VICE|ALL4|4OD|iView|TVING|KCW|WAVVE|KOCOWA|FUNI|HIDIVE|ADN|B~Global",
        "noise",
        None,
        CAPITALS,
    ),
    Meaning(r"Amzn|Netflix|Hotstar|Crunchyroll|Disney\+", "noise", None, LATER),
    Meaning(r"NTSC|PAL|SECAM", "noise", None, CAPITALS),
    Meaning(
        r"WS|FS|HD|SD|HQ|AI|V\d|Line|LiNE|Clean~Audio|ORG|Org~Aud(?:io)?",
        "noise",
        None,
        LATER,
    ),
    Meaning(r"\d+(?:[.,]\d+)?~?(?:GB|MB|GiB|MiB)", "noise", None, PLAIN),
    Meaning(r"\d+~?[kKM]bps|[2-6]\d(?:\.\d+)?~?fps|\d~?CD|1CD|2CD", "noise", None, PLAIN),
    Meaning(r"2160", "quality_bare", 2160, LATER),
    Meaning(r"1080", "quality_bare", 1080, LATER),
    Meaning(r"720", "quality_bare", 720, LATER),
)
