"""A forwarded port: when it is asked for, which one counts, and that it is never a wrong one."""

import asyncio
import errno
import itertools
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.runtime.services import running
from miauflixd.tunnel import port_lease
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.tunnel.nat_pmp import Answer, Result, Transport, parse
from miauflixd.tunnel.port_forwarding import Gateway, PortForwarding
from miauflixd.tunnel.port_lease import Condition, Lease
from tests.nat_pmp_fake import FakeGateway, listening

TRIP = 0.02
"""Seconds to the gateway and back."""


class House:
    """Asks a gateway in a time of its own, and notes which port was ours from when on."""

    def __init__(self, **gateway) -> None:
        self.now = 1000.0
        self.gateway = FakeGateway(clock=lambda: self.now, **gateway)
        self.lease: Lease = port_lease.begin(self.now)
        self.ports: list[tuple[float, int | None]] = []
        self.sent: list[float] = []

    def live(self, seconds: float, *, lost: Callable[[], bool] = lambda: False) -> None:
        end = self.now + seconds
        arriving: list[tuple[float, Answer]] = []
        while True:
            self.lease, questions = port_lease.ask(self.lease, self.now)
            for question in questions:
                self.sent.append(self.now)
                answer = None if lost() else self.gateway.answer(question)
                read = parse(answer) if answer is not None and not lost() else None
                if read is not None:
                    arriving.append((self.now + TRIP, read))
            self._note()
            wake_at = port_lease.wake_at(self.lease, self.now)
            assert wake_at > self.now, "there is no rest"
            self.now = min([end, wake_at] + [at for at, _ in arriving])
            if self.now >= end:
                return
            for arrival in [arrival for arrival in arriving if arrival[0] <= self.now]:
                arriving.remove(arrival)
                self.lease = port_lease.hear(self.lease, arrival[1], self.now)

    def _note(self) -> None:
        port = port_lease.port(self.lease, self.now)
        if not self.ports or self.ports[-1][1] != port:
            self.ports.append((self.now, port))

    @property
    def told(self) -> list[int | None]:
        return [port for _, port in self.ports]

    @property
    def condition(self) -> Condition:
        return port_lease.describe(self.lease, self.now)


# --- decisions ------------------------------------------------------------------------------------


def test_a_port_is_there_after_two_round_trips_and_the_same_for_both():
    house = House()
    house.live(1)
    assert house.ports == [(1000.0, None), (1000.0 + 2 * TRIP, 41000)]
    assert house.gateway.mapped == {Transport.UDP: 41000, Transport.TCP: 41000}
    assert house.condition.kind == "forwarded"


def test_tcp_is_asked_for_with_the_port_of_udp_as_a_wish():
    house = House()
    house.live(1)
    assert [(r.transport, r.external) for r in house.gateway.asked] == [
        (Transport.UDP, 0),
        (Transport.TCP, 41000),
    ]


def test_it_is_renewed_at_half_of_the_lease():
    house = House()
    house.live(100)
    assert house.told == [None, 41000]
    assert [round(at - 1000) for at in house.sent] == [0, 0, 30, 30, 60, 60, 90, 90]


@pytest.mark.parametrize("lease", [1, 2, 7, 60])
def test_a_lease_of_any_length_is_kept(lease):
    house = House(lease=lease)
    house.live(200)
    assert house.told == [None, 41000]


def test_a_renewal_survives_the_loss_of_five_questions():
    house = House()
    house.live(29)
    losses = iter([True] * 10)
    house.live(25, lost=lambda: next(losses, False))
    assert house.told == [None, 41000]


def test_questions_are_repeated_faster_at_first_and_then_every_two_seconds():
    house = House(silent=True, mute=frozenset())
    house.live(12)
    udp = [
        at - 1000
        for at, r in zip(house.sent, house.gateway.asked, strict=True)
        if r.transport is Transport.UDP
    ]
    assert udp == [0, 0.25, 0.75, 1.75, 3.75, 5.75, 7.75, 9.75, 11.75]


def test_a_gateway_that_is_silent_for_long_is_asked_less_often_but_for_ever():
    house = House(silent=True)
    house.live(3600)
    assert house.told == [None]
    assert house.condition.kind == "none"
    assert len(house.sent) < 2 * (40 + 3600 / 10)
    house.gateway.silent = False
    house.live(11)
    assert house.told == [None, 41000]


def test_when_they_differ_the_port_of_tcp_counts():
    house = House(apart=True)
    house.live(100)
    assert house.told == [None, 41001]


def test_udp_is_asked_for_again_with_the_port_of_tcp():
    house = House(apart=True)
    house.live(1)
    last = house.gateway.asked[-1]
    assert (last.transport, last.external) == (Transport.UDP, 41001)
    assert len(house.gateway.asked) == 3  # once, not without end


def test_where_tcp_is_refused_the_port_of_udp_is_better_than_none():
    house = House(results={Transport.TCP: Result.OUT_OF_RESOURCES})
    house.live(5)
    assert house.told == [None, 41000]
    house.gateway.results.clear()
    house.gateway.mapped[Transport.TCP] = 45000
    house.live(10)
    assert house.told == [None, 41000, 45000]


def test_where_udp_is_silent_tcp_is_asked_all_the_same():
    house = House(mute=frozenset({Transport.UDP}))
    house.live(10)
    assert house.told == [None, 41000]


def test_another_port_at_the_renewal_is_told():
    house = House()
    house.live(10)
    house.gateway.renumber()
    house.live(25)
    assert house.told == [None, 41000, 41001]


def test_a_gateway_that_lost_its_table_is_asked_at_once_for_both():
    house = House()
    house.live(50)
    house.gateway.restart()
    house.gateway.port = 42000
    house.gateway.obliging = False
    asked = len(house.gateway.asked)
    house.live(11)  # until the renewal of UDP shows it
    assert [r.transport for r in house.gateway.asked[asked:]] == [Transport.UDP, Transport.TCP]
    assert house.told == [None, 41000, 42000]


def test_a_table_that_was_lost_takes_the_port_with_it_when_nothing_more_is_heard():
    house = House()
    house.live(50)
    house.gateway.restart()
    house.gateway.mute = frozenset({Transport.TCP})
    house.live(20)
    assert house.told == [None, 41000, None]
    assert house.ports[-1][0] < 1000 + 60 + 5


def test_a_clock_of_the_gateway_that_is_a_little_slow_is_no_loss():
    house = House()
    house.live(10)
    slow = FakeGateway(clock=lambda: house.now * 15 / 16)
    slow.mapped = dict(house.gateway.mapped)
    slow._began = house.gateway._began * 15 / 16
    house.gateway = slow
    house.live(300)
    assert len(slow.asked) == 2 * 10  # renewals only
    assert house.told == [None, 41000]


def test_silence_ends_the_port_when_its_lease_ends():
    house = House()
    house.live(10)
    house.gateway.silent = True
    house.live(120)
    assert house.told == [None, 41000, None]
    assert house.ports[-1][0] == pytest.approx(1000 + 60, abs=0.1)
    house.gateway.silent = False
    house.live(11)
    assert house.told[-1] == 41000


@pytest.mark.parametrize("result", [r for r in Result if r is not Result.SUCCESS])
def test_each_refusal_has_a_reason_and_is_not_repeated_in_a_hurry(result):
    house = House(results=dict.fromkeys(Transport, int(result)))
    house.live(60)
    assert house.told == [None]
    for_ever = {Result.UNSUPPORTED_VERSION, Result.UNSUPPORTED_OPERATION}
    assert house.condition.kind == ("unsupported" if result in for_ever else "refused")
    assert house.condition.reason
    assert house.condition.next
    assert len(house.sent) <= 14


def test_a_refusal_that_was_transient_is_over_soon():
    house = House(results=dict.fromkeys(Transport, int(Result.NETWORK_FAILURE)))
    house.live(15)
    house.gateway.results.clear()
    house.live(11)
    assert house.told == [None, 41000]


@pytest.mark.parametrize(("port", "lease"), [(0, 60), (80, 60), (41000, 0)])
def test_a_port_that_cannot_be_used_is_none(port, lease):
    house = House(port=port, lease=lease)
    house.live(30)
    assert house.told == [None]
    assert house.condition.kind == "refused"


def test_word_that_nobody_listens_there_is_an_answer():
    house = House(silent=True)
    house.live(1)
    house.lease = port_lease.nobody_there(house.lease, house.now)
    assert house.condition.kind == "unsupported"
    asked = len(house.sent)
    house.live(50)
    assert len(house.sent) == asked


def test_word_that_nobody_listens_takes_no_port_that_was_granted():
    house = House()
    house.live(10)
    house.lease = port_lease.nobody_there(house.lease, house.now)
    house.live(100)
    assert house.told == [None, 41000]


def test_at_a_twentieth_of_loss_the_port_stays_for_a_day():
    house = House()
    chance = random.Random(9)
    house.live(86400, lost=lambda: chance.random() < 0.05)
    assert house.told == [None, 41000]


FAULTS = st.sampled_from(["silence", "speak", "restart", "renumber", "refuse", "grant", "short"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(FAULTS, st.floats(0.01, 90)), max_size=12), st.integers(0, 2**32))
def test_whatever_happens_a_port_is_one_that_was_granted_and_questions_keep_their_pace(
    script, seed
):
    house = House()
    chance = random.Random(seed)
    granted: set[int | None] = {None}
    for fault, seconds in script:
        match fault:
            case "silence" | "speak":
                house.gateway.silent = fault == "silence"
            case "restart":
                house.gateway.restart()
            case "renumber":
                house.gateway.renumber()
            case "refuse":
                house.gateway.results = {chance.choice(list(Transport)): chance.randint(1, 9)}
            case "grant":
                house.gateway.results = {}
            case "short":
                house.gateway.lease = chance.randint(1, 60)
            case _:
                pytest.fail(fault)
        for _ in range(10):
            house.live(seconds / 10, lost=lambda: chance.random() < 0.2)
            granted |= set(house.gateway.mapped.values())
            assert port_lease.port(house.lease, house.now) in granted
            condition = house.condition
            assert (condition.kind == "forwarded") == (condition.port is not None)
    for start, tenth in zip(house.sent, itertools.islice(house.sent, 40, None), strict=False):
        assert tenth - start > 1
    house.gateway.results = {}
    house.gateway.silent = False
    house.live(70)
    assert port_lease.port(house.lease, house.now) == house.gateway.mapped[Transport.TCP]


# --- over sockets ---------------------------------------------------------------------------------


class Inside:
    """Makes sockets of the loopback; refuses as often as it is told to."""

    def __init__(self) -> None:
        self.refusals: Iterator[Exception] = iter(())
        self.unroutable = 0
        """So many packets of each socket have no way out."""

    async def open_socket(self, family, kind) -> socket.socket:
        assert (family, kind) == ("inet", "datagram")
        for refusal in self.refusals:
            raise refusal
        made = Socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.unroutable = self.unroutable
        return made


class Socket(socket.socket):
    """One whose first packets have no way out."""

    unroutable = 0

    def send(self, *arguments) -> int:
        if self.unroutable:
            self.unroutable -= 1
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return super().send(*arguments)


class Engine:
    """Where peers are told to come."""

    def __init__(self) -> None:
        self.ports: list[int | None] = []

    async def listens_at(self, port: int | None) -> None:
        async with asyncio.timeout(10):
            while not self.ports or self.ports[-1] != port:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def forwarding(engine: Engine, at_port: int, inside: Inside | None = None):
    forwarding = PortForwarding(
        opener=inside or Inside(), on_port=engine.ports.append, at_port=at_port
    )
    async with running("port forwarding", forwarding.run):
        yield forwarding


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port: int = nobody.getsockname()[1]
        return port


def here(generation: int = 1) -> Gateway:
    return Gateway(address="127.0.0.1", generation=generation)


async def test_a_port_is_asked_for_kept_and_told_once():
    engine, gateway = Engine(), FakeGateway(lease=1)
    async with listening(gateway) as at, forwarding(engine, at) as port:
        port.follow(here())
        await engine.listens_at(41000)
        while len(gateway.asked) < 6:  # two renewals
            await asyncio.sleep(0.01)
        assert engine.ports == [41000]
        assert port.condition.port == 41000


async def test_when_the_server_changes_the_port_is_forgotten_before_another_is_asked_for():
    engine, gateway = Engine(), FakeGateway()
    async with listening(gateway) as at, forwarding(engine, at) as port:
        port.follow(here())
        await engine.listens_at(41000)
        gateway.renumber()
        asked = len(gateway.asked)
        since = port.since
        port.follow(here(generation=2))
        assert engine.ports == [41000, None]
        assert len(gateway.asked) == asked
        assert port.since >= since
        await engine.listens_at(41001)
        assert engine.ports == [41000, None, 41001]


async def test_without_a_gateway_nobody_is_asked_and_there_is_no_port():
    engine, gateway = Engine(), FakeGateway(lease=1)
    async with listening(gateway) as at, forwarding(engine, at) as port:
        port.follow(here())
        await engine.listens_at(41000)
        port.follow(None)
        assert engine.ports == [41000, None]
        assert port.condition.kind == "none"
        asked = len(gateway.asked)
        await asyncio.sleep(0.8)
        assert len(gateway.asked) == asked


async def test_an_answer_from_somebody_else_is_not_heard():
    engine, gateway = Engine(), FakeGateway(wrong_source=True)
    async with listening(gateway) as at, forwarding(engine, at) as port:
        port.follow(here())
        while len(gateway.asked) < 3:
            await asyncio.sleep(0.01)
        assert engine.ports == []
        gateway.wrong_source = False
        await engine.listens_at(41000)


async def test_a_gateway_that_comes_up_during_a_lease_is_found_again():
    engine, gateway, at = Engine(), FakeGateway(lease=2), free_port()
    async with forwarding(engine, at) as port:
        async with listening(gateway, port=at):
            port.follow(here())
            await engine.listens_at(41000)
        async with listening(gateway, port=at):  # the same address after its restart
            asked = len(gateway.asked)
            while len(gateway.asked) < asked + 2:
                await asyncio.sleep(0.01)
        assert engine.ports == [41000]


async def test_where_nothing_listens_it_is_unsupported_at_once():
    engine = Engine()
    async with forwarding(engine, free_port()) as port:
        port.follow(here())
        async with asyncio.timeout(10):
            while port.condition.kind != "unsupported":
                await asyncio.sleep(0.005)
        assert engine.ports == []


async def test_without_a_socket_it_goes_on_trying(monkeypatch):
    monkeypatch.setattr("miauflixd.tunnel.port_forwarding._WITHOUT_SOCKET", 0.01)
    engine, gateway, inside = Engine(), FakeGateway(), Inside()
    inside.refusals = iter([TunnelDownError("no engine"), OSError(errno.EMFILE, "too many")])
    async with listening(gateway) as at, forwarding(engine, at, inside) as port:
        port.follow(here())
        await engine.listens_at(41000)


async def test_questions_that_have_no_way_out_are_asked_again():
    engine, gateway, inside = Engine(), FakeGateway(), Inside()
    inside.unroutable = 2
    async with listening(gateway) as at, forwarding(engine, at, inside) as port:
        port.follow(here())
        port.follow(here())  # the same again changes nothing
        await engine.listens_at(41000)
        assert [r.transport for r in gateway.asked] == [Transport.UDP, Transport.TCP]


async def test_a_gateway_whose_address_is_none_harms_nobody(monkeypatch):
    monkeypatch.setattr("miauflixd.tunnel.port_forwarding._WITHOUT_SOCKET", 0.01)
    engine, gateway = Engine(), FakeGateway()
    async with listening(gateway) as at, forwarding(engine, at) as port:
        port.follow(Gateway(address="::1", generation=1))
        await asyncio.sleep(0.05)
        port.follow(here(generation=2))
        await engine.listens_at(41000)
