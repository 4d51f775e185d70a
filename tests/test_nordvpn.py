"""NordVPN's API, and whatever it may answer instead."""

import asyncio
import logging
from typing import get_args

import pytest

from miauflixd.egress.clients import host_client
from miauflixd.errors import InvalidInputError, MiauflixdError
from miauflixd.runtime.http import Http
from miauflixd.runtime.http_headers import retry_after
from miauflixd.runtime.secrets import Secret
from miauflixd.tunnel.model import Credentials
from miauflixd.tunnel.providers.nordvpn import NordVpn
from miauflixd.tunnel.providers.provider import (
    NoServerError,
    Provider,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from tests.provider_fakes import TOKEN, FakeProviders, Trouble, key, nordvpn_server, serving

ACCOUNT = Credentials(token=Secret(TOKEN))
KNOWN = Credentials(token=Secret(TOKEN), private_key=Secret(key("nordvpn account")))


@pytest.fixture
async def fake():
    return FakeProviders()


@pytest.fixture
async def base(fake):
    async with serving(fake) as base:
        yield base


@pytest.fixture
async def http():
    async with host_client() as http:
        yield http


@pytest.fixture
async def nordvpn(base, http: Http) -> Provider:
    return NordVpn(http=http, base=base)


async def test_a_token_leads_to_the_account_s_key(nordvpn):
    found = await nordvpn.identify(ACCOUNT)

    assert found.private_key.reveal() == key("nordvpn account")
    assert found.addresses == ("10.5.0.2/32",)
    assert found.token == Secret(TOKEN)


async def test_recommended_servers_come_in_the_order_of_the_recommendation(nordvpn, fake):
    found = await nordvpn.servers(await nordvpn.identify(ACCOUNT))

    # Those for peer-to-peer, which only Sweden has here.
    assert [server.name for server in found] == ["Sweden #1", "Sweden #3", "Sweden #5"]
    first = found[0]
    assert (first.provider, first.country, first.city) == ("nordvpn", "SE", "Malm\u00f6")
    assert (first.host, first.port, first.keepalive) == ("203.0.113.1", 51820, 25)
    assert (first.public_key, first.addresses) == (key("nordvpn 1"), ("10.5.0.2/32",))
    assert first.private_key.reveal() == key("nordvpn account")
    assert first.dns == ("103.86.96.100", "103.86.99.100")
    assert not first.port_forwarding
    assert len(fake.asked) == 2


async def test_a_country_and_a_city_are_asked_for_by_the_numbers_that_they_have_there(
    nordvpn, fake
):
    found = await nordvpn.servers(KNOWN, country="se", city="malmo")

    assert {server.country for server in found} == {"SE"}
    assert "filters%5Bcountry_id%5D=2" in fake.asked[-1]
    assert "filters%5Bcountry_city_id%5D=20" in fake.asked[-1]


async def test_a_country_without_servers_for_peer_to_peer_has_others(nordvpn):
    found = await nordvpn.servers(KNOWN, country="PL")

    assert [server.name for server in found] == ["Poland #2", "Poland #4", "Poland #6"]


async def test_no_more_servers_are_returned_than_wanted(nordvpn):
    assert len(await nordvpn.servers(KNOWN, limit=2)) == 2


async def test_a_country_that_is_not_there_is_refused_with_those_that_are(nordvpn):
    with pytest.raises(NoServerError, match=r"no servers in XX. It has in: BM, PL, SE"):
        await nordvpn.servers(KNOWN, country="xx")


async def test_a_city_that_is_not_there_is_refused_with_those_that_are(nordvpn):
    with pytest.raises(NoServerError, match=r"Kiruna, Sweden. It has in: Malm\u00f6"):
        await nordvpn.servers(KNOWN, country="SE", city="Kiruna")
    with pytest.raises(NoServerError, match="no city that it names"):
        await nordvpn.servers(KNOWN, country="BM", city="Hamilton")


async def test_countries_are_told_with_their_cities_and_one_may_have_none(nordvpn):
    found = await nordvpn.countries()

    assert [(one.code, [city.name for city in one.cities]) for one in found] == [
        ("BM", []),
        ("PL", ["Warsaw"]),
        ("SE", ["Malm\u00f6"]),
    ]


# --- what goes wrong ------------------------------------------------------------------------------


async def test_a_token_that_is_not_accepted_says_what_to_do(nordvpn, fake):
    fake.nordvpn.token = "another"
    with pytest.raises(ProviderRefusedError, match=r"not accept the access token any more. Make a"):
        await nordvpn.identify(ACCOUNT)


async def test_a_key_that_is_known_is_asked_for_again_for_it_may_be_another(nordvpn, fake):
    fake.nordvpn.private_key = key("a new one")
    found = await nordvpn.identify(KNOWN)

    assert found.private_key.reveal() == key("a new one")


async def test_a_key_without_a_token_is_used_without_a_question(nordvpn, fake):
    found = await nordvpn.identify(Credentials(private_key=Secret(key("mine"))))

    assert (found.private_key.reveal(), found.addresses) == (key("mine"), ("10.5.0.2/32",))
    assert fake.asked == []
    with pytest.raises(InvalidInputError, match="no WireGuard key"):
        await nordvpn.identify(Credentials(private_key=Secret("x")))


@pytest.mark.parametrize("token", ["", "short", f"{TOKEN}\r\nX: y", f"{TOKEN} ", "\u00e9" * 64])
async def test_what_cannot_be_a_token_is_not_sent(nordvpn, fake, token):
    with pytest.raises(InvalidInputError, match="no access token"):
        await nordvpn.identify(Credentials(token=Secret(token)))
    assert fake.asked == []


async def test_nothing_at_all_is_no_token(nordvpn):
    with pytest.raises(InvalidInputError, match="no access token"):
        await nordvpn.identify(Credentials())


@pytest.mark.parametrize("missing", [None, ""])
async def test_an_account_without_a_key_is_refused(nordvpn, fake, missing):
    fake.nordvpn.private_key = missing
    with pytest.raises(ProviderRefusedError, match="subscription"):
        await nordvpn.identify(ACCOUNT)


async def test_a_key_that_is_none_is_not_taken(nordvpn, fake):
    fake.nordvpn.private_key = "none"
    with pytest.raises(ProviderUnavailableError):
        await nordvpn.identify(ACCOUNT)


TROUBLES = [trouble for trouble in get_args(Trouble) if trouble not in {"none", "401", "slow"}]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("question", ["identify", "servers", "countries"])
async def test_whatever_is_answered_instead_is_one_kind_of_error(nordvpn, fake, trouble, question):
    fake.trouble = trouble
    with pytest.raises(ProviderUnavailableError) as caught:
        match question:
            case "identify":
                await nordvpn.identify(ACCOUNT)
            case "servers":
                await nordvpn.servers(KNOWN)
            case _:
                await nordvpn.countries()
    assert TOKEN not in str(caught.value)
    assert caught.value.retry_after == (7.0 if trouble == "429" else None)
    # Nobody insists; aiohttp itself asks once more when a kept connection is closed.
    assert len(fake.asked) <= (2 if trouble == "hung up" else 1)


async def test_a_server_that_takes_too_long_is_left(base, fake, http):
    class Impatient:
        async def request(self, method, url, **rest):
            return await http.request(method, url, **{**rest, "timeout": 0.2})

    fake.trouble = "slow"
    with pytest.raises(ProviderUnavailableError, match="does not answer"):
        await NordVpn(http=Impatient(), base=base).servers(KNOWN)


async def test_nobody_listening_is_unavailable(http):
    with pytest.raises(ProviderUnavailableError, match="NordVPN does not answer"):
        await NordVpn(http=http, base="http://127.0.0.1:1").servers(KNOWN)


BAD_SERVERS = [
    "not a server",
    7,
    None,
    [],
    {},
    {"name": "x"},
    {**nordvpn_server(9, 2, "Sweden", "SE", "M"), "station": "192.0.2.900"},
    {**nordvpn_server(9, 2, "Sweden", "SE", "M"), "station": "224.0.0.1"},
    {**nordvpn_server(9, 2, "Sweden", "SE", "M"), "station": None},
    {**nordvpn_server(9, 2, "Sweden", "SE", "M"), "status": "offline"},
    {**nordvpn_server(9, 2, "Sweden", "SE", "M"), "status": "maintenance"},
    {**nordvpn_server(9, 2, "Sweden", "SE", "M"), "technologies": []},
    {**nordvpn_server(9, 2, "Sweden", "SE", "M"), "technologies": "all"},
    {
        **nordvpn_server(9, 2, "Sweden", "SE", "M"),
        "technologies": [{"id": 35, "pivot": {"status": "offline"}, "metadata": []}],
    },
    {
        **nordvpn_server(9, 2, "Sweden", "SE", "M"),
        "technologies": [{"id": 35, "metadata": [{"name": "public_key", "value": "x"}]}],
    },
    {
        **nordvpn_server(9, 2, "Sweden", "SE", "M"),
        "technologies": [{"id": 35, "metadata": [{"name": "public_key", "value": None}]}],
    },
]


@pytest.mark.parametrize("bad", BAD_SERVERS, ids=range(len(BAD_SERVERS)))
async def test_one_malformed_server_spoils_no_other(nordvpn, fake, bad):
    fake.nordvpn.servers.insert(0, bad)
    found = await nordvpn.servers(KNOWN)

    assert [server.name for server in found] == ["Sweden #1", "Sweden #3", "Sweden #5"]


async def test_when_all_are_offline_what_was_known_stays(nordvpn, fake):
    for server in fake.nordvpn.servers:
        server["status"] = "offline"
    with pytest.raises(ProviderUnavailableError, match="no server now"):
        await nordvpn.servers(KNOWN)


async def test_an_empty_list_is_no_list(nordvpn, fake):
    fake.nordvpn.servers.clear()
    with pytest.raises(ProviderUnavailableError, match="no server now"):
        await nordvpn.servers(KNOWN)


async def test_servers_in_the_house_are_nobody_s_but_a_test_s(http, fake, base):
    fake.nordvpn.servers = [nordvpn_server(1, 2, "Sweden", "SE", "M")]
    fake.nordvpn.servers[0]["station"] = "192.168.1.7"
    found = await NordVpn(http=http, base=base).servers(KNOWN)

    assert found[0].host == "192.168.1.7"

    class Official:
        """Answers for the official address what the fake answers."""

        async def request(self, method, url, *, allow=(), **rest):
            assert allow == ()
            url = url.replace("https://api.nordvpn.com", base)
            return await http.request(method, url, allow=[base], **rest)

    with pytest.raises(ProviderUnavailableError, match="no server now"):
        await NordVpn(http=Official()).servers(KNOWN)


async def test_names_are_shown_without_what_could_deceive(nordvpn, fake):
    fake.nordvpn.servers = [nordvpn_server(1, 2, "Swe\x1b[31m\nden\u202e" + "n" * 500, "SE", "M")]
    (found,) = await nordvpn.servers(KNOWN)

    assert found.name.isprintable()
    assert len(found.name) == 64


async def test_neither_token_nor_key_is_logged_or_shown(nordvpn, fake, caplog):
    caplog.set_level(logging.DEBUG)
    known = await nordvpn.identify(ACCOUNT)
    said = [repr(known), repr(await nordvpn.servers(known))]
    for trouble in TROUBLES:
        fake.trouble = trouble
        with pytest.raises(MiauflixdError) as caught:
            await nordvpn.identify(ACCOUNT)
        said += [str(caught.value), repr(caught.value)]

    for text in (caplog.text, *said):
        assert TOKEN not in text
        assert key("nordvpn account") not in text


# --- being sent away ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        ("99999999999999", 86_400.0),
        ("Sun, 22 Nov 2026 20:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 19:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("\u0663", None),
    ],
)
def test_how_long_to_stay_away_is_read_by_the_server_s_own_clock(header, seconds):
    headers = {"retry-after": header, "DATE": "Sun, 22 Nov 2026 20:00:00 GMT"}

    assert retry_after(headers) == seconds


async def test_asking_can_be_given_up_at_any_time(nordvpn, fake):
    fake.trouble = "slow"
    async with asyncio.TaskGroup() as group:
        task = group.create_task(nordvpn.servers(KNOWN))
        while not fake.asked:
            await asyncio.sleep(0.005)
        task.cancel()
    assert task.cancelled()
