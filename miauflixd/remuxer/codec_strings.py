"""Names of codecs as browsers ask for them: the `codecs` of a media type (RFC 6381). No I/O."""

import re

_SPS = re.compile(rb"\x00\x00\x01[\x67\x27\x47](...)", re.DOTALL)
"""A sequence parameter set in a byte stream (H.264, annex B) and its first three bytes."""

_AUDIO = {
    "ac3": "ac-3",
    "alac": "alac",
    "dts": "dtsc",
    "eac3": "ec-3",
    "flac": "fLaC",
    "mp3": "mp4a.40.34",
    "opus": "Opus",
    "truehd": "mlpa",
    "vorbis": "vorbis",
}

_AAC_PROFILES = {"LC": 2, "HE-AAC": 5, "HE-AACv2": 29, "Main": 1, "LTP": 4}
"""Audio object types (ISO/IEC 14496-3, table 1.17) by FFmpeg's names."""


def video(
    codec: str, extradata: bytes, *, profile: str | None, level: int, depth: int
) -> str | None:
    """Return the string of a video track, or `None` when its headers do not say.

    Args:
        codec: FFmpeg's name.
        extradata: the decoder's configuration, in the container's form or as a byte stream.
        profile: FFmpeg's name.
        level: as in the bit stream.
        depth: bits of a sample.
    """
    match codec:
        case "h264":
            return _avc(extradata)
        case "hevc":
            return _hevc(extradata, profile=profile, level=level)
        case "av1":
            return _av1(extradata, level=level, depth=depth)
        case "vp9":
            # VP Codec ISO Media File Format Binding: profile, level, depth.
            number = profile[-1] if profile and profile[-1].isdigit() else "0"
            return f"vp09.0{number}.{level if level > 0 else 40:02}.{depth:02}"
        case "vp8":
            return "vp8"
        case _:
            return None


def audio(codec: str, *, profile: str | None) -> str | None:
    """Return the string of an audio track, or `None` when there is none."""
    if codec == "aac":
        return f"mp4a.40.{_AAC_PROFILES.get(profile or 'LC', 2)}"
    return _AUDIO.get(codec)


def _avc(extradata: bytes) -> str | None:
    # ISO/IEC 14496-15, 5.3.3: version, then profile, compatibility and level as in the SPS.
    if extradata[:1] == b"\x01" and len(extradata) >= 4:  # noqa: PLR2004
        return f"avc1.{extradata[1:4].hex()}"
    found = _SPS.search(extradata)
    return f"avc1.{found[1].hex()}" if found else None


def _hevc(extradata: bytes, *, profile: str | None, level: int) -> str | None:
    number = 2 if profile and "10" in profile else 1
    flags, tier, constraints = (6 if number == 1 else 4), "L", "B0"
    # ISO/IEC 14496-15, 8.3.3 and annex E.3.
    if extradata[:1] == b"\x01" and len(extradata) >= 13:  # noqa: PLR2004
        number = extradata[1] & 0x1F
        tier = "H" if extradata[1] & 0x20 else "L"
        flags = int(f"{int.from_bytes(extradata[2:6], 'big'):032b}"[::-1], 2)
        level = extradata[12]
        constraints = ".".join(f"{byte:X}" for byte in extradata[6:12].rstrip(b"\x00"))
    elif level <= 0:
        return None
    end = f".{constraints}" if constraints else ""
    return f"hvc1.{number}.{flags:X}.{tier}{level}{end}"


def _av1(extradata: bytes, *, level: int, depth: int) -> str:
    # AV1 Codec ISO Media File Format Binding, 2.3 and 5.
    number, tier = 0, "M"
    if extradata[:1] == b"\x81" and len(extradata) >= 3:  # noqa: PLR2004
        number, level = extradata[1] >> 5, extradata[1] & 0x1F
        tier = "H" if extradata[2] & 0x80 else "M"
    return f"av01.{number}.{max(level, 0):02}{tier}.{depth:02}"
