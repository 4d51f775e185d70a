"""A Stremio add-on: what there is to watch here, for TVs that have Stremio.

Stremio cannot sign in, so a key that can be revoked stands in each address. Everything may be read
from anywhere (CORS), for Stremio's pages are elsewhere. What is answered is as its SDK has it
(stremio-addon-sdk, docs/api).
"""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from aiohttp import hdrs, web

from miauflixd import __version__
from miauflixd.catalogue.browsing import Query
from miauflixd.catalogue.model import (
    Audience,
    Card,
    GenreSlug,
    Kind,
    NoTitleError,
    OutsideIds,
    Title,
    TitleId,
)
from miauflixd.errors import MiauflixdError
from miauflixd.playback.client import ANYTHING
from miauflixd.playback.service import Playback, Wish
from miauflixd.playback.subtitles import BESIDE, choices
from miauflixd.sources.choosing import RankedListing, preference
from miauflixd.sources.listing_model import ListingId
from miauflixd.sources.ranking import Preference
from miauflixd.web.addresses import base_url
from miauflixd.web.handlers.images import image
from miauflixd.web.keys import CATALOGUE, HOUSEHOLD, PLAYBACKS, SOURCES, TORRENTS
from miauflixd.web.routes import Policy, Route
from miauflixd.web.who import audience, own_id, viewer

_PAGE = 100
"""Titles of a page; fewer tell Stremio that there are no more."""

_FARTHEST = 2000
"""Titles that are skipped at most."""

_DIGITS = 9

_STREAMS = 8
"""Sources of a title that are offered."""

_MANIFEST = 8192
"""Bytes at most."""

_FRESH = 1800
"""Seconds for which a catalogue may be kept."""

_TYPES = {"movie": Kind.MOVIE, "series": Kind.SHOW}

_ISO_639_2 = {
    "ar": "ara", "cs": "cze", "da": "dan", "de": "ger", "el": "gre", "en": "eng", "es": "spa",
    "fi": "fin", "fr": "fre", "he": "heb", "hi": "hin", "hu": "hun", "it": "ita", "ja": "jpn",
    "ko": "kor", "nb": "nor", "nl": "dut", "no": "nor", "pl": "pol", "pt": "por", "ro": "rum",
    "ru": "rus", "sv": "swe", "th": "tha", "tr": "tur", "uk": "ukr", "vi": "vie", "zh": "chi",
}  # fmt: skip
"""As Stremio names the languages of subtitles."""

Json = dict[str, Any]


async def manifest(request: web.Request) -> web.Response:
    return _json(await _manifest(request), keep=_FRESH)


async def catalog(request: web.Request) -> web.Response:
    kind = _TYPES.get(request.match_info["type"])
    if kind is None:
        return _json({"metas": []})
    extra, who = _extra(request), await audience(request)
    house = request.app[CATALOGUE]
    cards: Sequence[Card]
    skip = _skipped(extra.get("skip", ""))
    if skip > _FARTHEST or ("search" in extra and skip > 0):
        return _json({"metas": []})  # a search has one page
    if "search" in extra:
        found = await house.search(extra["search"][:200], kind=kind, audience=who, count=_PAGE)
        cards = found.cards
    else:
        genre = await _genre(request, extra.get("genre"), who)
        page = await house.browse(
            Query(kind=kind, genre=genre, limit=who.limit), who, after=None, count=skip + _PAGE
        )
        cards = page.cards[skip:]
    ids = await house.outside([card.id for card in cards])
    metas = [_preview(request, card, ids.get(card.id)) for card in cards]
    return _json({"metas": metas}, keep=_FRESH)


async def meta(request: web.Request) -> web.Response:
    who = await audience(request)
    title_id = await _title_id(request, who)
    if title_id is None or title_id.kind is Kind.EPISODE:
        return _json({"meta": None})
    title = await request.app[CATALOGUE].title(title_id, who)
    shown = _preview(request, title.card, title.ids) | _details(title)
    if title_id.kind is Kind.SHOW:
        shown["videos"] = await _videos(request, title, who)
    return _json({"meta": shown}, keep=_FRESH)


async def stream(request: web.Request) -> web.Response:
    who = await audience(request)
    title_id = await _title_id(request, who)
    if title_id is None or title_id.kind is Kind.SHOW:
        return _json({"streams": []})
    sources, liked = request.app[SOURCES], await _liked(request)
    await sources.see(title_id, who)
    await sources.freshen(title_id, refresh=False)
    found = await sources.of_title(title_id, liked, audience=who)
    usable = [one for one in found.listings if one.usable]
    return _json({"streams": [_stream(request, title_id, one) for one in usable[:_STREAMS]]})


async def subtitles(request: web.Request) -> web.Response:
    """Answer with files beside the video; what is within it the player finds itself."""
    title_id = await _title_id(request, await audience(request))
    user_id = own_id(request)
    playing = [one for one in request.app[PLAYBACKS].of(user_id) if one.title_id == title_id]
    if not playing:
        return _json({"subtitles": []})
    playback = max(playing, key=lambda one: one.used_at)
    key = await _key(request, playback)
    said = urlencode({"file": playback.file_index, "key": key})
    layout = request.app[TORRENTS].source(playback.source_id).layout
    base = f"{base_url(request)}/api/stream/{playback.source_id}/subtitles"
    return _json(
        {
            "subtitles": [
                {
                    "id": f"{playback.source_id}-{one.index}",
                    "url": f"{base}/{one.index}.vtt?{said}",
                    "lang": _ISO_639_2.get(one.language or "", one.label),
                }
                for one in choices(None, layout, playback.file_index)
                if one.index >= BESIDE
            ]
        }
    )


async def play(request: web.Request) -> web.Response:
    """Send on to the file of a source, of which by now the address is known."""
    who = await audience(request)
    title_id = TitleId.parse(request.match_info["title_id"])
    wanted = ListingId(request.match_info["listing_id"])
    found = await request.app[SOURCES].of_title(title_id, await _liked(request), audience=who)
    there = [one.listing.id for one in found.listings]
    # One that is gone by now leaves the choice to us.
    others = tuple(one for one in there if one != wanted) if wanted in there else ()
    return await sent_on(request, title_id, not_these=others)


async def picture(request: web.Request) -> web.StreamResponse:
    return await image(request)


async def sent_on(
    request: web.Request, title_id: TitleId, *, not_these: Sequence[ListingId] = ()
) -> web.Response:
    """Begin a playback in a player of its own, and answer with where its file is."""
    await request.app[SOURCES].see(title_id, await audience(request))
    playback = await request.app[PLAYBACKS].start(
        Wish(
            user_id=own_id(request),
            client=ANYTHING,
            preference=await _liked(request),
            title_id=title_id,
            not_these=tuple(not_these),
        )
    )
    said = urlencode({"file": playback.file_index, "key": await _key(request, playback)})
    address = f"{base_url(request)}/api/stream/{playback.source_id}?{said}"
    return web.Response(
        status=HTTPStatus.FOUND, headers={hdrs.LOCATION: address, hdrs.CACHE_CONTROL: "no-store"}
    )


async def allow(_request: web.Request) -> web.Response:
    """Answer a browser that asks whether it may ask (Fetch, 3.2.4)."""
    headers = {
        "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
        "Access-Control-Allow-Headers": "*",
        "Access-Control-Max-Age": "86400",
    }
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)


# --- what is answered -----------------------------------------------------------------------------


async def _manifest(request: web.Request) -> Json:
    genres = await request.app[CATALOGUE].genres(await audience(request))
    names = [one.genre.name for one in genres]
    while True:
        extra = [
            {"name": "search"},
            *([{"name": "genre", "options": names}] if names else []),
            {"name": "skip"},
        ]
        found: Json = {
            "id": "org.miauflix.house",
            "version": _version(),
            "name": "miauflix",
            "description": "What there is to watch on the miauflix of this house",
            "resources": ["catalog", "meta", "stream", "subtitles"],
            "types": [*_TYPES],
            "idPrefixes": ["tt", "mfx:"],
            "catalogs": [
                {"type": kind, "id": f"miauflix-{kind}", "name": "miauflix", "extra": extra}
                for kind in _TYPES
            ],
            "behaviorHints": {"adult": False, "p2p": False},
        }
        if len(msgspec.json.encode(found)) <= _MANIFEST:
            return found
        names = names[: len(names) * 3 // 4]


def _version() -> str:
    """Return three numbers, which is what Stremio takes for a version."""
    numbers = [one for one in __version__.split("+")[0].split(".") if one.isdecimal()]
    return ".".join([*numbers, "0", "0", "0"][:3])


def _preview(request: web.Request, card: Card, ids: OutsideIds | None) -> Json:
    found: Json = {
        "id": _outside(card.id, ids),
        "type": "movie" if card.id.kind is Kind.MOVIE else "series",
        "name": card.title,
        "posterShape": "poster",
    }
    if card.poster is not None:
        found["poster"] = _image(request, "medium", card.poster)
    if card.backdrop is not None:
        found["background"] = _image(request, "large", card.backdrop)
    if card.year is not None:
        found["releaseInfo"] = str(card.year)
    if card.rating is not None:
        found["imdbRating"] = f"{card.rating:.1f}"
    return found


def _details(title: Title) -> Json:
    found: Json = {
        "description": title.overview,
        "genres": [genre.name for genre in title.genres],
        "cast": [credit.name for credit in title.credits[:10]],
    }
    if title.released is not None:
        found["released"] = f"{title.released.isoformat()}T00:00:00.000Z"
    if title.runtime:
        found["runtime"] = f"{title.runtime // 60} min"
    return found


async def _videos(request: web.Request, title: Title, who: Audience) -> list[Json]:
    videos = []
    for season in title.seasons:
        view = await request.app[CATALOGUE].season(title.card.id, season.number, who)
        for one in view.episodes:
            video: Json = {
                "id": f"mfx:{one.id}"
                if title.ids.imdb is None
                else f"{title.ids.imdb}:{one.season}:{one.number}",
                "title": one.title or f"Episode {one.number}",
                "season": one.season,
                "episode": one.number,
                "overview": one.overview,
                "available": one.available,
            }
            if one.aired is not None:
                video["released"] = f"{one.aired.isoformat()}T00:00:00.000Z"
            if one.still is not None:
                video["thumbnail"] = _image(request, "small", one.still)
            videos.append(video)
    return videos


def _stream(request: web.Request, title_id: TitleId, ranked: RankedListing) -> Json:
    release, listing, offer = ranked.release, ranked.listing, ranked.listing.offer
    quality = "?" if release.quality is None else release.quality.value
    codec = "" if release.video_codec is None else release.video_codec.value
    size = ranked.part.file.size if ranked.part.file is not None else offer.size
    name = offer.name
    token = request.match_info["token"]
    languages = [*release.languages]
    said = [
        f"{size / 2**30:.1f} GB" if size else "",
        codec,
        ", ".join(languages[:4]),
        *ranked.reasons[:2],
    ]
    text = " · ".join(one for one in said if one)
    ending = name.rpartition(".")[2].lower()
    hints: Json = {
        # Only what comes by TLS and is MP4 a browser on a TV plays by itself.
        "notWebReady": not (request_is_secure(request) and ending == "mp4"),
        "bingeGroup": f"miauflix-{quality}-{codec}-{'-'.join(languages[:1])}",
    }
    if ranked.part.file is not None:
        hints["filename"] = ranked.part.file.name.rpartition("/")[2]
    if size:
        hints["videoSize"] = size
    return {
        "name": f"miauflix\n{quality}",
        "description": text,
        "title": text,
        "url": f"{base_url(request)}/stremio/{token}/play/{title_id}/{listing.id}",
        "behaviorHints": hints,
    }


def request_is_secure(request: web.Request) -> bool:
    """Whether the client speaks TLS with us or our proxy."""
    return base_url(request).startswith("https:")


def _image(request: web.Request, size: str, key: str) -> str:
    return f"{base_url(request)}/stremio/{request.match_info['token']}/image/{size}/{key}"


def _outside(title_id: TitleId, ids: OutsideIds | None) -> str:
    return f"mfx:{title_id}" if ids is None or ids.imdb is None else ids.imdb


# --- what is asked --------------------------------------------------------------------------------


def _extra(request: web.Request) -> dict[str, str]:
    """Return what stands behind the catalogue's name: a query in a part of the path.

    From the path as it came, for once decoded nobody can tell its signs from those of its values.
    """
    if "extra" not in request.match_info:
        return {}
    last = request.rel_url.raw_path.rpartition("/")[2]
    return dict(parse_qsl(last.removesuffix(".json")))


def _skipped(said: str) -> int:
    """Return how many titles were seen already; what is no number is none."""
    return int(said) if said.isascii() and said.isdecimal() and len(said) <= _DIGITS else 0


async def _genre(request: web.Request, name: str | None, who: Audience) -> GenreSlug | None:
    if name is None:
        return None
    for one in await request.app[CATALOGUE].genres(who):
        if one.genre.name == name:
            return one.genre.slug
    return GenreSlug(name)


async def _title_id(request: web.Request, who: Audience) -> TitleId | None:
    """Return the title that an address is about: `mfx:movie:1`, `tt123`, `tt123:1:2`."""
    text = request.match_info["id"]
    house = request.app[CATALOGUE]
    if text.startswith("mfx:"):
        try:
            return TitleId.parse(text.removeprefix("mfx:"))
        except NoTitleError:
            return None
    imdb, *place = text.split(":")
    kind = _TYPES.get(request.match_info["type"])
    card = await house.find(OutsideIds(imdb=imdb), kind, who) if kind is not None else None
    if card is None or not place:
        return None if card is None else card.id
    if len(place) != 2 or not all(one.isdecimal() and len(one) < 5 for one in place):  # noqa: PLR2004 -- S:E
        return None
    season, number = map(int, place)
    try:
        view = await house.season(card.id, season, who)
    except MiauflixdError:
        return None
    return next((one.id for one in view.episodes if one.number == number), None)


async def _liked(request: web.Request) -> Preference:
    user = await request.app[HOUSEHOLD].accounts.get(own_id(request))
    return preference(user.profile)


async def _key(request: web.Request, playback: Playback) -> str:
    return await request.app[HOUSEHOLD].stream_keys.issue(
        viewer(request),
        source_id=playback.source_id,
        file=playback.file_index,
        playback_id=playback.id,
    )


def _json(found: Json, *, keep: int = 0) -> web.Response:
    control = f"max-age={keep}" if keep else "no-cache"
    return web.Response(
        body=msgspec.json.encode(found),
        content_type="application/json",
        charset="utf-8",
        headers={hdrs.CACHE_CONTROL: control},
    )


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _route(path: str, handler: Handler, summary: str, media: str = "application/json") -> Route:
    return Route(
        method="GET",
        path=f"/stremio/{{token}}/{path}",
        handler=handler,
        policy=Policy.STREMIO,
        rate="read",
        summary=summary,
        response_media=media,
        cors=True,
        other={HTTPStatus.NOT_FOUND: "There is no such title, source or image"},
    )


async def catalog_page(request: web.Request) -> web.Response:
    return await catalog(request)


async def subtitles_of_file(request: web.Request) -> web.Response:
    return await subtitles(request)


ROUTES = (
    _route("manifest.json", manifest, "Say what this Stremio add-on has"),
    _route("catalog/{type}/{id}.json", catalog, "List titles for Stremio"),
    _route(
        "catalog/{type}/{id}/{extra}.json",
        catalog_page,
        "List titles for Stremio: a search, a genre, a further page",
    ),
    _route("meta/{type}/{id}.json", meta, "Describe a title for Stremio"),
    _route("stream/{type}/{id}.json", stream, "List the sources of a title for Stremio"),
    _route("subtitles/{type}/{id}.json", subtitles, "List subtitles for Stremio"),
    _route(
        "subtitles/{type}/{id}/{extra}.json",
        subtitles_of_file,
        "List subtitles for Stremio, of a file",
    ),
    _route("image/{size}/{key}", picture, "Send an image to Stremio", "image/*"),
    Route(
        method="GET",
        path="/stremio/{token}/play/{title_id}/{listing_id}",
        handler=play,
        policy=Policy.STREMIO,
        rate="stream",
        summary="Send Stremio on to the file of a source",
        status=HTTPStatus.FOUND,
        cors=True,
        other={
            HTTPStatus.NOT_FOUND: "There is no such title or source",
            HTTPStatus.SERVICE_UNAVAILABLE: "There is no way to what there is",
            HTTPStatus.GATEWAY_TIMEOUT: "Nothing came from where it is in time",
            HTTPStatus.INSUFFICIENT_STORAGE: "There is no room on the disk for more",
        },
    ),
)
