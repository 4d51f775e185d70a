"""The tunnel as the house sees it: what it says, what it hands to the keeper, what it refuses."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from miauflixd.database.database import Database
from miauflixd.errors import SettingsError
from miauflixd.keeper.messages import SetActivity, Switch
from miauflixd.runtime.secrets import Secret
from miauflixd.tunnel import addresses, service
from miauflixd.tunnel.description import HISTORY
from miauflixd.tunnel.endpoints import Endpoints
from miauflixd.tunnel.importing import File
from miauflixd.tunnel.model import (
    Credentials,
    EndpointId,
    FolderEndpointError,
    NoEndpointError,
    NoLadderError,
    RungId,
    TunnelOffError,
    UntestedError,
)
from miauflixd.tunnel.no_tunnel import NoTunnel
from miauflixd.tunnel.providers.provider import ProviderRefusedError, ProviderUnavailableError
from miauflixd.tunnel.resolution import UnresolvedError
from miauflixd.tunnel.service import Tunnel
from miauflixd.tunnel.settings import TunnelSettings
from tests.running import until
from tests.tunnel_fakes import (
    PRIVATE_KEY,
    SECRETS,
    TOKEN,
    FakeKeeper,
    FakeNames,
    FakeProvider,
    conf,
    file,
    open_endpoints,
    public_key,
    spec,
    write_files,
)

NORDVPN = Credentials(token=Secret(TOKEN))


@pytest.fixture
async def database(tmp_path):
    async with Database.open(tmp_path / "house.sqlite3") as database:
        yield database


@asynccontextmanager
async def house(
    database: Database, **given: Any
) -> AsyncIterator[tuple[Tunnel, Endpoints, FakeKeeper]]:
    """Run a tunnel with whatever endpoints are in the database, and a keeper behind it."""
    keeper = FakeKeeper()
    endpoints = await open_endpoints(database, **given)
    tunnel = Tunnel(keeper=keeper, ladder=endpoints)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run()) for one in (tunnel, endpoints)]
        yield tunnel, endpoints, keeper
        for task in tasks:
            task.cancel()


async def add(endpoints: Endpoints, *files: File) -> list[EndpointId]:
    await endpoints.add_files(files)
    return [server.id for rung in endpoints.rungs() for server in rung.servers]


async def said(tunnel: Tunnel, keeper: FakeKeeper, *reports: str, **fields: Any) -> None:
    """Have the keeper report, and wait until the house knows."""
    for report in reports:
        keeper.tell(report, **fields)
    await keeper.heard()
    assert tunnel.view().state == reports[-1]


def handed_over(keeper: FakeKeeper) -> list[str]:
    return [endpoint.name for endpoint in keeper.ladder]


def _reaches(keeper: FakeKeeper, *names: str) -> bool:
    return handed_over(keeper) == [*names]


def _ends_with(heard: list[tuple[bool, int]], told: tuple[bool, int]) -> bool:
    return heard[-1] == told


def _asked_more(names: FakeNames, before: int) -> bool:
    return names.asked > before


# --- what it says ---------------------------------------------------------------------------------


async def test_before_the_keeper_speaks_it_is_down_and_says_why(database):
    async with house(database) as (tunnel, _, _):
        view = tunnel.view()
        assert (view.mode, view.state, tunnel.up) == ("required", "down", False)
        assert view.reason == "miauflixd has just started."
        assert view.next
        assert not view.history


async def test_it_says_what_the_keeper_says_and_where_it_leads(database):
    async with house(database) as (tunnel, endpoints, keeper):
        first, second = await add(endpoints, file(1), file(2))
        await until(lambda: len(keeper.ladder) == 2, "the ladder is handed over")
        await said(
            tunnel, keeper, "up", endpoint_id=first, since=1e9, standby=keeper.standby(second)
        )
        tunnel.set_exit_ip("203.0.113.9")
        tunnel.set_port(40000)
        view = tunnel.view()
        assert (view.reason, view.next) == ("It is up.", "Nothing.")
        assert view.since.isoformat() == "2001-09-09T01:46:40+00:00"
        assert view.endpoint is not None
        assert (view.endpoint.id, view.endpoint.name) == (first, "server-1")
        assert view.standby is not None
        assert (view.standby.endpoint.name, view.standby.answers) == ("server-2", True)
        assert (view.rx, view.tx, view.handshake_age) == (1000, 500, 3.0)
        assert (view.exit_ip, view.port) == ("203.0.113.9", 40000)


async def test_of_another_server_neither_address_nor_port_is_known(database):
    async with house(database) as (tunnel, endpoints, keeper):
        ids = await add(endpoints, file(1), file(2))
        await said(tunnel, keeper, "up", endpoint_id=ids[0], generation=1)
        tunnel.set_exit_ip("203.0.113.9")
        tunnel.set_port(40000)
        keeper.tell("up", endpoint_id=ids[1], generation=2)
        await keeper.heard()
        assert tunnel.endpoint_id == ids[1]
        assert (tunnel.view().exit_ip, tunnel.view().port) == (None, None)


async def test_nothing_is_promised_of_a_tunnel_that_does_not_work(database):
    async with house(database) as (tunnel, _, keeper):
        await said(tunnel, keeper, "up")
        tunnel.set_port(40000)
        await said(tunnel, keeper, "degraded")
        assert tunnel.view().port is None
        await said(tunnel, keeper, "up")
        assert tunnel.view().port == 40000


async def test_each_change_is_remembered_and_a_repeated_report_is_none(database):
    async with house(database) as (tunnel, _, keeper):
        await said(tunnel, keeper, "connecting", "up", "up", "degraded", "up")
        history = [(one.before, one.after, one.reason) for one in tunnel.view().history]
        assert history == [
            ("down", "connecting", "It is connecting."),
            ("connecting", "up", "It is up."),
            ("up", "degraded", "It is degraded."),
            ("degraded", "up", "It is up."),
        ]


async def test_the_last_fifty_changes_are_kept(database):
    async with house(database) as (tunnel, _, keeper):
        for _ in range(40):
            keeper.tell("connecting")
            keeper.tell("up")
        await said(tunnel, keeper, "quarantine")
        history = tunnel.view().history
        assert len(history) == HISTORY == 50
        assert history[-1].after == "quarantine"


async def test_whoever_follows_hears_of_changes_and_what_is_fast_is_one(database):
    async with house(database) as (tunnel, _, keeper), tunnel.changes() as views:
        keeper.tell("connecting")
        keeper.tell("up")
        async with asyncio.timeout(5):
            assert (await anext(views)).state == "up"
            tunnel.set_port(40000)
            assert (await anext(views)).port == 40000


async def test_why_the_server_changed_is_counted(database):
    async with house(database) as (tunnel, endpoints, keeper):
        one, two, three = await add(endpoints, file(1), file(2), file(3))
        keeper.answers = False
        await said(tunnel, keeper, "up", endpoint_id=one, generation=1)
        await said(tunnel, keeper, "connecting", "up", endpoint_id=one, generation=1)
        assert tunnel.statistics().switches == {}
        # The server died; one does not answer, which is held against it.
        keeper.tell("connecting", penalties={one: 1.0})
        await said(tunnel, keeper, "up", endpoint_id=two, generation=2, penalties={one: 1.0})
        # Nothing came back through the second.
        keeper.tell("degraded")
        await said(tunnel, keeper, "up", endpoint_id=three, generation=3)
        # The first is good again.
        keeper.tell("up", endpoint_id=one, generation=4, penalties={one: 0.2})
        await keeper.heard()
        assert tunnel.endpoint_id == one
        await tunnel.switch(two)
        keeper.tell("up", endpoint_id=two, generation=5)
        await keeper.heard()
        assert tunnel.endpoint_id == two
        assert tunnel.statistics().switches == {
            "dead": 1,
            "degraded": 1,
            "preferred": 1,
            "requested": 1,
        }


# --- for those who use it -------------------------------------------------------------------------


async def test_the_network_is_up_while_an_answer_may_still_come(database):
    async with house(database) as (tunnel, _, keeper):
        heard: list[tuple[bool, int]] = []

        async def listen() -> None:
            async for network in tunnel.network_changes():
                heard.append((network.up, network.generation))  # noqa: PERF401 - looked at meanwhile

        async with asyncio.TaskGroup() as group:
            task = group.create_task(listen())
            await until(lambda: heard == [(False, 0)], "it begins closed")
            for state, generation, expected in (
                ("uplink_down", 0, False),  # never been up
                ("connecting", 0, False),
                ("up", 1, True),
                ("degraded", 1, True),
                ("uplink_down", 1, True),
                ("up", 1, True),
                ("up", 2, True),
                ("connecting", 2, False),
                ("uplink_down", 2, False),
                ("up", 2, True),
                ("quarantine", 2, False),
                ("down", 2, False),
            ):
                await said(tunnel, keeper, state, generation=generation)
                assert tunnel.up is expected, state
                assert tunnel.reason == f"It is {state}."
                told = (expected, generation)
                await until(partial(_ends_with, heard, told), "it was told")
            task.cancel()


async def test_the_gateway_is_named_where_a_port_can_be_had(database):
    more = "# NAT-PMP (Port Forwarding) = on\n"
    forwarding = File(name="a.conf", content=conf(1, more=more).encode())
    for settings, gateway in (
        (TunnelSettings(), "10.2.0.1"),
        (TunnelSettings(port_forwarding=False), None),
    ):
        async with house(database, settings=settings) as (tunnel, endpoints, keeper):
            (endpoint,) = await add(endpoints, forwarding)
            await until(partial(_reaches, keeper, "a"), "the ladder is handed over")
            assert keeper.ladder[0].port_forwarding is settings.port_forwarding
            await said(tunnel, keeper, "up", endpoint_id=endpoint)
            network = await anext(tunnel.network_changes())
            assert network.gateway == gateway


async def test_how_closely_to_watch_is_said_once(database):
    async with house(database) as (tunnel, _, keeper):
        for activity in ("active", "active", "streaming", "idle", "idle"):
            tunnel.set_activity(activity)
        told = [one.activity for one in keeper.commands if isinstance(one, SetActivity)]
        assert told == ["active", "streaming", "idle"]


async def test_a_tunnel_carries_ipv6_when_we_have_an_address_in_it(database):
    both = conf(1).replace("10.2.0.2/32", "10.2.0.2/32, fd00::2/128")
    both = both.replace("0.0.0.0/0", "0.0.0.0/0, ::/0")
    async with house(database) as (tunnel, endpoints, keeper):
        first, second = await add(endpoints, File(name="a.conf", content=both.encode()), file(2))
        await said(tunnel, keeper, "up", endpoint_id=first)
        assert tunnel.ipv6
        await said(tunnel, keeper, "degraded", endpoint_id=second)
        assert not tunnel.ipv6


# --- the ladder -----------------------------------------------------------------------------------


async def test_the_keeper_gets_addresses_and_keys_in_the_order_of_preference(database):
    names = FakeNames(se_vpn_example=("198.51.100.77", "198.51.100.78"))
    async with house(database, names=names) as (_, endpoints, keeper):
        await add(endpoints, file(1), file(2, host="se.vpn.example"))
        await until(lambda: len(keeper.ladder) == 2, "the ladder is handed over")
        first, second = keeper.ladder
        assert [server.host for server in first.servers] == ["198.51.100.1"]
        assert [server.host for server in second.servers] == ["198.51.100.77", "198.51.100.78"]
        assert (first.private_key, first.public_key) == (PRIVATE_KEY, public_key(1))
        assert first.addresses == ["10.2.0.2/32"]


async def test_whose_name_does_not_resolve_is_left_out_until_it_does(database, monkeypatch):
    monkeypatch.setattr(addresses, "_GAP", 0.0)
    monkeypatch.setattr(addresses, "_RETRY", 0.01)
    names = FakeNames()
    async with house(database, names=names) as (_, endpoints, keeper):
        ids = await add(endpoints, file(1, host="se.vpn.example"), file(2))
        await until(lambda: handed_over(keeper) == ["server-2"], "one is left out")
        assert endpoints.rungs()[0].servers[0].problem == "se.vpn.example has no address"
        with pytest.raises(UnresolvedError):
            await endpoints.prepared(ids[0])
        names.known["se.vpn.example"] = ["198.51.100.77"]
        endpoints.resolve_again()
        await until(lambda: len(keeper.ladder) == 2, "it is there")
        assert endpoints.rungs()[0].servers[0].problem is None


async def test_trouble_lets_it_look_where_servers_are_now(database, monkeypatch):
    monkeypatch.setattr(addresses, "_GAP", 0.0)
    monkeypatch.setattr(addresses, "_RETRY", 0.01)
    names = FakeNames(se_vpn_example=["198.51.100.77"])
    async with house(database, names=names) as (_, endpoints, keeper):
        await add(endpoints, file(1, host="se.vpn.example"))
        await until(lambda: bool(keeper.ladder), "the ladder is handed over")
        names.known["se.vpn.example"] = ["198.51.100.99"]
        keeper.tell("down")
        await until(lambda: keeper.ladder[0].servers[0].host == "198.51.100.99", "it moved")


async def test_shuffled_answers_are_no_news(database, monkeypatch):
    monkeypatch.setattr(addresses, "_GAP", 0.0)
    monkeypatch.setattr(addresses, "_RETRY", 0.01)
    names = FakeNames(se_vpn_example=["198.51.100.77", "198.51.100.78"])
    async with house(database, names=names) as (_, endpoints, keeper):
        await add(endpoints, file(1, host="se.vpn.example"))
        await until(lambda: bool(keeper.ladder), "the ladder is handed over")
        before = keeper.ladders
        for turn in range(4):
            asked = names.asked
            names.known["se.vpn.example"] = names.known["se.vpn.example"][::-1]
            endpoints.resolve_again()
            await until(partial(_asked_more, names, asked), f"it looked again, {turn}")
        assert keeper.ladders == before
        assert keeper.ladder[0].servers[0].host == "198.51.100.77"


async def test_addresses_of_the_last_run_are_kept_for_the_next(database):
    names = FakeNames(se_vpn_example=["198.51.100.77"])
    endpoints = await open_endpoints(database, names=names)
    await add(endpoints, file(1, host="se.vpn.example"))
    assert await endpoints._store.remembered_addresses() == {"se.vpn.example": ("198.51.100.77",)}


async def test_the_same_server_is_handed_over_once(database):
    provider = FakeProvider(spec(1), spec(2))
    given = {"providers": {"nordvpn": provider}}
    async with house(database, **given) as (_, endpoints, keeper):
        await add(endpoints, file(1))
        await endpoints.add_account("nordvpn", NORDVPN)
        await until(lambda: len(keeper.ladder) == 2, "the ladder is handed over")
        assert handed_over(keeper) == ["server-1", "Server 2"]
        account = endpoints.rungs()[1]
        assert account.servers[0].problem == "The same server stands higher on the ladder"


async def test_order_and_removal_reach_the_keeper(database):
    async with house(database) as (_, endpoints, keeper):
        ids = await add(endpoints, file(1), file(2), file(3))
        await endpoints.reorder([RungId(ids[2])])
        await until(lambda: handed_over(keeper) == ["server-3", "server-1", "server-2"], "order")
        await endpoints.remove(RungId(ids[0]))
        await until(lambda: handed_over(keeper) == ["server-3", "server-2"], "removal")
        with pytest.raises(NoEndpointError):
            await endpoints.remove(RungId(ids[0]))


async def test_an_endpoint_that_is_removed_while_in_use_still_has_a_name(database):
    async with house(database) as (tunnel, endpoints, keeper):
        (endpoint,) = await add(endpoints, file(1))
        await said(tunnel, keeper, "up", endpoint_id=endpoint)
        await endpoints.remove(RungId(endpoint))
        view = tunnel.view()
        assert view.endpoint is not None
        assert view.endpoint.name == "an endpoint that was removed"


# --- accounts -------------------------------------------------------------------------------------


async def test_an_account_is_as_many_endpoints_as_its_provider_names(database):
    provider = FakeProvider(*(spec(number) for number in range(1, 40)))
    settings = TunnelSettings(country="se", city="Stockholm")
    given = {"settings": settings, "providers": {"nordvpn": provider}}
    async with house(database, **given) as (_, endpoints, keeper):
        rung = await endpoints.add_account("nordvpn", NORDVPN)
        assert (rung.kind, rung.name, len(rung.servers)) == ("account", "NordVPN", 20)
        assert provider.wanted == ("se", "Stockholm")
        await until(lambda: len(keeper.ladder) == 20, "the ladder is handed over")


@pytest.mark.parametrize(
    "trouble", [ProviderRefusedError("Not any more"), ProviderUnavailableError("No answer")]
)
async def test_an_account_that_is_not_accepted_is_not_added(database, trouble):
    provider = FakeProvider(spec(1))
    provider.trouble = trouble
    endpoints = await open_endpoints(database, providers={"nordvpn": provider})
    with pytest.raises(type(trouble)):
        await endpoints.add_account("nordvpn", NORDVPN)
    assert endpoints.rungs() == []


@pytest.mark.parametrize(
    "trouble", [ProviderRefusedError("Not any more"), ProviderUnavailableError("No answer")]
)
async def test_a_provider_that_fails_leaves_the_last_list_and_says_so(database, trouble, caplog):
    provider = FakeProvider(spec(1), spec(2))
    given = {"providers": {"nordvpn": provider}}
    async with house(database, **given) as (_, endpoints, keeper):
        await endpoints.add_account("nordvpn", NORDVPN)
        provider.trouble = trouble
        await endpoints.refresh()
        (rung,) = endpoints.rungs()
        assert [server.name for server in rung.servers] == ["Server 1", "Server 2"]
        assert rung.problem == str(trouble)
        assert "could not be renewed" in caplog.text
        await until(lambda: len(keeper.ladder) == 2, "the ladder is handed over")
        provider.trouble = None
        provider.servers_now = (spec(3),)
        await endpoints.refresh()
        (rung,) = endpoints.rungs()
        assert [server.name for server in rung.servers] == ["Server 3"]
        assert rung.problem is None
    again = await open_endpoints(database)
    assert [server.name for rung in again.rungs() for server in rung.servers] == ["Server 3"]


async def test_a_token_in_the_settings_is_as_good_as_one_that_is_pasted(database):
    provider = FakeProvider(spec(1))
    given = {
        "settings": TunnelSettings(nordvpn_token=Secret(TOKEN)),
        "providers": {"nordvpn": provider},
    }
    for _ in range(2):  # a restart adds no second one
        async with house(database, **given) as (_, endpoints, keeper):
            await until(partial(_reaches, keeper, "Server 1"), "its server is used")
            assert len(endpoints.rungs()) == 1


async def test_a_provider_in_trouble_is_left_alone_for_a_while(database):
    provider = FakeProvider(spec(1))
    provider.trouble = ProviderUnavailableError("No answer")
    given = {
        "settings": TunnelSettings(nordvpn_token=Secret(TOKEN)),
        "providers": {"nordvpn": provider},
    }
    async with house(database, **given) as (_, endpoints, keeper):
        await until(lambda: provider.asked == 1, "it was asked")
        await add(endpoints, file(7), file(8))  # which has nothing to do with it
        await until(lambda: len(keeper.ladder) == 2, "the others are used")
        assert provider.asked == 1
        assert endpoints.rungs()[0].problem == "No answer"


# --- a folder of files ----------------------------------------------------------------------------


async def test_a_folder_stands_behind_what_was_imported(database, tmp_path):
    folder = write_files(tmp_path / "pool", 2, 1)
    settings = TunnelSettings(conf_folder=folder)
    async with house(database, settings=settings) as (_, endpoints, keeper):
        await add(endpoints, file(3))
        await until(
            lambda: handed_over(keeper) == ["server-3", "server-1", "server-2"], "all are used"
        )
        kinds = [rung.kind for rung in endpoints.rungs()]
        assert kinds == ["endpoint", "file", "file"]
        before = [rung.id for rung in endpoints.rungs()]
        write_files(folder, 4)
        (folder / "server-1.conf").unlink()
        await endpoints.reload()
        await until(
            lambda: handed_over(keeper) == ["server-3", "server-2", "server-4"], "it was read again"
        )
        assert endpoints.rungs()[1].id == before[2]


async def test_a_file_of_the_folder_is_changed_in_the_folder(database, tmp_path):
    settings = TunnelSettings(conf_folder=write_files(tmp_path / "pool", 1))
    endpoints = await open_endpoints(database, settings=settings)
    (rung,) = endpoints.rungs()
    for refused in (endpoints.remove(rung.id), endpoints.reorder([rung.id])):
        with pytest.raises(FolderEndpointError, match=r"vpn\.conf_folder"):
            await refused


async def test_a_broken_file_of_the_folder_is_named_with_its_line(database, tmp_path, caplog):
    folder = write_files(tmp_path / "pool", 1)
    (folder / "broken.conf").write_text(conf(2).replace("51820", "0"))
    settings = TunnelSettings(conf_folder=folder)
    endpoints = await open_endpoints(database, settings=settings)
    good, broken = endpoints.rungs()
    assert good.problem is None
    assert broken.problem is not None
    assert broken.problem.startswith("broken.conf, line 9: ")
    assert broken.problem in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)


async def test_a_folder_that_is_not_there_is_a_mistake_in_the_settings(database, tmp_path):
    settings = TunnelSettings(conf_folder=tmp_path / "nowhere")
    with pytest.raises(SettingsError, match=r"vpn\.conf_folder: .*nowhere cannot be read"):
        await open_endpoints(database, settings=settings)


async def test_a_folder_that_goes_away_leaves_what_was_read(database, tmp_path, caplog):
    folder = write_files(tmp_path / "pool", 1)
    endpoints = await open_endpoints(database, settings=TunnelSettings(conf_folder=folder))
    (folder / "server-1.conf").unlink()
    folder.rmdir()
    await endpoints.reload()
    assert [rung.name for rung in endpoints.rungs()] == ["server-1"]
    assert "what was read before stays" in caplog.text


# --- what one may ask of it -----------------------------------------------------------------------


async def test_a_switch_is_the_keepers_to_make(database):
    async with house(database) as (tunnel, endpoints, keeper):
        one, two = await add(endpoints, file(1), file(2))
        keeper.connect(one)
        await keeper.heard()
        assert tunnel.endpoint_id == one
        await tunnel.switch(two)
        await keeper.heard()
        assert tunnel.endpoint_id == two
        await tunnel.switch()
        assert keeper.commands[-1] == Switch(endpoint_id=None)


async def test_the_id_of_an_account_stands_for_its_first_server(database):
    given = {"providers": {"nordvpn": FakeProvider(spec(1), spec(2))}}
    async with house(database, **given) as (tunnel, endpoints, keeper):
        account = await endpoints.add_account("nordvpn", NORDVPN)
        await tunnel.switch(EndpointId(account.id))
        assert keeper.commands[-1] == Switch(endpoint_id=account.servers[0].id)


async def test_a_test_says_what_became_of_it(database):
    async with house(database) as (tunnel, endpoints, keeper):
        one, two = await add(endpoints, file(1), file(2))
        keeper.dead = {two}
        keeper.connect(two)
        await keeper.heard()
        assert tunnel.endpoint_id == two
        alive = await tunnel.test(one)
        assert (alive.endpoint.name, alive.handshake, alive.egress) == ("server-1", 0.03, True)
        in_use = await tunnel.test()
        assert (in_use.endpoint.name, in_use.handshake) == ("server-2", None)
        assert in_use.detail == "The server does not answer."


async def test_several_who_test_the_same_wait_for_one_test(database):
    async with house(database) as (tunnel, endpoints, keeper):
        (one,) = await add(endpoints, file(1))
        async with asyncio.TaskGroup() as group:
            tests = [group.create_task(tunnel.test(one)) for _ in range(3)]
        assert len({test.result().detail for test in tests}) == 1
        assert sum(type(command).__name__ == "Test" for command in keeper.commands) == 1


async def test_a_test_that_is_never_answered_ends(database, monkeypatch):
    monkeypatch.setattr(service, "_TEST_WITHIN", 0.05)
    async with house(database) as (tunnel, endpoints, keeper):
        (one,) = await add(endpoints, file(1))
        keeper.answers = False
        with pytest.raises(UntestedError):
            await tunnel.test(one)
        keeper.answers = True
        assert (await tunnel.test(one)).egress


async def test_what_is_not_there_is_neither_switched_to_nor_tested(database):
    async with house(database) as (tunnel, endpoints, _):
        for ask in (tunnel.switch, tunnel.test):
            with pytest.raises(NoLadderError, match="Import a WireGuard file"):
                await ask()
        await add(endpoints, file(1))
        for ask in (tunnel.switch, tunnel.test):
            with pytest.raises(NoEndpointError):
                await ask(EndpointId("stranger"))


async def test_no_key_is_in_a_log_or_in_what_is_printed(database, caplog):
    caplog.set_level(logging.DEBUG)
    given = {"providers": {"nordvpn": FakeProvider(spec(9))}}
    async with house(database, **given) as (tunnel, endpoints, keeper):
        await add(endpoints, file(1))
        await endpoints.add_account("nordvpn", NORDVPN)
        await endpoints.refresh()
        await said(tunnel, keeper, "up", endpoint_id=keeper.ladder[0].id)
        await tunnel.test()
        previews = await endpoints.preview([file(1)])
        printed = f"{endpoints.rungs()}{tunnel.view()}{keeper.ladder}{previews}{caplog.text}"
        assert "server-1" in printed
        assert not any(secret in printed for secret in SECRETS)


# --- without one ----------------------------------------------------------------------------------


async def test_a_house_without_a_tunnel_says_so_and_refuses_the_rest():
    tunnel = NoTunnel()
    view = tunnel.view()
    assert (view.mode, view.state, tunnel.up, tunnel.ipv6) == ("off", "off", True, True)
    assert "the swarm sees the address of this machine" in view.reason
    network = await anext(tunnel.network_changes())
    assert (network.up, network.gateway) == (True, None)
    tunnel.set_activity("streaming")
    tunnel.set_exit_ip("203.0.113.9")
    tunnel.set_port(1)
    assert tunnel.view() == view
    assert tunnel.endpoint_id is None
    assert tunnel.statistics().switches == {}
    for ask in (tunnel.switch, tunnel.test):
        with pytest.raises(TunnelOffError):
            await ask()
    async with tunnel.changes() as views:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(views)
