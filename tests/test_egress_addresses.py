"""Which addresses are out in the internet."""

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.egress.addresses import is_disguised, is_public

PRIVATE = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
]


@pytest.mark.parametrize("network", PRIVATE)
def test_a_private_network_is_private_from_end_to_end(network):
    for address in (IPv4Network(network)[0], IPv4Network(network)[-1]):
        assert not is_public(str(address))


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "9.255.255.255",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "64:ff9b::808:808",
    ],
)
def test_what_lies_beside_them_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "::",
        "::1",
        "::7f00:1",  # deprecated: IPv4-compatible
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",  # mapped: never on a wire
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1.1.1.1",
        "100::1",
        "2001::1",  # Teredo
        "2001:db8::1",
        "2002:7f00:1::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_ipv6_that_is_somebodys_own_or_carries_such_is_not(address):
    assert not is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.1.1", "1.1.1.1.1", "01.1.1.1", "1.1.1.1 "])
def test_what_is_no_address_is_not_public(text):
    assert not is_public(text)


def test_a_scope_makes_any_address_local():
    assert not is_public("2606:4700::1111%eth0")


@given(st.ip_addresses(v=4))
def test_a_translated_address_is_what_it_carries(address):
    carrier = IPv6Address(int(IPv6Address("64:ff9b::")) + int(address))
    assert is_public(str(carrier)) == is_public(str(address))
    assert not is_public(f"::ffff:{address}")


@given(st.ip_addresses(v=4))
def test_nothing_public_is_private_by_the_standard_library(address):
    if is_public(str(address)):
        assert not address.is_private
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_the_same_holds_for_ipv6(address):
    if is_public(str(address)) and not str(address).startswith("64:ff9b::"):
        assert not address.is_private
        assert not address.is_multicast


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "1.",
    ],
)
def test_an_address_in_disguise_is_seen(host):
    assert is_disguised(host)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "8.8.8.8", "example.org", "1337.example", "0xdead.be", "::1", "a.b.", "x1"],
)
def test_honest_hosts_are_not_in_disguise(host):
    assert not is_disguised(host)


@given(st.from_regex(r"[0-9a-fx.]{1,24}", fullmatch=True))
def test_whatever_the_system_takes_for_an_address_is_plain_or_disguised(host):
    try:
        socket.inet_aton(host)
    except OSError:
        return
    try:
        plain = str(IPv4Address(host)) == host
    except ValueError:
        plain = False
    assert plain or is_disguised(host)
