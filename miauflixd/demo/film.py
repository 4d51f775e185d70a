"""A film that anybody may have: a minute of flight into the Mandelbrot set, with clock and tone.

It is made by the ffmpeg program out of its own sources. A program, not PyAV: the film needs
ffmpeg's filters and an H.264 encoder once, and Debian packages both, with security support.
"""

import asyncio
import hashlib
import os
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from miauflixd.errors import UnavailableError

NAME = "A minute of Mandelbrot.mp4"
"""What the film is called in the swarm."""

_PICTURE = (
    # Computed at half the size: the flight is what costs, 4 s of one core for the whole minute.
    "mandelbrot=size=640x360:rate=25:start_scale=3:end_scale=0.0005:end_pts=1500:maxiter=400,"
    "scale=1280:720:flags=bicubic,format=yuv420p[picture]"
)
_CLOCK = (
    # testsrc2 carries its own digits, so no font is needed: cut `mm:ss.cc` out of its hh:mm:ss.mmm
    # (8 pixels a letter), make it white on black, and five times as large.
    "testsrc2=size=160x40:rate=25,crop=66:14:26:4,format=gray,lutyuv=y='if(gt(val,110),235,16)',"
    "scale=iw*5:ih*5:flags=neighbor,format=yuv420p[clock]"
)
_SOUND = (
    # A chord that breathes, and a beep at each full second: sound and clock can be compared.
    "sine=frequency=220:beep_factor=4:sample_rate=48000[low];"
    "sine=frequency=329.63:sample_rate=48000[high];"
    "[low][high]amix=inputs=2,tremolo=f=0.5:d=0.6,volume=0.6,aformat=channel_layouts=stereo[sound]"
)
_RECIPE = (
    "-filter_complex",
    f"{_PICTURE};{_CLOCK};[picture][clock]overlay=W-w-32:32[video];{_SOUND}",
    *("-map", "[video]", "-map", "[sound]"),
    # 20 MB in a minute. Encoding must be quick, not small: somebody is waiting.
    *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    *("-b:v", "2500k", "-maxrate", "3000k", "-bufsize", "3000k"),
    # A key frame each second, so that a seek shows its picture at once.
    *("-g", "25", "-keyint_min", "25", "-sc_threshold", "0"),
    *("-c:a", "aac", "-b:a", "128k"),
    # The index in front, so that the first bytes are enough to begin.
    *("-movflags", "+faststart", "-f", "mp4"),
)


class FfmpegError(UnavailableError):
    """The film cannot be made: ffmpeg is missing or has failed."""

    code = "ffmpeg"


async def film(directory: Path, *, seconds: int = 60) -> Path:
    """Return the film, made beforehand or now; a minute of it takes some 7 s on two cores.

    A half-made film is never left behind, nor taken for a whole one.

    Args:
        directory: where it is kept; made when missing.
        seconds: its length.

    Raises:
        FfmpegError: it has to be made, and ffmpeg is missing or fails.
        OSError: the directory cannot be written to.
    """
    target = _place_for_film(directory, seconds)
    if not target.exists():
        program = shutil.which("ffmpeg")
        if program is None:
            raise FfmpegError(
                "The film is made by ffmpeg, and there is none: apt-get install ffmpeg"
            )
        await _make(program, target, seconds)
    return target


def _place_for_film(directory: Path, seconds: int) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    # Another recipe is another file: an old film is not shown for the new one.
    version = hashlib.sha256(repr((_RECIPE, seconds)).encode()).hexdigest()[:8]
    return directory / f"film-{seconds}s-{version}.mp4"


async def _make(program: str, target: Path, seconds: int) -> None:
    # In the same directory: only within one file system is a rename all or nothing.
    with tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent) as workshop:
        unfinished = Path(workshop) / target.name
        await _encode(program, unfinished, seconds)
        unfinished.rename(target)


async def _encode(program: str, output: Path, seconds: int) -> None:
    process = await asyncio.create_subprocess_exec(
        program,
        *("-nostdin", "-hide_banner", "-loglevel", "error"),
        *_RECIPE,
        *("-t", str(seconds), os.fspath(output)),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
    )
    try:
        _, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = complaint.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"status {process.returncode}"
        raise FfmpegError(f"ffmpeg could not make the film: {reason}")
