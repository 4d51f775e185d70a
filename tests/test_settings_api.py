"""Settings that are changed while the daemon runs, and what the next start makes of them."""

from typing import Any

import pytest

from miauflixd.config.leaves import LEAVES
from miauflixd.config.preferences import AT_ONCE, AT_RESTART, Preferences
from miauflixd.config.preferences_store import PreferenceStore
from miauflixd.config.settings import Config
from miauflixd.database.database import Database
from miauflixd.runtime.secrets import Secret
from miauflixd.runtime.services import running
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.tunnel.model import Credentials
from miauflixd.tunnel.settings import TunnelSettings
from miauflixd.vault.sealing import Sealer
from tests.running import KIB, house, seeded, until
from tests.tunnel_fakes import FakeProvider, open_endpoints, spec
from tests.web_house import MASTER_KEY, open_web

TOKEN = "the token of an account"


@pytest.fixture
async def web(tmp_path):
    async with open_web(tmp_path) as web:
        yield web


@pytest.fixture
async def admin(web):
    return await web.token_of(await web.admin())


async def put(web, admin: str, **values: Any) -> Any:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return await web.ask("PUT", "/api/settings", {"values": named}, token=admin)


async def setting(web, admin: str, name: str) -> dict[str, Any]:
    answer = await web.ask("GET", "/api/settings", token=admin)
    (found,) = [one for one in answer.body["items"] if one["name"] == name]
    return dict(found)


async def test_a_setting_is_changed_and_taken_back(web, admin):
    heard: list[TorrentsSettings] = []
    web.preferences.on_change("torrents", heard.append)
    answer = await put(web, admin, torrents__download_rate=5_000_000)
    assert answer.status == 200
    told = await setting(web, admin, "torrents.download_rate")
    assert (told["value"], told["default"], told["source"]) == (5_000_000, 0, "run_time")
    assert (told["takes_effect"], told["needs_restart"]) == ("at_once", False)
    await put(web, admin, torrents__download_rate=None)
    assert (await setting(web, admin, "torrents.download_rate"))["source"] == "default"
    assert [one.download_rate for one in heard] == [5_000_000, 0]


async def test_what_needs_a_restart_says_so(web, admin):
    answer = await put(web, admin, torrents__dht=False)
    assert answer.body["restart_needed"] is True
    assert (await setting(web, admin, "torrents.dht"))["needs_restart"] is True
    assert (await put(web, admin, torrents__dht=None)).body["restart_needed"] is False


async def test_a_secret_goes_in_and_never_comes_out(web, admin, tmp_path):
    answer = await put(web, admin, vpn__nordvpn_token=TOKEN)
    assert answer.status == 200
    assert TOKEN not in str(answer.body)
    told = await setting(web, admin, "vpn.nordvpn_token")
    assert (told["value"], told["has_value"], told["secret"]) == (None, True, True)
    for file in tmp_path.glob("house.sqlite3*"):
        assert TOKEN.encode() not in file.read_bytes()


async def test_all_that_is_wrong_is_said_and_nothing_is_changed(web, admin):
    answer = await put(
        web,
        admin,
        torrents__connections=1,
        torrents__upload_rate=1000,
        vpn__country="Sweden",
        web__port=80,
        no__such=1,
    )
    assert answer.status == 422
    assert set(answer.fields) == {
        *("values.torrents.connections", "values.vpn.country", "values.web.port"),
        "values.no.such",
    }
    assert (await setting(web, admin, "torrents.upload_rate"))["source"] == "default"


async def test_settings_have_to_go_together(web, admin):
    alone = await put(web, admin, vpn__city="Stockholm")
    assert (alone.status, alone.fields) == (422, ["values.vpn.city"])
    both = await put(web, admin, vpn__country="se", vpn__city="Stockholm")
    assert both.status == 200
    without = await put(web, admin, vpn__country=None)
    assert (without.status, without.fields) == (422, ["values.vpn.country"])
    short = await put(web, admin, auth__chain_lifetime=3600)
    assert short.fields == ["values.auth.chain_lifetime"]


async def test_a_wrong_secret_is_not_repeated(web, admin):
    answer = await put(web, admin, vpn__nordvpn_token=" ")
    assert (answer.status, answer.fields) == (422, ["values.vpn.nordvpn_token"])


async def test_the_change_is_written_down_by_name_without_values(web, admin):
    await put(web, admin, vpn__nordvpn_token=TOKEN, torrents__upload_rate=123_456)
    told = await web.ask("GET", "/api/audit?type=settings_changed", token=admin)
    (entry,) = told.body["items"]
    assert entry["user_id"] == (await web.admin()).id
    assert entry["details"] == {"changed": "torrents.upload_rate, vpn.nordvpn_token"}


async def test_fewer_devices_count_from_the_next_sign_in_on(web, admin):
    ben = await web.add("ben")
    await put(web, admin, auth__max_devices=1)
    first = await web.token_of(ben)
    second = await web.token_of(ben)
    gone = await web.ask("GET", "/api/me", token=first)
    assert (gone.status, gone.code) == (401, "session_superseded")
    assert (await web.ask("GET", "/api/me", token=second)).status == 200


# --- the next start -------------------------------------------------------------------------------


async def test_what_was_set_wins_over_the_file_at_the_next_start(tmp_path):
    file = Config(torrents=TorrentsSettings(upload_rate=1, connections=50))
    async with open_web(tmp_path, config=file) as web:
        admin = await web.token_of(await web.admin())
        await put(
            web, admin, torrents__upload_rate=2, vpn__nordvpn_token=TOKEN, torrents__dht=False
        )
    async with open_web(tmp_path, config=file) as web:
        config = web.preferences.config
        assert (config.torrents.upload_rate, config.torrents.connections) == (2, 50)
        assert config.torrents.dht is False
        assert config.vpn.nordvpn_token == Secret(TOKEN)
        admin = await web.token_of(await web.admin())
        told = await setting(web, admin, "torrents.connections")
        assert (told["value"], told["source"]) == (50, "file")
        assert (await setting(web, admin, "torrents.dht"))["needs_restart"] is False


async def test_what_makes_no_sense_any_more_does_not_keep_the_house_from_starting(tmp_path, caplog):
    sealer = Sealer(MASTER_KEY)
    async with Database.open(tmp_path / "house.sqlite3") as database:
        store = PreferenceStore(database=database, sealer=sealer)
        await store.change({"torrents.connections": -5, "torrents.gone": 1, "log.level": "debug"})
        preferences = await Preferences.open(file=Config(), store=store)
    assert preferences.config.torrents.connections == 200
    assert preferences.config.log.level == "debug"
    assert "torrents.connections" in caplog.text


def test_every_setting_that_can_change_is_one_that_there_is():
    assert LEAVES.keys() >= AT_ONCE | AT_RESTART
    assert not AT_ONCE & AT_RESTART


# --- the parts that own them ----------------------------------------------------------------------


async def test_servers_are_looked_for_in_another_country_at_once(tmp_path):
    provider = FakeProvider(spec(11))
    async with Database.open(tmp_path / "tunnel.sqlite3") as database:
        endpoints = await open_endpoints(database, providers={"nordvpn": provider})
        async with running("endpoints", endpoints.run):
            await endpoints.add_account("nordvpn", Credentials(token=Secret(TOKEN)))
            assert provider.wanted == (None, None)
            endpoints.configure(TunnelSettings(country="se", city="Stockholm"))
            await until(lambda: provider.wanted == ("se", "Stockholm"), "it asks anew")


@pytest.mark.daemon
@pytest.mark.swarm
async def test_a_daemon_goes_on_with_other_limits_and_starts_with_them(tmp_path):
    values = {"torrents.download_rate": 50_000_000, "torrents.no_data_timeout": 20.5}
    async with seeded(tmp_path, size=300 * KIB) as (content, torrent, _):
        async with house(tmp_path) as home:
            path = f"{home.url}/api/settings"
            async with home.session.put(path, json={"values": values}) as answer:
                assert (answer.status, (await answer.json())["restart_needed"]) == (200, True)
            assert await home.read(await home.add(torrent)) == content
        async with house(tmp_path) as home:
            async with home.session.get(f"{home.url}/api/settings") as answer:
                told = {one["name"]: one for one in (await answer.json())["items"]}
            assert {name: told[name]["value"] for name in values} == values
            assert not any(one["needs_restart"] for one in told.values())
