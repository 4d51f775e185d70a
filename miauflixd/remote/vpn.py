"""`miauflixd vpn`: the tunnel from the command line."""

import argparse
import os
from collections.abc import Callable
from typing import Any

from miauflixd.config.loading import load
from miauflixd.errors import InvalidInputError
from miauflixd.remote import vpn_text
from miauflixd.remote.client import Client
from miauflixd.remote.terminal import agreed, secret, show

_ENDPOINTS = "/api/vpn/endpoints"


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
    show(parsed, view, vpn_text.status)
    return 0


def _test(client: Client, parsed: argparse.Namespace) -> int:
    result = client.post("/api/vpn/test", _choice(client, parsed.endpoint))
    show(parsed, result, vpn_text.tested)
    return 0 if result["egress"] else 1


def _switch(client: Client, parsed: argparse.Namespace) -> int:
    view = client.post("/api/vpn/switch", _choice(client, parsed.endpoint))
    show(parsed, view, vpn_text.switching)
    return 0


def _list(client: Client, parsed: argparse.Namespace) -> int:
    rungs = _rungs(client)
    show(parsed, rungs, vpn_text.ladder)
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
        show(parsed, preview, vpn_text.preview)
    if not usable:
        return 1
    if not parsed.yes and not agreed(f"Import {len(usable)} of these?"):
        return 1
    done = client.post_files(_ENDPOINTS, parsed.files)
    show(parsed, done, lambda _: f"Imported: {len(usable)}")
    return 0


def _import_account(client: Client, parsed: argparse.Namespace) -> int:
    # Never an argument: those are visible to everybody on the machine.
    if parsed.nordvpn:
        body: dict[str, Any] = {"nordvpn_token": secret("Access token of NordVPN: ")}
    else:
        body = {"mullvad": {"account": secret("Number of the Mullvad account: ")}}
    show(parsed, client.post(_ENDPOINTS, body), lambda rung: vpn_text.ladder([rung]))
    return 0


_COMMANDS: dict[str, Callable[[Client, argparse.Namespace], int]] = {
    "status": _status,
    "test": _test,
    "switch": _switch,
    "import": _import,
    "list": _list,
    "remove": _remove,
}


def _rungs(client: Client) -> list[dict[str, Any]]:
    return client.all(_ENDPOINTS)


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
