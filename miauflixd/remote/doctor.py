"""`miauflixd doctor`: what is wrong with this machine, from the command line."""

import argparse
import os
from collections.abc import Mapping
from typing import Any

from miauflixd.config.loading import load
from miauflixd.remote.client import Client, NotRunningError
from miauflixd.remote.terminal import show

_STATUS: Mapping[str, int] = {"ok": 0, "warning": 1, "error": 2}


def run(parsed: argparse.Namespace) -> int:
    """Show what was looked at; return 0, 1 when something could be better, 2 when it does not work.

    Raises:
        MiauflixdError: the daemon does not say; the message says why.
    """
    client = Client(load(parsed.config, os.environ).config.web)
    try:
        found = client.get("/api/doctor")
    except NotRunningError as error:
        found = {"checks": [_not_running(error)]}
    show(parsed, found, in_words)
    return max((_STATUS[check["state"]] for check in found["checks"]), default=0)


def in_words(found: Mapping[str, Any]) -> str:
    """Return what was looked at, and what somebody can do."""
    lines = []
    for check in found["checks"]:
        lines.append(f"{check['state']:8} {check['id']:18} {check['message']}")
        if check["suggestion"] and check["state"] != "ok":
            lines.append(f"{'':27} {check['suggestion']}")
    return "\n".join(lines)


def _not_running(error: NotRunningError) -> Mapping[str, str]:
    return {"id": "daemon", "state": "error", "message": str(error), "suggestion": ""}
