"""The keeper's shell: it owns the clock, lets the lifecycle decide, and does what that orders.

```
   house --commands--> _converse --+                 +--> tunnels, probers, resolver
   clock --> _look ----------------+--> lifecycle ---+
   kernel --> disturbed, audits ---+                 +--> TunnelState --> house
```

One event after the other: what one has ordered is done before the next is looked at.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import Any, TypeVar, assert_never

import msgspec

from miauflixd.keeper import lifecycle
from miauflixd.keeper.engine_room import EngineRoom
from miauflixd.keeper.health import Sample
from miauflixd.keeper.ladder import same_server
from miauflixd.keeper.line import Line
from miauflixd.keeper.messages import (
    Command,
    Configure,
    Endpoint,
    Event,
    KillEngine,
    SetActivity,
    SetLadder,
    StartEngine,
    Stop,
    Switch,
    Test,
    Tested,
)
from miauflixd.keeper.ports import Auditor, Resolver, Uplink
from miauflixd.keeper.report import Report
from miauflixd.keeper.states import (
    Action,
    ActivitySet,
    Audited,
    CheckEgress,
    CheckUplink,
    Connect,
    Disconnect,
    EgressChecked,
    LadderSet,
    Observed,
    Probe,
    Quarantined,
    Rehandshake,
    Repaired,
    StandbyLent,
    StandbyReturned,
    State,
    SwitchWanted,
    UplinkChecked,
    UseServer,
)
from miauflixd.keeper.states import Event as LifeEvent
from miauflixd.keeper.trial import failed, trial
from miauflixd.keeper.wall_clock import WallClock
from miauflixd.runtime.messages import Channel, ChannelClosedError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_AUDIT_EVERY = 5.0
"""Seconds between audits when nothing has told of a change."""

_QUARANTINE_AUDIT_EVERY = 1.0
"""Seconds between audits while something is wrong: a person may be waiting who has mended it."""

_AUDIT_AFTER = 0.3
"""Seconds from a change in the namespace to the audit, of which ours are several in a row."""

_REPAIR_EVERY = 0.2
"""Seconds between two looks at what was changed from outside, however often that happens."""

_REPAIR_ANYWAY = 30.0
"""Seconds after which we look although the kernel has told of no change."""

_STANDBY_EVERY = 1.0
"""Seconds between looks at the standby's counters while nothing depends on them."""

_EGRESS_WITHIN = 2.0
"""Seconds for a name, or an echo, from beyond the server."""


class Ending(Enum):
    """Why the service has ended."""

    STOPPED = auto()
    """The house said so: nothing is to be left."""
    ORPHANED = auto()
    """The house is gone: the tunnel is left to the next keeper."""


class Service:
    """Keeps the tunnel up for the house at the other end of the channel."""

    def __init__(
        self,
        *,
        channel: Channel[Command, Event],
        active: Line,
        standby: Line,
        uplink: Uplink,
        resolver: Resolver,
        auditor: Auditor,
        engine_room: EngineRoom,
        disturbance: asyncio.Event,
        targets: Sequence[str],
        resolvers: Sequence[str],
        wall: WallClock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Take all that it uses.

        Args:
            channel: to the house, which has been answered `Ready`.
            active: where the engine lives.
            standby: where nothing lives.
            uplink: the host's.
            resolver: inside, beside the engine.
            auditor: of the active tunnel's namespace.
            engine_room: where engines are started.
            disturbance: set by whoever sees that something has changed in a tunnel's namespace.
            targets: addresses that answer echoes, anywhere in the world.
            resolvers: public resolvers, to be raced besides the provider's.
            wall: the wall clock.
            chance: returns a number from 0 to 1.
        """
        self._channel = channel
        self._lines = {"active": active, "standby": standby}
        self._uplink = uplink
        self._resolver = resolver
        self._auditor = auditor
        self._engine_room = engine_room
        self._disturbance = disturbance
        self._targets = tuple(targets)
        self._resolvers = tuple(resolvers)
        self._wall = wall
        self._chance = chance
        self._state = State(targets=self._targets, since=self._now())
        self._report = Report(wall=wall)
        # Held while a step is decided and carried out, so that no two are mixed.
        self._stepping = asyncio.Lock()
        self._awake = asyncio.Event()
        self._is_disturbed = False
        self._repaired = float("-inf")
        self._is_audit_due = asyncio.Event()
        self._standby_seen = float("-inf")
        self._ladder_was_set = False
        self._trials = asyncio.Lock()
        self._trial: tuple[asyncio.Task[Tested], Endpoint] | None = None
        self._asked: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failures: dict[str, str] = {}

    async def run(self) -> Ending:
        """Serve the house until it says `Stop` or is gone.

        Raises:
            ExceptionGroup: something is broken here.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            _ = self._start("disturbance", self._notice())
            _ = self._start("watch", self._live())
            _ = self._start("audit", self._audit())
            ending = await self._converse()
            for task in self._tasks:
                task.cancel()
        return ending

    # --- the house --------------------------------------------------------------------------------

    async def _converse(self) -> Ending:
        while True:
            try:
                command, descriptors = await self._channel.receive_with_descriptors()
            except ChannelClosedError:
                logger.warning("The house is gone; leaving the tunnel to the next keeper")
                return Ending.ORPHANED
            except msgspec.DecodeError:
                logger.exception("The house says what cannot be understood")
                return Ending.ORPHANED
            if isinstance(command, Stop):
                return Ending.STOPPED
            await self._obey(command, descriptors)

    async def _obey(self, command: Command, descriptors: Sequence[int]) -> None:
        match command:
            case SetLadder():
                await self._set_ladder(command.endpoints)
            case SetActivity():
                await self._take(ActivitySet(self._now(), command.activity))
            case Switch():
                await self._take(SwitchWanted(self._now(), command.endpoint_id))
            case Test():
                _ = self._start("test", self._test(command.endpoint))
            case StartEngine():
                self._engine_room.start(descriptors)
            case KillEngine():
                self._engine_room.kill()
            case Configure():
                logger.warning("The house configures the keeper a second time, which is ignored")
            case Stop():
                pass
            case _:
                assert_never(command)

    async def _set_ladder(self, endpoints: Sequence[Endpoint]) -> None:
        adopted = None
        if not self._ladder_was_set:
            # Whatever an earlier keeper has left connected.
            active = self._lines["active"].tunnel
            adopted = next((each.id for each in endpoints if active.has_peer(each)), None)
        self._ladder_was_set = True
        await self._take(LadderSet(self._now(), tuple(endpoints), adopted=adopted))

    # --- time -------------------------------------------------------------------------------------

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._awake.clear()
            await self._repair()
            await self._look()
            wait = lifecycle.tick(self._state)
            if self._is_disturbed:
                wait = min(wait, _REPAIR_EVERY)
            timer = loop.call_later(wait, self._awake.set)
            try:
                await self._awake.wait()
            finally:
                timer.cancel()

    async def _notice(self) -> None:
        while True:
            await self._disturbance.wait()
            self._disturbance.clear()
            self._is_disturbed = True
            self._is_audit_due.set()
            self._awake.set()

    async def _look(self) -> None:
        async with self._stepping:
            active = self._lines["active"].sample()
            standby = self._sample_standby()
            if active and self._state.link and active.link == self._state.link.number:
                self._wall.handshake(active.handshake)
            await self._step(
                Observed(
                    now=self._now(),
                    active=active,
                    standby=standby,
                    chance=self._chance(),
                    is_clock_behind=self._wall.is_behind,
                )
            )

    def _sample_standby(self) -> Sample | None:
        is_due = self._now() - self._standby_seen >= _STANDBY_EVERY
        if not is_due and not lifecycle.is_standby_of_interest(self._state):
            return None
        self._standby_seen = self._now()
        return self._lines["standby"].sample()

    async def _repair(self) -> None:
        """Put back what somebody has changed in the tunnels' namespaces."""
        now = self._now()
        if not self._is_disturbed or now - self._repaired < _REPAIR_EVERY:
            return
        self._is_disturbed = False
        self._repaired = now
        async with self._stepping:
            for side, line in self._lines.items():
                try:
                    missing = await line.tunnel.restore()
                except OSError as error:
                    self._failed(f"putting back the {side} tunnel", error)
                    self._is_disturbed = True
                    continue
                self._succeeded(f"putting back the {side} tunnel")
                if missing and side == "active":
                    await self._step(Repaired(self._now()))

    async def _audit(self) -> None:
        while True:
            is_quarantined = isinstance(self._state.phase, Quarantined)
            with suppress(TimeoutError):
                async with asyncio.timeout(
                    _QUARANTINE_AUDIT_EVERY if is_quarantined else _AUDIT_EVERY
                ):
                    await self._is_audit_due.wait()
                    await asyncio.sleep(_AUDIT_AFTER)
            self._is_audit_due.clear()
            # What is missing is put back before anybody calls it a finding.
            if self._now() - self._repaired >= _REPAIR_ANYWAY:
                self._is_disturbed = True
            await self._repair()
            try:
                findings = await self._auditor.findings()
            except OSError as error:
                self._failed("looking what is in the namespace", error)
                continue
            self._succeeded("looking what is in the namespace")
            if findings:
                logger.warning("In the tunnel's namespace: %s", " ".join(findings))
            await self._take(Audited(self._now(), tuple(findings)))

    # --- deciding and doing -----------------------------------------------------------------------

    async def _take(self, event: LifeEvent) -> None:
        async with self._stepping:
            await self._step(event)
        self._awake.set()  # the next look may be due earlier now

    async def _step(self, event: LifeEvent) -> None:
        """Decide and do; for whoever holds `_stepping`."""
        before = self._state
        self._state, actions = lifecycle.step(before, event)
        for action in actions:
            await self._do(action)
        if self._state.words != before.words or self._state.name != before.name:
            logger.info(
                "Tunnel %s: %s. %s",
                self._state.name,
                self._state.words.reason,
                self._state.words.next,
            )
        lines = self._lines
        told = self._report.due(
            self._state, active=lines["active"], standby=lines["standby"], now=self._now()
        )
        if told:
            self._channel.send(told)

    async def _do(self, action: Action) -> None:
        try:
            await self._try_to(action)
        except OSError as error:
            # Its outcome is missed by the lifecycle, which tries something else.
            self._failed(f"{type(action).__name__} ({_side(action)})", error)
        else:
            self._succeeded(f"{type(action).__name__} ({_side(action)})")

    async def _try_to(self, action: Action) -> None:
        match action:
            case Connect(side=side, endpoint=endpoint, server=server, link=link):
                self._end_trial_in_the_way(side, endpoint)
                await self._lines[side].connect(endpoint, server, link=link)
            case Rehandshake(side=side, link=link):
                await self._lines[side].rehandshake(link=link)
            case Disconnect(side=side):
                self._end_trial_in_the_way(side, None)
                await self._lines[side].disconnect()
            case Probe(side=side):
                self._lines[side].probe(action)
            case CheckUplink():
                self._ask("uplink", self._check_uplink())
            case CheckEgress(endpoint_id=endpoint_id):
                self._ask("egress", self._check_egress(endpoint_id))
            case UseServer(endpoint=endpoint):
                await self._resolver.use([*endpoint.dns, *self._resolvers])
                await self._lines["active"].tunnel.close_connections()
            case _:
                assert_never(action)

    def _ask(self, name: str, question: Coroutine[None, None, None]) -> None:
        """Let a question be answered some time, unless the last one still waits for that."""
        if name in self._asked:
            question.close()
            return
        self._asked.add(name)
        self._start(name, question).add_done_callback(lambda _: self._asked.discard(name))

    async def _check_uplink(self) -> None:
        try:
            answers = await self._uplink.answers()
        except OSError as error:
            self._failed("asking the uplink's gateway", error)
            answers = True  # so nobody may be excused by it
        await self._take(UplinkChecked(self._now(), answers))

    async def _check_egress(self, endpoint_id: str) -> None:
        beyond = self._lines["active"].beyond
        works = await beyond.egress(self._targets, self._resolvers, within=_EGRESS_WITHIN)
        await self._take(EgressChecked(self._now(), endpoint_id, works))

    # --- trials -----------------------------------------------------------------------------------

    async def _test(self, endpoint: Endpoint) -> None:
        async with self._trials:
            self._channel.send(await self._tested(endpoint))

    async def _tested(self, endpoint: Endpoint) -> Tested:
        link = self._state.link
        if isinstance(self._state.phase, Quarantined):
            return failed(endpoint, "Nothing is connected while the tunnel is in quarantine")
        if link and same_server(link.endpoint, endpoint):
            return self._tested_by_use(endpoint)
        await self._take(StandbyLent(self._now()))
        run = trial(
            endpoint,
            line=self._lines["standby"],
            targets=self._targets,
            resolvers=self._resolvers,
        )
        task = self._start("trial", run)
        self._trial = task, endpoint
        try:
            await asyncio.wait([task])
        finally:
            self._trial = None
            task.cancel()
            await self._take(StandbyReturned(self._now()))
        if task.cancelled():
            return failed(endpoint, f"{endpoint.name} could not be tried: something else came up")
        return task.result()

    def _tested_by_use(self, endpoint: Endpoint) -> Tested:
        """Answer for the server in use, which knows us by one key and so only once."""
        works = self._state.name == "up"
        return Tested(
            endpoint_id=endpoint.id,
            handshake=self._lines["active"].beyond.rtt if works else None,
            egress=works,
            names=works,
            detail=f"{endpoint.name} is the one in use: {self._state.words.reason}",
        )

    def _end_trial_in_the_way(self, side: str, endpoint: Endpoint | None) -> None:
        if self._trial is None:
            return
        task, tried = self._trial
        if side == "standby" or (endpoint and same_server(tried, endpoint)):
            task.cancel()

    # --- small steps ------------------------------------------------------------------------------

    def _start(self, name: str, main: Coroutine[None, None, T]) -> asyncio.Task[T]:
        """Start what ends with `run` at the latest, which owns it."""
        task = self._group.create_task(main, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _failed(self, doing: str, error: OSError) -> None:
        """Log a failure, but not the same one ten times a second."""
        if self._failures.get(doing) != str(error):
            logger.warning("Failed: %s: %s", doing, error)
        self._failures[doing] = str(error)

    def _succeeded(self, doing: str) -> None:
        self._failures.pop(doing, None)


def _side(action: Action) -> str:
    match action:
        case Connect(side=side) | Rehandshake(side=side) | Disconnect(side=side) | Probe(side=side):
            return side
        case CheckUplink() | CheckEgress() | UseServer():
            return "active"
        case _:
            assert_never(action)
