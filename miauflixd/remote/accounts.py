"""`miauflixd setup`, `user`, `keys` and `audit`: the household from the command line."""

import argparse
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from miauflixd.config.loading import load
from miauflixd.errors import InvalidInputError
from miauflixd.remote import accounts_text
from miauflixd.remote.client import Client
from miauflixd.remote.terminal import agreed, new_password, show

_USERS = "/api/users"
_KEYS = "/api/keys"
_AUDIT = "/api/audit"

Command = Callable[[Client, argparse.Namespace], int]


def setup(parsed: argparse.Namespace) -> int:
    """Show the setup code, or say that it is not needed any more; return the exit status.

    Raises:
        MiauflixdError: it did not work; the message says why.
    """
    client = _client(parsed)
    if not client.get("/api/server")["setup_required"]:
        show(parsed, {"setup_required": False}, accounts_text.already_set_up)
        return 0
    show(parsed, client.post("/api/setup/code"), accounts_text.setup_code)
    return 0


def user(parsed: argparse.Namespace) -> int:
    """Run one of the commands about users; as `setup` otherwise."""
    return _USER_COMMANDS[parsed.action](_client(parsed), parsed)


def keys(parsed: argparse.Namespace) -> int:
    """Run one of the commands about keys; as `setup` otherwise."""
    return _KEY_COMMANDS[parsed.action](_client(parsed), parsed)


def audit(parsed: argparse.Namespace) -> int:
    """Show what was done by whom, the latest first; as `setup` otherwise."""
    client = _client(parsed)
    people = client.all(_USERS)
    parameters = {"limit": str(parsed.limit)}
    if parsed.type is not None:
        parameters["type"] = parsed.type
    if parsed.user is not None:
        parameters["user"] = _found(people, parsed.user)["id"]
    if parsed.since is not None:
        parameters["since"] = parsed.since.isoformat().replace("+00:00", "Z")
    found = client.get(f"{_AUDIT}?{urlencode(parameters)}")["items"]
    names = {one["id"]: one["email"] for one in people}
    show(parsed, found, lambda entries: accounts_text.diary(entries, names))
    return 0


def _client(parsed: argparse.Namespace) -> Client:
    return Client(load(parsed.config, os.environ).config.web)


# --- users ----------------------------------------------------------------------------------------


def _list_users(client: Client, parsed: argparse.Namespace) -> int:
    show(parsed, client.all(_USERS), accounts_text.people)
    return 0


def _add_user(client: Client, parsed: argparse.Namespace) -> int:
    body: dict[str, Any] = {
        "email": parsed.email,
        "display_name": parsed.name or parsed.email.partition("@")[0],
        "role": "admin" if parsed.admin else "user",
    }
    if parsed.max_rating is not None:
        body["max_rating"] = parsed.max_rating
    body["password"] = new_password(f"Password of {parsed.email}")
    show(parsed, client.post(_USERS, body), lambda one: f"Added {one['email']}, {one['role']}")
    return 0


def _set_password(client: Client, parsed: argparse.Namespace) -> int:
    found = _user(client, parsed)
    body = {"password": new_password(f"New password of {found['email']}")}
    show(
        parsed,
        client.patch(_path(found), body),
        lambda one: f"{one['email']} has the new password, and is signed out everywhere",
    )
    return 0


def _enable(client: Client, parsed: argparse.Namespace) -> int:
    changed = client.patch(_path(_user(client, parsed)), {"disabled": False})
    show(parsed, changed, lambda one: f"{one['email']} can sign in again")
    return 0


def _disable(client: Client, parsed: argparse.Namespace) -> int:
    changed = client.patch(_path(_user(client, parsed)), {"disabled": True})
    show(parsed, changed, lambda one: f"{one['email']} is signed out, and cannot sign in")
    return 0


def _delete_user(client: Client, parsed: argparse.Namespace) -> int:
    found = _user(client, parsed)
    if not parsed.yes and not agreed(f"Delete {found['email']}, with all that is theirs?"):
        return 1
    client.delete(_path(found))
    show(parsed, found, lambda one: f"Deleted {one['email']}")
    return 0


_USER_COMMANDS: Mapping[str, Command] = {
    "list": _list_users,
    "add": _add_user,
    "password": _set_password,
    "enable": _enable,
    "disable": _disable,
    "delete": _delete_user,
}


def _user(client: Client, parsed: argparse.Namespace) -> dict[str, Any]:
    return _found(client.all(_USERS), parsed.user)


def _found(people: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """Return whoever has this e-mail address or id.

    Raises:
        InvalidInputError: nobody has.
    """
    for one in people:
        if wanted == one["id"] or wanted.casefold() == one["email"].casefold():
            return one
    raise InvalidInputError(f"Nobody here is {wanted!r}; `miauflixd user list` names everybody")


def _path(found: Mapping[str, Any]) -> str:
    return f"{_USERS}/{quote(found['id'], safe='')}"


# --- keys -----------------------------------------------------------------------------------------


def _list_keys(client: Client, parsed: argparse.Namespace) -> int:
    names = {one["id"]: one["email"] for one in client.all(_USERS)}
    show(parsed, client.all(_KEYS), lambda found: accounts_text.keys(found, names))
    return 0


def _create_key(client: Client, parsed: argparse.Namespace) -> int:
    owner = _user(client, parsed)
    body = {"purpose": parsed.purpose, "name": parsed.name, "user_id": owner["id"]}
    show(parsed, client.post(_KEYS, body), accounts_text.created_key)
    return 0


def _revoke_key(client: Client, parsed: argparse.Namespace) -> int:
    client.delete(f"{_KEYS}/{quote(parsed.id, safe='')}")
    show(parsed, {"id": parsed.id, "revoked": True}, lambda one: f"Revoked {one['id']}")
    return 0


_KEY_COMMANDS: Mapping[str, Command] = {
    "list": _list_keys,
    "create": _create_key,
    "revoke": _revoke_key,
}
