"""HLS (RFC 8216): where a film is cut into segments, and the playlists of them. No I/O."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil

from miauflixd.playback.model import Recipe
from miauflixd.remuxer.media import Media

SEGMENT = 2.0
"""Seconds of a segment at least: it starts soon, and a player asks seldom enough."""

_WITHOUT_INDEX = 8.0
"""Seconds of a segment of what has no index: long enough to have a keyframe of its own."""

_NEARLY = 0.1
"""Seconds by which a keyframe may be too early: 4.004 s is the GOP of many films."""


def cuts(media: Media, recipe: Recipe) -> tuple[tuple[float, ...], bool]:
    """Return the seconds at which segments begin, with the last one's end, and whether exactly.

    A film whose pictures are copied can be cut only at keyframes, of which the container has an
    index or not; without one, they are cut at the first keyframe behind each such moment. Pictures
    that are encoded anew are cut anywhere.

    Raises:
        ValueError: nobody knows how long it is.
    """
    duration = media.duration
    if duration is None:
        raise ValueError("The length of the film is not known")
    if recipe.encoding is not None or not media.keyframes:
        exact = recipe.encoding is not None
        length = SEGMENT if exact else _WITHOUT_INDEX
        count = max(1, int((duration - length / 4) // length) + 1)
        return (*(length * number for number in range(count)), duration), exact
    found = [media.keyframes[0]]
    for keyframe in media.keyframes:
        if keyframe >= found[-1] + SEGMENT - _NEARLY and keyframe < duration - _NEARLY:
            found.append(keyframe)
    return (*found, max(duration, found[-1] + _NEARLY)), True


def durations(cut: Sequence[float]) -> list[float]:
    """Return the seconds of each segment; the first begins at 0 for those who count."""
    edges = [0.0, *cut[1:]]
    return [after - before for before, after in pairwise(edges)]


def number_at(cut: Sequence[float], seconds: float) -> int:
    """Return which segment a moment is in."""
    for number in range(len(cut) - 2, 0, -1):
        if cut[number] <= seconds:
            return number
    return 0


def media_playlist(
    lengths: Sequence[float], *, init: str, segment: Callable[[int], str], independent: bool = True
) -> str:
    """Return the playlist of all segments of a film, which is whole from the start.

    Args:
        lengths: seconds of each segment.
        init: the address of the initialisation segment; none for subtitles.
        segment: the address of a segment by its number.
        independent: whether each begins with a keyframe.
    """
    longest = max(lengths, default=SEGMENT)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{ceil(longest)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]
    if independent:
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    if init:
        lines.append(f'#EXT-X-MAP:URI="{init}"')
    for number, length in enumerate(lengths):
        lines += [f"#EXTINF:{length:.5f},", segment(number)]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def master_playlist(
    *,
    media: str,
    bandwidth: int,
    codecs: str,
    resolution: tuple[int, int] | None = None,
    renditions: Sequence[str] = (),
) -> str:
    """Return the playlist that names the film's one variant.

    Args:
        media: the address of its playlist.
        bandwidth: bits per second at most, about.
        codecs: RFC 6381; empty: not known.
        resolution: width and height in pixels.
        renditions: lines of subtitles, of the group `subtitles`.
    """
    said = [f"BANDWIDTH={bandwidth}"]
    if codecs:
        said.append(f'CODECS="{codecs}"')
    if resolution is not None:
        said.append(f"RESOLUTION={resolution[0]}x{resolution[1]}")
    if renditions:
        said.append('SUBTITLES="subtitles"')
    return "\n".join(
        [
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            *renditions,
            f"#EXT-X-STREAM-INF:{','.join(said)}",
            media,
            "",
        ]
    )
