"""The tunnel's life, in a small world of servers and uplinks, and for all sequences of events."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.keeper.health import NOTHING, Sample
from miauflixd.keeper.lifecycle import is_standby_of_interest, step, tick
from miauflixd.keeper.messages import Endpoint
from miauflixd.keeper.states import (
    ActivitySet,
    Audited,
    Connect,
    Connecting,
    Disconnect,
    Down,
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
    Up,
    UplinkChecked,
    UplinkDown,
    UseServer,
    Waiting,
)
from tests.keeper_fakes import TARGETS, World, endpoint

TRAFFIC = 50.0


def world(count: int = 3, *, traffic: float = TRAFFIC, activity="active", seed: int = 1) -> World:
    endpoints = [endpoint(i, provider=f"p{i % 2}") for i in range(1, count + 1)]
    here = World(*endpoints, seed=seed).start(activity)
    here.traffic = traffic
    here.run(3.0)
    assert here.name == "up"
    return here


def standby_of(here: World) -> str | None:
    return here.state.standby.endpoint.id if here.state.standby else None


def rehandshakes(here: World, since: float) -> int:
    return sum(
        isinstance(action, Rehandshake) and action.side == "active"
        for at, action in here.actions
        if at >= since
    )


# --- coming up ------------------------------------------------------------------------------------


def test_without_endpoints_the_tunnel_is_down_and_says_what_is_missing():
    here = World().start()

    assert here.name == "down"
    assert here.state.words.reason == "No VPN server is known yet"
    assert tick(here.state) == 1.0


def test_the_most_preferred_endpoint_is_used_and_another_kept_warm():
    here = world()

    assert here.current == "e1"
    assert here.state.generation == 1
    assert here.state.standby
    assert here.state.standby.endpoint.id == "e2"
    assert here.state.standby.answers
    assert here.state.words.reason == "Connected to Sweden #1"


def test_a_silent_endpoint_is_left_for_the_next_within_two_seconds():
    here = World(endpoint(1), endpoint(2))
    here.server("e1").alive = False
    here.start()

    assert here.current == "e2"
    assert here.name == "up"
    assert here.state.since - 1000.0 < 2.0
    assert here.state.ladder.is_penalised("e1", here.now)


def test_all_addresses_of_a_server_are_tried_before_another_server():
    first = endpoint(1, addresses=2)
    here = World(first, endpoint(2))
    here.servers[first.servers[1].host] = here.server("e1")
    del here.servers[first.servers[0].host]
    here.feed(LadderSet(here.now, here.endpoints))
    here.run(3.0)

    assert here.moves() == ["e1", "e1"]
    assert here.name == "up"


def test_the_first_packet_of_a_handshake_may_be_lost():
    here = World(endpoint(1))
    here.up.loss = 1.0
    here.feed(LadderSet(here.now, here.endpoints))
    here.run(0.5)
    here.up.loss = 0.0
    here.run(0.7)

    assert here.name == "up"


def test_when_nobody_answers_all_are_tried_again_with_pauses_that_grow_and_differ():
    here = World(*[endpoint(i) for i in (1, 2, 3)])
    for server in here.servers.values():
        server.alive = False
    here.start()
    phases, pauses = set(), []
    for _ in range(600):
        here.run(0.5)
        phases.add(type(here.state.phase))
        if isinstance(here.state.phase, Waiting):
            pauses.append(here.state.phase.pause)

    assert here.name == "connecting"
    assert not here.state.ladder.penalties
    assert phases == {Connecting, Waiting}
    assert len(set(pauses)) > 3
    assert min(pauses) >= 1.0
    assert max(pauses) <= 30.0
    assert pauses[0] < pauses[-1]


@pytest.mark.parametrize("back", ["e1", "e2", "e3"])
def test_whoever_comes_back_first_is_used_within_two_seconds(back):
    here = world()
    for server in here.servers.values():
        server.alive = False
    here.run(47.0)
    assert here.name == "connecting"
    here.server(back).alive = True
    began = here.now
    here.run(5.0)

    assert here.current == back
    took = here.took(began)
    assert took is not None
    assert took <= 2.0


def test_whoever_answers_the_standby_ends_a_later_round():
    here = world()
    for server in here.servers.values():
        server.alive = False
    while not (isinstance(here.state.phase, Connecting) and here.state.phase.round):
        here.run(0.05)
    assert here.current == "e1"
    here.server("e3").alive = True
    began = here.now
    here.run(2.0)

    assert here.current == "e3"
    assert here.name == "up"
    assert here.state.since - began <= 1.5


def test_three_refusals_of_one_provider_make_its_keys_the_reason():
    here = World(*[endpoint(i, provider="bad") for i in (1, 2, 3)], endpoint(4, provider="good"))
    for i in (1, 2, 3):
        here.server(f"e{i}").refuses = True
    here.start()
    here.run(10.0)

    assert here.current == "e4"
    assert "Several servers of bad do not answer" in here.state.words.reason
    assert "keys or the account may be wrong" in here.state.words.reason


def test_refusals_of_the_only_provider_are_named_while_waiting():
    here = World(*[endpoint(i) for i in (1, 2, 3)])
    for i in (1, 2, 3):
        here.server(f"e{i}").refuses = True
    here.start()
    here.run(30.0)

    assert "keys or the account may be wrong" in here.state.words.reason


def test_a_clock_in_the_past_is_the_reason_and_nobody_is_blamed():
    here = World(*[endpoint(i) for i in (1, 2, 3)])
    here.clock_behind = True
    here.start()
    here.run(20.0)
    assert "clock of this machine is behind" in here.state.words.reason
    here.clock_behind = False
    began = here.now
    here.run(2.0)

    assert here.name == "up"
    assert here.state.since - began <= 2.0
    assert not here.state.ladder.penalties


def test_a_clock_that_is_set_ends_the_waiting():
    here = World(*[endpoint(i) for i in (1, 2, 3)])
    here.clock_behind = True
    here.start()
    while not isinstance(here.state.phase, Waiting):
        here.run(0.1)
    here.clock_behind = False
    here.run(0.5)

    assert here.name == "up"


def test_an_adopted_tunnel_is_up_as_soon_as_it_answers_and_makes_no_new_handshake():
    before = world()
    peer = before.tunnels["active"].peer
    here = World(*before.endpoints)
    here.servers = before.servers
    here.adopted = peer
    here.feed(LadderSet(here.now, here.endpoints, adopted="e1"))
    here.run(1.0)

    assert here.name == "up"
    assert rehandshakes(here, 0.0) == 0


def test_an_adopted_tunnel_that_is_dead_is_set_up_anew():
    before = world()
    peer = before.tunnels["active"].peer
    before.server("e1").restart()
    here = World(*before.endpoints)
    here.servers = before.servers
    here.adopted = peer
    here.feed(LadderSet(here.now, here.endpoints, adopted="e1"))
    here.run(2.0)

    assert here.name == "up"
    assert here.current == "e1"
    assert rehandshakes(here, 0.0) == 1


# --- death and other silences ---------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["alive", "hears", "is_heard"])
@pytest.mark.parametrize("phase", [0.0, 0.05, 0.11, 0.17])
def test_a_black_hole_costs_a_second_and_a_half(fault, phase):
    here = world(seed=int(phase * 100))
    here.run(5.0 + phase)
    began = here.now
    setattr(here.server("e1"), fault, False)
    here.run(8.0)

    assert here.moves(began) == ["e2"]
    assert here.state.verdicts == 1
    decided = next(at for at, action in here.actions if at >= began and _is_move(action))
    assert decided - began <= 1.65
    took = here.took(began + 0.1)
    assert took is not None
    assert took <= 1.8
    assert here.state.generation == 2
    assert here.state.ladder.is_penalised("e1", here.now)
    assert not here.state.ladder.is_penalised("e2", here.now)


def _is_move(action) -> bool:
    return isinstance(action, Connect) and action.side == "active"


def test_a_server_that_dies_while_nobody_needs_it_is_left_before_anybody_does():
    here = world(activity="idle", traffic=0.0)
    began = here.now
    here.server("e1").alive = False
    here.run(13.1)

    assert here.moves(began) == ["e2"]


def test_a_server_that_hears_nothing_but_still_sends_is_dead_too():
    here = world(traffic=0.0, activity="streaming")
    began = here.now
    here.server("e1").hears = False
    peer = here.tunnels["active"].peer
    assert peer
    while here.now - began < 6.0 and not here.moves(began):
        peer.rx += 100  # strangers that repeat themselves
        here.run(0.3)

    assert here.moves(began) == ["e2"]
    assert here.now - began <= 4.5


def test_without_a_standby_the_verdict_takes_three_seconds():
    here = world(1)
    began = here.now
    here.server("e1").alive = False
    here.run(3.3)
    assert here.name == "connecting"
    assert here.state.words.reason == "Sweden #1 does not answer any more"
    here.server("e1").alive = True
    here.run(3.0)

    assert here.name == "up"
    assert set(here.moves(began)) <= {"e1"}
    assert here.state.generation == 1


def test_without_a_standby_that_was_ever_there_the_next_is_tried_after_three_seconds():
    here = world(2)
    here.feed(StandbyLent(here.now))
    began = here.now
    here.server("e1").alive = False
    here.run(6.0)

    assert here.moves(began) == ["e2"]
    assert 2.8 <= here.state.since - began <= 3.5
    assert here.state.ladder.is_penalised("e1", here.now)


def test_two_servers_that_fall_silent_at_once_make_a_third_the_witness():
    here = world()
    began = here.now
    here.server("e1").alive = here.server("e2").alive = False
    here.run(8.0)

    assert here.current == "e3"
    assert here.state.since - began <= 5.0
    assert here.state.ladder.is_penalised("e1", here.now)


def test_a_server_that_lost_its_state_is_kept():
    here = world()
    began = here.now
    here.server("e1").restart()
    here.run(5.0)

    assert here.state.verdicts == 0
    assert here.moves(began) == []
    took = here.took(began + 0.1)
    assert took is not None
    assert took <= 2.1


def test_a_server_without_internet_is_degraded_and_then_left():
    here = world()
    began = here.now
    here.server("e1").egress = False
    here.run(5.0)
    assert here.name == "degraded"
    assert here.state.words.reason.startswith("Sweden #1 answers, but nothing comes back")
    here.run(6.0)

    assert here.moves(began) == ["e2"]
    assert here.name == "up"
    assert here.state.since - began <= 10.0


def test_a_server_without_internet_and_without_a_gateway_that_answers_is_left_too():
    here = World(*[endpoint(i, gateway=False) for i in (1, 2)]).start()
    here.traffic = TRAFFIC
    here.run(2.0)
    began = here.now
    here.server("e1").egress = False
    here.run(12.0)

    assert here.moves(began) == ["e2"]


def test_a_server_whose_internet_comes_back_is_kept():
    here = world()
    here.server("e1").egress = False
    here.run(5.0)
    here.server("e1").egress = True
    here.run(1.5)

    assert here.name == "up"
    assert here.moves(here.now - 7.0) == []


def test_the_only_server_is_kept_without_internet():
    here = world(1)
    here.server("e1").egress = False
    here.run(30.0)

    assert here.name == "degraded"
    assert here.state.words.next == "There is no better server; waiting for this one"


def test_a_world_without_internet_makes_nobody_run_in_circles():
    here = world()
    began = here.now
    for server in here.servers.values():
        server.egress = False
    here.run(120.0)

    assert len(here.moves(began)) <= 2
    assert here.name == "degraded"


def test_echoes_that_are_filtered_are_no_fault_if_names_are_resolved():
    here = world(traffic=0.0, activity="streaming")
    here.server("e1").egress = False
    began = here.now
    for _ in range(15):
        here.feed(EgressChecked(here.now, "e1", works=True))
        here.run(1.0)

    assert here.moves(began) == []
    assert "degraded" not in here.names(began)


def test_what_was_found_out_about_another_endpoint_says_nothing():
    here = world()
    state, actions = step(here.state, EgressChecked(here.now, "e2", works=True))

    assert state == here.state
    assert actions == ()


# --- the uplink -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1.0, 5.0, 60.0, 600.0])
def test_an_outage_of_the_uplink_changes_nothing_and_is_over_within_a_second(seconds):
    here = world()
    began = here.now
    here.gateway_answers = False
    here.run(seconds)
    if seconds > 3.5:
        assert here.name == "uplink_down"
        assert "internet connection of this house is down" in here.state.words.reason
    back = here.now
    here.gateway_answers = True
    here.run(5.0)

    assert here.moves(began) == []
    assert here.name == "up"
    assert here.state.verdicts == 0
    assert not here.state.ladder.penalties
    assert here.state.generation == 1
    took = here.took(back)
    assert took is not None
    assert took <= 1.0


def test_an_uplink_that_forwards_before_its_gateway_answers_is_noticed():
    here = world()
    here.gateway_answers = False
    here.run(10.0)
    assert here.name == "uplink_down"
    phase = here.state.phase
    assert isinstance(phase, UplinkDown)
    peer = here.tunnels["active"].peer
    assert peer
    peer.rx += 100
    here.run(0.1)

    assert here.name == "up"


def test_an_outage_beyond_the_gateway_leaves_no_penalty():
    here = world()
    began = here.now
    here.isp_works = False
    here.run(5.0)
    assert here.name == "connecting"
    assert here.state.words.reason == "Neither Sweden #1 nor Sweden #2 answers any more"
    here.isp_works = True
    back = here.now
    here.run(5.0)

    assert here.moves(began) == []
    took = here.took(back)
    assert took is not None
    assert took <= 1.0
    assert here.state.generation == 1


def test_no_server_is_blamed_when_the_uplink_is_down_at_the_start():
    here = World(*[endpoint(i) for i in (1, 2, 3)])
    here.gateway_answers = False
    here.start()
    assert here.name == "uplink_down"
    here.run(60.0)
    here.gateway_answers = True
    back = here.now
    here.run(3.0)

    assert here.name == "up"
    assert here.state.since - back <= 1.5
    assert here.current == "e1"
    assert not here.state.ladder.penalties


def test_an_uplink_found_down_after_a_verdict_takes_it_back():
    here = world(2)
    here.feed(StandbyLent(here.now))
    for server in here.servers.values():
        server.alive = False
    here.run(3.2)
    assert here.current == "e2"
    here.gateway_answers = False
    here.run(2.0)
    assert here.name == "uplink_down"
    assert here.current == "e1"
    here.tick()
    here.feed(Observed(here.now, None, None, 0.5))
    assert here.name == "uplink_down"
    here.gateway_answers = True
    for server in here.servers.values():
        server.alive = True
    here.run(2.0)

    assert here.name == "up"
    assert here.current == "e1"
    assert not here.state.ladder.penalties
    assert here.state.generation == 1


def test_an_uplink_that_goes_while_waiting_is_named_and_so_is_its_return():
    here = world()
    for server in here.servers.values():
        server.alive = False
    here.run(6.0)
    assert isinstance(here.state.phase, Waiting)
    here.gateway_answers = False
    here.run(3.0)
    assert here.name == "uplink_down"
    for server in here.servers.values():
        server.alive = True
    here.gateway_answers = True
    here.run(3.0)

    assert here.name == "up"
    assert here.current == "e1"


def test_a_standby_that_answers_shows_that_the_uplink_is_back():
    here = world()
    here.gateway_answers = False
    here.run(5.0)
    here.server("e1").alive = False
    here.feed(UplinkChecked(here.now, answers=False))
    here.isp_works = True
    standby = here.tunnels["standby"].peer
    assert standby
    for _ in range(3):
        standby.rx += 100
        here.run(0.1)

    assert here.name == "connecting"
    assert here.state.words.reason == "The internet connection is back"


def test_a_session_that_has_expired_during_an_outage_is_made_anew():
    here = world()
    here.gateway_answers = False
    here.run(10.0)
    began = here.now
    here.run(200.0)

    assert rehandshakes(here, began) > 5


# --- rough ways -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "seconds", "most"), [(0.1, 600, 0), (0.2, 600, 0), (0.4, 600, 2)])
def test_a_lossy_link_makes_nobody_change_servers_with_torrents(loss, seconds, most):
    here = world(activity="streaming")
    here.up.loss = here.down.loss = loss
    here.run(seconds)

    assert here.state.verdicts <= most


def test_a_lossy_link_with_hardly_any_traffic_costs_a_change_now_and_then_at_most():
    here = world(activity="streaming", traffic=0.0)
    here.up.loss = here.down.loss = 0.1
    here.run(600.0)
    assert here.state.verdicts == 0
    here.up.loss = here.down.loss = 0.4
    here.run(600.0)

    assert here.state.verdicts <= 10


@pytest.mark.parametrize(("traffic", "upload"), [(250.0, 0.0), (250.0, 250.0), (0.0, 400.0)])
def test_a_saturated_link_with_a_long_queue_makes_nobody_change_servers(traffic, upload):
    here = world(activity="streaming", traffic=0.0)
    here.up.rate = here.down.rate = 250_000.0
    here.traffic, here.upload = traffic, upload
    here.run(90.0)

    assert here.state.verdicts == 0


@pytest.mark.parametrize("rtt", [0.3, 0.6, 0.9])
def test_slow_ways_are_not_dead_ones_and_dead_ones_are_found(rtt):
    here = World(*[endpoint(i) for i in (1, 2, 3)])
    for server in here.servers.values():
        server.rtt = rtt
    here.start()
    here.traffic = 20.0
    here.run(60.0)
    assert here.state.verdicts == 0
    began = here.now
    here.server("e1").alive = False
    here.run(20.0)

    assert here.moves(began) == ["e2"]


# --- our own absence ------------------------------------------------------------------------------


def test_after_a_sleep_there_is_a_new_handshake_and_no_verdict():
    here = world()
    began = here.now
    here.traffic = 0.0
    here.now += 60.0
    here.tick()

    assert rehandshakes(here, began) == 1
    assert here.name == "up"
    here.run(5.0)
    assert here.state.verdicts == 0
    assert here.moves(began) == []


def test_a_sleep_while_connecting_gives_the_same_endpoint_another_try():
    here = World(endpoint(1), endpoint(2))
    here.gateway_answers = True
    here.server("e1").alive = False
    here.feed(LadderSet(here.now, here.endpoints))
    here.tick()
    here.now += 30.0
    here.server("e1").alive = True
    here.run(1.0)

    assert here.moves() == ["e1"]
    assert here.name == "up"


def test_an_interface_that_is_gone_is_silence():
    here = world()
    began = here.now
    here.tunnels["active"].peer = None
    here.run(3.0)

    assert here.moves(began)
    assert here.name == "up"


def test_what_was_repaired_starts_over():
    here = world()
    began = here.now
    here.feed(Repaired(here.now))
    here.run(1.0)

    assert rehandshakes(here, began) == 1
    assert here.name == "up"
    assert step(State(targets=TARGETS), Repaired(0.0))[1] == ()


# --- quarantine -----------------------------------------------------------------------------------


def test_a_finding_cuts_every_connection_until_an_audit_is_clean():
    here = world()
    here.feed(Audited(here.now, ("The interface x0 is in the namespace",)))

    assert here.name == "quarantine"
    assert "x0" in here.state.words.reason
    assert here.tunnels["active"].peer is None
    assert here.tunnels["standby"].peer is None
    here.run(10.0)
    here.feed(LadderSet(here.now, here.endpoints))
    here.feed(SwitchWanted(here.now, "e2"))
    here.feed(Audited(here.now, ("Another one",)))
    assert here.state.words.reason.endswith("Another one")
    assert here.tunnels["active"].peer is None
    here.feed(Audited(here.now, ()))
    here.run(1.0)
    assert here.name == "up"
    assert here.current == "e2"


def test_a_clean_audit_changes_nothing_where_all_was_clean():
    here = world()
    state, actions = step(here.state, Audited(here.now, ()))

    assert (state, actions) == (here.state, ())


def test_quarantine_without_endpoints_ends_in_being_down():
    here = World()
    here.feed(Audited(here.now, ("Something",)))
    here.feed(Audited(here.now, ()))

    assert here.name == "down"


# --- ladders and wishes ---------------------------------------------------------------------------


def test_a_new_ladder_keeps_the_endpoint_in_use_if_it_is_still_on_it():
    here = world()
    began = here.now
    here.feed(LadderSet(here.now, tuple(reversed(here.endpoints))))
    here.run(2.0)

    assert here.moves(began) == []


def test_an_endpoint_that_is_taken_off_the_ladder_is_left():
    here = world()
    here.feed(LadderSet(here.now, here.endpoints[1:]))
    here.run(1.0)

    assert here.current == "e2"
    assert here.name == "up"


def test_an_endpoint_with_other_keys_is_connected_anew():
    here = world()
    changed = endpoint(1, provider="p1", gateway=False)
    here.feed(LadderSet(here.now, (changed, *here.endpoints[1:])))
    here.run(1.0)

    assert here.state.link
    assert here.state.link.endpoint is changed


def test_a_standby_that_is_taken_off_the_ladder_is_replaced():
    here = world()
    here.feed(LadderSet(here.now, (here.endpoints[0], here.endpoints[2])))
    here.run(12.0)

    assert here.state.standby
    assert here.state.standby.endpoint.id == "e3"


def test_an_empty_ladder_disconnects_everything():
    here = world()
    here.feed(LadderSet(here.now, ()))

    assert here.name == "down"
    assert here.tunnels["active"].peer is None
    assert here.tunnels["standby"].peer is None


def test_a_new_ladder_while_everybody_is_silent_is_tried_at_once():
    here = World(endpoint(1), endpoint(2))
    for server in here.servers.values():
        server.alive = False
    here.feed(LadderSet(here.now, here.endpoints[:1]))
    here.run(10.0)
    while not isinstance(here.state.phase, Waiting):
        here.run(0.1)
    here.server("e2").alive = True
    began = here.now
    here.feed(LadderSet(here.now, here.endpoints))
    here.run(3.0)

    assert here.current == "e2"
    assert here.state.since - began <= 2.0


def test_a_person_gets_the_server_they_ask_for_without_a_noticeable_gap():
    here = world()
    began = here.now
    here.feed(SwitchWanted(here.now, "e3"))
    here.run(2.0)

    assert here.moves(began) == ["e3"]
    assert here.state.verdicts == 0
    assert not here.state.ladder.penalties
    gaps = [b - a for a, b in zip(here.received, here.received[1:], strict=False) if b > began]
    assert max(gaps) <= 0.3


def test_any_other_server_is_the_next_best():
    here = world()
    began = here.now
    here.feed(SwitchWanted(here.now, None))
    here.run(2.0)

    assert here.moves(began) == ["e2"]


def test_of_a_hundred_wishes_the_last_one_counts():
    here = world()
    began = here.now
    for i in range(100):
        here.feed(SwitchWanted(here.now, f"e{1 + i % 3}"))
        here.run(0.6)
    here.feed(SwitchWanted(here.now, "e3"))
    here.run(5.0)

    assert here.current == "e3"
    assert len(here.moves(began)) <= 31
    assert here.state.verdicts == 0


def test_a_wish_for_the_server_in_use_or_for_an_unknown_one_changes_nothing():
    here = world()
    began = here.now
    here.feed(SwitchWanted(here.now, "e2"))
    here.feed(SwitchWanted(here.now, "e1"))
    here.feed(SwitchWanted(here.now, "nobody"))
    here.run(3.0)

    assert here.moves(began) == []
    assert here.state.wish is None


def test_a_wish_for_a_server_that_does_not_answer_leaves_the_one_in_use():
    here = world()
    here.server("e3").alive = False
    began = here.now
    here.feed(SwitchWanted(here.now, "e3"))
    here.run(4.0)

    assert here.moves(began) == []
    assert here.name == "up"
    assert here.state.words.reason == "Sweden #3 does not answer, so it stays with Sweden #1"
    assert here.state.wish is None


def test_a_wish_is_forgotten_with_its_endpoint():
    here = world()
    here.feed(StandbyLent(here.now))
    here.feed(SwitchWanted(here.now, "e3"))
    here.feed(LadderSet(here.now, here.endpoints[:2]))

    assert here.state.wish is None


def test_a_wish_while_connecting_is_tried_at_once():
    here = World(*[endpoint(i) for i in (1, 2, 3)])
    here.server("e1").alive = False
    here.feed(LadderSet(here.now, here.endpoints))
    here.run(0.3)
    here.feed(SwitchWanted(here.now, "e3"))
    here.run(0.5)

    assert here.current == "e3"
    assert here.name == "up"


def test_a_wish_while_the_uplink_is_down_is_granted_when_it_is_back():
    here = world()
    here.gateway_answers = False
    here.run(5.0)
    here.feed(SwitchWanted(here.now, "e3"))
    here.run(1.0)
    here.gateway_answers = True
    here.run(5.0)

    assert here.current == "e3"
    assert here.name == "up"


def test_a_wish_for_another_name_of_the_server_in_use_needs_no_standby():
    twin = endpoint(1)
    twin = Endpoint(
        id="twin",
        name="Twin",
        provider="nord",
        servers=twin.servers,
        public_key=twin.public_key,
        private_key=twin.private_key,
        addresses=twin.addresses,
    )
    here = World(endpoint(1), twin, endpoint(2)).start()
    here.feed(SwitchWanted(here.now, "twin"))
    here.run(2.0)

    assert here.current == "twin"
    assert here.name == "up"
    assert here.state.generation == 1


# --- the standby ----------------------------------------------------------------------------------


def test_a_standby_that_falls_silent_is_replaced():
    here = world()
    here.server("e2").alive = False
    here.run(30.0)

    assert here.state.standby
    assert here.state.standby.endpoint.id == "e3"
    assert here.state.standby.answers
    assert here.current == "e1"


def test_a_standby_that_never_answers_is_replaced_and_its_other_addresses_are_tried():
    second = endpoint(2, addresses=2)
    here = World(endpoint(1), second, endpoint(3))
    here.server("e2").alive = False
    here.start()
    here.run(6.0)

    tried = [
        a.server.host for _, a in here.actions if isinstance(a, Connect) and a.side == "standby"
    ]
    assert tried == [second.servers[0].host, second.servers[1].host, "198.51.3.1"]
    assert here.state.standby
    assert here.state.standby.endpoint.id == "e3"


def test_a_standby_that_lost_its_state_is_asked_for_a_new_handshake():
    here = world()
    here.server("e2").restart()
    here.run(20.0)

    assert here.state.standby
    assert here.state.standby.endpoint.id == "e2"
    assert here.state.standby.answers
    assert not here.state.ladder.penalties


def test_the_only_other_server_is_tried_again_and_again():
    here = world(2)
    here.server("e2").alive = False
    here.run(60.0)
    assert here.state.standby is None or not here.state.standby.answers
    here.server("e2").alive = True
    here.run(15.0)

    assert here.state.standby
    assert here.state.standby.answers


def test_a_standby_is_probed_seldom_while_nobody_needs_the_tunnel():
    here = world(activity="idle", traffic=0.0)
    began = here.now
    here.run(120.0)

    probes = [a for at, a in here.actions if at > began and isinstance(a, Probe)]
    assert 10 <= sum(each.side == "active" for each in probes) <= 14
    assert 3 <= sum(each.side == "standby" for each in probes) <= 6
    assert tick(here.state) == 1.0


def test_a_lent_standby_is_left_alone_and_taken_back():
    here = world()
    here.feed(StandbyLent(here.now))
    here.tunnels["standby"].peer = None
    began = here.now
    here.run(5.0)
    assert not [a for at, a in here.actions if at >= began and getattr(a, "side", "") == "standby"]
    assert not is_standby_of_interest(here.state)
    here.feed(StandbyReturned(here.now))
    here.run(2.0)

    assert here.state.standby
    assert here.state.standby.answers


def test_a_standby_is_of_interest_only_while_something_depends_on_it():
    here = world()
    here.run(0.5)
    assert not is_standby_of_interest(here.state)
    here.server("e1").alive = False
    here.run(1.0)
    assert is_standby_of_interest(here.state)


def test_the_preferred_server_is_used_again_when_it_has_been_reliable_and_nobody_watches():
    here = world(activity="idle", traffic=0.0)
    here.server("e1").alive = False
    here.run(30.0)
    assert here.current == "e2"
    here.server("e1").alive = True
    here.feed(ActivitySet(here.now, "streaming"))
    here.run(3600.0)
    assert here.current == "e2"
    here.feed(ActivitySet(here.now, "idle"))
    here.run(60.0)

    assert here.current == "e1"
    assert ("Sweden #1 is reliable again", "Trying Sweden #1") in [
        (reason, then) for _, _, reason, then in here.journal
    ]


def test_a_preferred_server_that_comes_and_goes_is_returned_to_once_an_hour_at_most():
    here = world(activity="idle", traffic=0.0)
    began = here.now
    for _ in range(240):
        here.server("e1").alive = not here.server("e1").alive
        here.run(30.0)

    assert here.moves(began).count("e1") <= 2


def test_where_one_would_rather_be_becomes_the_standby_once_it_is_forgiven():
    here = world(activity="idle", traffic=0.0)
    here.server("e1").alive = False
    here.run(30.0)
    assert standby_of(here) == "e3"
    here.server("e1").alive = True
    here.run(1500.0)

    assert standby_of(here) == "e1"


def test_only_targets_of_a_family_that_the_endpoint_has_are_asked():
    six = Endpoint(
        id="six",
        name="Six",
        provider="p",
        servers=endpoint(1).servers,
        public_key="6",
        private_key="6",
        addresses=["fd00::2/128"],
    )
    state = State(targets=("1.1.1.1", "2606:4700:4700::1111"))
    state, _ = step(state, LadderSet(0.0, (six,)))
    state, _ = step(state, Observed(0.1, NOTHING, None, 0.5))
    link = state.link
    assert link
    _, actions = step(state, Observed(0.2, Sample(link.number, 92, 148, 5.0), None, 0.5))

    assert [a.beyond for a in actions if isinstance(a, Probe)] == ["2606:4700:4700::1111"]


# --- for all sequences of events ------------------------------------------------------------------

ENDPOINTS = tuple(endpoint(i, provider=f"p{i % 2}", addresses=1 + i % 2) for i in range(1, 5))
IDS = st.sampled_from([*(each.id for each in ENDPOINTS), "unknown"])


class Machine:
    """Feeds events, answers them more or less as a machine would, and looks at every promise."""

    def __init__(self) -> None:
        self.now = 0.0
        self.state = State(targets=TARGETS)
        self.performed: dict[str, int] = {"active": 0, "standby": 0}
        self.peer: dict[str, Endpoint | None] = {"active": None, "standby": None}
        self.proved = False
        self.adopting = False
        self.stale = NOTHING
        self.last = NOTHING
        self.verdict_at = float("-inf")

    def sample(self, side: str, fresh: int, seen: tuple[int, int, int, int]) -> Sample | None:
        if self.peer[side] is None:
            return None
        rx, tx, handshake, echoes = seen
        link = self.performed[side] - (1 - fresh)
        return Sample(link, rx, tx, float(handshake) if handshake else None, echoes, echoes)

    def feed(self, event) -> None:
        before = self.state
        if isinstance(event, Observed) and event.active:
            self.last = event.active
            is_current = event.active.link == self.performed["active"]
            if is_current and (self.adopting or event.active.proves(self.stale)):
                self.proved = self.proved or event.active.handshake is not None
        self.state, actions = step(before, event)
        for action in actions:
            self.perform(action, event)
        self.check(before, event, actions)

    def perform(self, action, event) -> None:
        match action:
            case Connect(side=side, endpoint=target, link=link):
                self.peer[side] = target
                self.performed[side] = link
                if side == "active":
                    self.proved = False
                    self.adopting = isinstance(event, LadderSet) and bool(event.adopted)
                    self.stale = self.last
            case Rehandshake(side=side, link=link):
                self.performed[side] = link
            case Disconnect(side=side):
                self.peer[side] = None
            case _:
                pass

    def happen(self, kind: str, what) -> None:  # noqa: C901  # one line for each kind of event
        match kind:
            case "observed":
                pause, active, standby, flags = what
                self.now += pause
                one = self.sample("active", flags & 1, active)
                other = self.sample("standby", flags >> 1, standby)
                self.feed(Observed(self.now, one, other, 0.5, is_clock_behind=active == standby))
            case "ladder":
                chosen, adopted = what
                known = adopted if self.state.link is None else None
                endpoints = tuple(ENDPOINTS[i] for i in chosen)
                self.feed(LadderSet(self.now, endpoints, adopted=known))
            case "lent":
                if what and not self.state.is_lent:
                    self.peer["standby"] = None
                    self.feed(StandbyLent(self.now))
                elif self.state.is_lent:
                    self.feed(StandbyReturned(self.now))
            case "activity":
                self.feed(ActivitySet(self.now, what))
            case "switch":
                self.feed(SwitchWanted(self.now, what))
            case "uplink":
                self.feed(UplinkChecked(self.now, what))
            case "egress":
                self.feed(EgressChecked(self.now, what, works=True))
            case "audit":
                self.feed(Audited(self.now, what))
            case _:
                self.feed(Repaired(self.now))

    def check(self, before: State, event, actions: Sequence[object]) -> None:
        state = self.state
        assert state.words.reason
        assert state.words.next
        # Never up without a handshake since the connect.
        if state.name in {"up", "degraded"}:
            assert self.proved
        # The wall is always there: a peer only where there is a link, and the same.
        link = state.link
        assert self.peer["active"] == (link.endpoint if link else None)
        if isinstance(state.phase, Quarantined | Down):
            assert self.peer["standby"] is None
        # A server knows us once.
        active, standby = self.peer["active"], self.peer["standby"]
        assert active is None or standby is None or active.servers != standby.servers
        # One verdict for one outage, and none where nothing could be seen.
        if state.verdicts != before.verdicts:
            assert state.verdicts == before.verdicts + 1
            assert isinstance(before.phase, Up)
            assert isinstance(event, Observed)
            assert self.now - self.verdict_at >= 1.4
            self.verdict_at = self.now
        # Nobody is penalised when the uplink is found down.
        if isinstance(state.phase, UplinkDown):
            assert not state.accused
            assert state.ladder.penalties.keys() <= before.ladder.penalties.keys()
            moved = [a for a in actions if _is_move(a)]
            assert all(state.home and a.endpoint.id == state.home.id for a in moved)  # type: ignore[attr-defined]  # _is_move says so
        # A generation is another server, and whoever needs to know is told.
        assert (state.generation > before.generation) == any(
            isinstance(a, UseServer) for a in actions
        )
        assert tick(state) > 0
        assert is_standby_of_interest(state) in {True, False}


SEEN = st.tuples(
    st.integers(0, 3).map(lambda n: n * 1500),
    st.integers(0, 3).map(lambda n: n * 200),
    st.integers(0, 3),
    st.integers(0, 3),
)
EVENTS = st.one_of(
    st.tuples(
        st.just("observed"),
        st.tuples(st.sampled_from([0.05, 0.1, 0.3, 1.0, 1.6, 4.0]), SEEN, SEEN, st.integers(0, 3)),
    ),
    st.tuples(
        st.just("observed"),
        st.tuples(st.sampled_from([0.05, 0.2]), SEEN, SEEN, st.just(3)),
    ),
    st.tuples(st.just("ladder"), st.tuples(st.lists(st.integers(0, 3), unique=True), IDS)),
    st.tuples(st.just("activity"), st.sampled_from(["idle", "active", "streaming"])),
    st.tuples(st.just("switch"), st.one_of(st.none(), IDS)),
    st.tuples(st.just("uplink"), st.booleans()),
    st.tuples(st.just("egress"), IDS),
    st.tuples(st.just("audit"), st.sampled_from([(), (), ("Something",)])),
    st.tuples(st.just("repaired"), st.none()),
    st.tuples(st.just("lent"), st.booleans()),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=60))
def test_the_promises_hold_for_every_sequence_of_events(script):
    machine = Machine()
    machine.feed(LadderSet(0.0, ENDPOINTS))
    for kind, what in script:
        machine.happen(kind, what)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 9), max_size=12))
def test_in_the_small_world_every_outage_ends_and_no_penalty_is_for_the_uplink(seed, faults):
    here = world(seed=seed)
    for fault in faults:
        server = here.server(f"e{1 + fault % 3}")
        match fault // 3:
            case 0:
                server.restart()
            case 1:
                server.alive = not server.alive
            case 2:
                here.gateway_answers = not here.gateway_answers
            case _:
                here.now += 10.0
        here.run(here.rng.uniform(0.1, 8.0))
    here.gateway_answers = True
    for server in here.servers.values():
        server.alive = True
    here.run(12.0)

    assert here.name == "up"
    assert here.received[-1] > here.now - 1.0


def test_time_passes_by_events_alone():
    here = world()
    event = Observed(here.now + 0.1, here.tunnels["active"].sample(), None, 0.5)

    assert step(here.state, event) == step(here.state, event)
