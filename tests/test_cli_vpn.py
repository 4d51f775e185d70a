"""`miauflixd vpn` against a running web server: what a person reads, and the exit status."""

import asyncio
import io
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from miauflixd import cli
from miauflixd.config import loading
from miauflixd.database.database import Database
from miauflixd.remote import client, vpn_text
from miauflixd.runtime.secrets import Secret
from miauflixd.tunnel.model import Credentials
from miauflixd.tunnel.providers.provider import ProviderRefusedError
from miauflixd.tunnel.service import Tunnel
from tests.running import until
from tests.tunnel_fakes import (
    SECRETS,
    TOKEN,
    FakeKeeper,
    FakeProvider,
    conf,
    file,
    open_endpoints,
    spec,
    write_files,
)
from tests.web_house import open_web


class Terminal(io.StringIO):
    """A person who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch, tmp_path):
    """Keep away what the machine that runs the tests has set."""
    for name in [*os.environ]:
        if name.startswith("MIAUFLIX_") or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)
    monkeypatch.setattr(loading, "DEFAULT_FILE", tmp_path / "etc" / "miauflixd.toml")


@pytest.fixture
def keeper():
    return FakeKeeper()


@pytest.fixture
def provider():
    return FakeProvider(spec(11), spec(12))


@pytest.fixture
async def endpoints(tmp_path, provider):
    async with Database.open(tmp_path / "house.sqlite3") as database:
        yield await open_endpoints(database, providers={"nordvpn": provider, "mullvad": provider})


@pytest.fixture
async def tunnel(endpoints, keeper):
    tunnel = Tunnel(keeper=keeper, ladder=endpoints)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run()) for one in (tunnel, endpoints)]
        yield tunnel
        for task in tasks:
            task.cancel()


@pytest.fixture
def control_socket(tmp_path, monkeypatch):
    """Let daemon and command agree on a place."""
    path = tmp_path / "control.sock"
    monkeypatch.setenv("MIAUFLIX_WEB_CONTROL_SOCKET", str(path))
    return path


@pytest.fixture
async def daemon(tunnel, endpoints, control_socket, tmp_path):
    folder = tmp_path / "household"
    folder.mkdir()
    async with open_web(
        folder, tunnel=tunnel, endpoints=endpoints, control_socket=control_socket
    ) as web:
        yield web.url


@pytest.fixture
def run(capsys):
    async def run(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(cli.main, ["vpn", *arguments])
        printed = capsys.readouterr()
        assert not any(secret in printed.out + printed.err for secret in SECRETS)
        return status, printed.out, printed.err

    return run


@pytest.fixture
async def two(endpoints, keeper, tunnel):
    """Have two endpoints, the first of them in use."""
    await endpoints.add_files([file(1), file(2)])
    await until(lambda: len(keeper.ladder) == 2, "the ladder is handed over")
    keeper.connect(standby=keeper.standby(keeper.ladder[1].id))
    await keeper.heard()
    return [endpoint.id for endpoint in keeper.ladder]


# --- status ---------------------------------------------------------------------------------------


async def test_the_status_says_what_since_when_why_and_what_next(daemon, run, two, tunnel, keeper):
    tunnel.set_exit_ip("203.0.113.9")
    tunnel.set_port(40000)
    status, out, _ = await run("status")
    lines = out.splitlines()
    assert status == 0
    assert lines[0].startswith("Tunnel    up, for ")
    assert lines[1:6] == [
        "Why       It is up.",
        "Next      Nothing.",
        "Endpoint  server-1, handshake 3 s ago, seen as 203.0.113.9, port 40000 forwarded",
        "Standby   server-2, answers",
        "Traffic   1000 bytes received, 500 bytes sent",
    ]
    assert lines[6:8] == ["", "Last changes"]
    assert lines[8].endswith("  down -> up: It is up.")


async def test_the_status_is_there_for_programs_too(daemon, run, two):
    status, out, _ = await run("status", "--json")
    assert (status, json.loads(out)["state"]) == (0, "up")


async def test_without_a_tunnel_the_status_says_so(tmp_path, control_socket, run):
    async with open_web(tmp_path, control_socket=control_socket):
        _, out, _ = await run("status")
        assert out.startswith("Tunnel    off, for ")
        assert "Traffic" not in out
        status, _, err = await run("switch")
        assert status == 1
        assert err.startswith("miauflixd: The settings say vpn.mode")


@pytest.mark.parametrize("action", ["status", "list", "switch", "test"])
async def test_a_daemon_that_does_not_run_is_said_to(control_socket, run, action):
    status, out, err = await run(action)
    assert (status, out) == (1, "")
    assert err == (
        f"miauflixd: miauflixd does not answer at {control_socket} (web.control_socket). "
        "Is it running? `systemctl status miauflixd` tells\n"
    )


async def test_a_web_port_is_no_way_in_without_an_account(daemon, run, monkeypatch):
    monkeypatch.delenv("MIAUFLIX_WEB_CONTROL_SOCKET")
    monkeypatch.setenv("MIAUFLIX_WEB_PORT", daemon.rpartition(":")[2])
    monkeypatch.setattr(client, "CONTROL_SOCKET", Path("/nonexistent/control.sock"))
    status, _, err = await run("status")
    assert status == 1
    assert "does not answer at /nonexistent/control.sock" in err


async def test_something_else_that_answers_is_not_taken_for_it(control_socket, run):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        writer.close()

    async with await asyncio.start_unix_server(answer, control_socket):
        status, _, err = await run("status")
    assert (status, err) == (1, "miauflixd: What answers there is not miauflixd\n")


# --- the ladder -----------------------------------------------------------------------------------


async def test_the_list_is_the_ladder(daemon, run, two, endpoints, provider):
    provider.servers_now = (spec(11, port_forwarding=True),)
    account = await endpoints.add_account("nordvpn", Credentials(token=Secret(TOKEN)))
    status, out, _ = await run("list")
    assert status == 0
    assert out.splitlines() == [
        f"  1. server-1, 198.51.100.1:51820, in use  [{two[0]}]",
        f"  2. server-2, 198.51.100.2:51820  [{two[1]}]",
        f"  3. NordVPN, 1 server  [{account.id}]",
        f"       Server 11 (SE), 198.51.100.11:51820, forwards ports  [{account.servers[0].id}]",
    ]


async def test_an_empty_ladder_says_how_to_fill_it(daemon, run):
    status, out, _ = await run("list")
    assert status == 0
    assert "`miauflixd vpn import FILE`" in out


async def test_what_is_removed_is_named_by_name_or_id(daemon, run, two):
    assert (await run("remove", "SERVER-1"))[0] == 0
    assert (await run("remove", two[1]))[0] == 0
    status, _, err = await run("remove", "server-1")
    assert (status, err) == (
        1,
        "miauflixd: No endpoint is called 'server-1'; `miauflixd vpn list` names them\n",
    )


async def test_a_name_that_could_be_several_is_asked_back(daemon, run, two):
    status, _, err = await run("switch", "server")
    assert status == 1
    assert f"'server' could be 2 of them: server-1 ({two[0]}), server-2 ({two[1]})" in err


async def test_a_long_ladder_is_listed_to_its_end(daemon, run, endpoints):
    await endpoints.add_files([file(number) for number in range(1, 231)])
    _, out, _ = await run("list", "--json")
    assert len(json.loads(out)) == 230


# --- switching and testing ------------------------------------------------------------------------


async def test_a_switch_is_begun(daemon, run, two, keeper, tunnel):
    status, out, _ = await run("switch", "server-2")
    assert status == 0
    assert "`miauflixd vpn status` tells how it goes on" in out
    await keeper.heard()
    assert tunnel.endpoint_id == two[1]


async def test_a_test_says_what_works(daemon, run, two, keeper):
    status, out, _ = await run("test")
    assert status == 0
    assert out.splitlines() == [
        "Endpoint   server-1",
        "Handshake  after 30 ms",
        "Internet   answers",
        "Names      resolve",
        "Verdict    It works.",
    ]
    keeper.dead = {two[1]}
    status, out, _ = await run("test", "server-2")
    assert status == 1
    assert "Handshake  none" in out


async def test_nothing_to_switch_to_is_said(daemon, run):
    status, _, err = await run("switch")
    assert (status, "There is no endpoint yet" in err) == (1, True)


# --- importing ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    folder = write_files(tmp_path / "files", 1, 2)
    text = conf(3).replace("[Peer]", "PostUp = reboot\n[Peer]")
    (folder / "hooked.conf").write_text(text)
    (folder / "broken.conf").write_text(conf(4).replace("51820", "0"))
    (folder / "twice.conf").write_text(conf(1))
    return folder


async def test_files_are_shown_before_they_are_imported(
    daemon, run, folder, monkeypatch, endpoints
):
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    files = [str(folder / name) for name in ("hooked.conf", "broken.conf", "server-1.conf")]
    status, out, _ = await run("import", *files, str(folder / "twice.conf"))
    assert status == 1
    assert "hooked.conf: hooked" in out
    assert "    uses     Endpoint = 198.51.100.3:51820" in out
    assert "    ignores  PostUp (line 5): " in out
    assert "broken.conf:9: refused. " in out
    assert "twice.conf: left out. It is the same server as server-1.conf" in out
    assert "Import 2 of these? [y/N]" in out
    assert endpoints.rungs() == []
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    status, out, _ = await run("import", *files)
    assert status == 0
    assert "Imported: 2" in out
    assert [rung.name for rung in endpoints.rungs()] == ["hooked", "server-1"]


async def test_yes_asks_nothing(daemon, run, folder, endpoints):
    status, _, _ = await run("import", "--yes", str(folder / "server-1.conf"))
    assert (status, len(endpoints.rungs())) == (0, 1)


async def test_nobody_there_to_ask_is_no_agreement(daemon, run, folder, monkeypatch, endpoints):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    status, _, err = await run("import", str(folder / "server-1.conf"))
    assert (status, endpoints.rungs()) == (1, [])
    assert "say --yes" in err


async def test_files_of_which_none_can_be_used_import_nothing(daemon, run, folder, endpoints):
    status, out, _ = await run("import", "--yes", str(folder / "broken.conf"))
    assert (status, endpoints.rungs()) == (1, [])
    assert out.startswith("broken.conf:9: refused. ")


async def test_a_file_that_is_not_there_is_named(daemon, run, tmp_path):
    status, _, err = await run("import", "--yes", str(tmp_path / "nothing.conf"))
    assert status == 1
    assert err.endswith("nothing.conf cannot be read: No such file or directory\n")


async def test_a_token_is_read_and_never_an_argument(daemon, run, monkeypatch, endpoints):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{TOKEN}\n"))
    status, out, _ = await run("import", "--nordvpn")
    assert status == 0
    assert "NordVPN, 2 servers" in out
    assert len(endpoints.rungs()) == 1
    with pytest.raises(SystemExit):
        await run("import", "--nordvpn=token")


async def test_a_persons_token_is_not_shown_while_it_is_typed(daemon, run, monkeypatch):
    asked: list[str] = []

    def typed(prompt: str) -> str:
        asked.append(prompt)
        return "1234"

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", typed)
    assert (await run("import", "--mullvad"))[0] == 0
    assert asked == ["Number of the Mullvad account: "]


async def test_what_the_provider_says_is_passed_on(daemon, run, monkeypatch, provider):
    provider.trouble = ProviderRefusedError("NordVPN does not accept it")
    monkeypatch.setattr(sys, "stdin", io.StringIO(TOKEN))
    status, _, err = await run("import", "--nordvpn")
    assert (status, err) == (1, "miauflixd: NordVPN does not accept it\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import"], "Which files?"),
        (["import", "--nordvpn", "a.conf"], "Either an account or files"),
    ],
)
async def test_what_is_unclear_is_asked_back(daemon, run, arguments, message):
    status, _, err = await run(*arguments)
    assert status == 1
    assert message in err


@pytest.mark.parametrize(
    "wrong",
    [["vpn"], ["vpn", "fly"], ["vpn", "remove"], ["vpn", "import", "--nordvpn", "--mullvad"]],
)
def test_wrong_usage_is_explained(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(wrong)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: miauflixd vpn")


def test_wrong_settings_have_their_own_status(monkeypatch, capsys):
    monkeypatch.setenv("MIAUFLIX_WEB_PORT", "many")
    assert cli.main(["vpn", "status"]) == 78


# --- words ----------------------------------------------------------------------------------------


async def test_no_name_writes_to_the_terminal_what_it_likes(daemon, run, two, keeper):
    keeper.tell("up", reason="Fine\x1b[2J\x07 says the server")
    await keeper.heard()
    _, out, _ = await run("status")
    assert "Fine?[2J? says the server" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3700, "1 h 1 min"), (90000, "1 d 1 h"), (-5, "0 s")],
)
def test_times_are_said_as_people_say_them(seconds, words):
    since = datetime(2024, 1, 1, tzinfo=UTC)
    view: dict[str, Any] = {
        "state": "uplink_down",
        "mode": "required",
        "reason": "",
        "next": "",
        "endpoint": None,
        "standby": None,
        "history": [],
        "rx": 3 * 2**30,
        "tx": 1536,
        "since": since.isoformat(),
    }
    now = datetime.fromtimestamp(since.timestamp() + seconds, UTC)
    text = vpn_text.status(view, now=now)
    assert text.startswith(f"Tunnel    uplink down, for {words}\n")
    assert text.endswith("Traffic   3.0 GiB received, 1.5 KiB sent")
