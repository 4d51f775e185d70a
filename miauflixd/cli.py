"""The command `miauflixd`.

Each subcommand imports what it needs when it runs, so that a quick one is quick: asyncio, aiohttp
and the database take longer to import than `config check` takes to answer.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from miauflixd import __version__
from miauflixd.errors import InvalidInputError, MiauflixdError, SettingsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit status: 0, 1, 2 for wrong usage, 78 for settings."""
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return os.EX_CONFIG  # the unit has RestartPreventExitStatus=78
    except MiauflixdError as error:
        print(f"miauflixd: {error}", file=sys.stderr)
        return 1


def _run(parsed: argparse.Namespace) -> int:
    from miauflixd.config.loading import load  # noqa: PLC0415 -- slow, see the module's docstring

    loaded = load(parsed.config, os.environ)
    # Only now: bad settings are refused before half of the program is imported.
    from miauflixd.bootstrap import application, give_up_privileges  # noqa: PLC0415 -- as above
    from miauflixd.daemon import run  # noqa: PLC0415 -- as above

    # Here, with one thread and no event loop: privileges belong to a thread.
    keeper = give_up_privileges(loaded.config)
    return run(loaded.config, application=partial(application, keeper=keeper))


def _check(parsed: argparse.Namespace) -> int:
    from miauflixd.config.loading import load  # noqa: PLC0415 -- slow, see the module's docstring

    loaded = load(parsed.config, os.environ)
    for source in loaded.sources:
        print(f"{source}: ok")
    if not loaded.sources:
        print("nothing is set, all defaults: ok")
    return 0


def _show(parsed: argparse.Namespace) -> int:
    from miauflixd.config.loading import load  # noqa: PLC0415 -- slow, see the module's docstring
    from miauflixd.config.showing import describe  # noqa: PLC0415 -- as above

    loaded = load(parsed.config, os.environ)
    print(describe(loaded.config, loaded.origins), end="")
    return 0


def _demo(parsed: argparse.Namespace) -> int:
    if parsed.config is not None:
        raise InvalidInputError("The demo makes its own settings and takes no --config")
    from miauflixd.demo.command import run  # noqa: PLC0415 -- slow, see the module's docstring

    return run(data=parsed.data, port=parsed.port)


def _vpn(parsed: argparse.Namespace) -> int:
    from miauflixd.remote.vpn import run  # noqa: PLC0415 -- slow, see the module's docstring

    return run(parsed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="miauflixd",
        description="A home streaming appliance.",
        epilog="Settings are described in miauflixd.example.toml.",
    )
    parser.add_argument("--version", action="version", version=f"miauflixd {__version__}")
    _add_config(parser, default=None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the daemon")
    _add_config(run)
    run.set_defaults(command=_run)

    config = commands.add_parser("config", help="look at the settings")
    actions = config.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="say what is wrong with them, or that nothing is")
    _add_config(check)
    check.set_defaults(command=_check)
    show = actions.add_parser("show", help="print all that are in force; secrets stay hidden")
    _add_config(show)
    show.set_defaults(command=_show)

    _add_vpn(commands.add_parser("vpn", help="look at the tunnel, and say where it may lead"))

    demo = commands.add_parser("demo", help="play a film out of a swarm on this machine alone")
    demo.add_argument(
        "--data", type=Path, metavar="DIR", help="keep its files here (default: away)"
    )
    demo.add_argument("--port", type=_port, default=0, metavar="N", help="(default: a free one)")
    demo.set_defaults(command=_demo)
    return parser


def _add_vpn(vpn: argparse.ArgumentParser) -> None:
    """Add what can be asked of a running daemon's tunnel."""
    actions = vpn.add_subparsers(required=True, metavar="ACTION", dest="action")
    endpoint = "an id, or part of a name that fits no other"

    actions.add_parser("status", help="what it does, since when, why, and what next")
    test = actions.add_parser("test", help="try an endpoint beside the one in use")
    test.add_argument("endpoint", nargs="?", help=f"{endpoint} (default: the one in use)")
    switch = actions.add_parser("switch", help="change to another endpoint")
    switch.add_argument("endpoint", nargs="?", help=f"{endpoint} (default: the next best)")
    add = actions.add_parser("import", help="add WireGuard files, or an account with a provider")
    add.add_argument("files", nargs="*", type=Path, metavar="FILE", help=".conf, or .zip of them")
    account = add.add_mutually_exclusive_group()
    account.add_argument("--nordvpn", action="store_true", help="ask for NordVPN's access token")
    account.add_argument(
        "--mullvad", action="store_true", help="ask for a Mullvad account's number"
    )
    add.add_argument(
        "--yes", action="store_true", help="import what can be used without a question"
    )
    actions.add_parser("list", help="all endpoints, the most preferred first")
    remove = actions.add_parser("remove", help="forget an endpoint, or an account and its servers")
    remove.add_argument("endpoint", help=endpoint)
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", help="print what the API answers")
        _add_config(action)
        action.set_defaults(command=_vpn)


def _add_config(parser: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """Accept `--config` here; a subcommand without it leaves alone what was given before it."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=default,
        help="the settings (default: /etc/miauflixd/miauflixd.toml, when there is one)",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004 -- the largest there is
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65535")
    return int(text)
