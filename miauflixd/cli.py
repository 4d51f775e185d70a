"""The command `miauflixd`.

Each subcommand imports what it needs when it runs, so that a quick one is quick: asyncio, aiohttp
and the database take longer to import than `config check` takes to answer.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
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
    prepared = give_up_privileges(loaded.config)
    return run(loaded.config, application=partial(application, prepared=prepared))


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


def _setup(parsed: argparse.Namespace) -> int:
    from miauflixd.remote.accounts import setup  # noqa: PLC0415 -- slow, see the module's docstring

    return setup(parsed)


def _user(parsed: argparse.Namespace) -> int:
    from miauflixd.remote.accounts import user  # noqa: PLC0415 -- slow, see the module's docstring

    return user(parsed)


def _keys(parsed: argparse.Namespace) -> int:
    from miauflixd.remote.accounts import keys  # noqa: PLC0415 -- slow, see the module's docstring

    return keys(parsed)


def _audit(parsed: argparse.Namespace) -> int:
    from miauflixd.remote.accounts import audit  # noqa: PLC0415 -- slow, see the module's docstring

    return audit(parsed)


def _doctor(parsed: argparse.Namespace) -> int:
    from miauflixd.remote.doctor import run  # noqa: PLC0415 -- slow, see the module's docstring

    return run(parsed)


def _tasks(parsed: argparse.Namespace) -> int:
    from miauflixd.remote.tasks import run  # noqa: PLC0415 -- slow, see the module's docstring

    return run(parsed)


def _sources(parsed: argparse.Namespace) -> int:
    from miauflixd.remote.sources import run  # noqa: PLC0415 -- slow, see the module's docstring

    return run(parsed)


def _vault(parsed: argparse.Namespace) -> int:
    from miauflixd.remote.vault import run  # noqa: PLC0415 -- slow, see the module's docstring

    return run(parsed)


def _parse_names(parsed: argparse.Namespace) -> int:
    from miauflixd.sources.command import print_parsed  # noqa: PLC0415 -- slow, as above

    return print_parsed(parsed.names)


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

    setup = commands.add_parser("setup", help="show the code with which the first account is made")
    _add_remote(setup, _setup)
    _add_user(commands.add_parser("user", help="add people, and let them in or keep them out"))
    _add_keys(commands.add_parser("keys", help="keys for programs that cannot sign in"))
    _add_audit(commands.add_parser("audit", help="who did what, from where and when"))
    _add_vpn(commands.add_parser("vpn", help="look at the tunnel, and say where it may lead"))
    doctor = commands.add_parser(
        "doctor", help="say what is wrong; exit status 0: nothing, 1: warnings, 2: errors"
    )
    _add_remote(doctor, _doctor)
    _add_tasks(commands.add_parser("tasks", help="what is done by itself, and when"))

    _add_vault(commands.add_parser("vault", help="what keeps downloads unreadable to others"))
    _add_sources(commands.add_parser("sources", help="look at where titles can be had"))

    demo = commands.add_parser("demo", help="play a film out of a swarm on this machine alone")
    demo.add_argument(
        "--data", type=Path, metavar="DIR", help="keep its files here (default: away)"
    )
    demo.add_argument("--port", type=_port, default=0, metavar="N", help="(default: a free one)")
    demo.set_defaults(command=_demo)
    return parser


def _add_sources(sources: argparse.ArgumentParser) -> None:
    """Add what can be asked about sources, and about who is asked for them."""
    actions = sources.add_subparsers(required=True, metavar="ACTION", dest="action")

    listing = actions.add_parser("list", help="where a title can be had, the best first")
    listing.add_argument("title", help="such as movie:7 or episode:12")
    listing.add_argument("--refresh", action="store_true", help="search again first")
    everybody = actions.add_parser("directories", help="who is asked, and how each is doing")
    add = actions.add_parser("add-directory", help="ask one more directory")
    add.add_argument(
        "--kind",
        required=True,
        choices=("torznab", "prowlarr", "yts", "therarbg", "feed", "folder", "archive"),
        help="what it speaks",
    )
    add.add_argument("--title", required=True, help="what to call it")
    add.add_argument("--url", required=True, help="where it is; of a folder, its path")
    add.add_argument("--id", help="what to call it in commands (default: out of the title)")
    add.add_argument(
        "--via",
        choices=("tunnel", "host"),
        help="by which road (default: tunnel; what is in this house: host)",
    )
    add.add_argument(
        "--category", type=int, action="append", metavar="N", help="only in this one; repeatable"
    )
    add.add_argument("--key", action="store_true", help="ask for its API key, or read it")
    remove = actions.add_parser("remove-directory", help="ask a directory no more")
    remove.add_argument("id")
    check = actions.add_parser("check", help="ask a directory something small")
    check.add_argument("id")
    for action in (listing, everybody, add, remove, check):
        _add_remote(action, _sources)
    names = actions.add_parser("parse", help="say what names of releases mean, in JSON")
    names.add_argument(
        "names", nargs="*", metavar="NAME", help="(default: those on standard input, one a line)"
    )
    names.set_defaults(command=_parse_names)


def _add_user(user: argparse.ArgumentParser) -> None:
    """Add what can be done about the people of the household."""
    actions = user.add_subparsers(required=True, metavar="ACTION", dest="action")
    who = "an e-mail address, or an id"

    actions.add_parser("list", help="everybody, in the order in which they came")
    add = actions.add_parser("add", help="add somebody; asks for the password, or reads it")
    add.add_argument("email")
    add.add_argument("--name", help="what they are called (default: out of the address)")
    add.add_argument("--admin", action="store_true", help="let them administer this machine")
    add.add_argument(
        "--max-rating", metavar="RATING", help="the highest they may see, such as PG-13"
    )
    for name, words in (
        ("password", "give somebody another password; asks for it, or reads it"),
        ("disable", "sign somebody out, and keep them out"),
        ("enable", "let somebody in again"),
        ("delete", "remove somebody and what is theirs"),
    ):
        actions.add_parser(name, help=words).add_argument("user", help=who)
    actions.choices["delete"].add_argument("--yes", action="store_true", help="without a question")
    for action in actions.choices.values():
        _add_remote(action, _user)


def _add_keys(keys: argparse.ArgumentParser) -> None:
    """Add what can be done about keys."""
    actions = keys.add_subparsers(required=True, metavar="ACTION", dest="action")

    actions.add_parser("list", help="all of them")
    create = actions.add_parser("create", help="make one; it is shown this once")
    create.add_argument("purpose", choices=("stremio", "playlist", "metrics"))
    create.add_argument("--user", required=True, help="whose it is: an e-mail address, or an id")
    create.add_argument("--name", required=True, help="what its owner will know it by")
    revoke = actions.add_parser("revoke", help="let one open nothing any more")
    revoke.add_argument("id")
    for action in actions.choices.values():
        _add_remote(action, _keys)


def _add_audit(audit: argparse.ArgumentParser) -> None:
    """Add what can be asked of the audit."""
    audit.add_argument("--type", help="only of this kind, such as sign_in_failed")
    audit.add_argument("--user", help="only what this one did: an e-mail address, or an id")
    audit.add_argument("--since", type=_moment, metavar="TIME", help="such as 2026-11-22T20:15")
    audit.add_argument("--limit", type=int, default=50, metavar="N", help="at most (default: 50)")
    _add_remote(audit, _audit)


def _add_tasks(tasks: argparse.ArgumentParser) -> None:
    """Add what can be asked of the timetable."""
    _add_remote(tasks, _tasks)
    actions = tasks.add_subparsers(metavar="ACTION", dest="action")
    listing = actions.add_parser("list", help="how each went, and when it is due (the default)")
    run = actions.add_parser("run", help="have one done now")
    run.add_argument("name")
    for action in (listing, run):
        _add_remote(action, _tasks, default=argparse.SUPPRESS)


def _add_vault(vault: argparse.ArgumentParser) -> None:
    """Add what can be done about the encryption of downloads; needs no daemon."""
    actions = vault.add_subparsers(required=True, metavar="ACTION", dest="action")
    status = actions.add_parser("status", help="whether it is open, and what encrypts it")
    status.add_argument("--json", action="store_true", help="print it for programs")
    init = actions.add_parser(
        "init", help="make it, and bring in downloads that are not encrypted yet"
    )
    lock = actions.add_parser(
        "lock", help="lock it, should a daemon that is gone have left it open"
    )
    for action in (status, init, lock):
        _add_config(action)
        action.set_defaults(command=_vault)


def _add_remote(
    parser: argparse.ArgumentParser, command: Callable[..., int], *, default: object = False
) -> None:
    """Let a command ask the running daemon; `SUPPRESS` leaves alone what was said before it."""
    parser.add_argument(
        "--json", action="store_true", default=default, help="print what the API answers"
    )
    _add_config(parser)
    parser.set_defaults(command=command)


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
        _add_remote(action, _vpn)


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


def _moment(text: str) -> datetime:
    """Return a day or a time as somebody types it, by this machine's clock on the wall."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time such as 2026-11-22 or 2026-11-22T20:15"
        ) from None
