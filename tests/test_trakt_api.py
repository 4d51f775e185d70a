"""One's account with Trakt over HTTP, from the code to the last word."""

import pytest

from tests.trakt_fake import FakeTrakt
from tests.trakt_house import open_house
from tests.web_house import open_web

pytestmark = pytest.mark.slow


@pytest.fixture
def fake():
    return FakeTrakt()


@pytest.fixture
async def house(tmp_path, fake):
    (tmp_path / "trakt").mkdir()
    async with open_house(tmp_path / "trakt", fake) as house:
        yield house


@pytest.fixture
async def web(tmp_path, house):
    async with open_web(tmp_path, trakt=house.accounts) as web:
        house.take_back()
        yield web


@pytest.fixture
async def token(web):
    return await web.token_of(await web.add("ben"))


async def test_an_account_is_linked_with_a_code_and_unlinked(web, house, fake, token):
    assert (await web.ask("GET", "/api/trakt", token=token)).body["state"] == "unlinked"

    begun = await web.ask("POST", "/api/trakt/link", token=token)

    assert (begun.status, begun.body["state"]) == (202, "waiting")
    assert begun.body["user_code"] == "5055CC52"
    assert begun.body["verification_url"] == "https://trakt.tv/activate"
    assert begun.body["verification_url_complete"] == "https://trakt.tv/activate/5055CC52"
    assert begun.body["qr_svg"].startswith("<svg")
    assert (begun.body["expires_in"], begun.body["interval"]) == (600, 5)
    assert (await web.ask("GET", "/api/trakt", token=token)).body == begun.body

    fake.typed = "yes"
    await house.pauses.pass_by(5)
    linked = (await web.ask("GET", "/api/trakt", token=token)).body
    assert linked["state"] == "linked"
    assert not {"user_code", "qr_svg"} & linked.keys()
    again = await web.ask("POST", "/api/trakt/link", token=token)
    assert (again.status, again.code) == (409, "trakt_already_linked")

    assert (await web.ask("DELETE", "/api/trakt", token=token)).status == 204
    assert (await web.ask("DELETE", "/api/trakt", token=token)).status == 204
    assert (await web.ask("GET", "/api/trakt", token=token)).body["state"] == "unlinked"


async def test_ones_account_is_nobody_elses(web, token):
    await web.ask("POST", "/api/trakt/link", token=token)

    admin = await web.token_of(await web.admin())
    assert (await web.ask("GET", "/api/trakt", token=admin)).body["state"] == "unlinked"


async def test_a_trakt_that_is_away_is_said_so(web, fake, token):
    fake.trouble = "503"

    answer = await web.ask("POST", "/api/trakt/link", token=token)

    assert (answer.status, answer.code) == (503, "provider_unavailable")
    assert (await web.ask("GET", "/api/trakt", token=token)).body["state"] == "unlinked"


async def test_whoever_is_removed_takes_their_account_along(web, house, fake):
    ben = await web.add("ben")
    await house.link(fake, ben.id)
    admin = await web.token_of(await web.admin())

    assert (await web.ask("DELETE", f"/api/users/{ben.id}", token=admin)).status == 204

    assert await house.store.links() == {}


async def test_without_an_application_it_is_off(tmp_path):
    async with open_web(tmp_path) as web:
        token = await web.token_of(await web.add("ben"))

        assert (await web.ask("GET", "/api/trakt", token=token)).body["state"] == "off"
        answer = await web.ask("POST", "/api/trakt/link", token=token)
        assert (answer.status, answer.code) == (409, "trakt_off")


async def test_it_is_for_people_who_are_signed_in(web):
    for method, path in (
        ("GET", "/api/trakt"),
        ("POST", "/api/trakt/link"),
        ("DELETE", "/api/trakt"),
    ):
        assert (await web.ask(method, path)).status == 401
        assert (await web.ask_control(method, path)).code == "needs_user"
