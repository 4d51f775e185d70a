"""How a client gets a file: as it is, its tracks in another container, encoded anew, or not at all.

Measured (Chromium 156, Firefox 153): what a browser cannot decode it plays black or silent and says
nothing. So whether it can is decided here, from what the file holds and what the client says of
itself, and a file is handed out as it is only if both its pictures and the sound that will be heard
fit. No I/O.
"""

from collections.abc import Collection, Sequence
from typing import Literal

from miauflixd.playback.client import Capabilities
from miauflixd.playback.model import Decision, Encoding, Method, Reason, Recipe
from miauflixd.remuxer.media import AudioTrack, Media, VideoTrack

_CONTAINERS = {"mov": "mp4", "matroska": "mkv"}
"""File endings by FFmpeg's demuxers."""

_WEBM_VIDEO = frozenset({"av1", "vp8", "vp9"})
_WEBM_AUDIO = frozenset({"opus", "vorbis"})

_IN_FMP4_VIDEO = frozenset({"av1", "h264", "hevc", "vp9"})
"""What Media Source Extensions take of fragmented MP4, if the client decodes it."""

_IN_FMP4_AUDIO = frozenset({"aac", "ac3", "eac3", "flac", "mp3", "opus"})

_DEEP = frozenset({"h264", "hevc"})
"""Codecs whose ten bits not everybody decodes who decodes eight."""

_HEIGHTS: tuple[Literal[1080, 720, 480], ...] = (1080, 720, 480)

_TEN_BITS = 8
"""More than these."""


def decide(
    media: Media,
    client: Capabilities,
    *,
    audio: int | None = None,
    languages: Sequence[str] = (),
    original_language: str | None = None,
    failed: Collection[Method] = (),
    encoder: str | None = None,
    encoding_allowed: bool = True,
    max_height: int | None = None,
) -> Decision:
    """Return how a client is to get a file.

    Args:
        media: what the file holds.
        client: what the client plays.
        audio: the index of the track that somebody has chosen.
        languages: to hear, BCP 47, the dearest first.
        original_language: that of the film.
        failed: what the client has tried already.
        encoder: one that works on this machine; `None`: there is none.
        encoding_allowed: whether the operator wants it used.
        max_height: lines to encode at most.
    """
    heard = track_to_hear(
        media, audio=audio, languages=languages, original_language=original_language
    )
    index = None if heard is None else heard.index
    if client.everything:
        return Decision(method="direct", audio=index)
    picture = media.picture
    if picture is None:
        return _without_pictures(media, client, heard, failed)
    picture_fails = _picture_fails(picture, client)
    reasons = [
        *_container_fails(media, picture, client),
        *picture_fails,
        *_sound_fails(media, heard, client),
        *([Reason.DIRECT_PLAY_FAILED] if "direct" in failed else []),
    ]
    if not reasons:
        return Decision(method="direct", audio=index)
    against = [
        *([] if client.hls else [Reason.HLS_NOT_SUPPORTED]),
        *([Reason.LENGTH_NOT_KNOWN] if media.duration is None else []),
    ]
    recipe = _recipe(picture, heard, client)
    copies = not picture_fails and picture.codec in _IN_FMP4_VIDEO and "remux" not in failed
    if copies and not against:
        return Decision(method="remux", reasons=tuple(reasons), recipe=recipe, audio=index)
    if not copies:
        against += _encoding_fails(encoder, allowed=encoding_allowed)
    if against or encoder is None or "transcode" in failed:
        return Decision(method="external", reasons=(*reasons, *against), audio=index)
    encoded = _encoded(recipe, encoder, max_height or client.max_height)
    return Decision(method="transcode", reasons=tuple(reasons), recipe=encoded, audio=index)


def _encoding_fails(encoder: str | None, *, allowed: bool) -> list[Reason]:
    if not allowed:
        return [Reason.ENCODING_NOT_ALLOWED]
    return [Reason.NO_ENCODER] if encoder is None else []


def track_to_hear(
    media: Media,
    *,
    audio: int | None = None,
    languages: Sequence[str] = (),
    original_language: str | None = None,
) -> AudioTrack | None:
    """Return the track that somebody hears: chosen, in their language, the original, the default.

    Commentary and what describes the pictures is heard only when it is chosen, or there is nothing
    else.
    """
    if not media.audio:
        return None
    wanted = [_primary(one) for one in (*languages, original_language or "") if one]

    def place(track: AudioTrack) -> tuple[object, ...]:
        language = _primary(track.language or "")
        return (
            track.index != audio,
            track.commentary or track.visual_impaired,
            wanted.index(language) if language in wanted else len(wanted),
            not track.default,
            track.index,
        )

    return min(media.audio, key=place)


def _primary(language: str) -> str:
    return language.partition("-")[0].lower()


def _container_fails(media: Media, picture: VideoTrack, client: Capabilities) -> list[Reason]:
    container = _CONTAINERS.get(media.container, media.container)
    if container in client.containers:
        return []
    # Matroska by another name, with what that may hold.
    is_webm = picture.codec in _WEBM_VIDEO and all(
        track.codec in _WEBM_AUDIO for track in media.audio
    )
    if container == "mkv" and is_webm and "webm" in client.containers:
        return []
    return [Reason.CONTAINER_NOT_SUPPORTED]


def _picture_fails(picture: VideoTrack, client: Capabilities) -> list[Reason]:
    reasons = []
    deep = picture.bit_depth > _TEN_BITS and picture.codec in _DEEP
    if f"{picture.codec}-10bit" not in client.video if deep else picture.codec not in client.video:
        known = deep and picture.codec in client.video
        reasons.append(
            Reason.VIDEO_BIT_DEPTH_NOT_SUPPORTED if known else Reason.VIDEO_CODEC_NOT_SUPPORTED
        )
    # HDR10 and HLG on a screen without are pale, and can be watched; Dolby Vision's own colours are
    # green and purple.
    if picture.hdr == "dolby_vision" and not client.hdr:
        reasons.append(Reason.VIDEO_RANGE_NOT_SUPPORTED)
    if client.max_height is not None and picture.height > client.max_height:
        reasons.append(Reason.VIDEO_RESOLUTION_NOT_SUPPORTED)
    return reasons


def _sound_fails(media: Media, heard: AudioTrack | None, client: Capabilities) -> list[Reason]:
    if heard is None:
        return []
    reasons = []
    container = _CONTAINERS.get(media.container, media.container)
    if heard.codec not in client.audio or (container, heard.codec) in client.silent:
        reasons.append(Reason.AUDIO_CODEC_NOT_SUPPORTED)
    first = media.audio[0]
    default = next((one for one in media.audio if one.default), first)
    if not heard.index == first.index == default.index:
        # Some play the first track, others the default one, and neither lets anybody choose.
        reasons.append(Reason.AUDIO_TRACK_CHOSEN)
    return reasons


def _recipe(picture: VideoTrack, heard: AudioTrack | None, client: Capabilities) -> Recipe:
    copied = (
        heard is not None
        and heard.codec in client.audio
        and heard.codec in _IN_FMP4_AUDIO
        # What HE-AAC is decoded to depends on who decodes it, and whether its header says so.
        and not (heard.codec == "aac" and heard.channels == 0)
    )
    return Recipe(
        video=picture.index,
        audio=None if heard is None else heard.index,
        audio_codec="copy" if copied else "aac",
        audio_channels=client.channels,
    )


def _encoded(recipe: Recipe, encoder: str, max_height: int | None) -> Recipe:
    # Pictures of fewer lines keep theirs: 1920x800 is not made smaller to become 720.
    most = max_height or _HEIGHTS[0]
    height = next((lines for lines in _HEIGHTS if lines <= most), _HEIGHTS[-1])
    return Recipe(
        video=recipe.video,
        audio=recipe.audio,
        audio_codec=recipe.audio_codec,
        audio_channels=recipe.audio_channels,
        encoding=Encoding(encoder=encoder, height=height),
    )


def _without_pictures(
    media: Media, client: Capabilities, heard: AudioTrack | None, failed: Collection[Method]
) -> Decision:
    """Music is handed out where it is understood; it cannot be cut into segments of pictures."""
    if heard is None:
        return Decision(method="external", reasons=(Reason.NOT_A_MEDIA_FILE,))
    reasons = [
        *_sound_fails(media, heard, client),
        *([Reason.DIRECT_PLAY_FAILED] if "direct" in failed else []),
    ]
    if not reasons:
        return Decision(method="direct", audio=heard.index)
    return Decision(method="external", reasons=(Reason.NO_PICTURES, *reasons), audio=heard.index)
