"""`miauflixd vault`: the one command of these that needs no daemon."""

import argparse
import os

from miauflixd.config.loading import load
from miauflixd.remote.terminal import say, show
from miauflixd.vault import command


def run(parsed: argparse.Namespace) -> int:
    """Do what the command line says, and return the exit status.

    Raises:
        MiauflixdError: it cannot be done; the message says why.
    """
    config = load(parsed.config, os.environ).config
    storage = config.storage
    match parsed.action:
        case "status":
            found = command.status(storage.path, encryption=storage.encryption)
            show(parsed, found.as_json(), lambda _: found.in_words())
        case "init":
            said = command.init(
                storage.path,
                encryption=storage.encryption,
                sealing_key=storage.sealing_key,
                user=config.service.user,
            )
            say(said)
        case _:
            say(command.lock(storage.path))
    return 0
