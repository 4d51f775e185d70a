"""NAT-PMP on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.tunnel.nat_pmp import Answer, Result, Transport, parse, request

GRANTED = bytes.fromhex("0082 0000 00000e10 0001 f09a 0000003c")


def test_a_request_is_what_the_standard_shows():
    asked = request(Transport.UDP, internal=1, external=61594, lifetime=60)
    assert asked == bytes.fromhex("0001 0000 0001 f09a 0000003c")


def test_a_grant_is_read():
    assert parse(GRANTED) == Answer(
        transport=Transport.TCP,
        result=Result.SUCCESS,
        epoch=3600,
        internal=1,
        external=61594,
        lifetime=60,
    )


@pytest.mark.parametrize("result", [r for r in Result if r is not Result.SUCCESS])
def test_a_refusal_needs_no_more_than_its_head(result):
    answer = parse(bytes([0, 129, 0, result, 0, 0, 0, 9]))
    assert answer == Answer(transport=Transport.UDP, result=result, epoch=9)


def test_a_result_that_nobody_knows_is_a_refusal():
    answer = parse(bytes([0, 129, 1, 0, 0, 0, 0, 9]))
    assert answer is not None
    assert answer.result is None


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        GRANTED[:7],
        GRANTED[:15],
        b"\x02" + GRANTED[1:],  # PCP
        b"\x00\x80" + GRANTED[2:],  # the gateway's own address
        b"\x00\x02" + GRANTED[2:],  # a request
    ],
)
def test_what_is_no_answer_is_none(datagram):
    assert parse(datagram) is None


@given(st.binary(max_size=40))
def test_whatever_arrives_is_an_answer_or_none(datagram):
    answer = parse(datagram)
    assert answer is None or answer.result is not Result.SUCCESS or len(datagram) >= 16
