"""What the keeper tells nft and WireGuard, and what it makes of their answers."""

import base64
import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.keeper.firewall import PRIVATE_V4, is_closed, ruleset
from miauflixd.keeper.kernel import parse_device, parse_dump
from miauflixd.keeper.messages import Configure, Endpoint, Server
from miauflixd.keeper.namespace import strangers
from miauflixd.keeper.netlink import UNREACHABLE, Link, Route
from miauflixd.keeper.peers import Configuration, Peer, parse_uapi, setconf, uapi_lines
from miauflixd.keeper.ports import Counters
from miauflixd.keeper.prerequisites import problems

OURS = bytes(range(32))
THEIRS = bytes(range(32, 64))
SHARED = bytes(range(64, 96))
SERVER = Server(host="198.51.100.7", port=51820)


def key(value: bytes) -> str:
    return base64.b64encode(value).decode()


def endpoint(**differing) -> Endpoint:
    values = {
        "id": "e",
        "name": "E",
        "provider": "tests",
        "servers": [SERVER],
        "public_key": key(THEIRS),
        "private_key": key(OURS),
        "addresses": ["10.5.0.2/32"],
    }
    return Endpoint(**(values | differing))


def link(name: str, *, index: int, kind: str | None, is_up: bool = True) -> Link:
    return Link(index, name, kind, 1420, is_up=is_up, has_carrier=True, resolves=False)


def route(*, index: int | None, kind: int = 1) -> Route:
    return Route(2, 254, kind, "default", None, index, 0)


LO = link("lo", index=1, kind=None)
WALL = route(index=None, kind=UNREACHABLE)


# --- rules ----------------------------------------------------------------------------------------


def test_rules_begin_by_flushing_so_that_one_transaction_replaces_all():
    assert ruleset("wg0").startswith("flush ruleset\ntable inet miauflix {")


def test_all_chains_drop_what_nobody_accepts():
    assert is_closed(ruleset("wg0"))


def test_rules_with_an_open_chain_are_not_taken_for_ours():
    assert not is_closed(ruleset("wg0").replace("output priority filter; policy drop", "x"))


def test_no_rules_at_all_are_not_taken_for_ours():
    assert not is_closed("")


def test_rules_beside_ours_are_noticed():
    assert not is_closed(ruleset("wg0") + "table ip foreign {}")


def test_the_gateway_and_resolvers_may_be_reached_though_they_are_private():
    rules = ruleset("wg0", reachable=["10.5.0.1", "fd05::1", "10.5.0.1"])
    assert "set reachable4 { type ipv4_addr; elements = { 10.5.0.1 } }" in rules
    assert "set reachable6 { type ipv6_addr; elements = { fd05::1 } }" in rules


def test_rules_cannot_be_written_with_something_that_is_no_address():
    with pytest.raises(ValueError, match="accept"):
        ruleset("wg0", reachable=["10.0.0.1 }; accept"])


@pytest.mark.parametrize("network", ["10.0.0.0/8", "192.168.0.0/16", "100.64.0.0/10"])
def test_private_networks_are_listed(network):
    assert network in PRIVATE_V4


# --- what WireGuard is told -----------------------------------------------------------------------


def configuration(**differing) -> Configuration:
    return Configuration(OURS, 40000, Peer.of(endpoint(**differing), SERVER))


def test_wg_is_given_a_whole_file():
    assert setconf(configuration(preshared_key=key(SHARED))).splitlines() == [
        "[Interface]",
        f"PrivateKey = {key(OURS)}",
        "ListenPort = 40000",
        "[Peer]",
        f"PublicKey = {key(THEIRS)}",
        f"PresharedKey = {key(SHARED)}",
        "Endpoint = 198.51.100.7:51820",
        "AllowedIPs = 0.0.0.0/0",
        "PersistentKeepalive = 25",
    ]


def test_wireguard_go_is_given_keys_in_hexadecimal_and_a_blank_line():
    assert uapi_lines(configuration()) == (
        "set=1\n"
        f"private_key={OURS.hex()}\n"
        "listen_port=40000\n"
        "replace_peers=true\n"
        f"public_key={THEIRS.hex()}\n"
        "endpoint=198.51.100.7:51820\n"
        "allowed_ip=0.0.0.0/0\n"
        "persistent_keepalive_interval=25\n\n"
    )


def test_another_peer_does_not_touch_the_port_and_the_key():
    lines = uapi_lines(configuration(), before=Configuration(OURS, 40000, None))
    assert "listen_port" not in lines
    assert "private_key" not in lines


def test_no_peer_means_no_peer():
    assert uapi_lines(Configuration(OURS, 40000), before=configuration()) == (
        "set=1\nreplace_peers=true\n\n"
    )


def test_ipv6_goes_through_when_we_have_such_an_address():
    peer = Peer.of(endpoint(addresses=["10.5.0.2/32", "fd05::2/128"]), SERVER)
    assert peer.allowed == ("0.0.0.0/0", "::/0")


def test_a_server_with_an_ipv6_address_is_written_in_brackets():
    peer = Peer.of(endpoint(), Server(host="2001:db8::7", port=51820))
    assert peer.server == "[2001:db8::7]:51820"


def test_a_keepalive_of_none_becomes_the_usual_one():
    assert Peer.of(endpoint(keepalive=0), SERVER).keepalive == 25


def test_keys_do_not_show_in_what_is_logged():
    shown = repr(configuration(preshared_key=key(SHARED)))
    assert repr(OURS) not in shown
    assert repr(SHARED) not in shown


@pytest.mark.parametrize(
    "differing",
    [
        {"public_key": "AAAA"},
        {"public_key": key(THEIRS) + "\nallowed_ip=0.0.0.0/0"},
        {"preshared_key": "not base64!"},
        {"addresses": ["10.5.0.2/33"]},
    ],
)
def test_nonsense_in_an_endpoint_is_refused(differing):
    with pytest.raises(OSError, match="The endpoint") as refused:
        Peer.of(endpoint(**differing), SERVER)
    assert refused.value.errno == errno.EINVAL


@given(st.text())
def test_a_server_is_an_address_and_never_a_line_of_its_own(host):
    try:
        peer = Peer.of(endpoint(), Server(host=host, port=1))
    except OSError:
        return
    assert (
        "\n"
        not in setconf(Configuration(OURS, 1, peer))
        .partition("Endpoint = ")[2][:-1]
        .split("\nAllowedIPs")[0]
    )


# --- what WireGuard says --------------------------------------------------------------------------


def test_what_wireguard_go_was_told_is_read_back():
    told = configuration(preshared_key=key(SHARED), addresses=["10.5.0.2/32", "fd05::2/128"])
    answer = uapi_lines(told).removeprefix("set=1\n").strip() + (
        "\nlast_handshake_time_sec=1700000000\nlast_handshake_time_nsec=500000000"
        "\ntx_bytes=180\nrx_bytes=92\nerrno=0"
    )
    report = parse_uapi(answer)
    assert report.configuration == told
    assert report.counters == Counters(rx=92, tx=180, handshake=1700000000.5)


def test_no_handshake_yet_is_not_one_of_1970():
    report = parse_uapi(f"public_key={THEIRS.hex()}\nlast_handshake_time_sec=0\nerrno=0")
    assert report.counters == Counters(rx=0, tx=0, handshake=None)


def test_without_a_peer_there_is_nothing_to_count():
    assert parse_uapi("listen_port=40000\nerrno=0").counters is None


@given(st.text())
def test_any_other_answer_is_an_error_of_the_machine(answer):
    with pytest.raises(OSError, match="wireguard-go answers"):
        parse_uapi(answer)


def test_what_wg_shows_of_the_kernel_is_read():
    dump = (
        f"{key(OURS)}\t{key(THEIRS)}\t40000\toff\n"
        f"{key(THEIRS)}\t(none)\t[2001:db8::7]:51820\t0.0.0.0/0,::/0\t1700000000\t92\t180\t25\n"
    )
    peer = Peer(THEIRS, None, "2001:db8::7", 51820, keepalive=25, ipv6=True)
    assert parse_dump(dump) == Configuration(OURS, 40000, peer)


def test_a_fresh_interface_of_the_kernel_has_no_key_and_no_peer():
    assert parse_dump("(none)\t(none)\t0\toff\n") == Configuration()


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def test_the_kernels_counters_are_found_between_what_else_it_says():
    peer = (
        attribute(1, THEIRS)
        + attribute(5, struct.pack("=H", 25))
        + attribute(6, struct.pack("=qq", 1700000000, 500000000))
        + attribute(8, struct.pack("=Q", 180))
        + attribute(7, struct.pack("=Q", 92))
    )
    nested = 0x8000
    device = attribute(2, b"wg0\0") + attribute(8 | nested, attribute(0 | nested, peer))
    assert parse_device([bytes(4) + device]) == Counters(92, 180, 1700000000.5)


def test_the_kernel_counts_nothing_without_a_peer():
    assert parse_device([bytes(4) + attribute(2, b"wg0\0")]) is None


# --- what belongs into the namespace --------------------------------------------------------------


def test_lo_and_the_tunnel_belong_there():
    links = [LO, link("wg0", index=2, kind="tun")]
    assert strangers(links, [WALL, route(index=1), route(index=2)], "wg0") == []


def test_another_interface_is_found():
    found = strangers([LO, link("eth0", index=3, kind="veth")], [WALL], "wg0")
    assert found == ["The interface eth0 (veth) is in the namespace."]


def test_an_interface_that_only_bears_our_name_is_found():
    assert strangers([LO, link("wg0", index=3, kind="veth")], [], "wg0")


def test_a_route_elsewhere_is_found():
    found = strangers([LO], [WALL, route(index=3)], "wg0")
    assert found == ["A route to default leads elsewhere than into the tunnel."]


def test_what_the_kernel_makes_by_itself_is_tolerated_while_it_is_down():
    assert not strangers([LO, link("sit0", index=2, kind="sit", is_up=False)], [WALL], "wg0")
    assert strangers([LO, link("sit0", index=2, kind="sit")], [WALL], "wg0")


# --- what must be on the machine ------------------------------------------------------------------


def test_what_is_missing_is_said_with_what_to_do():
    configure = Configure(
        namespace="much/too/long/a/name", user="nobody-at-all", resolvers=[], hidden="", shown=""
    )
    found = problems(configure)
    assert any("cannot be a namespace's name" in problem for problem in found)
    assert any("useradd" in problem for problem in found)
