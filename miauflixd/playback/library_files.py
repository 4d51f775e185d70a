"""A library of links for Kodi and Jellyfin: STRM files, and NFO files that say what they are of.

The layout is the one that both document: `Movies/Title (Year) [tmdbid-1]/...` and
`Shows/Title (Year) [tmdbid-1]/Season 01/Title S01E01`. A STRM file holds one address, which has to
stay. No I/O.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from miauflixd.catalogue.model import Episode, Title, TitleId

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]+')
"""What some file system does not take in a name."""

_LONGEST = 120
"""Characters of a name; file systems take 255 bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shelved:
    """A movie or a show, with the episodes that are known."""

    title: Title
    episodes: tuple[Episode, ...] = ()


def library_files(titles: Iterable[Shelved], *, play: str) -> Mapping[str, str]:
    """Return the text of each file by its path, which has `/` and no way out of its folder.

    Args:
        titles: what is in the library.
        play: the address that a title's id is put behind to play it.
    """
    files: dict[str, str] = {}
    for one in titles:
        files |= _show(one, play) if one.episodes else _movie(one.title, play)
    return files


def _movie(title: Title, play: str) -> Mapping[str, str]:
    name = _name(title)
    place = f"Movies/{name}/{name}"
    return {f"{place}.strm": _address(play, title.card.id), f"{place}.nfo": _nfo("movie", title)}


def _show(one: Shelved, play: str) -> Mapping[str, str]:
    name = _name(one.title)
    plain = _safe(one.title.card.title)
    files = {f"Shows/{name}/tvshow.nfo": _nfo("tvshow", one.title)}
    for episode in one.episodes:
        number = f"S{episode.season:02}E{episode.number:02}"
        place = f"Shows/{name}/Season {episode.season:02}/{plain} {number}"
        files[f"{place}.strm"] = _address(play, episode.id)
        files[f"{place}.nfo"] = _episode(episode)
    return files


def _address(play: str, title_id: TitleId) -> str:
    return f"{play}/{title_id}\n"


def _name(title: Title) -> str:
    card, ids = title.card, title.ids
    name = _safe(card.title)
    if card.year is not None:
        name += f" ({card.year})"
    # Jellyfin and Kodi find what they know by it, whatever the name is.
    if ids.tmdb is not None:
        return f"{name} [tmdbid-{ids.tmdb}]"
    return f"{name} [{card.id.kind.value}-{card.id.number}]"


def _safe(text: str) -> str:
    """Return a name for a file: nothing in it is a folder, and none is hidden or empty."""
    name = " ".join(_FORBIDDEN.sub(" ", text).split())[:_LONGEST].strip(". ")
    return name or "Untitled"


def _nfo(kind: str, title: Title) -> str:
    card = title.card
    lines = [
        _element("title", card.title),
        _element("originaltitle", title.original_title),
        _element("year", card.year),
        _element("plot", title.overview),
        _element("tagline", title.tagline),
        _element("runtime", None if title.runtime is None else round(title.runtime / 60)),
        _element("premiered", title.released),
        _element("mpaa", title.certification),
        *(_element("genre", genre.name) for genre in title.genres),
        _id("tmdb", title.ids.tmdb, default=True),
        _id("imdb", title.ids.imdb),
        _id("tvdb", title.ids.tvdb),
    ]
    return _document(kind, lines)


def _episode(episode: Episode) -> str:
    runtime = None if episode.runtime is None else round(episode.runtime / 60)
    return _document(
        "episodedetails",
        [
            _element("title", episode.title),
            _element("season", episode.season),
            _element("episode", episode.number),
            _element("plot", episode.overview),
            _element("aired", episode.aired),
            _element("runtime", runtime),
        ],
    )


def _document(kind: str, lines: Iterable[str]) -> str:
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return "\n".join([head, f"<{kind}>", *filter(None, lines), f"</{kind}>", ""])


def _element(name: str, value: object) -> str:
    if value is None or value == "":
        return ""
    text = "".join(char for char in str(value) if char >= " " or char in "\n\t")
    return f"  <{name}>{escape(text)}</{name}>"


def _id(kind: str, value: object, *, default: bool = False) -> str:
    if value is None:
        return ""
    said = ' default="true"' if default else ""
    return f"  <uniqueid type={quoteattr(kind)}{said}>{escape(str(value))}</uniqueid>"
