"""The people of the household, oneself among them, and what is written down of them."""

import pytest

from miauflixd.auth.model import Role
from tests.web_house import PASSWORD, open_web


@pytest.fixture
async def web(tmp_path):
    async with open_web(tmp_path) as web:
        yield web


@pytest.fixture
async def admin(web):
    return await web.token_of(await web.admin())


@pytest.fixture
async def ben(web):
    return await web.add("ben")


NEW = {"email": "carl@example.org", "password": PASSWORD, "display_name": "Carl"}


# --- administrators -------------------------------------------------------------------------------


async def test_an_administrator_adds_somebody_who_can_sign_in(web, admin):
    web.clock.pass_by(seconds=1)
    made = await web.ask("POST", "/api/users", {**NEW, "max_rating": "PG-13"}, token=admin)
    assert made.status == 201
    assert (made.body["role"], made.body["disabled"], made.body["max_rating"]) == (
        *("user", False, "PG-13"),
    )
    assert made.headers["Location"] == f"/api/users/{made.body['id']}"
    assert (await web.ask("GET", made.headers["Location"], token=admin)).body == made.body
    login = {"email": NEW["email"], "password": PASSWORD}
    assert (await web.ask("POST", "/api/auth/login", login)).status == 200
    listed = (await web.ask("GET", "/api/users", token=admin)).body
    assert [one["display_name"] for one in listed["items"]] == ["Anna", "Carl"]


async def test_long_lists_come_in_pages(web, admin):
    for name in ("ben", "carl", "dora"):
        web.clock.pass_by(seconds=1)
        await web.add(name)
    found, path = [], "/api/users?limit=2"
    while path:
        page = (await web.ask("GET", path, token=admin)).body
        assert page["total"] == 4
        found += [one["display_name"] for one in page["items"]]
        path = page["next_cursor"] and f"/api/users?limit=2&cursor={page['next_cursor']}"
    assert found == ["Anna", "Ben", "Carl", "Dora"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": "x" * 250 + "@example.org"}, "email"),
        ({"password": "password1"}, "password"),
        ({"password": "carl2026"}, "password"),
        ({"display_name": ""}, "display_name"),
        ({"role": "owner"}, "role"),
        ({"max_rating": "x" * 17}, "max_rating"),
        ({"is_admin": True}, "is_admin"),
    ],
)
async def test_what_is_wrong_with_a_new_user_is_said_by_field(web, admin, change, field):
    answer = await web.ask("POST", "/api/users", {**NEW, **change}, token=admin)
    assert (answer.status, answer.fields) == (422, [field])


async def test_an_address_belongs_to_one_person(web, admin, ben):
    answer = await web.ask("POST", "/api/users", {**NEW, "email": "BEN@example.org"}, token=admin)
    assert (answer.status, answer.code) == (409, "email_taken")


async def test_who_is_disabled_is_out_at_once_and_back_when_enabled(web, admin, ben):
    token = await web.token_of(ben)
    path = f"/api/users/{ben.id}"
    assert (await web.ask("PATCH", path, {"disabled": True}, token=admin)).status == 200
    assert (await web.ask("GET", "/api/me", token=token)).status == 401
    login = {"email": "ben@example.org", "password": PASSWORD}
    assert (await web.ask("POST", "/api/auth/login", login)).status == 401
    assert (await web.ask("PATCH", path, {"disabled": False}, token=admin)).status == 200
    assert (await web.ask("POST", "/api/auth/login", login)).status == 200


async def test_a_role_counts_from_the_next_request_on(web, admin, ben):
    token = await web.token_of(ben)
    assert (await web.ask("GET", "/api/users", token=token)).status == 403
    await web.ask("PATCH", f"/api/users/{ben.id}", {"role": "admin"}, token=admin)
    # With another role the old sessions are over.
    assert (await web.ask("GET", "/api/users", token=token)).status == 401
    fresh = await web.token_of(await web.household.accounts.get(ben.id))
    assert (await web.ask("GET", "/api/users", token=fresh)).status == 200


async def test_a_cap_is_taken_off_with_null_and_left_alone_without(web, admin, ben):
    path = f"/api/users/{ben.id}"
    await web.ask("PATCH", path, {"max_rating": "R"}, token=admin)
    kept = await web.ask("PATCH", path, {"display_name": "Benny"}, token=admin)
    assert (kept.body["max_rating"], kept.body["display_name"]) == ("R", "Benny")
    freed = await web.ask("PATCH", path, {"max_rating": None}, token=admin)
    assert freed.body["max_rating"] is None


async def test_an_administrator_gives_somebody_another_password(web, admin, ben):
    token = await web.token_of(ben)
    path = f"/api/users/{ben.id}"
    mixed = {"password": "seven quiet herons", "display_name": "B"}
    assert (await web.ask("PATCH", path, mixed, token=admin)).fields == ["password"]
    given = await web.ask("PATCH", path, {"password": "seven quiet herons"}, token=admin)
    assert given.status == 200
    assert (await web.ask("GET", "/api/me", token=token)).status == 401
    login = {"email": "ben@example.org", "password": "seven quiet herons"}
    assert (await web.ask("POST", "/api/auth/login", login)).status == 200


async def test_who_is_deleted_is_gone_with_their_keys(web, admin, ben):
    token = await web.token_of(ben)
    body = {"purpose": "stremio", "name": "Living room"}
    assert (await web.ask("POST", "/api/keys", body, token=token)).status == 201
    assert (await web.ask("DELETE", f"/api/users/{ben.id}", token=admin)).status == 204
    assert (await web.ask("GET", "/api/me", token=token)).status == 401
    assert (await web.ask("DELETE", f"/api/users/{ben.id}", token=admin)).status == 404
    assert (await web.ask_control("GET", "/api/keys")).body["total"] == 0


@pytest.mark.parametrize("change", [{"role": "user"}, {"disabled": True}])
async def test_the_last_administrator_stays_one(web, admin, change):
    anna = await web.admin()
    answer = await web.ask("PATCH", f"/api/users/{anna.id}", change, token=admin)
    assert (answer.status, answer.code) == (409, "last_admin")
    gone = await web.ask("DELETE", f"/api/users/{anna.id}", token=admin)
    assert (gone.status, gone.code) == (409, "last_admin")


async def test_no_password_is_ever_in_an_answer(web, admin, ben):
    for path in ("/api/users", f"/api/users/{ben.id}", "/api/me"):
        answer = await web.ask("GET", path, token=admin)
        assert "password" not in str(answer.body)
        assert "argon2" not in str(answer.body)


# --- oneself --------------------------------------------------------------------------------------


async def test_one_says_what_one_likes(web, ben):
    token = await web.token_of(ben)
    patch = {"language": "pt-BR", "audio_languages": ["ja", "en"], "quality": "1080p"}
    changed = await web.ask("PATCH", "/api/me", patch, token=token)
    assert changed.status == 200
    me = (await web.ask("GET", "/api/me", token=token)).body
    assert (me["language"], me["audio_languages"], me["quality"]) == (
        *("pt-BR", ["ja", "en"], "1080p"),
    )
    assert (me["subtitle_languages"], me["display_name"]) == ([], "Ben")


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"language": "portuguese!"}, "language"),
        ({"audio_languages": ["en", "x"]}, "audio_languages[1]"),
        ({"audio_languages": ["en"] * 17}, "audio_languages"),
        ({"quality": "8k"}, "quality"),
        ({"role": "admin"}, "role"),
        ({"max_rating": None}, "max_rating"),
    ],
)
async def test_one_does_not_say_what_one_may_not(web, ben, patch, field):
    answer = await web.ask("PATCH", "/api/me", patch, token=await web.token_of(ben))
    assert (answer.status, answer.fields) == (422, [field])


# --- the audit ------------------------------------------------------------------------------------


async def test_what_was_done_is_told_the_latest_first_and_by_whom(web, admin, ben):
    await web.ask("POST", "/api/users", NEW, token=admin)
    await web.ask("POST", "/api/auth/login", {"email": "ben@example.org", "password": "wrong one"})
    told = (await web.ask("GET", "/api/audit", token=admin)).body
    assert [one["type"] for one in told["items"]][:2] == ["sign_in_failed", "user_created"]
    failed, created = told["items"][:2]
    assert (failed["user_id"], failed["address"]) == (ben.id, "127.0.0.1")
    anna = await web.admin()
    assert created["user_id"] == anna.id
    text = str(told)
    assert "@" not in text
    assert "wrong one" not in text


async def test_the_audit_is_filtered(web, admin, ben):
    await web.ask("POST", "/api/users", NEW, token=admin)
    anna = await web.admin()
    by_type = await web.ask("GET", "/api/audit?type=user_created", token=admin)
    assert {one["type"] for one in by_type.body["items"]} == {"user_created"}
    by_anna = await web.ask("GET", f"/api/audit?user={anna.id}", token=admin)
    assert by_anna.body["total"] == 1
    later = await web.ask("GET", "/api/audit?since=2027-01-01T00:00:00Z", token=admin)
    assert later.body["total"] == 0
    paged = await web.ask("GET", "/api/audit?limit=1", token=admin)
    following = await web.ask(
        "GET", f"/api/audit?limit=1&cursor={paged.body['next_cursor']}", token=admin
    )
    assert following.body["items"][0]["id"] != paged.body["items"][0]["id"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=gossip", "type"),
        ("since=yesterday", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("limit=0", "limit"),
        ("colour=red", "colour"),
    ],
)
async def test_what_the_audit_is_asked_has_to_make_sense(web, admin, query, field):
    answer = await web.ask("GET", f"/api/audit?{query}", token=admin)
    assert (answer.status, answer.fields) == (422, [field])


@pytest.mark.parametrize("path", ["/api/users", "/api/audit", "/api/settings"])
async def test_what_is_for_administrators_is_for_nobody_else(web, ben, path):
    assert (await web.ask("GET", path, token=await web.token_of(ben))).status == 403
    assert (await web.ask("GET", path)).status == 401
    assert (await web.ask_control("GET", path)).status == 200


async def test_somebody_added_as_administrator_is_one(web, admin):
    made = await web.ask("POST", "/api/users", {**NEW, "role": "admin"}, token=admin)
    assert made.body["role"] == Role.ADMIN
