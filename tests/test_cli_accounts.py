"""`miauflixd setup`, `user`, `keys` and `audit` against a running web server."""

import asyncio
import io
import json
import os
import sys

import pytest

from miauflixd import cli
from miauflixd.config import loading
from tests.web_house import PASSWORD, open_web


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
async def web(tmp_path, monkeypatch):
    monkeypatch.setenv("MIAUFLIX_WEB_CONTROL_SOCKET", str(tmp_path / "control.sock"))
    async with open_web(tmp_path) as web:
        yield web


@pytest.fixture
def run(capsys, monkeypatch):
    async def run(*arguments: str, said: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        status = await asyncio.to_thread(cli.main, arguments)
        printed = capsys.readouterr()
        assert PASSWORD not in printed.out + printed.err
        return status, printed.out, printed.err

    return run


# --- setup ----------------------------------------------------------------------------------------


async def test_the_code_that_setup_shows_makes_the_first_account(web, run):
    status, out, _ = await run("setup")
    assert status == 0
    code = out.splitlines()[0].removeprefix("Setup code  ")
    body = {
        "setup_code": code,
        "email": "anna@example.org",
        "password": PASSWORD,
        "display_name": "Anna",
    }
    assert (await web.ask("POST", "/api/setup", body)).status == 201
    status, out, _ = await run("setup")
    assert status == 0
    assert out.startswith("There are users already")
    assert json.loads((await run("setup", "--json"))[1]) == {"setup_required": False}


async def test_without_a_daemon_there_is_nothing_to_set_up(run, tmp_path, monkeypatch):
    monkeypatch.setenv("MIAUFLIX_WEB_CONTROL_SOCKET", str(tmp_path / "nobody.sock"))
    status, out, err = await run("setup")
    assert (status, out) == (1, "")
    assert "Is it running?" in err


# --- users ----------------------------------------------------------------------------------------


async def test_somebody_is_added_with_a_password_from_standard_input(web, run):
    status, out, _ = await run(
        *("user", "add", "anna@example.org", "--admin", "--name", "Anna"), said=f"{PASSWORD}\n"
    )
    assert (status, out) == (0, "Added anna@example.org, admin\n")
    login = {"email": "anna@example.org", "password": PASSWORD}
    answer = await web.ask("POST", "/api/auth/login", login)
    assert (answer.status, answer.body["user"]["display_name"]) == (200, "Anna")


async def test_a_person_types_the_password_twice_and_unseen(web, monkeypatch):
    typed = iter([PASSWORD, PASSWORD, PASSWORD, "another one"])
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return next(typed)

    monkeypatch.setattr("getpass.getpass", answer)
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert await asyncio.to_thread(cli.main, ["user", "add", "anna@example.org", "--admin"]) == 0
    assert asked == [
        "Password of anna@example.org: ",
        "Password of anna@example.org, once more: ",
    ]
    assert await asyncio.to_thread(cli.main, ["user", "add", "ben@example.org"]) == 1


def test_a_password_is_never_an_argument(capsys):
    for wrong in (["user", "add", "a@example.org", "--password", "x"], ["user", "password"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(wrong)
        assert caught.value.code == 2
        assert "usage: miauflixd" in capsys.readouterr().err


async def test_a_bad_password_is_refused_in_words(web, run):
    status, _, err = await run("user", "add", "anna@example.org", "--admin", said="password1\n")
    assert status == 1
    assert "among the first that somebody would try" in err


async def test_everybody_is_listed_with_what_they_may(web, run):
    ben = await web.add("ben")
    await run("user", "disable", "ben@example.org")
    _, out, _ = await run("user", "list")
    assert "anna@example.org  Anna (admin)" in out
    assert f"ben@example.org  Ben (user, disabled)  [{ben.id}]" in out
    listed = json.loads((await run("user", "list", "--json"))[1])
    assert {one["email"] for one in listed} == {"anna@example.org", "ben@example.org"}


async def test_nobody_at_all_is_said_so(web, run):
    _, out, _ = await run("user", "list")
    assert out.startswith("Nobody has an account yet")


async def test_who_is_disabled_is_out_until_enabled(web, run):
    ben = await web.add("ben")
    token = await web.token_of(ben)
    assert (await run("user", "disable", "BEN@example.org"))[0] == 0
    assert (await web.ask("GET", "/api/me", token=token)).status == 401
    assert (await run("user", "enable", ben.id))[0] == 0
    assert (await web.token_of(await web.household.accounts.get(ben.id))) != token


async def test_a_forgotten_password_is_replaced(web, run):
    await web.add("ben")
    assert (await run("user", "password", "ben@example.org", said="seven quiet herons\n"))[0] == 0
    login = {"email": "ben@example.org", "password": "seven quiet herons"}
    assert (await web.ask("POST", "/api/auth/login", login)).status == 200


async def test_deleting_asks_first_unless_told_not_to(web, run):
    await web.add("ben")
    status, _, err = await run("user", "delete", "ben@example.org")
    assert status == 1
    assert "say --yes" in err
    assert (await run("user", "delete", "ben@example.org", "--yes"))[0] == 0
    assert "ben@" not in (await run("user", "list"))[1]


async def test_who_is_not_there_is_said_to_be_nobody(web, run):
    status, _, err = await run("user", "disable", "eve@example.org")
    assert status == 1
    assert "Nobody here is 'eve@example.org'" in err


# --- keys -----------------------------------------------------------------------------------------


async def test_a_key_is_made_listed_and_revoked(web, run):
    await web.add("ben")
    status, out, _ = await run(
        *("keys", "create", "stremio", "--user", "ben@example.org", "--name", "Living room")
    )
    assert status == 0
    key = out.splitlines()[0].removeprefix("Key  ")
    assert key.startswith("mfx_stremio_")
    _, listed, _ = await run("keys", "list")
    assert "ben@example.org: Living room, never used" in listed
    assert key not in listed
    key_id = listed.split()[0]
    assert (await run("keys", "revoke", key_id))[1] == f"Revoked {key_id}\n"
    assert (await run("keys", "list"))[1].startswith("There are no keys")
    assert (await run("keys", "revoke", key_id))[0] == 1


# --- the audit ------------------------------------------------------------------------------------


async def test_the_audit_names_people_and_is_filtered(web, run):
    await web.add("ben")
    wrong = {"email": "ben@example.org", "password": "something else"}
    await web.ask("POST", "/api/auth/login", wrong)
    _, out, _ = await run("audit")
    assert "sign in failed  by ben@example.org  from 127.0.0.1" in out
    assert "user created" in out
    _, failed, _ = await run("audit", "--type", "sign_in_failed", "--user", "ben@example.org")
    assert len(failed.splitlines()) == 1
    _, none, _ = await run("audit", "--since", "2099-01-01")
    assert none == "Nothing of that kind is written down\n"
    told = json.loads((await run("audit", "--limit", "1", "--json"))[1])
    assert len(told) == 1
    status, _, err = await run("audit", "--type", "gossip")
    assert status == 1
    assert "gossip" in err or "type" in err


def test_a_time_that_is_none_is_said_to_be(capsys):
    with pytest.raises(SystemExit):
        cli.main(["audit", "--since", "yesterday"])
    assert "is no time such as" in capsys.readouterr().err
