"""`miauflixd tasks`: what is done by itself, from the command line."""

import argparse
import os
from urllib.parse import quote

from miauflixd.config.loading import load
from miauflixd.remote import tasks_text
from miauflixd.remote.client import Client
from miauflixd.remote.terminal import show


def run(parsed: argparse.Namespace) -> int:
    """Run one of the commands and return the exit status.

    Raises:
        MiauflixdError: it did not work; the message says why.
    """
    client = Client(load(parsed.config, os.environ).config.web)
    if parsed.action == "run":
        name = quote(parsed.name, safe="")
        show(parsed, client.post(f"/api/tasks/{name}/run"), tasks_text.started)
    else:
        show(parsed, client.all("/api/tasks"), tasks_text.timetable)
    return 0
