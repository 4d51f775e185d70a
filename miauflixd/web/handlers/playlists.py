"""What one wants to watch, as a playlist with addresses that stay: for VLC, Kodi and the like."""

import asyncio
import io
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus

from aiohttp import hdrs, web

from miauflixd.catalogue.model import (
    Audience,
    Card,
    Episode,
    EpisodeCard,
    Kind,
    NoTitleError,
    TitleId,
)
from miauflixd.playback.library_files import Shelved, library_files
from miauflixd.playback.playlists import Entry, m3u, xspf
from miauflixd.web.addresses import base_url
from miauflixd.web.handlers.stremio import sent_on
from miauflixd.web.keys import CATALOGUE, LISTS, WATCHING
from miauflixd.web.ports import Catalogue
from miauflixd.web.routes import Policy, Route
from miauflixd.web.who import audience, own_id

_SHELF = 500
"""Movies and shows in a library of links."""

_MOST = 100
"""Titles to go on with, and shows of which something comes next."""


async def playlist_m3u(request: web.Request) -> web.Response:
    return web.Response(text=m3u(await _entries(request)), content_type="audio/x-mpegurl")


async def playlist_xspf(request: web.Request) -> web.Response:
    text = xspf(await _entries(request), title="miauflix")
    return web.Response(text=text, content_type="application/xspf+xml")


async def library(request: web.Request) -> web.Response:
    """Return one's own titles as a folder for Kodi and Jellyfin."""
    address = f"{base_url(request)}/play/{request.match_info['token']}"
    files = library_files(await _shelved(request), play=address)
    return web.Response(
        body=await asyncio.to_thread(_zipped, files),
        content_type="application/zip",
        headers={hdrs.CONTENT_DISPOSITION: 'attachment; filename="miauflix.zip"'},
    )


async def _shelved(request: web.Request) -> list[Shelved]:
    """Return what somebody goes on with, what comes next, and what is on their own lists."""
    user_id, watching, lists = own_id(request), request.app[WATCHING], request.app[LISTS]
    begun = await watching.continue_watching(user_id, _MOST)
    ids = [*(one.title_id for one in begun), *await watching.next_up(user_id, _MOST)]
    for info in await lists.visible(user_id):
        if info.owner == user_id:
            ids += (await lists.get(info.slug, user_id)).ids
    audience_of = await audience(request)
    catalogue, found = request.app[CATALOGUE], dict[TitleId, Shelved]()
    for title_id in dict.fromkeys(ids):
        if len(found) >= _SHELF:
            break
        with suppress(NoTitleError):
            whole = title_id
            if title_id.kind is Kind.EPISODE:
                whole = (await catalogue.episode(title_id, audience_of)).show.id
            if whole not in found:
                found[whole] = await _shelf(catalogue, whole, audience_of)
    return list(found.values())


async def _shelf(catalogue: Catalogue, title_id: TitleId, audience_of: Audience) -> Shelved:
    title = await catalogue.title(title_id, audience_of)
    episodes: list[Episode] = []
    for season in title.seasons:
        if season.synced:
            episodes += (await catalogue.season(title_id, season.number, audience_of)).episodes
    return Shelved(title=title, episodes=tuple(episodes))


def _zipped(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return packed.getvalue()


async def play(request: web.Request) -> web.Response:
    """Send on to the best source that there is of a title now."""
    return await sent_on(request, TitleId.parse(request.match_info["title_id"]))


async def _entries(request: web.Request) -> list[Entry]:
    """Return what somebody goes on with, then what comes next, the latest first."""
    user_id, watching = own_id(request), request.app[WATCHING]
    begun = await watching.continue_watching(user_id, _MOST)
    following = await watching.next_up(user_id, _MOST)
    positions = {one.title_id: one.position for one in begun}
    ids = list(dict.fromkeys([*positions, *following]))
    cards = await request.app[CATALOGUE].cards(ids, await audience(request))
    address = f"{base_url(request)}/play/{request.match_info['token']}"
    return [
        Entry(
            url=f"{address}/{title_id}",
            title=_name(cards[title_id]),
            resume_at=positions.get(title_id, 0.0),
        )
        for title_id in ids
        if title_id in cards
    ]


def _name(card: Card | EpisodeCard) -> str:
    if isinstance(card, EpisodeCard):
        place = f"S{card.season:02}E{card.episode:02}"
        return f"{card.show.title} {place} {card.title}".strip()
    return card.title if card.year is None else f"{card.title} ({card.year})"


_GONE = {HTTPStatus.NOT_FOUND: "There is no such title, or nothing to play it from"}

ROUTES = (
    Route(
        method="GET",
        path="/playlist/{token}.m3u8",
        handler=playlist_m3u,
        policy=Policy.PLAYLIST,
        summary="List what one goes on with and what comes next, as M3U",
        response_media="audio/x-mpegurl",
    ),
    Route(
        method="GET",
        path="/playlist/{token}.xspf",
        handler=playlist_xspf,
        policy=Policy.PLAYLIST,
        summary="List it as XSPF",
        response_media="application/xspf+xml",
    ),
    Route(
        method="GET",
        path="/playlist/{token}.zip",
        handler=library,
        policy=Policy.PLAYLIST,
        rate="write",
        summary="Pack one's titles as STRM and NFO files, a library for Kodi and Jellyfin",
        response_media="application/zip",
    ),
    Route(
        method="GET",
        path="/play/{token}/{title_id}",
        handler=play,
        policy=Policy.PLAYLIST,
        rate="stream",
        summary="Send a player on to the best source that there is of a title now",
        status=HTTPStatus.FOUND,
        other=_GONE
        | {
            HTTPStatus.SERVICE_UNAVAILABLE: "There is no way to what there is",
            HTTPStatus.GATEWAY_TIMEOUT: "Nothing came from where it is in time",
            HTTPStatus.INSUFFICIENT_STORAGE: "There is no room on the disk for more",
        },
    ),
)
