"""Where a request comes from: what a client says of itself must never count."""

import ipaddress

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from miauflixd.errors import SettingsError
from miauflixd.runtime.secrets import Secret
from miauflixd.web.client_address import Trust, client_address, parsed, trust_of
from miauflixd.web.server import serve
from miauflixd.web.settings import WebSettings
from tests.contract import kept
from tests.doorstep import open_doorstep

# Thousands of cases each, beside another process and with their coverage taken.
pytestmark = pytest.mark.timeout(60)

SECRET = "5d3c0a1e"
PROXY = "10.0.0.2"
TRUST = Trust(
    proxies=(ipaddress.ip_network("10.0.0.2/31"), ipaddress.ip_network("fd00:2::/64")),
    secret=Secret(SECRET),
)


def headers(forwarded_for: str | None = None, **more: str) -> CIMultiDict[str]:
    found = CIMultiDict({"Host": "upstream", "X-Miauflix-Proxy-Secret": SECRET})
    if forwarded_for is not None:
        found["X-Forwarded-For"] = forwarded_for
    found.update({name.replace("_", "-"): value for name, value in more.items()})
    return found


# --- examples -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.3", "203.0.113.9"),
        ("198.51.100.1,203.0.113.9,\t10.0.0.3 ,10.0.0.2", "203.0.113.9"),
        ("10.0.0.3", "10.0.0.3"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, ::ffff:10.0.0.3", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
        (None, PROXY),
        ("", PROXY),
        ("unknown", PROXY),
        ("203.0.113.9:4711", PROXY),
        ("[2001:db8::7]", PROXY),
        ("203.0.113.9,", PROXY),
        ("203.0.113.9, nonsense", PROXY),
        ("203.0.113.9, nonsense, 10.0.0.3", "10.0.0.3"),
        ("0x7f.1", PROXY),
        ("2130706433", PROXY),
        ("1" * 5000, PROXY),
    ],
)
def test_behind_a_proxy_the_right_most_stranger_is_the_client(chain, client):
    assert client_address(PROXY, headers(chain), TRUST).address == client


def test_a_chain_in_several_lines_is_one_chain():
    sent = headers("198.51.100.1")
    sent.add("X-Forwarded-For", "203.0.113.9")
    assert client_address(PROXY, sent, TRUST).address == "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "secrets"),
    [
        ("10.0.0.4", [SECRET]),
        ("127.0.0.1", [SECRET]),
        (PROXY, []),
        (PROXY, ["wrong"]),
        (PROXY, [""]),
        (PROXY, ["\udcff"]),
        (PROXY, [SECRET, SECRET]),
        (PROXY, ["wrong", SECRET]),
    ],
)
def test_without_the_address_and_the_secret_nobody_is_believed(peer, secrets):
    sent = headers("203.0.113.9", X_Forwarded_Host="films.example", X_Forwarded_Proto="https")
    sent.popall("X-Miauflix-Proxy-Secret")
    for secret in secrets:
        sent.add("X-Miauflix-Proxy-Secret", secret)
    client = client_address(peer, sent, TRUST)
    assert (client.address, client.peer, client.trusted_proxy) == (peer, peer, False)
    assert (client.host, client.secure) == ("upstream", False)


def test_where_there_is_no_secret_no_proxy_is_believed():
    trust = Trust(proxies=TRUST.proxies, secret=None)
    assert client_address(PROXY, headers("203.0.113.9"), trust).address == PROXY


def test_a_proxy_says_by_which_name_and_how_it_was_asked():
    sent = headers("203.0.113.9", X_Forwarded_Host="films.example", X_Forwarded_Proto="https")
    client = client_address(PROXY, sent, TRUST)
    assert (client.host, client.secure, client.peer) == ("films.example", True, PROXY)


@pytest.mark.parametrize("proto", ["http", "HTTPS ", "https, http", "wss", ""])
def test_what_is_not_plainly_https_is_not_secure(proto):
    assert not client_address(PROXY, headers("::1", X_Forwarded_Proto=proto), TRUST).secure


def test_whoever_is_at_the_unix_socket_is_a_proxy():
    client = client_address(None, headers("203.0.113.9"), Trust())
    assert (client.address, client.peer, client.trusted_proxy) == ("203.0.113.9", None, True)


def test_the_control_socket_has_no_proxies():
    client = client_address(None, headers("203.0.113.9"), TRUST, is_control=True)
    assert (client.address, client.is_control, client.trusted_proxy) == ("127.0.0.1", True, False)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_household_is_one_address_or_one_subnet(address, network):
    assert client_address(address, CIMultiDict(), Trust()).network == network


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_what_came_through_a_proxy_is_not_from_this_machine(name):
    assert client_address("127.0.0.1", CIMultiDict(), Trust()).is_local
    assert client_address("::1", CIMultiDict(), Trust()).is_local
    assert not client_address("127.0.0.1", CIMultiDict({name: "x"}), Trust()).is_local
    assert not client_address("192.0.2.1", CIMultiDict(), Trust()).is_local


# --- every chain ----------------------------------------------------------------------------------

TRUSTED = st.sampled_from(["10.0.0.2", "10.0.0.3", "fd00:2::1", "fd00:2::ffff", "::ffff:10.0.0.2"])
ADDRESSES = st.one_of(st.ip_addresses().map(str), st.sampled_from(["127.0.0.1", "::1", "10.0.0.9"]))
STRANGERS = ADDRESSES.filter(
    lambda text: not any(parsed(text) in network for network in TRUST.proxies)
)
RUBBISH = st.one_of(
    ADDRESSES,
    TRUSTED,
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=60),
    st.sampled_from(
        ["", " ", ",", ",,", "unknown", "_hidden", "1.2.3.4:5", "[::1]:80", "%", "::%"]
    ),
)


@pytest.mark.slow
@pytest.mark.timeout(120)
@settings(max_examples=10_000, deadline=None)
@given(
    client=STRANGERS,
    words=st.lists(RUBBISH, max_size=6),
    proxies=st.lists(TRUSTED, max_size=3),
    lines=st.booleans(),
)
def test_a_client_never_chooses_its_own_address(client, words, proxies, lines):
    """The client sends whatever it likes; each proxy then adds whom it saw, as nginx does."""
    hops = [*words, client, *proxies]
    sent = CIMultiDict({"X-Miauflix-Proxy-Secret": SECRET})
    for line in hops if lines else [", ".join(hops)]:
        sent.add("X-Forwarded-For", line)
    found = client_address(PROXY, sent, TRUST)
    assert found.trusted_proxy
    assert found.address == str(parsed(client))


@settings(max_examples=2_000, deadline=None)
@given(
    peer=STRANGERS,
    words=st.lists(RUBBISH, max_size=6),
    secret=st.one_of(st.none(), st.just(SECRET), st.text(max_size=10)),
    host=RUBBISH,
    proto=st.sampled_from(["https", "http", ""]),
)
def test_a_client_that_is_connected_directly_is_its_peer_whatever_it_sends(
    peer, words, secret, host, proto
):
    sent = CIMultiDict({"Host": "nas", "X-Forwarded-For": ", ".join(words)})
    sent.update({"X-Forwarded-Host": host, "X-Forwarded-Proto": proto})
    if secret is not None:
        sent["X-Miauflix-Proxy-Secret"] = secret
    found = client_address(peer, sent, TRUST)
    assert (found.address, found.host, found.secure) == (str(parsed(peer)), "nas", False)


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("networks", "secret", "message"),
    [
        (["10.0.0.1/8"], Secret("x"), "web.trusted_proxies: 10.0.0.1/8 has host bits set"),
        (["10.0.0.0/99"], Secret("x"), "web.trusted_proxies"),
        (["10.0.0.1"], None, "web.proxy_secret: is needed"),
        (["10.0.0.1"], Secret(""), "web.proxy_secret: is needed"),
        (["10.0.0.1"], Secret("schlüssel"), "plain letters"),
    ],
)
def test_nobody_is_believed_by_mistake(networks, secret, message):
    with pytest.raises(SettingsError, match=message):
        trust_of(WebSettings(trusted_proxies=networks, proxy_secret=secret))


# --- as a request ---------------------------------------------------------------------------------


@pytest.fixture
async def house(tmp_path):
    async with open_doorstep(tmp_path) as house:
        yield house


def public() -> WebSettings:
    return WebSettings(
        port=0,
        public_names=["films.example.org"],
        trusted_proxies=["127.0.0.1"],
        proxy_secret=Secret(SECRET),
    )


async def test_the_administrator_is_told_what_is_believed_and_why(house):
    app = house.app(settings=public())
    with kept(app):
        async with TestClient(TestServer(app), headers=house.as_admin) as client:
            proxied = {"X-Forwarded-For": "203.0.113.9", "X-Miauflix-Proxy-Secret": SECRET}
            told = await (await client.get("/api/ip", headers=proxied)).json()
            assert (told["client_ip"], told["peer_ip"]) == ("203.0.113.9", "127.0.0.1")
            assert told["trusted_proxy"] is True
            del proxied["X-Miauflix-Proxy-Secret"]
            told = await (await client.get("/api/ip", headers=proxied)).json()
            assert (told["client_ip"], told["trusted_proxy"]) == ("127.0.0.1", False)
            assert told["forwarded"]["x_forwarded_for"] == "203.0.113.9"
            assert "web.proxy_secret" in told["explanation"]
            assert SECRET not in str(told)


async def test_a_public_name_is_ours_and_a_forwarded_one_counts_from_a_proxy_only(house):
    async with TestClient(TestServer(house.app(settings=public()))) as client:
        for sent, status in (
            ({"Host": "films.example.org"}, 200),
            ({"Host": "other.example.org"}, 403),
            ({"Host": "nas", "X-Forwarded-Host": "evil.example"}, 200),
            ({"Host": "evil.example", "X-Forwarded-Host": "films.example.org"}, 403),
        ):
            assert (await client.get("/api/health", headers=sent)).status == status, sent
        proxied = {"X-Miauflix-Proxy-Secret": SECRET, "Host": "upstream"}
        for name, status in (("films.example.org", 200), ("evil.example", 403), ("nas, nas", 403)):
            sent = {**proxied, "X-Forwarded-Host": name}
            assert (await client.get("/api/health", headers=sent)).status == status, name


async def test_behind_tls_the_browser_is_told_to_stay_there(house):
    async with TestClient(TestServer(house.app(settings=public()))) as client:
        proxied = {"X-Miauflix-Proxy-Secret": SECRET, "X-Forwarded-Proto": "https"}
        secure = await client.get("/", headers=proxied)
        assert secure.headers["Strict-Transport-Security"].startswith("max-age=")
        del proxied["X-Miauflix-Proxy-Secret"]
        plain = await client.get("/", headers=proxied)
        assert "Strict-Transport-Security" not in plain.headers


async def test_a_page_behind_tls_is_of_the_same_site_by_its_public_name(house):
    async with TestClient(TestServer(house.app(settings=public()))) as client:
        sent = {
            "X-Miauflix-Proxy-Secret": SECRET,
            "X-Forwarded-Host": "films.example.org",
            "X-Forwarded-Proto": "https",
        }
        for origin, status in (("https://films.example.org", 204), ("https://evil.example", 403)):
            answer = await client.post("/api/auth/logout", headers={**sent, "Origin": origin})
            assert answer.status == status, origin


async def test_at_the_unix_socket_the_proxy_is_believed(house, tmp_path):
    path = tmp_path / "web.sock"
    settings = WebSettings(port=0, unix_socket=path)
    async with (
        serve(house.app(settings=settings), settings),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
    ):
        sent = {**house.as_admin, "X-Forwarded-For": "evil, 203.0.113.9"}
        told = await (await session.get("http://localhost/api/ip", headers=sent)).json()
        assert (told["client_ip"], told["peer_ip"]) == ("203.0.113.9", None)
