"""What a screen can show and a loudspeaker can say, as far as the client knows. No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_SYNONYMS = {
    "ac-3": "ac3",
    "av01": "av1",
    "avc": "h264",
    "avc1": "h264",
    "dca": "dts",
    "ec-3": "eac3",
    "h265": "hevc",
    "hvc1": "hevc",
    "hev1": "hevc",
    "m4v": "mp4",
    "matroska": "mkv",
    "mov": "mp4",
    "mp4a": "aac",
    "vp09": "vp9",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """What a client plays. The words are FFmpeg's for codecs, and file endings for containers."""

    containers: frozenset[str] = frozenset({"mp4", "mkv", "webm"})
    video: frozenset[str] = frozenset({"h264", "h264-10bit", "vp8", "vp9", "av1"})
    """`h264-10bit` and `hevc-10bit` stand beside those of eight bits; the others have both."""
    audio: frozenset[str] = frozenset({"aac", "flac", "mp3", "opus", "vorbis"})
    silent: frozenset[tuple[str, str]] = frozenset({("mkv", "flac"), ("mkv", "mp3")})
    """Containers and the sound that is not heard out of them, though the codec is known: Firefox
    plays such files without a sound and without an error."""
    hls: bool = True
    hdr: bool = False
    channels: int = 2
    """Of AAC that is made for it."""
    max_height: int | None = None
    """Lines beyond which it does not decode."""
    everything: bool = False
    """Whether it is a player of its own, such as VLC, that plays whatever there is."""

    @classmethod
    def reported(
        cls,
        *,
        containers: Iterable[str] | None,
        video: Iterable[str] | None,
        audio: Iterable[str] | None,
        hls: bool,
        hdr: bool,
        channels: int,
    ) -> Self:
        """Return what a client says of itself; where it says nothing it is as browsers are.

        Who names a sound and its container, `mkv/flac`, hears it out of that.
        """
        usual = cls()
        heard = None if audio is None else [word.lower() for word in audio]
        silent = usual.silent
        if heard is not None:
            silent -= {(one, other) for one, _, other in (word.partition("/") for word in heard)}
        return cls(
            containers=usual.containers if containers is None else _words(containers),
            video=usual.video if video is None else _words(video),
            audio=usual.audio if heard is None else _words(heard),
            silent=silent,
            hls=hls,
            hdr=hdr,
            channels=channels,
        )


ANYTHING = Capabilities(everything=True)
"""A player of its own."""


def _words(said: Iterable[str]) -> frozenset[str]:
    return frozenset(_SYNONYMS.get(word.lower(), word.lower()) for word in said)
