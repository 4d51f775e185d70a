"""Where VPN servers are: found in time, remembered, and never in somebody's house."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from miauflixd.tunnel.resolution import (
    HostLookup,
    Records,
    Resolution,
    UnresolvedError,
    has_ipv6_route,
)

NAME = "se1.vpn.example"


class FakeLookup:
    """Knows some names; may be silent about some kinds of address, or broken altogether."""

    def __init__(self, known: Mapping[tuple[str, Records], Sequence[str]]) -> None:
        self.known = dict(known)
        self.silent: set[Records] = set()
        self.broken = False
        self.asked: list[tuple[str, Records]] = []
        self.waiting = 0
        self.most_waiting = 0

    async def __call__(self, name: str, records: Records) -> Sequence[str]:
        self.asked.append((name, records))
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            if records in self.silent:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        finally:
            self.waiting -= 1
        if self.broken:
            raise OSError("no answer")
        return self.known.get((name, records), ())


def resolution(lookup: FakeLookup, *, ipv6: bool = True, lan_ok: bool = False, **rest):
    return Resolution(
        lookup=lookup, has_ipv6=lambda: ipv6, lan_ok=lan_ok, **{"within": 0.1, **rest}
    )


def both() -> FakeLookup:
    return FakeLookup(
        {(NAME, "A"): ["203.0.113.1", "203.0.113.2"], (NAME, "AAAA"): ["2001:db8::1"]}
    )


async def test_every_address_is_kept_and_ipv4_is_first():
    assert await resolution(both()).addresses(NAME) == (
        *("203.0.113.1", "203.0.113.2", "2001:db8::1"),
    )


async def test_without_a_route_for_ipv6_nobody_asks_for_its_addresses():
    lookup = both()

    assert await resolution(lookup, ipv6=False).addresses(NAME) == ("203.0.113.1", "203.0.113.2")
    assert lookup.asked == [(NAME, "A")]


async def test_an_address_is_its_own_answer():
    lookup = FakeLookup({})

    assert await resolution(lookup).addresses("203.0.113.9") == ("203.0.113.9",)
    assert await resolution(lookup).addresses("2001:db8::9") == ("2001:db8::9",)
    assert lookup.asked == []


async def test_an_address_of_ipv6_is_of_no_use_without_a_route():
    with pytest.raises(UnresolvedError, match="over IPv6 only"):
        await resolution(FakeLookup({}), ipv6=False).addresses("2001:db8::9")


async def test_a_slow_answer_about_ipv6_is_not_waited_for():
    lookup = both()
    lookup.silent = {"AAAA"}
    found = await resolution(lookup, within=60.0).addresses(NAME)

    assert found == ("203.0.113.1", "203.0.113.2")
    assert lookup.waiting == 0


async def test_addresses_of_ipv6_are_waited_for_where_there_are_no_others():
    lookup = both()
    lookup.known[NAME, "A"] = []

    assert await resolution(lookup).addresses(NAME) == ("2001:db8::1",)


async def test_a_resolver_that_hangs_is_left_in_time_and_nothing_stays_behind():
    lookup = both()
    lookup.silent = {"A", "AAAA"}
    with pytest.raises(UnresolvedError, match="Nobody could say in time"):
        await resolution(lookup).addresses(NAME)

    assert lookup.waiting == 0


async def test_what_is_known_in_time_is_used_though_the_rest_hangs():
    lookup = both()
    lookup.silent = {"A"}

    assert await resolution(lookup).addresses(NAME) == ("2001:db8::1",)


async def test_a_name_without_addresses_says_so():
    with pytest.raises(UnresolvedError, match=f"{NAME} has no address"):
        await resolution(FakeLookup({})).addresses(NAME)


@pytest.mark.parametrize("change", ["broken", "silent", "unknown", "house"])
async def test_the_last_good_addresses_are_used_when_nobody_can_be_asked(change):
    lookup = both()
    found = resolution(lookup)
    before = await found.addresses(NAME)
    match change:
        case "broken":
            lookup.broken = True
        case "silent":
            lookup.silent = {"A", "AAAA"}
        case "unknown":
            lookup.known.clear()
        case _:
            lookup.known = {(NAME, "A"): ["192.168.1.1"], (NAME, "AAAA"): ["fe80::1"]}

    assert await found.addresses(NAME) == before


async def test_addresses_outlive_a_restart():
    lookup = both()
    first = resolution(lookup)
    before = await first.addresses(NAME)
    lookup.broken = True

    assert await resolution(lookup, remembered=first.remembered).addresses(NAME) == before


async def test_a_server_that_moved_is_found_at_its_new_place():
    lookup = both()
    found = resolution(lookup)
    await found.addresses(NAME)
    lookup.known = {(NAME, "A"): ["203.0.113.77"]}

    assert await found.addresses(NAME) == ("203.0.113.77",)
    assert found.remembered == {NAME: ("203.0.113.77",)}


@pytest.mark.parametrize(
    "address",
    ["192.168.1.1", "10.0.0.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "::1", "fd00::1",
     "fe80::1", "::ffff:192.168.1.1", "64:ff9b::10.0.0.1", "2002:a00:1::"],
)  # fmt: skip
async def test_a_name_that_leads_into_a_house_leads_nowhere_unless_that_is_fine(address):
    kind: Records = "AAAA" if ":" in address else "A"
    lookup = FakeLookup({(NAME, kind): [address]})
    with pytest.raises(UnresolvedError, match="local network"):
        await resolution(lookup).addresses(NAME)
    with pytest.raises(UnresolvedError, match="local network"):
        await resolution(lookup).addresses(address)

    assert len(await resolution(lookup, lan_ok=True).addresses(NAME)) == 1


@pytest.mark.parametrize("address", ["0.0.0.0", "255.255.255.255", "224.0.0.1"])
async def test_nobody_and_everybody_are_no_servers(address):
    with pytest.raises(UnresolvedError, match="no server can have"):
        await resolution(FakeLookup({(NAME, "A"): [address]}), lan_ok=True).addresses(NAME)


async def test_good_addresses_among_bad_ones_are_used():
    lookup = FakeLookup({(NAME, "A"): ["10.0.0.1", "nonsense", "203.0.113.1", "203.0.113.1"]})

    assert await resolution(lookup).addresses(NAME) == ("203.0.113.1",)


async def test_a_thousand_names_are_not_asked_for_at_once():
    lookup = FakeLookup({(f"{n}.example", "A"): ["203.0.113.1"] for n in range(1000)})
    found = resolution(lookup, within=10.0)
    async with asyncio.TaskGroup() as group:
        for n in range(1000):
            group.create_task(found.addresses(f"{n}.example"))

    assert len(found.remembered) == 1000
    assert lookup.most_waiting <= 64  # 32 names, of two kinds each


# --- the route of IPv6 ----------------------------------------------------------------------------

ANY = "00000000000000000000000000000000 00"
HOP = "fe800000000000000000000000000001"


@pytest.mark.parametrize(
    ("line", "has"),
    [
        (f"{ANY} {ANY} {HOP} 00000400 00000001 00000000 00000003 eth0", True),
        (f"{ANY} {ANY} {HOP} 00000400 00000001 00000000 00450003 eth0", True),
        (f"{ANY} {ANY} {'0' * 32} ffffffff 00000001 00000000 00200200 lo", False),
        (f"{ANY} {ANY} {HOP} 00000400 00000001 00000000 00000000 eth0", False),
        (f"fe800000000000000000000000000000 40 {ANY} {'0' * 32} 1 1 0 00000001 eth0", False),
        ("", False),
        ("something else", False),
    ],
)
def test_the_kernel_s_table_tells_whether_there_is_a_route(tmp_path, line, has):
    (tmp_path / "ipv6_route").write_text(f"{line}\n")

    assert has_ipv6_route(tmp_path / "ipv6_route") is has


def test_a_kernel_without_ipv6_has_none(tmp_path):
    assert has_ipv6_route(tmp_path / "nothing") is False


# --- a real resolver ------------------------------------------------------------------------------


class FakeDns(asyncio.DatagramProtocol):
    """A name server on the loopback."""

    def __init__(self) -> None:
        self.silent = False
        self.asked = 0

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr) -> None:
        self.asked += 1
        if self.silent:
            return
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        (question,) = query.question
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        if name == "broken.example.":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name == "unknown.example.":
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif kind == "A":
            answer.answer = [
                dns.rrset.from_text(name, 60, "IN", "CNAME", "host.example."),
                dns.rrset.from_text("host.example.", 60, "IN", "A", "203.0.113.1", "203.0.113.2"),
            ]
        self.transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def serving(folder):
    """Have a name server for the length of the block, and a `HostLookup` that asks it."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(FakeDns, local_addr=("127.0.0.1", 0))
    resolv_conf = folder / "resolv.conf"
    resolv_conf.write_text("search house.example\nnameserver 127.0.0.1\n")
    port = transport.get_extra_info("sockname")[1]
    try:
        yield server, HostLookup(resolv_conf=resolv_conf, port=port)
    finally:
        transport.close()


async def test_this_host_s_resolver_is_asked(tmp_path):
    async with serving(tmp_path) as (server, lookup):
        assert sorted(await lookup("a.example", "A")) == ["203.0.113.1", "203.0.113.2"]
        assert await lookup("a.example", "AAAA") == []
        assert await lookup("unknown.example", "A") == ()
        assert server.asked == 3  # nor with the house's own domain behind it


async def test_a_resolver_that_fails_is_an_error(tmp_path):
    async with serving(tmp_path) as (_, lookup):
        with pytest.raises(OSError, match="no answer"):
            await lookup("broken.example", "A")


async def test_a_resolver_that_is_silent_is_left_and_its_socket_closed(tmp_path):
    async with serving(tmp_path) as (server, lookup):
        server.silent = True
        found = Resolution(lookup=lookup, has_ipv6=lambda: True, within=0.2)
        with pytest.raises(UnresolvedError, match="in time"):
            await found.addresses("a.example")
        assert server.asked >= 2


@pytest.mark.parametrize("content", [None, "", "nameserver\n", "nonsense", "\0\xff"])
async def test_a_host_without_a_resolver_is_an_error(tmp_path, content):
    file = tmp_path / "resolv.conf"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    with pytest.raises(OSError, match="no answer"):
        await HostLookup(resolv_conf=file)("a.example", "A")


@pytest.mark.parametrize(
    "name", ["a..example", "x" * 64 + ".example", "a." * 200, "\u00e9.example"]
)
async def test_a_name_that_is_none_is_an_error_or_unknown(tmp_path, name):
    async with serving(tmp_path) as (_, lookup):
        try:
            found = await lookup(name, "AAAA")
        except OSError:
            found = []
    assert list(found) == []
