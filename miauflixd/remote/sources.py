"""`miauflixd sources`: where titles can be had, and who is asked, from the command line."""

import argparse
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from miauflixd.config.loading import load
from miauflixd.remote import sources_text
from miauflixd.remote.client import Client
from miauflixd.remote.terminal import secret, show

_DIRECTORIES = "/api/directories"

_WELL = frozenset({"ok", "unknown", "off"})


def run(parsed: argparse.Namespace) -> int:
    """Run one of the commands and return the exit status.

    Raises:
        MiauflixdError: it did not work; the message says why.
    """
    client = Client(load(parsed.config, os.environ).config.web)
    command: Callable[[Client, argparse.Namespace], int] = _COMMANDS[parsed.action]
    return command(client, parsed)


def _list(client: Client, parsed: argparse.Namespace) -> int:
    title = quote(parsed.title, safe=":")
    refresh = "?refresh=true" if parsed.refresh else ""
    found = client.get(f"/api/titles/{title}/sources{refresh}")
    show(parsed, found, sources_text.sources)
    return 0 if found["items"] else 1


def _directories(client: Client, parsed: argparse.Namespace) -> int:
    show(parsed, client.get(_DIRECTORIES)["items"], sources_text.directories)
    return 0


def _add(client: Client, parsed: argparse.Namespace) -> int:
    body: dict[str, Any] = {"kind": parsed.kind, "title": parsed.title, "url": parsed.url}
    if parsed.via is not None:
        body["via"] = parsed.via
    if parsed.id is not None:
        body["id"] = parsed.id
    if parsed.category:
        body["categories"] = parsed.category
    if parsed.key:
        # Never an argument: those are visible to everybody on the machine.
        body["api_key"] = secret("API key: ")
    show(parsed, client.post(_DIRECTORIES, body), sources_text.added)
    return 0


def _remove(client: Client, parsed: argparse.Namespace) -> int:
    client.delete(f"{_DIRECTORIES}/{quote(parsed.id, safe='')}")
    return 0


def _check(client: Client, parsed: argparse.Namespace) -> int:
    found = client.post(f"{_DIRECTORIES}/{quote(parsed.id, safe='')}/check")
    show(parsed, found, sources_text.directory)
    return 0 if found["state"] in _WELL else 1


_COMMANDS: dict[str, Callable[[Client, argparse.Namespace], int]] = {
    "list": _list,
    "directories": _directories,
    "add-directory": _add,
    "remove-directory": _remove,
    "check": _check,
}
