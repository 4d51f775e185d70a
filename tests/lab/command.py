"""What the lab can be told to do."""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.lab import report
from tests.lab.check import check
from tests.lab.control import control
from tests.lab.faults import FAULTS
from tests.lab.lab import MIB, Lab
from tests.lab.machine import LabError, enter, first_process, is_inside
from tests.lab.mutations import MUTATIONS, add_second_interface
from tests.lab.product import Product
from tests.lab.trial import Fault, Outcome, attempt, daemon_log, trial

_MANUAL = """\
smoke      the quick set of faults
full       all of them
soak       random faults until told to stop (--minutes)
fault      the ones that are named: `fault F1 F9`
control    a client that is bound to the VPN's interface, as everybody does it: it must leak
mutations  products that are broken on purpose: each must fail
check      the lab looks at itself: do the switches switch, does the witness see?
list       the faults, without running any
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    options = _parse(arguments)
    if is_inside():
        return first_process(lambda folder: _run(options, folder))
    if options.what == "list":
        for fault in FAULTS:
            print(f"{fault.id:6} {'smoke' if fault.smoke else '     '} {fault.title}")
        return 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            extra: list[str] = []
            if options.what == "mutations" and not options.names:
                return max(enter(["mutations", mutation.name]) for mutation in MUTATIONS)
            if options.what in {"smoke", "full", "soak"} and not options.no_control:
                # In a machine of its own, so that neither can be mistaken for the other.
                told = Path(folder, "control.json")
                if status := enter(["control", "--json", str(told)]):
                    return status
                extra = ["--control", str(told)]
            return enter([*(sys.argv[1:] if arguments is None else arguments), *extra])
    except LabError as error:
        print(error, file=sys.stderr)
        return 78


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/lab",
        description="Faults in a lab of network namespaces, and what holds.",
        epilog=_MANUAL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", choices=["smoke", "full", "soak", "fault", "mutations", "control", "check", "list"]
    )
    parser.add_argument("names", nargs="*", help="of faults or mutations")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random")
    parser.add_argument("--times", type=int, default=1, help="how often to run each fault")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long to soak")
    parser.add_argument("--json", type=Path, help="a file for the results")
    parser.add_argument(
        "--no-control", action="store_true", help="leave out the control, which else comes first"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=1.0,
        help="what to multiply the bounds by, on a machine that does other things too",
    )
    parser.add_argument("--control", type=Path, help=argparse.SUPPRESS)  # what became of it
    parser.add_argument("--log", action="store_true", help="print the daemon's log of failures")
    options = parser.parse_args(arguments)
    known = {fault.id for fault in FAULTS} | {mutation.name for mutation in MUTATIONS}
    if strangers := set(options.names) - known:
        parser.error(f"unknown: {', '.join(sorted(strangers))}; see `list`")
    if options.json:
        options.json = options.json.absolute()
    return options


def _run(options: argparse.Namespace, folder: Path) -> int:
    try:
        return asyncio.run(_do(options, folder))
    except BaseExceptionGroup as group:
        # What the lab itself could not do is said in a sentence.
        known, other = group.split(LabError)
        for error in _leaves(known) if known else ():
            print(error, file=sys.stderr)
        if other is not None:
            raise other from None
        return 2
    except LabError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; everything is taken down", file=sys.stderr)
        return 130


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


async def _do(options: argparse.Namespace, folder: Path) -> int:
    match options.what:
        case "control":
            return await _control(options, folder)
        case "check":
            problems = await check(folder)
            for problem in problems:
                print(problem)
            print("the lab is blind" if problems else "every switch switches, the witness sees")
            return 1 if problems else 0
        case "mutations":
            return await _mutation(options, folder)
        case _:
            return await _faults(options, folder)


async def _faults(options: argparse.Namespace, folder: Path) -> int:
    outcomes = await _outcomes(options, folder)
    if options.times > 1 or options.what == "soak":
        report.print_figures(outcomes)
    if options.json:
        content = report.document(outcomes, seed=options.seed, control=_told(options))
        report.write(options.json, content)
    failed = [outcome.fault for outcome in outcomes if not outcome.passed]
    print(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} passed, seed {options.seed}")
    return 1 if failed else 0


async def _control(options: argparse.Namespace, folder: Path) -> int:
    result = await control(folder)
    report.print_control(result)
    if options.json:
        report.write(options.json, report.control_document(result))
    if not result.is_evidence:
        print("The control did not leak: nothing that the lab says proves anything")
    return 0 if result.is_evidence else 1


async def _mutation(options: argparse.Namespace, folder: Path) -> int:
    """Run the faults that must find one mutation."""
    mutation = next(one for one in MUTATIONS if one.name == options.names[0])
    environment = mutation.plant(folder)
    complaints: list[str] = []
    try:
        async with (
            Lab.open(folder, film_size=64 * MIB) as lab,
            Product.open(lab, environment=environment) as product,
            trial(lab, product, seed=options.seed) as run,
        ):
            if mutation.second_interface:
                await add_second_interface(lab)
            for fault in FAULTS:
                if fault.id in mutation.faults:
                    complaints += (await attempt(run, fault())).complaints
    except* LabError as group:
        # It did not even come up; the reason must be one of those all the same.
        complaints += [str(error) for error in _leaves(group)]
    applied = bool(mutation.marker(folder).read_text())
    caught = [one for one in complaints if one.startswith(tuple(mutation.caught_by))]
    good = applied and bool(caught)
    print(f"{'ok    ' if good else 'FAILED'} {mutation.name:13} {mutation.title}")
    for complaint in caught or complaints or ["nothing was found"]:
        print(f"           {complaint}")
    if not applied:
        print("           it has not taken hold: the product has changed")
    sys.stdout.flush()
    return 0 if good else 1


def _told(options: argparse.Namespace) -> dict[str, object] | None:
    """Return what became of the control that ran before, in a machine of its own."""
    if options.control is None:
        return None
    told: dict[str, object] = json.loads(options.control.read_text())
    return told


async def _outcomes(options: argparse.Namespace, folder: Path) -> list[Outcome]:
    chosen = [fault for fault in FAULTS if _is_wanted(fault, options)]
    size = 256 * MIB if options.what == "smoke" else 1024 * MIB
    outcomes: list[Outcome] = []
    async with (
        Lab.open(folder, film_size=size, rate=250_000) as lab,
        Product.open(lab, port_forwarding=True) as product,
        trial(lab, product, seed=options.seed) as run,
    ):
        run.patience = options.patience
        for fault in _schedule(chosen, options):
            outcome = await attempt(run, fault())
            report.print_outcome(outcome)
            outcomes.append(outcome)
            if options.log and not outcome.passed:
                print(daemon_log(product))
    return outcomes


def _is_wanted(fault: type[Fault], options: argparse.Namespace) -> bool:
    match options.what:
        case "smoke":
            return fault.smoke
        case "fault":
            return fault.id in options.names
        case _:
            return True


def _schedule(chosen: Sequence[type[Fault]], options: argparse.Namespace) -> list[type[Fault]]:
    if options.what != "soak":
        return [fault for fault in chosen for _ in range(options.times)]
    # An average fault takes a quarter of a minute with its recovery.
    choice = random.Random(options.seed)
    return choice.choices(chosen, k=max(1, round(options.minutes * 4)))
