"""Playlists and links for players of their own: VLC, mpv, Kodi, Infuse. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape, quoteattr

_VLC = "http://www.videolan.org/vlc/playlist/0"
"""VLC's name for its own part of XSPF."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subtitle:
    """Subtitles at an address."""

    url: str
    language: str | None
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One film of a playlist."""

    url: str
    title: str
    duration: float | None = None
    """Seconds."""
    resume_at: float = 0.0
    """Seconds."""
    subtitles: tuple[Subtitle, ...] = ()


def m3u(entries: Sequence[Entry]) -> str:
    """Return an extended M3U playlist, in UTF-8, with the options that VLC and Kodi read."""
    lines = ["#EXTM3U"]
    for entry in entries:
        length = -1 if entry.duration is None else round(entry.duration)
        lines.append(f"#EXTINF:{length},{_line(entry.title)}")
        if entry.resume_at >= 1:
            lines.append(f"#EXTVLCOPT:start-time={int(entry.resume_at)}")
        # VLC takes further inputs behind hashes.
        if entry.subtitles:
            slaves = "#".join(one.url for one in entry.subtitles)
            lines.append(f"#EXTVLCOPT:input-slave={_line(slaves)}")
        lines.append(_line(entry.url))
    return "\n".join([*lines, ""])


def xspf(entries: Sequence[Entry], *, title: str) -> str:
    """Return an XSPF playlist (version 1), with VLC's options."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<playlist version="1" xmlns="http://xspf.org/ns/0/" xmlns:vlc="{_VLC}">',
        f"<title>{_text(title)}</title>",
        "<trackList>",
    ]
    for number, entry in enumerate(entries):
        lines += [
            "<track>",
            f"<location>{_text(entry.url)}</location>",
            f"<title>{_text(entry.title)}</title>",
        ]
        if entry.duration is not None:
            lines.append(f"<duration>{round(entry.duration * 1000)}</duration>")
        lines += [f"<extension application={quoteattr(_VLC)}>", f"<vlc:id>{number}</vlc:id>"]
        if entry.resume_at >= 1:
            lines.append(f"<vlc:option>start-time={int(entry.resume_at)}</vlc:option>")
        if entry.subtitles:
            slaves = "#".join(one.url for one in entry.subtitles)
            lines.append(f"<vlc:option>input-slave={_text(slaves)}</vlc:option>")
        lines += ["</extension>", "</track>"]
    return "\n".join([*lines, "</trackList>", "</playlist>", ""])


def deep_links(url: str, *, title: str) -> Mapping[str, str]:
    """Return addresses that open a player of this device with an address to play.

    Args:
        url: what to play; absolute.
        title: for players that show one.

    Returns:
        By player: `vlc` (iOS), `vlc-android`, `infuse`, `iina`, `mpv`, `outplayer`.
    """
    whole = quote(url, safe="")
    parts = urlsplit(url)
    rest = url.removeprefix(f"{parts.scheme}://")
    return {
        "vlc": f"vlc-x-callback://x-callback-url/stream?url={whole}",
        "vlc-android": (
            f"intent://{rest}#Intent;package=org.videolan.vlc;type=video/*;scheme={parts.scheme};"
            f"S.title={quote(title, safe='')};end"
        ),
        "infuse": f"infuse://x-callback-url/play?url={whole}",
        "iina": f"iina://weblink?url={whole}",
        "mpv": f"mpv://{whole}",
        "outplayer": f"outplayer://x-callback-url/play?url={whole}",
    }


def _line(text: str) -> str:
    """Return text that stays on its line."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _text(text: str) -> str:
    """Return text that may stand in XML 1.0: without what cannot be printed."""
    return escape("".join(one if one.isprintable() else " " for one in text))
