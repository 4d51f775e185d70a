"""What there is to watch."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web
from msgspec import structs

from miauflixd.catalogue.browsing import Place, Query
from miauflixd.catalogue.model import Audience, GenreSlug, Kind, NoTitleError, OutsideIds, TitleId
from miauflixd.web.bodies import answer, query
from miauflixd.web.catalogue_shapes import (
    EpisodeShape,
    FoundShape,
    GenresShape,
    HomeShape,
    SearchQuery,
    SeasonShape,
    TitleShape,
    TitlesQuery,
    episode_shape,
    genre_count_shape,
    row_shape,
    season_shape,
    title_shape,
)
from miauflixd.web.keys import CATALOGUE, WATCHING
from miauflixd.web.paging import Page, cursor_for, place_in
from miauflixd.web.ports import Catalogue
from miauflixd.web.routes import Policy, Route
from miauflixd.web.title_shapes import CardShape, card_shape, progress_shape
from miauflixd.web.who import audience

_DIGITS = 4
"""Of a season's number: some count years."""


async def home(request: web.Request) -> web.Response:
    rows = await request.app[CATALOGUE].home(await audience(request))
    return answer(HomeShape(rows=[row_shape(row) for row in rows]))


async def search(request: web.Request) -> web.Response:
    wanted = query(request.query, SearchQuery)
    found = await request.app[CATALOGUE].search(
        wanted.q,
        kind=_kind(wanted.type),
        audience=await audience(request),
        count=wanted.limit,
    )
    items = [card_shape(card) for card in found.cards]
    return answer(FoundShape(items=items, total=len(items), searching=found.searching))


async def titles(request: web.Request) -> web.Response:
    wanted = query(request.query, TitlesQuery)
    viewer = await audience(request)
    ids = OutsideIds(tmdb=wanted.tmdb_id, imdb=wanted.imdb_id, archive=wanted.archive_id)
    if ids != OutsideIds():
        card = await request.app[CATALOGUE].find(ids, _kind(wanted.type), viewer)
        items = [] if card is None else [card_shape(card)]
        return answer(Page(items=items, next_cursor=None, total=len(items)))
    found = await request.app[CATALOGUE].browse(
        _which(wanted, request.app[CATALOGUE]),
        viewer,
        after=None if wanted.cursor is None else Place(*place_in(wanted.cursor, wanted.sort)),
        count=wanted.limit,
    )
    return answer(
        Page(
            items=[card_shape(card) for card in found.cards],
            next_cursor=None
            if found.next is None
            else cursor_for((wanted.sort, found.next.value, found.next.number)),
            total=found.total,
        )
    )


async def one(request: web.Request) -> web.Response:
    title_id = TitleId.parse(request.match_info["title_id"])
    viewer = await audience(request)
    if title_id.kind is Kind.EPISODE:
        view = await request.app[CATALOGUE].episode(title_id, viewer)
        shown = structs.replace(episode_shape(view.episode), show=card_shape(view.show))
        (shown,) = await _with_progress(request, viewer, [shown])
        return answer(shown)
    title = await request.app[CATALOGUE].title(title_id, viewer)
    (whole,) = await _with_progress(request, viewer, [title_shape(title)])
    return answer(whole)


async def season(request: web.Request) -> web.Response:
    show_id = TitleId.parse(request.match_info["title_id"])
    text = request.match_info["number"]
    is_number = text.isascii() and text.isdecimal() and len(text) <= _DIGITS
    if show_id.kind is not Kind.SHOW or not is_number:
        raise NoTitleError("There is no such season")
    viewer = await audience(request)
    view = season_shape(await request.app[CATALOGUE].season(show_id, int(text), viewer))
    episodes = await _with_progress(request, viewer, view.episodes)
    return answer(structs.replace(view, episodes=episodes))


async def genres(request: web.Request) -> web.Response:
    found = await request.app[CATALOGUE].genres(await audience(request))
    return answer(GenresShape(items=[genre_count_shape(one) for one in found]))


def _kind(text: str | None) -> Kind | None:
    return None if text is None else Kind(text)


def _which(wanted: TitlesQuery, catalogue: Catalogue) -> Query:
    years = (wanted.year_from, wanted.year_to) if wanted.year is None else (wanted.year,) * 2
    return Query(
        kind=_kind(wanted.type),
        genre=None if wanted.genre is None else GenreSlug(wanted.genre),
        years=years,
        rating=wanted.rating,
        language=wanted.language,
        limit=None if wanted.certification is None else catalogue.limit_of(wanted.certification),
        order=wanted.sort,
    )


Shown = TypeVar("Shown", TitleShape, EpisodeShape)


async def _with_progress(
    request: web.Request, viewer: Audience, shown: Sequence[Shown]
) -> list[Shown]:
    """Return titles with how far whoever asks is with them."""
    if viewer.user_id is None:
        return list(shown)
    ids = {one.id: TitleId.parse(one.id) for one in shown}
    known = await request.app[WATCHING].progress(viewer.user_id, list(ids.values()))
    return [
        structs.replace(one, progress=progress_shape(found))
        if (found := known.get(ids[one.id])) is not None
        else one
        for one in shown
    ]


_NO_TITLE = {HTTPStatus.NOT_FOUND: "There is no such title, or not for whoever asks"}

ROUTES = (
    Route(
        method="GET",
        path="/api/home",
        handler=home,
        policy=Policy.USER,
        summary="The home page: what one has begun, what comes next, and lists",
        response=HomeShape,
    ),
    Route(
        method="GET",
        path="/api/search",
        handler=search,
        policy=Policy.USER,
        rate="search",
        summary="Search: what is known here at once, and what others know as soon as they said it",
        query=SearchQuery,
        response=FoundShape,
    ),
    Route(
        method="GET",
        path="/api/titles",
        handler=titles,
        policy=Policy.USER,
        summary="Browse movies and shows, or find one by what others call it",
        query=TitlesQuery,
        response=Page[CardShape],
    ),
    Route(
        method="GET",
        path="/api/titles/{title_id}",
        handler=one,
        policy=Policy.USER,
        summary="A movie, show or episode in full",
        response=TitleShape | EpisodeShape,
        other=_NO_TITLE,
    ),
    Route(
        method="GET",
        path="/api/titles/{title_id}/seasons/{number}",
        handler=season,
        policy=Policy.USER,
        summary="A season of a show with its episodes",
        response=SeasonShape,
        other=_NO_TITLE,
    ),
    Route(
        method="GET",
        path="/api/genres",
        handler=genres,
        policy=Policy.USER,
        summary="The genres that there are",
        response=GenresShape,
    ),
)
