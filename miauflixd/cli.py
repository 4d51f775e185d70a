"""The command `miauflixd`.

Each subcommand imports what it needs when it runs, so that a quick one is quick: asyncio, aiohttp
and the database take longer to import than `config check` takes to answer.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
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
    from miauflixd.bootstrap import application  # noqa: PLC0415 -- as above
    from miauflixd.daemon import run  # noqa: PLC0415 -- as above

    return run(loaded.config, application=application)


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

    demo = commands.add_parser("demo", help="play a film out of a swarm on this machine alone")
    demo.add_argument(
        "--data", type=Path, metavar="DIR", help="keep its files here (default: away)"
    )
    demo.add_argument("--port", type=_port, default=0, metavar="N", help="(default: a free one)")
    demo.set_defaults(command=_demo)
    return parser


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
