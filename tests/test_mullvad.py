"""Mullvad's API, and whatever it may answer instead."""

import logging
from typing import get_args

import pytest

from miauflixd.egress.clients import host_client
from miauflixd.errors import InvalidInputError, MiauflixdError
from miauflixd.runtime.secrets import Secret
from miauflixd.tunnel.model import Credentials
from miauflixd.tunnel.providers.mullvad import Mullvad
from miauflixd.tunnel.providers.provider import (
    NoServerError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from miauflixd.vault.wireguard_keys import new_private_key, public_key
from tests.provider_fakes import ACCOUNT, FakeProviders, Trouble, key, mullvad_relay, serving

NUMBER = Credentials(token=Secret(ACCOUNT))
OWN_KEY = Credentials(private_key=Secret(key("mine")), addresses=("10.66.1.2/32", "fc00::2/128"))


@pytest.fixture
async def fake():
    return FakeProviders()


@pytest.fixture
async def base(fake):
    async with serving(fake) as base:
        yield base


@pytest.fixture
async def mullvad(base):
    async with host_client() as http:
        yield Mullvad(http=http, base=base)


async def test_an_account_has_a_new_key_registered_and_gets_the_key_s_addresses(mullvad, fake):
    found = await mullvad.identify(NUMBER)

    (device,) = fake.mullvad.devices
    assert device["pubkey"] == public_key(found.private_key.reveal())
    assert found.addresses == ("10.64.0.2/32", "fc00:bbbb:bbbb:bb01::2/128")
    assert found.token == Secret(ACCOUNT)


async def test_the_number_may_be_written_in_groups(mullvad):
    found = await mullvad.identify(Credentials(token=Secret("1234 5678 9012 3456\n")))

    assert found.token == Secret(ACCOUNT)


async def test_a_key_that_is_registered_is_not_registered_again(mullvad, fake):
    first = await mullvad.identify(NUMBER)
    second = await mullvad.identify(first)

    assert second == first
    assert len(fake.mullvad.devices) == 1


async def test_a_device_that_somebody_took_off_is_put_back(mullvad, fake):
    first = await mullvad.identify(NUMBER)
    fake.mullvad.devices = [{"pubkey": key("tv"), "ipv4_address": "10.64.0.9/32"}, "nonsense"]
    second = await mullvad.identify(first)

    assert second.private_key == first.private_key
    assert second.addresses[0] == "10.64.0.4/32"


async def test_a_key_that_mullvad_knows_needs_no_account(mullvad, fake):
    assert await mullvad.identify(OWN_KEY) == OWN_KEY
    assert fake.asked == []


async def test_addresses_are_completed_with_their_length(mullvad):
    bare = Credentials(private_key=OWN_KEY.private_key, addresses=("10.66.1.2", "fc00::2/64"))

    assert (await mullvad.identify(bare)).addresses == OWN_KEY.addresses


async def test_relays_become_servers(mullvad):
    found = await mullvad.servers(OWN_KEY, country="CH")

    (relay,) = found
    assert (relay.name, relay.provider) == ("Zurich, ch-zrh-wg-004", "mullvad")
    assert (relay.country, relay.city) == ("CH", "Zurich")
    assert (relay.host, relay.port) == ("198.51.100.4", 51820)
    assert relay.public_key == key("ch-zrh-wg-004")
    assert relay.private_key == OWN_KEY.private_key
    assert relay.addresses == ("10.66.1.2/32", "fc00::2/128")
    assert (relay.dns, relay.gateway) == (("10.64.0.1",), "10.64.0.1")
    assert not relay.port_forwarding


@pytest.mark.parametrize(
    ("country", "city", "count"),
    [
        (None, None, 4),
        ("se", None, 3),
        ("SE", "Malm\u00f6", 2),
        ("se", "malmo", 2),
        ("se", "got", 1),
    ],
)
async def test_relays_are_chosen_by_country_and_city(mullvad, country, city, count):
    assert len(await mullvad.servers(OWN_KEY, country=country, city=city)) == count


async def test_a_place_without_relays_is_refused_with_those_that_have_some(mullvad):
    with pytest.raises(NoServerError, match=r"no servers in XX. It has in: SE, CH"):
        await mullvad.servers(OWN_KEY, country="XX")
    with pytest.raises(NoServerError, match=r"Kiruna, Sweden. It has in: Gothenburg, Malm\u00f6"):
        await mullvad.servers(OWN_KEY, country="SE", city="Kiruna")


async def test_countries_are_those_where_a_relay_is_active(mullvad, fake):
    fake.mullvad.relays[3]["active"] = False
    found = await mullvad.countries()

    assert [(one.code, one.name) for one in found] == [("SE", "Sweden")]
    assert [city.name for city in found[0].cities] == ["Gothenburg", "Malm\u00f6"]


async def test_a_list_that_has_not_changed_is_not_sent_again(mullvad, fake):
    first = await mullvad.servers(OWN_KEY)
    second = await mullvad.servers(OWN_KEY)
    fake.mullvad.relays.pop()
    third = await mullvad.servers(OWN_KEY)

    assert first == second
    assert len(third) == len(first) - 1


async def test_a_house_draws_the_same_relays_each_time_and_another_house_others(mullvad, fake):
    fake.mullvad.relays = [mullvad_relay(number, "se-mma") for number in range(1, 200)]
    ours = await mullvad.servers(OWN_KEY, limit=20)
    again = await mullvad.servers(OWN_KEY, limit=20)
    other = Credentials(private_key=Secret(key("theirs")), addresses=OWN_KEY.addresses)
    theirs = await mullvad.servers(other, limit=20)

    assert len(ours) == 20
    assert ours == again
    assert [one.host for one in ours] != [one.host for one in theirs]


async def test_heavier_relays_are_drawn_more_often(mullvad, fake):
    fake.mullvad.relays = [mullvad_relay(number, "se-mma") for number in range(1, 11)]
    fake.mullvad.relays[0]["weight"] = 900
    first = 0
    for house in range(100):
        credentials = Credentials(private_key=Secret(key(str(house))), addresses=("10.64.0.9/32",))
        (chosen,) = await mullvad.servers(credentials, limit=1)
        first += chosen.host == "198.51.100.1"
    assert 30 < first < 70  # one half, by its share of the weights


async def test_a_relay_that_is_only_for_its_city_is_not_taken_for_its_country(mullvad, fake):
    fake.mullvad.relays[2]["include_in_country"] = False

    assert len(await mullvad.servers(OWN_KEY, country="SE")) == 2
    assert len(await mullvad.servers(OWN_KEY, country="SE", city="Gothenburg")) == 1


@pytest.mark.parametrize(
    ("ranges", "port"),
    [
        ([], 51820),
        ([[53, 53], [51820, 51820]], 51820),
        ([[4000, 33433]], 4000),
        ([[0, 0]], 51820),
        ([[70000, 70001]], 51820),
    ],
)
async def test_the_usual_port_is_used_if_it_is_open(mullvad, fake, ranges, port):
    fake.mullvad.port_ranges = ranges

    assert {one.port for one in await mullvad.servers(OWN_KEY)} == {port}


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(),
        Credentials(token=Secret("123")),
        Credentials(token=Secret("1234567890123456x")),
        Credentials(token=Secret("\u0661" * 16)),
        Credentials(private_key=Secret(key("mine"))),
        Credentials(private_key=Secret("x"), addresses=("10.64.0.2/32",)),
        Credentials(private_key=Secret(key("mine")), addresses=("somewhere",)),
        Credentials(private_key=Secret(key("mine")), addresses=("10.64.0.2/x",)),
    ],
)
async def test_what_cannot_be_an_account_is_not_sent(mullvad, fake, credentials):
    with pytest.raises(InvalidInputError):
        await mullvad.identify(credentials)
    assert fake.asked == []


async def test_an_account_that_is_not_there_is_refused(mullvad):
    with pytest.raises(ProviderRefusedError, match="no account of this number"):
        await mullvad.identify(Credentials(token=Secret("1" * 16)))


async def test_an_account_without_room_for_a_device_says_what_to_do(mullvad, fake):
    fake.mullvad.max_devices = 0
    with pytest.raises(ProviderRefusedError, match=r"Take one off on mullvad.net"):
        await mullvad.identify(NUMBER)
    assert not any(question.startswith("POST /accounts") for question in fake.asked)


async def test_an_account_whose_last_room_somebody_else_took_says_the_same(mullvad, fake):
    fake.mullvad.max_devices = 0
    fake.mullvad.claims_room = True
    with pytest.raises(ProviderRefusedError, match="as many devices as it may have"):
        await mullvad.identify(NUMBER)


async def test_an_address_that_is_none_is_not_taken(mullvad, fake):
    known = await mullvad.identify(NUMBER)
    fake.mullvad.devices[0]["ipv4_address"] = "127.0.0.1/8"
    with pytest.raises(ProviderUnavailableError, match="an address that is none"):
        await mullvad.identify(known)


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "\u00e9"])
async def test_a_token_that_would_break_a_header_is_not_sent(mullvad, fake, token):
    fake.mullvad.access_token = token
    with pytest.raises(ProviderUnavailableError, match="a token that is none"):
        await mullvad.identify(NUMBER)
    assert len(fake.asked) == 1


async def test_a_token_that_expired_at_once_is_a_refusal(mullvad, fake):
    fake.trouble = "401"
    with pytest.raises(ProviderRefusedError):
        await mullvad.identify(NUMBER)


TROUBLES = [trouble for trouble in get_args(Trouble) if trouble not in {"none", "401", "slow"}]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("question", ["identify", "servers", "countries"])
async def test_whatever_is_answered_instead_is_one_kind_of_error(mullvad, fake, trouble, question):
    fake.trouble = trouble
    with pytest.raises(ProviderUnavailableError) as caught:
        match question:
            case "identify":
                await mullvad.identify(NUMBER)
            case "servers":
                await mullvad.servers(OWN_KEY)
            case _:
                await mullvad.countries()
    assert ACCOUNT not in str(caught.value)
    assert caught.value.retry_after == (7.0 if trouble == "429" else None)
    # Nobody insists; aiohttp itself asks once more when a kept connection is closed.
    assert len(fake.asked) <= (2 if trouble == "hung up" else 1)


async def test_trouble_after_a_good_list_does_not_spoil_the_next_one(mullvad, fake):
    before = await mullvad.servers(OWN_KEY)
    fake.trouble = "html"
    with pytest.raises(ProviderUnavailableError):
        await mullvad.servers(OWN_KEY)
    fake.trouble = "none"

    assert await mullvad.servers(OWN_KEY) == before


@pytest.mark.parametrize(
    "bad",
    [
        "not a relay",
        {},
        {**mullvad_relay(9, "se-mma"), "active": False},
        {**mullvad_relay(9, "se-mma"), "ipv4_addr_in": "here"},
        {**mullvad_relay(9, "se-mma"), "ipv4_addr_in": "255.255.255.255"},
        {**mullvad_relay(9, "se-mma"), "public_key": "x"},
        {**mullvad_relay(9, "se-mma"), "hostname": "\x1b[31m"},
        {**mullvad_relay(9, "se-mma"), "weight": "heavy"},
        mullvad_relay(9, "xx-yyy"),
    ],
    ids=range(9),
)
async def test_one_malformed_relay_spoils_no_other(mullvad, fake, bad):
    fake.mullvad.relays.insert(0, bad)

    assert len(await mullvad.servers(OWN_KEY)) == 4


async def test_a_malformed_place_takes_only_its_relays_away(mullvad, fake):
    fake.mullvad.locations["ch-zrh"] = 7
    fake.mullvad.locations["nowhere at all"] = {"city": "x", "country": "y"}

    assert {one.country for one in await mullvad.servers(OWN_KEY)} == {"SE"}


async def test_no_relay_at_all_is_no_list(mullvad, fake):
    fake.mullvad.relays.clear()
    with pytest.raises(ProviderUnavailableError, match="no relay now"):
        await mullvad.servers(OWN_KEY)


async def test_neither_number_nor_key_is_logged_or_shown(base, fake, caplog):
    caplog.set_level(logging.DEBUG)
    private = new_private_key()
    async with host_client() as http:
        mullvad = Mullvad(http=http, base=base, new_key=lambda: private)
        known = await mullvad.identify(NUMBER)
        said = [repr(known), repr(await mullvad.servers(known))]
        for trouble in TROUBLES:
            fake.trouble = trouble
            with pytest.raises(MiauflixdError) as caught:
                await mullvad.identify(NUMBER)
            said.append(repr(caught.value))
    for text in (caplog.text, *said):
        assert ACCOUNT not in text
        assert private not in text
