"""Films by FFmpeg, of every kind that people have: what browsers play, what they do not, and what
is broken."""

import subprocess
from pathlib import Path

SECONDS = 30

_SOURCE = (
    "-f", "lavfi", "-i", f"testsrc2=size=320x180:rate=25:duration={SECONDS}",
    "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}",
)  # fmt: skip
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-bf", "2", "-pix_fmt", "yuv420p")
_HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-g", "50", "-x265-params", "log-level=error")
_AV1 = ("-c:v", "libsvtav1", "-preset", "12", "-g", "50")
_VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "50")

KINDS: dict[str, tuple[str, ...]] = {
    "h264_aac.mp4": (*_H264, "-c:a", "aac", "-movflags", "+faststart"),
    "h264_aac.mkv": (*_H264, "-c:a", "aac"),
    "h264_opus.mkv": (*_H264, "-c:a", "libopus"),
    "h264_flac.mkv": (*_H264, "-c:a", "flac"),
    "h264_mp3.mkv": (*_H264, "-c:a", "libmp3lame"),
    "h264_ac3.mkv": (*_H264, "-c:a", "ac3"),
    "h264_eac3.mkv": (*_H264, "-c:a", "eac3"),
    "h264_dts.mkv": (*_H264, "-c:a", "dca", "-strict", "-2", "-ac", "2"),
    "hi10p_aac.mkv": (*_H264[:-1], "yuv420p10le", "-c:a", "aac"),
    "hevc_aac.mp4": (*_HEVC, "-tag:v", "hvc1", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    "hevc10_ac3.mkv": (*_HEVC, "-pix_fmt", "yuv420p10le", "-c:a", "ac3"),
    "av1_opus.mkv": (*_AV1, "-c:a", "libopus"),
    "vp9_opus.webm": (*_VP9, "-c:a", "libopus"),
    "xvid_mp3.avi": ("-c:v", "mpeg4", "-vtag", "XVID", "-c:a", "libmp3lame"),
    "mpeg2_mp2.mpg": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "h264_aac.ts": (*_H264, "-c:a", "aac"),
    "h264_ac3.ts": (*_H264, "-c:a", "ac3"),
    "moov_at_the_end.mp4": (*_H264, "-c:a", "aac"),
    "open_gop.mkv": (*_H264, "-x264-params", "open-gop=1:keyint=50:bframes=3", "-c:a", "ac3"),
    "sparse_keyframes.mkv": (*_H264[:-6], "-g", "300", "-c:a", "ac3"),
    "starts_late.mkv": (*_H264, "-c:a", "ac3", "-output_ts_offset", "5"),
    "no_sound.mkv": (*_H264, "-an"),
    "variable_rate.mkv": (
        *("-vf", "select='not(mod(n,7))+lt(mod(n,50),20)'", "-fps_mode", "vfr"),
        *(*_H264, "-c:a", "ac3"),
    ),
}
"""What FFmpeg is told, by the file's name."""


def make(name: str, folder: Path) -> Path:
    """Return a film of a kind, made unless it is there."""
    path = folder / name
    if not path.exists():
        command = ["ffmpeg", "-v", "error", "-y", *_SOURCE, *KINDS[name], str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    return path


def without_index(folder: Path) -> Path:
    """Return a Matroska file that was never finished: no cues, no length."""
    path = folder / "no_cues.mkv"
    whole = make("h264_ac3.mkv", folder)
    with path.open("wb") as file:
        command = ["ffmpeg", "-v", "error", "-i", str(whole), "-c", "copy", "-f", "matroska", "-"]
        subprocess.run(command, check=True, stdout=file, timeout=60)
    return path


def truncated(folder: Path, name: str) -> Path:
    """Return the first half of a film."""
    whole = make(name, folder).read_bytes()
    path = folder / f"half_{name}"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def with_a_jump(folder: Path) -> Path:
    """Return a transport stream of two films, the clock of the second of which begins anew."""
    path = folder / "jump.ts"
    path.write_bytes(
        make("h264_aac.ts", folder).read_bytes() + make("h264_ac3.ts", folder).read_bytes()
    )
    return path


def many_tracks(folder: Path) -> Path:
    """Return a film with seven languages, thirty subtitles, chapters and a font."""
    path = folder / "many_tracks.mkv"
    srt = folder / "text.srt"
    lines = (f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\nLine {n}\n" for n in range(1, 29))
    srt.write_text("\n".join(lines))
    chapters = folder / "chapters.txt"
    chapters.write_text(
        ";FFMETADATA1\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=10000\ntitle=Opening\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=10000\nEND=30000\ntitle=The rest\n"
    )
    font = folder / "font.ttf"
    font.write_bytes(b"\x00\x01\x00\x00" + bytes(1000))
    languages = ("eng", "ger", "fre", "spa", "ita", "jpn", "rus")
    maps = ["-map", "0:v", *(("-map", "1:a") * 7), *(("-map", "2:s") * 30), "-map_metadata", "3"]
    said: list[str] = []
    for kind, count in (("a", 7), ("s", 30)):
        for n in range(count):
            said += [f"-metadata:s:{kind}:{n}", f"language={languages[n % 7]}"]
    command = [
        *("ffmpeg", "-v", "error", "-y", *_SOURCE, "-i", str(srt), "-i", str(chapters), *maps),
        *(*_H264, "-c:a", "ac3", "-c:s:0", "srt", "-c:s", "ass", *said),
        *("-attach", str(font), "-metadata:s:t", "mimetype=font/ttf", str(path)),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return path
