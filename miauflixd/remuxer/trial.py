"""Whether an encoder works on this machine: found out by using it, as a film would, and looking."""

import io
import time
from fractions import Fraction
from itertools import pairwise

import av
from av.video.frame import PictureType, VideoFrame

from miauflixd.remuxer.pictures import TICKS, encoded_stream

_PICTURES = 60
_FORCED = 40
"""At this one a keyframe is wanted."""

_RATE = 25
_WIDTH, _HEIGHT = 1280, 720

_PATTERN = bytes(at * at % 251 for at in range(997)) * 1000
"""More than a plane has bytes, and a line is no multiple of what repeats: diagonals."""


def pace(encoder: str) -> float | None:
    """Return how many times as fast as it is watched an encoder makes fragmented MP4 of pictures.

    Args:
        encoder: FFmpeg's name of it.

    Returns:
        `None` if it makes none, or some that cannot be decoded, or keyframes elsewhere than where
        segments begin.
    """
    file = io.BytesIO()
    began = time.monotonic()
    try:
        _encode(encoder, file)
        took = time.monotonic() - began
        file.seek(0)
        keyframes = _keyframes(file)
    except (av.FFmpegError, ValueError, OSError):
        return None
    if keyframes is None or _FORCED not in keyframes:
        return None
    return _PICTURES / _RATE / max(took, 1e-3)


def _encode(encoder: str, file: io.BytesIO) -> None:
    options = {"movflags": "empty_moov+frag_keyframe+default_base_moof"}
    with av.open(file, "w", format="mp4", options=options) as output:
        stream = encoded_stream(output, encoder, rate=Fraction(_RATE), width=_WIDTH, height=_HEIGHT)
        for number in range(_PICTURES):
            frame = _picture(number)
            frame.pts = number * TICKS // _RATE
            frame.time_base = Fraction(1, TICKS)
            frame.pict_type = PictureType.I if number == _FORCED else PictureType.NONE
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _picture(number: int) -> VideoFrame:
    """Return one of a moving pattern: pictures that stand still are too easy."""
    frame = VideoFrame(_WIDTH, _HEIGHT, "yuv420p")
    for plane in frame.planes:
        shift = 5 * number
        plane.update(_PATTERN[shift : shift + plane.buffer_size])
    return frame


def _keyframes(file: io.BytesIO) -> list[int] | None:
    """Return which pictures are keyframes, or `None` when there are not as many as there were."""
    with av.open(file, "r") as made:
        frames = list(made.decode(video=0))
    if len(frames) != _PICTURES or any(
        after.pts <= before.pts
        for before, after in pairwise(frames)
        if after.pts is not None and before.pts is not None
    ):
        return None
    return [number for number, frame in enumerate(frames) if frame.key_frame]
