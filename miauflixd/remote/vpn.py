"""`miauflixd vpn`: the tunnel from the command line."""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from miauflixd.config.loading import load
from miauflixd.errors import InvalidInputError
from miauflixd.remote import vpn_text
from miauflixd.remote.client import Client

_ENDPOINTS = "/api/vpn/endpoints"
_SECRET_LIMIT = 4096
"""Characters of a token on standard input; a real one has 64."""


def run(parsed: argparse.Namespace) -> int:
    """Run one of the commands and return the exit status.

    Raises:
        MiauflixdError: it did not work; the message says why.
    """
    client = Client(load(parsed.config, os.environ).config.web)
    command: Callable[[Client, argparse.Namespace], int] = _COMMANDS[parsed.action]
    return command(client, parsed)


def _status(client: Client, parsed: argparse.Namespace) -> int:
    view = client.get("/api/vpn")
    _show(parsed, view, vpn_text.status)
    return 0


def _test(client: Client, parsed: argparse.Namespace) -> int:
    result = client.post("/api/vpn/test", _choice(client, parsed.endpoint))
    _show(parsed, result, vpn_text.tested)
    return 0 if result["egress"] else 1


def _switch(client: Client, parsed: argparse.Namespace) -> int:
    view = client.post("/api/vpn/switch", _choice(client, parsed.endpoint))
    _show(parsed, view, vpn_text.switching)
    return 0


def _list(client: Client, parsed: argparse.Namespace) -> int:
    rungs = _rungs(client)
    _show(parsed, rungs, vpn_text.ladder)
    return 0


def _remove(client: Client, parsed: argparse.Namespace) -> int:
    client.delete(f"{_ENDPOINTS}/{_found(_rungs(client), parsed.endpoint)['id']}")
    return 0


def _import(client: Client, parsed: argparse.Namespace) -> int:
    if parsed.nordvpn or parsed.mullvad:
        if parsed.files:
            raise InvalidInputError("Either an account or files, not both at once")
        return _import_account(client, parsed)
    if not parsed.files:
        raise InvalidInputError("Which files? Or --nordvpn or --mullvad for an account")
    preview = client.post_files(f"{_ENDPOINTS}?preview=true", parsed.files)
    usable = [one for one in preview["items"] if not one["refused"] and not one["duplicate_of"]]
    if not usable or not parsed.json:
        _show(parsed, preview, vpn_text.preview)
    if not usable:
        return 1
    if not parsed.yes and not _agreed(f"Import {len(usable)} of these?"):
        return 1
    done = client.post_files(_ENDPOINTS, parsed.files)
    _show(parsed, done, lambda _: f"Imported: {len(usable)}")
    return 0


def _import_account(client: Client, parsed: argparse.Namespace) -> int:
    # Never an argument: those are visible to everybody on the machine.
    if parsed.nordvpn:
        body: dict[str, Any] = {"nordvpn_token": _secret("Access token of NordVPN: ")}
    else:
        body = {"mullvad": {"account": _secret("Number of the Mullvad account: ")}}
    _show(parsed, client.post(_ENDPOINTS, body), lambda rung: vpn_text.ladder([rung]))
    return 0


_COMMANDS: dict[str, Callable[[Client, argparse.Namespace], int]] = {
    "status": _status,
    "test": _test,
    "switch": _switch,
    "import": _import,
    "list": _list,
    "remove": _remove,
}


def _show(parsed: argparse.Namespace, answer: Any, text: Callable[[Any], str]) -> None:
    if parsed.json:
        print(json.dumps(answer, indent=2))
        return
    # Names came from files and providers: none of them may write to the terminal what it likes.
    print("".join(char if char.isprintable() or char == "\n" else "?" for char in text(answer)))


def _rungs(client: Client) -> list[dict[str, Any]]:
    rungs: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = client.get(f"{_ENDPOINTS}?limit=200{cursor}")
        rungs += page["items"]
        if page["next_cursor"] is None:
            return rungs
        cursor = f"&cursor={page['next_cursor']}"


def _choice(client: Client, wanted: str | None) -> dict[str, Any]:
    if wanted is None:
        return {}
    rungs = _rungs(client)
    servers = [server for rung in rungs for server in rung["servers"]]
    accounts = [rung for rung in rungs if rung["kind"] == "account"]
    return {"endpoint_id": _found([*servers, *accounts], wanted)["id"]}


def _found(candidates: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """Return whatever has this id, or is the only one whose name has these letters in it.

    Raises:
        InvalidInputError: it is none of them, or could be several.
    """
    for one in candidates:
        if one["id"] == wanted:
            return one
    named = [one for one in candidates if wanted.casefold() in one["name"].casefold()]
    exact = [one for one in named if wanted.casefold() == one["name"].casefold()]
    match exact or named:
        case [one]:
            return one
        case []:
            raise InvalidInputError(
                f"No endpoint is called {wanted!r}; `miauflixd vpn list` names them"
            )
        case several:
            names = ", ".join(f"{one['name']} ({one['id']})" for one in several[:5])
            raise InvalidInputError(f"{wanted!r} could be {len(several)} of them: {names}")


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise InvalidInputError("Nobody is there to ask; say --yes to import without a question")
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def _secret(prompt: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.read(_SECRET_LIMIT).strip()
