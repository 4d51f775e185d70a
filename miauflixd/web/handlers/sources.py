"""Where titles can be had."""

from http import HTTPStatus

from aiohttp import web
from msgspec import UNSET

from miauflixd.auth.model import Profile, Role
from miauflixd.catalogue.model import Audience, TitleId
from miauflixd.sources.choosing import preference
from miauflixd.sources.listing_model import ListingId, NoListingError
from miauflixd.sources.own import Own
from miauflixd.sources.ranking import Preference
from miauflixd.web.bodies import (
    FieldProblem,
    InvalidFieldsError,
    answer,
    json_body,
    query,
    read_body,
)
from miauflixd.web.forms import file_of_form
from miauflixd.web.keys import HOUSEHOLD, LIMITS, SOURCES
from miauflixd.web.routes import Policy, Route
from miauflixd.web.source_shapes import (
    BrokenReport,
    ListingShape,
    NewSource,
    SourcesQuery,
    TitleSourcesShape,
    listing_shape,
    title_sources_shape,
)
from miauflixd.web.who import actor, audience, viewer

_NO_REASON = "Somebody has found it so"


async def of_title(request: web.Request) -> web.Response:
    wanted = query(request.query, SourcesQuery)
    title_id = TitleId.parse(request.match_info["title_id"])
    sources = request.app[SOURCES]
    viewers = await audience(request)
    await sources.see(title_id, viewers)
    await sources.freshen(title_id, refresh=wanted.refresh)
    found = await sources.of_title(title_id, await _preference(request, viewers), audience=viewers)
    return answer(
        title_sources_shape(
            found,
            directories=sources.directories,
            is_admin=viewer(request).role is Role.ADMIN,
        )
    )


async def add(request: web.Request) -> web.Response:
    title_id = TitleId.parse(request.match_info["title_id"])
    sources = request.app[SOURCES]
    viewers = await audience(request)
    await sources.see(title_id, viewers)
    listing = await sources.add_own(title_id, await _own(request), by=actor(request))
    found = await sources.of_title(title_id, await _preference(request, viewers), audience=viewers)
    for one in found.listings:
        if one.listing.id == listing.id:
            return answer(
                listing_shape(one, directories=sources.directories), status=HTTPStatus.CREATED
            )
    raise NoListingError("It was removed at once")


async def broken(request: web.Request) -> web.Response:
    wanted = BrokenReport()
    if request.can_read_body:
        wanted = await json_body(request, BrokenReport)
    sources = request.app[SOURCES]
    listing = await sources.listing(_listing_id(request), await audience(request))
    reason = (" ".join(wanted.reason.split()) or _NO_REASON) if wanted.broken else None
    await sources.mark_broken(listing.id, reason, by=actor(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def remove(request: web.Request) -> web.Response:
    await request.app[SOURCES].remove(_listing_id(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def _own(request: web.Request) -> Own:
    limit = request.app[LIMITS].torrent
    if request.content_type == "application/x-bittorrent":
        return Own(metainfo=await read_body(request, limit=limit))
    if request.content_type == "multipart/form-data":
        return Own(metainfo=await file_of_form(request, limit=limit))
    wanted = await json_body(request, NewSource)
    if wanted.magnet is not UNSET and wanted.url is UNSET:
        return Own(magnet=wanted.magnet)
    if wanted.url is not UNSET and wanted.magnet is UNSET:
        return Own(url=wanted.url)
    raise InvalidFieldsError(FieldProblem("", "Exactly one of magnet and url is needed"))


async def _preference(request: web.Request, viewers: Audience) -> Preference:
    """Return what whoever asks likes; the machine's own administrator likes whatever there is."""
    if viewers.user_id is None:
        return preference(Profile())
    user = await request.app[HOUSEHOLD].accounts.get(viewers.user_id)
    return preference(user.profile)


def _listing_id(request: web.Request) -> ListingId:
    return ListingId(request.match_info["id"])


_NO_TITLE = {HTTPStatus.NOT_FOUND: "There is no such title, or not for whoever asks"}
_NO_LISTING = {HTTPStatus.NOT_FOUND: "There is no such source, or not for whoever asks"}

ROUTES = (
    Route(
        method="GET",
        path="/api/titles/{title_id}/sources",
        handler=of_title,
        policy=Policy.USER,
        rate="search",
        summary="Where a movie or episode can be had, the best for whoever asks first",
        query=SourcesQuery,
        response=TitleSourcesShape,
        other=_NO_TITLE
        | {
            HTTPStatus.UNPROCESSABLE_ENTITY: "It is a show: its episodes have sources",
            HTTPStatus.SERVICE_UNAVAILABLE: "Directories are not asked now",
        },
    ),
    Route(
        method="POST",
        path="/api/titles/{title_id}/sources",
        handler=add,
        policy=Policy.USER,
        rate="write",
        summary="Add one's own: a magnet link, an address, or a `.torrent` file",
        request=NewSource,
        request_media=("application/x-bittorrent", "multipart/form-data"),
        response=ListingShape,
        status=HTTPStatus.CREATED,
        other=_NO_TITLE
        | {HTTPStatus.SERVICE_UNAVAILABLE: "There is no way to look at the address now"},
    ),
    Route(
        method="POST",
        path="/api/sources/{id}/broken",
        handler=broken,
        policy=Policy.USER,
        rate="write",
        summary="Say that a source does not play, so that the next best one is taken",
        request=BrokenReport,
        request_required=False,
        status=HTTPStatus.NO_CONTENT,
        other=_NO_LISTING,
    ),
    Route(
        method="DELETE",
        path="/api/sources/{id}",
        handler=remove,
        policy=Policy.ADMIN,
        rate="write",
        summary="Forget a source; a search may find it again",
        status=HTTPStatus.NO_CONTENT,
        other=_NO_LISTING,
    ),
)
