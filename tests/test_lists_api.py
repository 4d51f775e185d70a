"""Lists over HTTP."""

import pytest

from miauflixd.auth.model import Role
from miauflixd.catalogue.list_model import ListSpec
from miauflixd.catalogue.model import ListSlug
from tests.catalogue_fakes import FakeCatalogue, movie, show
from tests.web_house import open_web

pytestmark = pytest.mark.slow

POPULAR = ListSpec(
    slug=ListSlug("tmdb-movies-popular"), title="Popular movies", kind="movie", provider="tmdb"
)
BUILT_IN = "/api/lists/tmdb-movies-popular"


@pytest.fixture
def catalogue():
    catalogue = FakeCatalogue()
    catalogue.add_movies(*range(1, 31))
    catalogue.add_show(40, seasons={1: [None]})
    return catalogue


@pytest.fixture
async def web(tmp_path, catalogue):
    async with open_web(tmp_path, catalogue=catalogue) as web:
        yield web


@pytest.fixture
async def ben(web):
    return await web.add("ben")


@pytest.fixture
async def token(web, ben):
    return await web.token_of(ben)


@pytest.fixture
async def other(web, ben):
    return await web.token_of(await web.add("cleo"))


@pytest.fixture
async def admin(web, ben):
    return await web.token_of(await web.admin())


@pytest.fixture
async def mine(web, token):
    """The address of a list of Ben's, with three films in it."""
    made = await web.ask("POST", "/api/lists", {"title": "Rainy days"}, token=token)
    path = f"/api/lists/{made.body['slug']}"
    for number in (1, 2, 3):
        await web.ask("PUT", f"{path}/items/movie:{number}", token=token)
    return path


async def titles(web, path: str, token: str) -> list[str]:
    return [one["id"] for one in (await web.ask("GET", path, token=token)).body["items"]]


# --- to look at -----------------------------------------------------------------------------------


async def test_a_list_is_made_and_shown(web, token, ben):
    made = await web.ask("POST", "/api/lists", {"title": " Rainy  days "}, token=token)
    assert made.status == 201
    assert made.body == {
        "slug": made.body["slug"],
        "title": "Rainy days",
        "kind": "mixed",
        "provider": None,
        "owner": {"id": ben.id, "display_name": "Ben"},
        "shared": False,
        "editable": True,
        "count": 0,
        "refreshed_at": None,
    }
    shown = await web.ask("GET", made.headers["Location"], token=token)
    assert shown.body == made.body | {"items": [], "next_cursor": None, "total": 0}


async def test_what_the_house_has_comes_before_what_people_make(web, token, mine):
    await web.lists.replace(POPULAR, [movie(1), show(40)])
    listed = (await web.ask("GET", "/api/lists", token=token)).body
    assert [one["title"] for one in listed["items"]] == ["Popular movies", "Rainy days"]
    first = listed["items"][0]
    assert (first["owner"], first["editable"], first["count"]) == (None, False, 2)
    assert (first["provider"], first["refreshed_at"]) == ("tmdb", "2026-03-01T20:15:00Z")


async def test_what_is_in_a_list_is_shown_as_cards(web, token, ben):
    await web.lists.replace(POPULAR, [show(40), movie(1)])
    await web.watching.mark_watched(ben.id, [movie(1)])
    series, film = (await web.ask("GET", BUILT_IN, token=token)).body["items"]
    assert series == {
        "id": "show:40",
        "type": "show",
        "title": "Series 40",
        "year": 1999,
        "poster": "tmdb-poster-40.jpg",
        "backdrop": None,
        "rating": 7.5,
        "available": True,
    }
    assert film["progress"] == {
        "position": 0.0,
        "duration": 0.0,
        "watched": True,
        "updated_at": "2026-03-01T20:15:00Z",
    }


async def test_lists_come_a_page_at_a_time(web, token):
    for number in range(5):
        await web.ask("POST", "/api/lists", {"title": f"List {number}"}, token=token)
        web.clock.pass_by(seconds=1)
    first = (await web.ask("GET", "/api/lists?limit=3", token=token)).body
    assert first["total"] == 5
    rest = await web.ask("GET", f"/api/lists?cursor={first['next_cursor']}", token=token)
    shown = [one["title"] for one in first["items"] + rest.body["items"]]
    assert shown == [f"List {number}" for number in range(5)]
    assert rest.body["next_cursor"] is None


async def test_what_is_in_a_list_comes_a_page_at_a_time(web, token):
    await web.lists.replace(POPULAR, [movie(number) for number in range(1, 31)])
    shown: list[str] = []
    path = f"{BUILT_IN}?limit=7"
    while True:
        page = (await web.ask("GET", path, token=token)).body
        assert (page["total"], page["count"]) == (30, 30)
        shown += [one["id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        path = f"{BUILT_IN}?limit=7&cursor={page['next_cursor']}"
    assert shown == [f"movie:{number}" for number in range(1, 31)]


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ([1, 2, 3, 4, 5], ["movie:4", "movie:5"]),
        ([9, 1, 2, 3, 4, 5], ["movie:4", "movie:5"]),
        ([1, 2, 4, 5], ["movie:4", "movie:5"]),
        ([1], []),
        ([], []),
    ],
)
async def test_a_page_goes_on_where_the_last_one_ended_though_the_list_has_changed(
    web, token, then, expected
):
    await web.lists.replace(POPULAR, [movie(number) for number in (1, 2, 3, 4, 5)])
    page = (await web.ask("GET", f"{BUILT_IN}?limit=3", token=token)).body
    await web.lists.replace(POPULAR, [movie(number) for number in then])
    assert await titles(web, f"{BUILT_IN}?cursor={page['next_cursor']}", token) == expected


@pytest.mark.parametrize("cursor", ["nonsense", "WyJhIiwxXQ", "%00", "W10", "WzFlOTk5LCJhIl0"])
async def test_a_cursor_of_somebody_s_own_is_refused(web, token, cursor):
    await web.lists.replace(POPULAR, [movie(1)])
    refused = await web.ask("GET", f"{BUILT_IN}?cursor={cursor}", token=token)
    assert (refused.status, refused.fields) == (422, ["cursor"])


async def test_what_one_may_not_see_is_passed_over_and_the_page_is_full(
    web, token, other, ben, catalogue
):
    catalogue.hidden = {movie(number): ben.id for number in (1, 3, 5)}
    await web.lists.replace(POPULAR, [movie(number) for number in range(1, 8)])
    path = f"{BUILT_IN}?limit=2"
    first = (await web.ask("GET", path, token=token)).body
    assert [one["id"] for one in first["items"]] == ["movie:2", "movie:4"]
    assert await titles(web, f"{path}&cursor={first['next_cursor']}", token) == [
        "movie:6",
        "movie:7",
    ]
    assert await titles(web, path, other) == ["movie:1", "movie:2"]


async def test_a_list_of_what_one_may_not_see_at_all_is_empty(web, token, ben, catalogue):
    everything = [movie(number) for number in range(1, 31)]
    catalogue.hidden = dict.fromkeys(everything, ben.id)
    await web.lists.replace(POPULAR, everything)
    page = (await web.ask("GET", f"{BUILT_IN}?limit=2", token=token)).body
    assert (page["items"], page["next_cursor"]) == ([], None)


# --- to change ------------------------------------------------------------------------------------


async def test_a_list_is_filled_moved_about_and_emptied(web, token, mine):
    assert await titles(web, mine, token) == ["movie:1", "movie:2", "movie:3"]
    moved = await web.ask("PUT", f"{mine}/items/movie:3", {"position": 0}, token=token)
    again = await web.ask("PUT", f"{mine}/items/movie:3", {}, token=token)
    assert (moved.status, again.status) == (204, 204)
    assert await titles(web, mine, token) == ["movie:3", "movie:1", "movie:2"]
    for _ in range(2):
        gone = await web.ask("DELETE", f"{mine}/items/movie:1", token=token)
        assert gone.status == 204
    assert await titles(web, mine, token) == ["movie:3", "movie:2"]


async def test_a_list_is_called_otherwise_shared_and_put_in_order(web, token, mine):
    body = {"title": "Sunny days", "shared": True, "order": ["movie:3", "movie:1"]}
    changed = await web.ask("PATCH", mine, body, token=token)
    assert (changed.status, changed.body["title"], changed.body["shared"]) == (
        200,
        "Sunny days",
        True,
    )
    assert await titles(web, mine, token) == ["movie:3", "movie:1", "movie:2"]


async def test_a_list_is_done_away_with(web, token, mine):
    assert (await web.ask("DELETE", mine, token=token)).status == 204
    gone = await web.ask("DELETE", mine, token=token)
    assert (gone.status, gone.code) == (404, "no_list")


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (("POST", "/api/lists", {"title": ""}), (422, "invalid_input")),
        (("POST", "/api/lists", {"title": "x" * 101}), (422, "invalid_input")),
        (("POST", "/api/lists", {"title": "\u202e \u200d"}), (422, "bad_list")),
        (("POST", "/api/lists", {"title": "A", "owner": "anna"}), (422, "invalid_input")),
        (("PATCH", "{mine}", {"order": ["movie:9"]}), (422, "bad_list")),
        (("PATCH", "{mine}", {"order": ["film:9"]}), (404, "no_title")),
        (("PATCH", "{mine}", {"order": ["movie:1"] * 5001}), (422, "invalid_input")),
        (("PUT", "{mine}/items/movie:99", None), (404, "no_title")),
        (("PUT", "{mine}/items/movie:01", None), (404, "no_title")),
        (("PUT", "{mine}/items/episode:400101", None), (422, "bad_list")),
        (("PUT", "{mine}/items/movie:1", {"position": -1}), (422, "invalid_input")),
        (("PUT", "{mine}/items/movie:1", {"position": 10**30}), (422, "invalid_input")),
        (("DELETE", "{mine}/items/nothing", None), (404, "no_title")),
        (("GET", "/api/lists/own-000000000000", None), (404, "no_list")),
        (("GET", "/api/lists/%00", None), (404, "no_list")),
        (("PUT", "/api/lists/nowhere/items/movie:1", None), (404, "no_list")),
    ],
)
async def test_what_makes_no_sense_is_refused(web, mine, token, asked, refusal):
    method, path, body = asked
    refused = await web.ask(method, path.format(mine=mine), body, token=token)
    assert (refused.status, refused.code) == refusal
    assert await titles(web, mine, token) == ["movie:1", "movie:2", "movie:3"]


async def test_a_list_of_the_largest_size_can_be_put_in_order(web, token, mine, ben):
    viewer = await web.household.sessions.authenticate(token)
    order = [f"movie:{number + 10**9}" for number in range(5000)]
    made = await web.lists.create(ben.id, title="Everything")
    store = web.lists._store
    await store.change(
        made.slug,
        ben.id,
        lambda known: type(known)(
            info=known.info, ids=tuple(movie(10**9 + number) for number in range(5000))
        ),
    )
    answer = await web.ask("PATCH", f"/api/lists/{made.slug}", {"order": order[::-1]}, token=token)
    assert answer.status == 200
    found = await web.lists.get(made.slug, ben.id)
    assert str(found.ids[0]) == order[-1]
    with pytest.raises(Exception, match="room"):
        await web.lists.put(made.slug, movie(1), viewer=viewer)
    full = await web.ask("PUT", f"/api/lists/{made.slug}/items/movie:1", token=token)
    assert (full.status, full.code) == (409, "list_full")


async def test_a_title_that_one_may_not_see_cannot_be_put_anywhere(
    web, token, mine, ben, catalogue
):
    catalogue.hidden = {movie(9): ben.id}
    assert (await web.ask("PUT", f"{mine}/items/movie:9", token=token)).status == 404


# --- whose it is ----------------------------------------------------------------------------------


async def test_nobody_sees_a_list_that_is_not_shared(web, mine, other, admin):
    for asks in (other, admin):
        assert (await web.ask("GET", mine, token=asks)).status == 404
        assert (await web.ask("DELETE", mine, token=asks)).status == 404
        assert (await web.ask("GET", "/api/lists", token=asks)).body["total"] == 0


async def test_what_is_shared_is_read_by_all_and_changed_by_its_owner_and_administrators(
    web, token, mine, other, admin
):
    await web.ask("PATCH", mine, {"shared": True}, token=token)
    (listed,) = (await web.ask("GET", "/api/lists", token=other)).body["items"]
    assert (listed["owner"]["display_name"], listed["editable"]) == ("Ben", False)
    for method, path, body in (
        ("PUT", f"{mine}/items/movie:4", None),
        ("DELETE", f"{mine}/items/movie:1", None),
        ("PATCH", mine, {"title": "Mine"}),
        ("DELETE", mine, None),
    ):
        refused = await web.ask(method, path, body, token=other)
        assert (refused.status, refused.code) == (403, "not_your_list")
    assert (await web.ask("GET", mine, token=admin)).body["editable"] is True
    assert (await web.ask("PUT", f"{mine}/items/movie:4", token=admin)).status == 204
    assert (await web.ask("DELETE", mine, token=admin)).status == 204


async def test_nobody_changes_what_is_built_in(web, token, admin):
    await web.lists.replace(POPULAR, [movie(1)])
    for asks in (token, admin):
        for method, path, body in (
            ("PUT", f"{BUILT_IN}/items/movie:4", None),
            ("PATCH", BUILT_IN, {"shared": True}),
            ("DELETE", BUILT_IN, None),
        ):
            refused = await web.ask(method, path, body, token=asks)
            assert (refused.status, refused.code) == (409, "built_in_list")


async def test_the_lists_of_who_is_removed_go_too(web, token, mine, other, ben):
    admin = await web.token_of(await web.admin())
    await web.ask("PATCH", mine, {"shared": True}, token=token)
    removed = await web.ask("DELETE", f"/api/users/{ben.id}", token=admin)
    assert removed.status == 204
    assert (await web.ask("GET", mine, token=other)).status == 404


async def test_lists_are_for_people_with_accounts(web, mine):
    for method, path, body in (
        ("GET", "/api/lists", None),
        ("POST", "/api/lists", {"title": "A"}),
        ("GET", mine, None),
        ("PATCH", mine, {"title": "A"}),
        ("DELETE", mine, None),
        ("PUT", f"{mine}/items/movie:1", None),
        ("DELETE", f"{mine}/items/movie:1", None),
    ):
        refused = await web.ask_control(method, path, body)
        assert (refused.status, refused.code) == (403, "needs_user")


async def test_an_administrator_makes_lists_like_anybody(web):
    token = await web.token_of(await web.add("dora", role=Role.ADMIN))
    assert (await web.ask("POST", "/api/lists", {"title": "A"}, token=token)).status == 201
