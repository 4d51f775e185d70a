"""The keeper's shell, in the small world and in its time: minutes pass in moments."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

import pytest

from miauflixd.keeper import messages, trial
from miauflixd.keeper.engine_room import EngineRoom
from miauflixd.keeper.line import Line
from miauflixd.keeper.messages import (
    COMMANDS,
    EVENTS,
    Command,
    Configure,
    EngineEnded,
    EngineStarted,
    Event,
    KillEngine,
    SetActivity,
    SetLadder,
    StartEngine,
    Stop,
    Switch,
    TunnelState,
)
from miauflixd.keeper.service import Ending, Service
from miauflixd.keeper.wall_clock import WallClock
from miauflixd.runtime.messages import Channel, ChannelClosedError
from tests.keeper_fakes import (
    TARGETS,
    FakeAuditor,
    FakeProber,
    FakeTunnel,
    Machine,
    SkippingLoop,
    World,
    endpoint,
)

LADDER = [endpoint(i, provider=f"p{i % 2}") for i in (1, 2, 3)]
PATIENCE = 120.0


def in_skipped_time(main: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        runner.run(main())


class House:
    """The other end of the channel."""

    def __init__(self, channel: Channel[Event, Command], machine: Machine) -> None:
        self.channel = channel
        self.machine = machine
        self.world = machine.world
        self.disturbance = asyncio.Event()
        self.wall = 0.0
        """Seconds by which the wall clock is set wrong."""
        self.heard: list[tuple[float, Event]] = []
        self.running: asyncio.Task[Ending] | None = None

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def states(self) -> list[TunnelState]:
        return [event for _, event in self.heard if isinstance(event, TunnelState)]

    @property
    def name(self) -> str:
        return self.states[-1].state

    def say(self, command: Command, descriptors: tuple[int, ...] = ()) -> None:
        self.channel.send(command, descriptors)

    async def listen(self) -> None:
        with suppress(ChannelClosedError):
            while True:
                event = await self.channel.receive()
                self.heard.append((self.now, event))

    async def until(self, condition: Callable[[], object]) -> None:
        end = self.now + PATIENCE
        while not condition():
            assert self.now < end, self.heard[-3:]
            await asyncio.sleep(0.01)

    async def hears(self, kind: type[Event]) -> Event:
        count = len(self.heard)
        await self.until(lambda: any(isinstance(e, kind) for _, e in self.heard[count:]))
        return next(e for _, e in self.heard[count:] if isinstance(e, kind))

    async def up(self, endpoint_id: str = "e1") -> None:
        await self.until(
            lambda: self.states and self.name == "up" and self.states[-1].endpoint_id == endpoint_id
        )

    async def ended(self) -> Ending:
        assert self.running
        return await self.running


@asynccontextmanager
async def keeper(world: World | None = None, *, not_before: float = 0.0) -> AsyncIterator[House]:
    """Run a service in a machine of fakes, and be its house."""
    machine = Machine(world or World(*LADDER))
    ours, theirs = socket.socketpair()
    house = House(await Channel.open(ours, decoder=EVENTS), machine)
    channel: Channel[Command, Event] = await Channel.open(theirs, decoder=COMMANDS)
    async with (
        EngineRoom.open(launcher=machine, send=channel.send) as engine_room,
        asyncio.TaskGroup() as group,
    ):
        service = Service(
            channel=channel,
            active=_line(machine, "active"),
            standby=_line(machine, "standby"),
            uplink=machine,
            resolver=machine,
            auditor=FakeAuditor(machine),
            engine_room=engine_room,
            disturbance=house.disturbance,
            targets=TARGETS,
            resolvers=["9.9.9.9"],
            wall=WallClock(not_before=not_before, now=lambda: house.now + house.wall),
            chance=world.rng.random if world else lambda: 0.5,
        )
        house.running = group.create_task(service.run())
        listening = group.create_task(house.listen())
        try:
            yield house
        finally:
            house.running.cancel()
            listening.cancel()
    await channel.aclose()
    await house.channel.aclose()


def _line(machine: Machine, side) -> Line:
    return Line(
        tunnel=FakeTunnel(machine, side),
        beyond=FakeProber(machine, side, beyond=True),
        gateway=FakeProber(machine, side, beyond=False),
    )


@asynccontextmanager
async def keeper_that_is_up(**options) -> AsyncIterator[House]:
    async with keeper(**options) as house:
        house.say(SetActivity(activity="active"))
        house.say(SetLadder(endpoints=LADDER))
        await house.up()
        await house.until(lambda: house.states[-1].standby and house.states[-1].standby.answers)
        house.world.traffic = 50.0
        await asyncio.sleep(1.0)
        yield house


def test_the_house_learns_of_the_tunnel_and_how_it_is():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            await asyncio.sleep(6.0)
            state = house.states[-1]

            assert house.states[0].state == "down"
            assert state.reason == "Connected to Sweden #1"
            assert state.generation == 1
            assert state.rtt == pytest.approx(0.04, abs=0.01)
            assert state.rx > 100_000
            assert state.handshake_age is not None
            assert 5.0 < state.handshake_age < 15.0
            assert state.standby
            assert state.standby.endpoint_id == "e2"
            assert state.penalties == {}
            assert house.machine.upstreams == ["10.5.0.1", "9.9.9.9"]

    in_skipped_time(main)


@pytest.mark.parametrize(("activity", "every"), [("active", 5.0), ("streaming", 2.0)])
def test_the_state_is_repeated_every_few_seconds(activity, every):
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.say(SetActivity(activity=activity))
            await asyncio.sleep(10.0)
            count = len(house.states)
            await asyncio.sleep(40.0)

            assert len(house.states) - count == pytest.approx(40.0 / every, abs=1)
            assert house.states[-1].since == house.states[count].since

    in_skipped_time(main)


def test_a_dead_server_is_replaced_and_its_connections_are_closed():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            closed = house.machine.closed
            began = house.now
            house.world.server("e1").alive = False
            await house.up("e2")

            assert house.now - began <= 2.0
            assert house.states[-1].generation == 2
            assert house.states[-1].penalties["e1"] == pytest.approx(1.0, abs=0.1)
            assert house.machine.closed == closed + 1
            await asyncio.sleep(2.0)
            assert house.world.took(began + 1.0)

    in_skipped_time(main)


def test_a_ladder_in_another_order_leaves_the_tunnel_alone():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.say(SetLadder(endpoints=LADDER[::-1]))
            await asyncio.sleep(5.0)

            assert house.states[-1].endpoint_id == "e1"
            assert house.states[-1].generation == 1

    in_skipped_time(main)


def test_a_person_can_have_another_server():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.say(Switch(endpoint_id="e3"))
            await house.up("e3")
            assert house.states[-1].penalties == {}
            house.say(Switch())
            await house.up("e1")

    in_skipped_time(main)


def test_an_endpoint_is_tried_beside_the_one_in_use():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.say(messages.Test(endpoint=LADDER[2]))
            tested = await house.hears(messages.Tested)

            assert isinstance(tested, messages.Tested)
            assert tested.handshake == pytest.approx(0.05, abs=0.03)
            assert tested.egress
            assert tested.names
            assert tested.detail == "Sweden #3 works"
            assert house.states[-1].endpoint_id == "e1"
            await house.until(lambda: house.states[-1].standby and house.states[-1].standby.answers)
            assert house.states[-1].standby
            assert house.states[-1].standby.endpoint_id == "e2"

    in_skipped_time(main)


def test_what_is_wrong_with_an_endpoint_is_said():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.world.server("e3").alive = False
            house.say(messages.Test(endpoint=LADDER[2]))
            tested = await house.hears(messages.Tested)
            assert isinstance(tested, messages.Tested)
            assert tested.handshake is None
            assert tested.detail == "Sweden #3 does not answer; its keys may be wrong"

            house.world.server("e3").alive = True
            house.world.server("e3").egress = False
            house.say(messages.Test(endpoint=LADDER[2]))
            tested = await house.hears(messages.Tested)
            assert isinstance(tested, messages.Tested)
            assert tested.handshake is not None
            assert not tested.egress
            assert "nothing comes back from the internet" in tested.detail

            house.say(messages.Test(endpoint=LADDER[0]))
            tested = await house.hears(messages.Tested)
            assert isinstance(tested, messages.Tested)
            assert tested.egress
            assert "is the one in use" in tested.detail

    in_skipped_time(main)


@pytest.mark.parametrize(
    ("egress", "names", "says"),
    [
        (True, True, "Sweden #1 works"),
        (True, False, "Sweden #1 works, but resolves no names"),
        (False, True, "Sweden #1 resolves names; no echo comes back from the internet through it"),
        (False, False, "Sweden #1 answers, but nothing comes back from the internet"),
    ],
)
def test_each_outcome_of_a_trial_has_a_sentence(egress, names, says):
    assert trial.outcome("Sweden #1", egress=egress, names=names) == says


def test_a_machine_that_refuses_a_trial_is_no_verdict_on_the_tunnel():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.machine.broken |= {"connect", "disconnect"}
            house.say(messages.Test(endpoint=LADDER[2]))
            tested = await house.hears(messages.Tested)
            assert isinstance(tested, messages.Tested)
            assert tested.detail == "Sweden #3 could not be tried: connect is broken"
            house.machine.broken.clear()
            await asyncio.sleep(3.0)
            assert house.name == "up"

    in_skipped_time(main)


def test_a_trial_ends_when_something_strange_is_in_the_namespace():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.world.server("e3").alive = False
            house.say(messages.Test(endpoint=LADDER[2]))
            await asyncio.sleep(0.5)
            house.machine.findings = ["A stranger."]
            house.disturbance.set()
            tested = await house.hears(messages.Tested)
            assert isinstance(tested, messages.Tested)
            assert tested.detail == "Sweden #3 could not be tried: something else came up"
            assert house.world.tunnels["standby"].peer is None
            house.say(messages.Test(endpoint=LADDER[1]))
            tested = await house.hears(messages.Tested)
            assert isinstance(tested, messages.Tested)
            assert "quarantine" in tested.detail

    in_skipped_time(main)


def test_a_trial_gives_way_to_the_active_tunnel():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.world.server("e2").alive = False
            house.say(messages.Test(endpoint=LADDER[1]))
            await asyncio.sleep(0.2)
            house.say(SetLadder(endpoints=LADDER[1:]))
            tested = await house.hears(messages.Tested)
            assert isinstance(tested, messages.Tested)
            assert tested.detail == "Sweden #2 could not be tried: something else came up"
            await house.up("e3")

    in_skipped_time(main)


def test_a_finding_cuts_the_tunnel_within_a_second_until_it_is_gone():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.machine.findings = ["The interface x0 is in the namespace."]
            began = house.now
            house.disturbance.set()
            await house.until(lambda: house.name == "quarantine")
            assert house.now - began <= 1.0
            assert house.world.tunnels["active"].peer is None
            assert house.states[-1].endpoint_id is None
            house.machine.findings = []
            began = house.now
            await house.up()
            assert house.now - began <= 2.0

    in_skipped_time(main)


def test_a_finding_is_found_although_nobody_told_of_it():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.machine.findings = ["A thread of the engine is outside the namespace."]
            began = house.now
            await house.until(lambda: house.name == "quarantine")
            assert house.now - began <= 6.0

    in_skipped_time(main)


def test_what_is_taken_away_is_put_back_within_half_a_second():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.machine.missing = ["The default route was missing."]
            began = house.now
            house.disturbance.set()
            await house.until(lambda: not house.machine.missing)
            assert house.now - began <= 0.5
            await asyncio.sleep(1.0)
            assert house.name == "up"
            restored = house.machine.restored
            for _ in range(100):
                house.disturbance.set()
                await asyncio.sleep(0.01)
            assert house.machine.restored - restored <= 8

    in_skipped_time(main)


def test_a_machine_that_refuses_is_asked_again_and_logged_once(caplog):
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.machine.broken |= {"restore", "audit", "uplink"}
            house.disturbance.set()
            await asyncio.sleep(3.0)
            house.world.gateway_answers = False
            await asyncio.sleep(2.0)
            house.world.gateway_answers = True
            house.machine.broken.clear()
            await asyncio.sleep(20.0)
            assert house.name == "up"

    in_skipped_time(main)
    failures = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Failed")]
    assert sum("putting back the active tunnel" in line for line in failures) == 1
    assert sum("looking what is in the namespace" in line for line in failures) == 1
    assert sum("asking the uplink's gateway" in line for line in failures) == 1


def test_an_interface_that_takes_no_peer_is_not_taken_for_a_tunnel():
    async def main() -> None:
        async with keeper() as house:
            house.machine.broken.add("connect")
            house.say(SetLadder(endpoints=LADDER))
            await asyncio.sleep(10.0)
            assert house.name == "connecting"
            house.machine.broken.clear()
            await house.until(lambda: house.name == "up")

    in_skipped_time(main)


def test_a_tunnel_that_an_earlier_keeper_left_is_adopted():
    async def main() -> None:
        world = World(*LADDER)
        world.connect("active", LADDER[1], LADDER[1].servers[0])
        world.advance(world.now + 1.0)
        world.adopted = world.tunnels["active"].peer
        async with keeper(world) as house:
            house.say(SetLadder(endpoints=LADDER))
            await house.up("e2")
            assert house.states[-1].generation == 1
            assert world.tunnels["active"].peer is not None
            assert house.states[-1].handshake_age is not None
            assert any("before a restart" in state.reason for state in house.states)

    in_skipped_time(main)


def test_a_server_without_internet_is_found_out_although_it_answers():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            began = house.now
            house.world.server("e1").egress = False
            await house.until(lambda: house.name == "degraded")
            await house.up("e2")
            assert house.now - began <= 10.5

    in_skipped_time(main)


def test_an_outage_of_the_uplink_is_told_from_a_dead_server():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.world.gateway_answers = False
            await house.until(lambda: house.name == "uplink_down")
            await asyncio.sleep(60.0)
            house.world.gateway_answers = True
            began = house.now
            await house.up("e1")
            assert house.now - began <= 1.0
            assert house.states[-1].penalties == {}
            assert house.states[-1].generation == 1

    in_skipped_time(main)


def test_a_clock_that_lives_in_the_past_is_the_reason():
    async def main() -> None:
        async with keeper(not_before=1e12) as house:
            for server in house.world.servers.values():
                server.alive = False
            house.say(SetLadder(endpoints=LADDER))
            await house.until(lambda: house.states and "clock" in house.states[-1].reason)
            assert house.states[-1].penalties == {}

    in_skipped_time(main)


def test_the_wall_clock_may_jump_without_anybody_noticing():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            since = house.states[-1].since
            for jump in (3600.0, -7200.0, 3e8):
                house.wall += jump
                await asyncio.sleep(12.0)
                assert house.name == "up"
                assert house.states[-1].since == since
                assert (house.states[-1].handshake_age or 0.0) >= 0.0
            assert house.states[-1].generation == 1

    in_skipped_time(main)


# --- the engine -----------------------------------------------------------------------------------


def test_the_engine_is_started_inside_and_its_end_is_told():
    async def main() -> None:
        async with keeper() as house:
            ours, theirs = socket.socketpair()
            house.say(StartEngine(), (theirs.fileno(),))
            theirs.close()
            started = await house.hears(EngineStarted)
            assert started == EngineStarted(pid=100)
            house.machine.engines[0].status.set_result(3)
            assert await house.hears(EngineEnded) == EngineEnded(status=3)
            ours.settimeout(1.0)
            assert ours.recv(1) == b""  # nobody else holds its end
            ours.close()

    in_skipped_time(main)


def test_an_engine_that_does_not_end_is_killed():
    async def main() -> None:
        async with keeper() as house:
            house.say(KillEngine())
            ours, theirs = socket.socketpair()
            with ours, theirs:
                house.say(StartEngine(), (theirs.fileno(),))
                await house.hears(EngineStarted)
                house.say(KillEngine())
                assert await house.hears(EngineEnded) == EngineEnded(status=-9)

    in_skipped_time(main)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_an_engine_that_cannot_be_started_has_ended(count):
    async def main() -> None:
        async with keeper() as house:
            house.machine.broken.add("launch")
            ends = [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]
            house.say(StartEngine(), tuple(ends))
            assert await house.hears(EngineEnded) == EngineEnded(status=127)
            for end in ends:
                os.close(end)

    in_skipped_time(main)


# --- the end --------------------------------------------------------------------------------------


def test_when_the_house_says_so_everything_is_to_be_taken_down():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            house.say(Stop())
            assert await house.ended() is Ending.STOPPED

    in_skipped_time(main)


def test_when_the_house_is_gone_the_engine_ends_and_the_tunnel_stays():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                house.say(StartEngine(), (theirs.fileno(),))
                await house.hears(EngineStarted)
                house.say(StartEngine(), (theirs.fileno(),))
            house.say(messages.Test(endpoint=LADDER[2]))
            await asyncio.sleep(0.01)
            await house.channel.aclose()
            assert await house.ended() is Ending.ORPHANED
            machine = house.machine
        assert machine.engines[0].status.result() == -9
        assert machine.world.tunnels["active"].peer is not None

    in_skipped_time(main)


def test_a_house_that_cannot_be_understood_is_as_good_as_gone():
    async def main() -> None:
        async with keeper() as house:
            house.channel.send(EngineStarted(pid=1))  # type: ignore[arg-type]  # the wrong language
            assert await house.ended() is Ending.ORPHANED

    in_skipped_time(main)


def test_a_second_configuration_is_ignored():
    async def main() -> None:
        async with keeper_that_is_up() as house:
            configure = Configure(namespace="x", user="x", resolvers=[], hidden="", shown="")
            house.say(configure)
            await asyncio.sleep(1.0)
            assert house.name == "up"

    in_skipped_time(main)
