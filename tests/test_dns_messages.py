"""The DNS's wire format: what resolvers say, and what strangers make of it."""

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.keeper import dns_messages as dns
from miauflixd.keeper.dns_messages import MalformedError, addressed, read_query, read_reply

QUERY = read_query(dns.query(b"tracker", b"example", type_=dns.A, identity=b"\x12\x34"))


def record(kind: int, data: bytes, *, lifetime: int = 60, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack(">HHIH", kind, 1, lifetime, len(data)) + data


def reply(*records: bytes, rcode: int = 0, flags: int = 0x8180, to: dns.Query = QUERY) -> bytes:
    counts = struct.pack(">HHHHH", flags | rcode, 1, len(records), 0, 0)
    return to.id + counts + to.question + b"".join(records)


def test_a_query_is_read_as_it_was_written():
    assert QUERY.labels == (b"tracker", b"example")
    assert (QUERY.type, QUERY.id, QUERY.end) == (dns.A, b"\x12\x34", len(QUERY.message))


def test_the_roots_name_has_no_labels():
    assert read_query(dns.query(type_=dns.NS, identity=b"ab")).labels == ()


def test_capitals_and_numbers_make_no_difference_to_what_is_asked():
    loud = read_query(dns.query(b"TRACKER", b"Example", type_=dns.A, identity=b"zz"))
    assert loud.key == QUERY.key
    assert loud.labels == QUERY.labels


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"", "shorter than a header"),
        (QUERY.message[:-1], "does not end"),
        (QUERY.message[:14], "does not end"),
        (QUERY.message[:2] + b"\x80" + QUERY.message[3:], "not one question"),
        (QUERY.message[:5] + b"\x02" + QUERY.message[6:], "not one question"),
        (QUERY.message[:12] + b"\xc0\x0c\0\1\0\1", "pointer"),
        (QUERY.message[:-1] + b"\3", "internet class"),
        (dns.query(*[b"x" * 63] * 5, type_=1, identity=b"ab"), "does not end"),
    ],
)
def test_what_is_no_question_is_refused(message, complaint):
    with pytest.raises(MalformedError, match=complaint):
        read_query(message)


def test_a_reply_tells_its_addresses_and_how_long_they_hold():
    answer = read_reply(
        reply(
            record(5, b"\1a\xc0\x0c", lifetime=300),
            record(dns.A, bytes([45, 1, 2, 3]), lifetime=90),
            record(dns.AAAA, ip_address("2606:4700::1111").packed, lifetime=120),
        ),
        QUERY,
    )
    assert answer.definite
    assert list(map(str, answer.addresses)) == ["45.1.2.3", "2606:4700::1111"]
    assert answer.lifetime == 90


def test_how_long_there_is_nothing_is_said_by_the_zone():
    soa = b"\0\0" + struct.pack(">IIIII", 1, 2, 3, 4, 40)
    answer = read_reply(reply(record(dns.SOA, soa, lifetime=900), rcode=3), QUERY)
    assert (answer.definite, answer.lifetime) == (True, 40)


def test_the_flags_of_an_opt_record_are_no_time_to_live():
    opt = b"\0" + struct.pack(">HHIH", dns.OPT, 1232, 0x8000, 0)
    answer = read_reply(reply(record(dns.A, b"\1\1\1\1", lifetime=60), opt), QUERY)
    assert (answer.lifetime, len(answer.lifetimes)) == (60, 1)


@pytest.mark.parametrize(
    "message",
    [
        reply()[:11],
        b"xx" + reply()[2:],
        reply(flags=0x0180),
        reply(flags=0x9180),
        reply(to=read_query(dns.query(b"other", b"example", type_=dns.A, identity=QUERY.id))),
        reply(record(dns.A, b"\1\1\1\1"))[:-1],
        reply(record(dns.A, b"\1\1\1")),
        reply(record(dns.AAAA, b"\1\1\1\1")),
        reply(record(dns.A, b"\1\1\1\1", name=b"\x80")),
        reply(record(dns.A, b"\1\1\1\1", name=b"\3ab")),
        # Nothing is wrong, says the server, and leaves the question out.
        QUERY.id + struct.pack(">HHHHH", 0x8180, 0, 0, 0, 0),
    ],
)
def test_a_reply_that_is_broken_or_anothers_is_refused(message):
    with pytest.raises(MalformedError):
        read_reply(message, QUERY)


def test_a_server_that_cannot_read_the_question_may_leave_it_out():
    answer = read_reply(QUERY.id + struct.pack(">HHHHH", 0x8001, 0, 0, 0, 0), QUERY)
    assert (answer.definite, answer.rcode) == (False, 1)


def test_a_truncated_reply_is_known_as_such_and_not_read_further():
    answer = read_reply(reply(record(dns.A, b"\1\1\1\1"), flags=0x8380)[:-2], QUERY)
    assert answer.truncated
    assert answer.addresses == ()


def test_everybody_gets_back_the_number_and_the_capitals_that_he_sent():
    answer = read_reply(reply(record(dns.A, b"\1\1\1\1", lifetime=60)), QUERY)
    loud = read_query(dns.query(b"TrAcKeR", b"example", type_=dns.A, identity=b"zz"))
    message = addressed(answer, loud, lifetime=7)
    again = read_reply(message, loud)
    assert message.startswith(b"zz")
    assert message[12 : loud.end] == loud.question
    assert (again.lifetime, again.addresses) == (7, answer.addresses)


def test_an_empty_reply_is_one_to_the_query():
    answer = read_reply(dns.empty_reply(QUERY, dns.NO_SUCH_NAME), QUERY)
    assert (answer.rcode, answer.addresses) == (dns.NO_SUCH_NAME, ())


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:192.168.1.1",
        "64:ff9b::192.168.1.1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_on_the_internet_is_not_public(address):
    assert not dns.is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "45.1.2.3", "2606:4700::1111"])
def test_an_address_on_the_internet_is_public(address):
    assert dns.is_public(ip_address(address))


@given(st.binary(max_size=300))
def test_no_bytes_make_reading_a_query_fail_in_another_way(message):
    try:
        query = read_query(message)
    except MalformedError:
        return
    assert read_reply(dns.empty_reply(query, 3), query).definite


@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 5, 6, 28, 41]), st.binary(max_size=20)), max_size=4),
    st.data(),
)
def test_no_spoilt_reply_makes_reading_fail_in_another_way(records, data):
    message = bytearray(reply(*[record(kind, content) for kind, content in records]))
    for _ in range(data.draw(st.integers(0, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    del message[data.draw(st.integers(0, len(message))) :]
    try:
        answer = read_reply(bytes(message), QUERY)
    except MalformedError:
        return
    # What could be read can be passed on, and is the same then.
    again = read_reply(addressed(answer, QUERY, lifetime=5), QUERY)
    assert (again.addresses, again.rcode) == (answer.addresses, answer.rcode)
