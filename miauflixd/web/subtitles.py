"""What is played, as handlers tell of it: its name and its subtitles."""

from collections.abc import Sequence
from urllib.parse import urlencode

from aiohttp import web

from miauflixd.playback.service import Playback
from miauflixd.playback.subtitles import Choice, choices, shown_at_first
from miauflixd.torrents.model import Layout, NoSourceError
from miauflixd.web.keys import CATALOGUE, HOUSEHOLD, TORRENTS
from miauflixd.web.playback_shapes import SubtitleShape
from miauflixd.web.who import audience


def layout_of(request: web.Request, playback: Playback) -> Layout | None:
    """Return the files of what is played; `None`: nobody knows."""
    try:
        return request.app[TORRENTS].source(playback.source_id).layout
    except NoSourceError:
        return None  # it was removed this moment


def choices_of(request: web.Request, playback: Playback) -> Sequence[Choice]:
    """Return what subtitles there are."""
    return choices(playback.media, layout_of(request, playback), playback.file_index)


async def subtitle_shapes(
    request: web.Request, playback: Playback, key: str
) -> list[SubtitleShape]:
    """Return the subtitles of what is played, and which are shown at first."""
    found = choices_of(request, playback)
    user = await request.app[HOUSEHOLD].accounts.get(playback.user_id)
    audio = () if playback.media is None else playback.media.audio
    heard = next((one.language for one in audio if one.index == playback.decision.audio), None)
    first = shown_at_first(found, heard=heard, read=user.profile.subtitle_languages)
    said = urlencode({"file": playback.file_index, "key": key})
    return [
        SubtitleShape(
            index=one.index,
            language=one.language,
            label=one.label,
            forced=one.forced,
            default=one is first,
            url=(
                f"/api/stream/{playback.source_id}/subtitles/{one.index}.vtt?{said}"
                if one.is_text
                else None
            ),
        )
        for one in found
    ]


async def title_of(request: web.Request, playback: Playback) -> str:
    """Return what stands in a playlist for what is played."""
    if playback.title_id is not None:
        cards = await request.app[CATALOGUE].cards([playback.title_id], await audience(request))
        card = cards.get(playback.title_id)
        if card is not None:
            return card.title
    try:
        return request.app[TORRENTS].source(playback.source_id).name or "miauflix"
    except NoSourceError:
        return "miauflix"
