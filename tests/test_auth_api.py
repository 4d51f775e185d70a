"""Signing in, staying signed in, and signing out, as clients and browsers do it."""

from http.cookies import SimpleCookie

import pytest

from miauflixd.runtime.secrets import Secret
from tests.web_house import PASSWORD, Answer, open_web

LOGIN = {"email": "ben@example.org", "password": PASSWORD, "device_name": "Ben's tablet"}
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def web(tmp_path):
    async with open_web(tmp_path) as web:
        yield web


@pytest.fixture
async def ben(web):
    return await web.add("ben")


def cookies_of(answer: Answer) -> SimpleCookie:
    jar = SimpleCookie()
    for line in answer.headers.getall("Set-Cookie", []):  # type: ignore[attr-defined]  # CIMultiDict
        jar.load(line)
    return jar


def sent(jar: SimpleCookie) -> str:
    return "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items())


# --- the first user -------------------------------------------------------------------------------


async def test_a_new_machine_says_that_it_has_to_be_set_up_and_then_no_more(web):
    assert (await web.ask("GET", "/api/server")).body["setup_required"] is True
    shown = await web.ask_control("POST", "/api/setup/code")
    body = {
        "setup_code": shown.body["setup_code"],
        "email": "anna@example.org",
        "password": PASSWORD,
        "display_name": "Anna",
    }
    made = await web.ask("POST", "/api/setup", body)
    assert made.status == 201
    assert (made.body["role"], made.body["email"]) == ("admin", "anna@example.org")
    assert (await web.ask("GET", "/api/server")).body["setup_required"] is False
    again = await web.ask("POST", "/api/setup", body)
    assert (again.status, again.code) == (409, "already_set_up")
    code = await web.ask_control("POST", "/api/setup/code")
    assert (code.status, code.code) == (409, "already_set_up")


async def test_nobody_gets_the_setup_code_over_the_network(web):
    assert (await web.ask("POST", "/api/setup/code")).status == 401


async def test_a_wrong_setup_code_opens_nothing(web):
    body = {
        "setup_code": "ABCD-ABCD-ABCD-ABCD",
        "email": "eve@example.org",
        "password": PASSWORD,
        "display_name": "Eve",
    }
    answer = await web.ask("POST", "/api/setup", body)
    assert (answer.status, answer.code) == (403, "invalid_setup_code")
    assert (await web.ask("GET", "/api/server")).body["setup_required"] is True


async def test_the_first_password_has_to_be_a_good_one_and_its_field_is_named(web):
    shown = await web.ask_control("POST", "/api/setup/code")
    body = {
        "setup_code": shown.body["setup_code"],
        "email": "anna@example.org",
        "password": "password1",
        "display_name": "Anna",
    }
    answer = await web.ask("POST", "/api/setup", body)
    assert (answer.status, answer.code, answer.fields) == (422, "password_rejected", ["password"])


# --- with a password ------------------------------------------------------------------------------


async def test_signing_in_gives_tokens_with_which_one_is_known(web, ben):
    answer = await web.ask("POST", "/api/auth/login", LOGIN)
    assert answer.status == 200
    assert (answer.body["token_type"], answer.body["expires_in"]) == ("Bearer", 900)
    assert answer.body["user"] == {
        "id": ben.id,
        "email": "ben@example.org",
        "display_name": "Ben",
        "role": "user",
    }
    me = await web.ask("GET", "/api/me", token=answer.body["access_token"])
    assert (me.status, me.body["id"]) == (200, ben.id)


async def test_a_wrong_password_and_nobodys_address_look_the_same(web, ben):
    wrong = await web.ask("POST", "/api/auth/login", {**LOGIN, "password": "something else"})
    nobody = await web.ask("POST", "/api/auth/login", {**LOGIN, "email": "nobody@example.org"})
    no_address = await web.ask("POST", "/api/auth/login", {**LOGIN, "email": "no address"})
    for answer in (wrong, nobody, no_address):
        assert (answer.status, answer.code) == (401, "invalid_credentials")
        assert answer.body["detail"] == wrong.body["detail"]


async def test_after_too_many_wrong_passwords_one_has_to_wait(web, ben):
    wrong = {**LOGIN, "password": "something else"}
    answer = await web.ask("POST", "/api/auth/login", wrong)
    for _ in range(50):
        if answer.status == 429:
            break
        answer = await web.ask("POST", "/api/auth/login", wrong)
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "a@example.org"}, "password"),
        ({**LOGIN, "colour": "red"}, "colour"),
        ({**LOGIN, "device_name": "x" * 81}, "device_name"),
        ({**LOGIN, "cookies": "yes"}, "cookies"),
        ({**LOGIN, "password": ""}, "password"),
    ],
)
async def test_what_is_wrong_with_a_sign_in_is_said_by_field(web, body, field):
    answer = await web.ask("POST", "/api/auth/login", body)
    assert (answer.status, answer.fields) == (422, [field])


# --- refresh tokens -------------------------------------------------------------------------------


async def test_a_refresh_token_is_exchanged_once_and_its_second_use_ends_the_session(web, ben):
    first = (await web.ask("POST", "/api/auth/login", LOGIN)).body
    second = await web.ask("POST", "/api/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert second.status == 200
    assert second.body["refresh_token"] != first["refresh_token"]
    assert second.body["session_id"] == first["session_id"]
    web.clock.pass_by(seconds=11)
    stolen = await web.ask("POST", "/api/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert (stolen.status, stolen.code) == (401, "invalid_token")
    assert (await web.ask("GET", "/api/me", token=second.body["access_token"])).status == 401
    assert "refresh_reused" in await web.noted()


async def test_an_expired_token_says_so(web, ben):
    token = await web.token_of(ben)
    web.clock.pass_by(minutes=16)
    answer = await web.ask("GET", "/api/me", token=token)
    assert (answer.status, answer.code) == (401, "token_expired")


async def test_without_any_refresh_token_there_is_nothing_to_exchange(web):
    answer = await web.ask("POST", "/api/auth/refresh")
    assert (answer.status, answer.code) == (401, "invalid_token")


# --- browsers -------------------------------------------------------------------------------------


async def test_a_browsers_tokens_are_in_cookies_that_no_script_reads(web, ben):
    answer = await web.ask("POST", "/api/auth/login", {**LOGIN, "cookies": True})
    assert not {"access_token", "refresh_token", "token_type"} & answer.body.keys()
    jar = cookies_of(answer)
    assert jar.keys() == {"miauflix_access", "miauflix_refresh"}
    for cookie in jar.values():
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert not cookie["domain"]
    assert jar["miauflix_access"]["path"] == "/"
    assert jar["miauflix_refresh"]["path"] == "/api/auth"
    assert (await web.ask("GET", "/api/me", Cookie=sent(jar))).body["id"] == ben.id


async def test_behind_tls_the_cookies_are_bound_to_it(tmp_path):
    async with open_web(
        tmp_path, trusted_proxies=["127.0.0.1"], proxy_secret=Secret("a secret of the proxy")
    ) as web:
        await web.add("ben")
        proxy = {
            "X-Miauflix-Proxy-Secret": "a secret of the proxy",
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "https",
        }
        answer = await web.ask("POST", "/api/auth/login", {**LOGIN, "cookies": True}, **proxy)
        jar = cookies_of(answer)
        assert jar.keys() == {"__Host-miauflix_access", "__Secure-miauflix_refresh"}
        assert all(cookie["secure"] for cookie in jar.values())
        assert (await web.ask("GET", "/api/me", Cookie=sent(jar), **proxy)).status == 200
        # In the clear they do not count: somebody on the way could have planted them.
        assert (await web.ask("GET", "/api/me", Cookie=sent(jar))).status == 401


async def test_cookies_are_exchanged_for_cookies(web, ben):
    jar = cookies_of(await web.ask("POST", "/api/auth/login", {**LOGIN, "cookies": True}))
    answer = await web.ask("POST", "/api/auth/refresh", Cookie=sent(jar), **OWN_PAGE)
    assert answer.status == 200
    assert "refresh_token" not in answer.body
    renewed = cookies_of(answer)
    assert renewed["miauflix_refresh"].value != jar["miauflix_refresh"].value


async def test_another_sites_page_cannot_use_the_cookies(web, ben):
    jar = cookies_of(await web.ask("POST", "/api/auth/login", {**LOGIN, "cookies": True}))
    for foreign in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        answer = await web.ask(
            "PATCH", "/api/me", {"display_name": "Eve"}, Cookie=sent(jar), **foreign
        )
        assert (answer.status, answer.code) == (403, "foreign_origin")
    own = await web.ask("PATCH", "/api/me", {"display_name": "B"}, Cookie=sent(jar), **OWN_PAGE)
    assert own.status == 200


# --- signing out ----------------------------------------------------------------------------------


async def test_signing_out_ends_the_session_and_takes_the_cookies_away(web, ben):
    jar = cookies_of(await web.ask("POST", "/api/auth/login", {**LOGIN, "cookies": True}))
    out = await web.ask("POST", "/api/auth/logout", Cookie=sent(jar), **OWN_PAGE)
    assert (out.status, out.body) == (204, None)
    assert {cookie["max-age"] for cookie in cookies_of(out).values()} == {"0"}
    assert (await web.ask("GET", "/api/me", Cookie=sent(jar))).status == 401
    refresh = await web.ask("POST", "/api/auth/refresh", Cookie=sent(jar), **OWN_PAGE)
    assert refresh.status == 401


async def test_signing_out_works_with_an_expired_token_and_as_often_as_one_likes(web, ben):
    first = (await web.ask("POST", "/api/auth/login", LOGIN)).body
    web.clock.pass_by(minutes=16)
    for _ in range(2):
        out = await web.ask("POST", "/api/auth/logout", token=first["access_token"])
        assert out.status == 204
    refresh = {"refresh_token": first["refresh_token"]}
    assert (await web.ask("POST", "/api/auth/refresh", refresh)).status == 401
    assert (await web.ask("POST", "/api/auth/logout")).status == 204


# --- devices --------------------------------------------------------------------------------------


async def test_ones_devices_are_listed_and_ended_and_nobody_elses(web, ben):
    token = await web.token_of(ben, device="Laptop")
    await web.token_of(ben, device="Telephone")
    carl = await web.token_of(await web.add("carl"))
    listed = (await web.ask("GET", "/api/auth/sessions", token=token)).body
    assert listed["total"] == 2
    by_name = {one["name"]: one for one in listed["items"]}
    assert by_name["Laptop"]["current"] is True
    assert by_name["Telephone"]["current"] is False
    other = f"/api/auth/sessions/{by_name['Telephone']['id']}"
    assert (await web.ask("DELETE", other, token=carl)).status == 404
    assert (await web.ask("DELETE", other, token=token)).status == 204
    assert (await web.ask("GET", "/api/auth/sessions", token=token)).body["total"] == 1


async def test_a_new_password_ends_the_other_sessions_and_not_this_one(web, ben):
    token = await web.token_of(ben)
    other = await web.token_of(ben)
    body = {"current": PASSWORD, "new": "seven quiet herons"}
    assert (await web.ask("POST", "/api/auth/password", body, token=token)).status == 204
    assert (await web.ask("GET", "/api/me", token=token)).status == 200
    assert (await web.ask("GET", "/api/me", token=other)).status == 401
    changed = {**LOGIN, "password": "seven quiet herons"}
    assert (await web.ask("POST", "/api/auth/login", changed)).status == 200


async def test_without_the_present_password_there_is_no_new_one(web, ben):
    token = await web.token_of(ben)
    body = {"current": "something else", "new": "seven quiet herons"}
    wrong = await web.ask("POST", "/api/auth/password", body, token=token)
    assert (wrong.status, wrong.code) == (403, "wrong_password")
    bad = await web.ask(
        "POST", "/api/auth/password", {"current": PASSWORD, "new": "short"}, token=token
    )
    assert (bad.status, bad.fields) == (422, ["new"])


# --- a television ---------------------------------------------------------------------------------


async def test_a_television_is_let_in_by_somebody_with_a_telephone(web, ben):
    started = (await web.ask("POST", "/api/auth/device", {"device_name": "TV"})).body
    assert started["verification_uri"] == f"{web.url}/"
    assert started["verification_uri_complete"] == f"{web.url}/?code={started['user_code']}"
    assert started["qr_svg"].startswith("<svg")
    question = {"device_code": started["device_code"]}
    waiting = await web.ask("POST", "/api/auth/device/token", question)
    assert (waiting.status, waiting.code) == (400, "authorization_pending")
    hasty = await web.ask("POST", "/api/auth/device/token", question)
    assert (hasty.status, hasty.code) == (400, "slow_down")
    said = await web.ask(
        "POST",
        "/api/auth/device/approve",
        {"user_code": started["user_code"].lower(), "approve": True},
        token=await web.token_of(ben),
    )
    assert (said.status, said.body["device_name"]) == (200, "TV")
    got = await web.ask("POST", "/api/auth/device/token", question)
    assert (got.status, got.body["user"]["id"]) == (200, ben.id)
    once = await web.ask("POST", "/api/auth/device/token", question)
    assert (once.status, once.code) == (400, "expired_token")


async def test_a_television_that_is_refused_is_told(web, ben):
    started = (await web.ask("POST", "/api/auth/device", {})).body
    body = {"user_code": started["user_code"], "approve": False}
    await web.ask("POST", "/api/auth/device/approve", body, token=await web.token_of(ben))
    answer = await web.ask(
        "POST", "/api/auth/device/token", {"device_code": started["device_code"]}
    )
    assert (answer.status, answer.code) == (400, "access_denied")


async def test_a_code_that_no_device_shows_lets_nobody_in(web, ben):
    body = {"user_code": "BBBB-BBBB", "approve": True}
    answer = await web.ask("POST", "/api/auth/device/approve", body, token=await web.token_of(ben))
    assert (answer.status, answer.code) == (404, "unknown_user_code")


async def test_on_one_television_there_is_room_for_several_profiles(web, ben):
    await web.add("carl")
    tv = {"password": PASSWORD, "device_name": "TV", "device_id": "tv-1"}
    tokens = [
        (await web.ask("POST", "/api/auth/login", {**tv, "email": email})).body["access_token"]
        for email in ("ben@example.org", "carl@example.org")
    ]
    people = [(await web.ask("GET", "/api/me", token=one)).body["display_name"] for one in tokens]
    assert people == ["Ben", "Carl"]
    again = await web.ask("POST", "/api/auth/login", {**tv, "email": "ben@example.org"})
    assert again.status == 200
    assert (await web.ask("GET", "/api/me", token=tokens[0])).status == 401
    assert (await web.ask("GET", "/api/me", token=tokens[1])).status == 200


# --- who is nobody --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/me"), ("GET", "/api/auth/sessions"), ("POST", "/api/playback")],
)
async def test_the_control_socket_is_nobody_of_the_household(web, method, path):
    body = {"source_id": "x"} if method == "POST" else None
    answer = await web.ask_control(method, path, body)
    assert (answer.status, answer.code) == (403, "needs_user")
