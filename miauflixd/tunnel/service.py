"""The tunnel as the house sees it: what it does, since when and why, and what one may ask of it."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from miauflixd.keeper import messages
from miauflixd.keeper.messages import Activity, Command, SetActivity, SetLadder, Tested, TunnelState
from miauflixd.tunnel import description
from miauflixd.tunnel.model import (
    EndpointBrief,
    EndpointId,
    Network,
    Statistics,
    Switched,
    TestResult,
    Transition,
    TunnelView,
    UntestedError,
)

logger = logging.getLogger(__name__)

_TEST_WITHIN = 45.0
"""Seconds for a test: connecting, an echo and a name, each with its own time-out in the keeper, and
perhaps the test of another endpoint before."""

_REQUEST_HOLDS = 15.0
"""Seconds during which a change of server is put down to whoever asked for one."""

_TROUBLE = frozenset({"connecting", "down", "degraded"})
"""States in which a server may have got another address."""

_PAUSE = 0.25
"""Seconds between two tellings of one listener: four a second look live."""


class Keeper(Protocol):
    """The privileged process, as far as the tunnel needs it."""

    def send(self, command: Command) -> None:
        """Give a command; its outcome is an event."""
        ...

    def events(self) -> AsyncIterator[TunnelState | Tested]:
        """Yield what the keeper tells of the tunnel."""
        ...


class Ladder(Protocol):
    """The endpoints in order of preference."""

    def ready(self) -> Sequence[messages.Endpoint]:
        """Return those that can be connected to, the most preferred first."""
        ...

    async def changed(self) -> None:
        """Wait until `ready` may return something else than at the last call of this."""
        ...

    async def prepared(self, endpoint_id: EndpointId | None) -> messages.Endpoint:
        """Return one that can be connected to; `None`: the most preferred.

        An account's id stands for its first server.

        Raises:
            NoEndpointError: there is none of this id.
            NoLadderError: there is none at all.
            UnavailableError: its name does not resolve.
        """
        ...

    def brief(self, endpoint_id: EndpointId) -> EndpointBrief:
        """Return what to call an endpoint, also one that has been removed."""
        ...

    def carries_ipv6(self, endpoint_id: EndpointId) -> bool:
        """Return whether we have an IPv6 address inside its tunnel."""
        ...

    def gateway(self, endpoint_id: EndpointId) -> str | None:
        """Return whom to ask for a port inside its tunnel; `None`: nobody."""
        ...

    def resolve_again(self) -> None:
        """Look soon whether servers have other addresses now."""
        ...


class _Listeners:
    """Those who want to know that something has changed; each looks for itself at what."""

    def __init__(self) -> None:
        self._events: set[asyncio.Event] = set()

    def stir(self) -> None:
        for event in self._events:
            event.set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[asyncio.Event]:
        event = asyncio.Event()
        self._events.add(event)
        try:
            yield event
        finally:
            self._events.discard(event)


class Tunnel:
    """The tunnel, with the keeper behind it."""

    def __init__(self, *, keeper: Keeper, ladder: Ladder) -> None:
        self._keeper = keeper
        self._ladder = ladder
        self._listeners = _Listeners()
        self._begun = datetime.now(UTC)
        self._state: TunnelState | None = None
        self._settled: TunnelState | None = None
        self._network = Network(up=False, generation=0, reason="The tunnel is being built.")
        self._history: deque[Transition] = deque(maxlen=description.HISTORY)
        self._switches: Counter[Switched] = Counter()
        self._requested_at = -_REQUEST_HOLDS
        self._exit_ip: str | None = None
        self._port: int | None = None
        self._activity: Activity = "idle"
        self._tests: dict[str, asyncio.Future[Tested]] = {}

    async def run(self) -> None:
        """Hand the ladder to the keeper and follow what it tells, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hand_over(), name="tunnel ladder")
            group.create_task(self._follow(), name="tunnel state")

    # --- what it is -------------------------------------------------------------------------------

    def view(self) -> TunnelView:
        """Return the tunnel as people see it."""
        if self._state is None:
            return description.first_view(self._begun)
        return description.view(
            self._state,
            brief=self._ladder.brief,
            exit_ip=self._exit_ip,
            port=self._port,
            history=tuple(self._history),
        )

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[TunnelView]]:
        """Yield the view whenever it has changed, for the length of the block.

        Changes that come faster than they are taken are one.
        """
        async with self._listeners.listening() as stirred:
            yield self._views(stirred)

    @property
    def up(self) -> bool:
        """Whether what is sent now can arrive."""
        return self._network.up

    @property
    def reason(self) -> str:
        """Why it is so, a sentence for people."""
        return self._network.reason

    @property
    def ipv6(self) -> bool:
        """Whether it carries IPv6 as well."""
        endpoint_id = self.endpoint_id
        return endpoint_id is not None and self._ladder.carries_ipv6(endpoint_id)

    @property
    def endpoint_id(self) -> EndpointId | None:
        """The endpoint behind the interface."""
        if self._state is None or self._state.endpoint_id is None:
            return None
        return EndpointId(self._state.endpoint_id)

    async def network_changes(self) -> AsyncIterator[Network]:
        """Yield what those who use the tunnel have to know: as it is, and at each change."""
        told: Network | None = None
        async with self._listeners.listening() as stirred:
            while True:
                while self._network != told:
                    told = self._network
                    yield told
                await stirred.wait()
                stirred.clear()

    def statistics(self) -> Statistics:
        """Return what is counted."""
        state = self._state
        penalties = {} if state is None else state.penalties
        return Statistics(
            switches=dict(self._switches),
            penalties={EndpointId(one): penalty for one, penalty in penalties.items()},
            generation=self._network.generation,
        )

    # --- what others know of it -------------------------------------------------------------------

    def set_activity(self, activity: Activity) -> None:
        """Say how much depends on the tunnel now, and so how closely it is watched."""
        if activity != self._activity:
            self._activity = activity
            self._keeper.send(SetActivity(activity=activity))

    def set_exit_ip(self, address: str | None) -> None:
        """Note under which address others see us; forgotten when the server changes."""
        if address != self._exit_ip:
            self._exit_ip = address
            self._listeners.stir()

    def set_port(self, port: int | None) -> None:
        """Note at which port peers reach us; forgotten when the server changes."""
        if port != self._port:
            self._port = port
            self._listeners.stir()

    # --- what one may ask of it -------------------------------------------------------------------

    async def switch(self, endpoint_id: EndpointId | None = None) -> None:
        """Change to an endpoint, or to the next best one; the tunnel tells what became of it.

        Raises:
            NoEndpointError: there is none of this id.
            NoLadderError: there is none at all.
            UnavailableError: its name does not resolve.
        """
        endpoint = await self._ladder.prepared(endpoint_id)
        self._requested_at = asyncio.get_running_loop().time()
        # It may have been resolved only now, and the keeper know nothing of it yet.
        self._keeper.send(SetLadder(endpoints=list(self._ladder.ready())))
        self._keeper.send(messages.Switch(endpoint_id=None if endpoint_id is None else endpoint.id))

    async def test(self, endpoint_id: EndpointId | None = None) -> TestResult:
        """Try an endpoint beside the one in use; `None`: the one in use, or else the first.

        Raises:
            NoEndpointError: there is none of this id.
            NoLadderError: there is none at all.
            UnavailableError: its name does not resolve.
            UntestedError: nothing was heard of it.
        """
        endpoint = await self._ladder.prepared(endpoint_id or self.endpoint_id)
        if (pending := self._tests.get(endpoint.id)) is None:
            pending = self._tests[endpoint.id] = asyncio.get_running_loop().create_future()
            self._keeper.send(messages.Test(endpoint=endpoint))
        try:
            async with asyncio.timeout(_TEST_WITHIN):
                # Shielded, since others may wait for the same one.
                tested = await asyncio.shield(pending)
        except TimeoutError:
            self._tests.pop(endpoint.id, None)
            raise UntestedError(
                f"Nothing was heard of the test within {_TEST_WITHIN:.0f} s"
            ) from None
        return TestResult(
            endpoint=self._ladder.brief(EndpointId(endpoint.id)),
            handshake=tested.handshake,
            egress=tested.egress,
            names=tested.names,
            detail=tested.detail,
        )

    # --- the keeper -------------------------------------------------------------------------------

    async def _hand_over(self) -> None:
        while True:
            self._keeper.send(SetLadder(endpoints=list(self._ladder.ready())))
            await self._ladder.changed()

    async def _follow(self) -> None:
        async for event in self._keeper.events():
            match event:
                case TunnelState():
                    self._take(event)
                case Tested(endpoint_id=endpoint_id):
                    pending = self._tests.pop(endpoint_id, None)
                    if pending is not None and not pending.done():
                        pending.set_result(event)

    def _take(self, state: TunnelState) -> None:
        before, self._state = self._state, state
        if before is not None and before.generation != state.generation:
            # Forgotten first of all: to announce the port of another server would be a lie.
            self._exit_ip = self._port = None
            self._count_switch(state)
        if (change := description.transition(before, state)) is not None:
            self._history.append(change)
            # The keeper has said it to the journal already.
            logger.debug("The tunnel: %s. %s. %s", state.state, state.reason, state.next)
        if state.state in _TROUBLE:
            self._ladder.resolve_again()
        if state.state != "connecting":
            self._settled = state
        self._network = description.network(self._network, state, gateway=self._gateway())
        self._listeners.stir()

    def _gateway(self) -> str | None:
        endpoint_id = self.endpoint_id
        return None if endpoint_id is None else self._ladder.gateway(endpoint_id)

    def _count_switch(self, state: TunnelState) -> None:
        settled = self._settled
        if settled is None or settled.endpoint_id in {None, state.endpoint_id}:
            return
        age = asyncio.get_running_loop().time() - self._requested_at
        requested = age < _REQUEST_HOLDS
        self._requested_at = -_REQUEST_HOLDS
        self._switches[description.why_switched(settled, state, requested=requested)] += 1

    async def _views(self, stirred: asyncio.Event) -> AsyncIterator[TunnelView]:
        while True:
            await stirred.wait()
            stirred.clear()
            yield self.view()
            await asyncio.sleep(_PAUSE)
