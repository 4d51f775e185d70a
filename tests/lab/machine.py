"""A machine inside the machine: the whole run in namespaces that end with it.

The lab starts itself anew in a network, a mount and a process namespace of its own. Every
namespace, interface, rule, mount and process that it makes is inside, so nothing can meet what
belongs to another run or to the machine, and the kernel takes all of it away with the first
process, whatever that one dies of.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

INSIDE = "MIAUFLIX_LAB_INSIDE"
"""Is set within; its value is the folder of this run."""

_PROGRAMS = (
    "unshare",
    "nsenter",
    "ip",
    "nft",
    "tc",
    "wireguard-go",
    "wg",
    "mount",
    "sysctl",
    "setpriv",
)

_NSSWITCH = "passwd: files\ngroup: files\nhosts: files resolve [!UNAVAIL=return] dns\n"
"""As on a desktop: a name is first asked of systemd-resolved's socket, which no tunnel contains."""


class LabError(Exception):
    """The lab itself cannot do what it is to do; says nothing about the product."""


def missing(user: str = "nobody") -> list[str]:
    """Return what this machine lacks for the lab, as sentences.

    Args:
        user: whom the product's unprivileged processes run as.
    """
    problems = []
    if os.geteuid() != 0:
        problems.append("The lab makes network namespaces, so it must be started as root")
    problems += [
        f"The program {program} is missing" for program in _PROGRAMS if not shutil.which(program)
    ]
    if not Path("/dev/net/tun").exists():
        problems.append("/dev/net/tun is missing: wireguard-go cannot make interfaces")
    if not problems and not _can_run(user):
        problems.append(
            f"The user {user} cannot run {sys.executable}, as the product must: it lies "
            "below a folder that is closed to others. Make a virtual environment from "
            "/usr/bin/python3, outside of it"
        )
    return problems


def _can_run(user: str) -> bool:
    trial = subprocess.run(
        [
            *("setpriv", f"--reuid={user}", "--clear-groups", "--"),
            *(sys.executable, "-c", "import libtorrent, miauflixd.engine.messages"),
        ],
        capture_output=True,
        check=False,
    )
    return trial.returncode == 0


def is_inside() -> bool:
    """Return whether this process is within the machine in the machine."""
    return INSIDE in os.environ


def enter(arguments: Sequence[str]) -> int:
    """Run the lab's command in a machine of its own, and return its status.

    Raises:
        LabError: something is missing on this machine.
    """
    if problems := missing():
        raise LabError("\n".join(problems))
    with tempfile.TemporaryDirectory(prefix="miauflix-lab-") as folder:
        # The product's unprivileged processes look into it.
        Path(folder).chmod(0o755)
        process = subprocess.Popen(
            [
                # Killed together with us, too.
                *("setpriv", "--pdeathsig=KILL", "--"),
                *("unshare", "--net", "--mount", "--propagation", "private"),
                *("--pid", "--fork", "--kill-child", "--mount-proc", "--"),
                *(sys.executable, "-m", "tests.lab", *arguments),
            ],
            # Coverage would be written by unprivileged processes, who may not.
            env={name: value for name, value in os.environ.items() if "COVERAGE" not in name}
            | {INSIDE: folder},
            start_new_session=True,  # Ctrl-C comes to us, and once
        )
        try:
            status = _wait(process)
        finally:
            process.kill()  # whatever happened, the kernel takes down what is left
        return status if status >= 0 else 128 - status


def _wait(process: "subprocess.Popen[bytes]") -> int:
    _heed_signals()
    try:
        return process.wait()
    except KeyboardInterrupt:
        # An orderly end first; a second time the kernel clears up at once.
        os.killpg(process.pid, signal.SIGINT)
        return process.wait()


def first_process(main: Callable[[Path], int]) -> int:
    """Be process 1: start the lab proper, and collect whoever loses his parent."""
    folder = Path(os.environ[INSIDE])
    child = os.fork()
    if child == 0:
        _heed_signals()
        try:
            _furnish(folder)
            status = main(folder)
        except BaseException:  # noqa: BLE001 -- the status is all that gets out of a forked process
            sys.excepthook(*sys.exc_info())
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    for number in (signal.SIGINT, signal.SIGTERM):
        # `wait` goes on after a handler, and the lab is told by its own copy of the signal.
        signal.signal(number, lambda *_: None)
    while True:
        ended, status = os.wait()
        if ended == child:
            return os.waitstatus_to_exitcode(status)


def _heed_signals() -> None:
    """End in order when asked to, also where a shell has had SIGINT ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _furnish(folder: Path) -> None:
    """Give the run a `/run` of its own, and a name-service configuration as desktops have it."""
    # Shared, as on any machine that systemd has started, but with nobody outside.
    _mount("--make-rshared", "/")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for name in ("netns", "wireguard", "lock"):
        Path("/run", name).mkdir()
    # /sys/class/net shows the namespace that it was mounted in.
    _mount("-t", "sysfs", "sysfs", "/sys")
    # Whoever writes to /etc (as /etc/netns) writes to a copy.
    etc = folder / "etc"
    etc.mkdir()
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(etc))
    subprocess.run(["cp", "--archive", "/etc/.", str(etc)], check=True)
    _mount("--bind", str(etc), "/etc")
    for name, text in (
        ("resolv.conf", "nameserver 192.168.1.1\noptions timeout:1 attempts:1\n"),
        ("nsswitch.conf", _NSSWITCH),
    ):
        file = Path("/etc", name)
        file.unlink(missing_ok=True)
        file.write_text(text)
        file.chmod(0o644)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
