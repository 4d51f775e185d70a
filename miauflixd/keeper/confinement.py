"""Starting a program where it sees the tunnel and nothing else.

Each step is a program of util-linux that becomes the next one (`exec`), so the number of the first
process is in the end that of the program itself:

    nsenter      into the namespace: the only network is the tunnel
    unshare      a view of the file systems of its own; disks mounted later still appear in it
    sh           changes that view, see `_VIEW`
    setpriv      no privileges left, and none to be had again
"""

import asyncio
import contextlib
import os
import pwd
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from miauflixd.keeper import programs
from miauflixd.runtime import children

ENGINE = (sys.executable, "-m", "miauflixd.engine")

_VIEW = """
set -eu
configuration=$1 hidden=$2 shown=$3
shift 3
here=$PWD
empty="mount --no-mtab --types tmpfs --options mode=0755,size=64k,nosuid,nodev,noexec tmpfs"

# From its parent as the working directory, what is to be seen is found even below what is hidden.
# Not from itself: it may be a vault that root must not enter.
cd "${shown%/*}/"

# Name services listen on sockets there (nss-resolve, nscd, avahi, D-Bus), and a socket that has a
# path is reached from every network namespace.
$empty /run
[ /run -ef /var/run ] || [ ! -d /var/run ] || $empty /var/run

# A layer over all of /etc, not a file mounted over /etc/resolv.conf: that one would fall off as
# soon as somebody out there renames another file to this name, which is how all of them write it.
mkdir /run/etc
cp "$configuration/resolv.conf" "$configuration/nsswitch.conf" /run/etc
mount --no-mtab --types overlay --options ro,lowerdir=/run/etc:/etc overlay /etc
$empty /run

[ -z "$hidden" ] || $empty "$hidden"
if [ -n "$shown" ]; then
    mkdir -p "$shown"
    # As it is: made canonical, it would be what lies on top by now.
    mount --no-mtab --no-canonicalize --rbind "./${shown##*/}" "$shown"
fi

# Never the directory that we came in with: through that one, what is hidden could be seen.
cd "$here" 2>/dev/null || cd /
exec "$@"
"""
"""What changes the view; constant, and its arguments are never read as a program."""


@dataclass(frozen=True, slots=True)
class User:
    """Whom a program runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    """All of them; looked up outside, for inside nobody is asked about users."""

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the user of that name, with the groups that he has been put into.

        Raises:
            LookupError: there is none.
        """
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise LookupError(f"There is no user {name!r} on this machine") from None
        groups = os.getgrouplist(name, entry.pw_gid)
        return cls(uid=entry.pw_uid, gid=entry.pw_gid, groups=tuple(sorted(groups)))


@dataclass(frozen=True, slots=True)
class Confinement:
    """Where a program is put, and what it sees there."""

    network: str
    """Path of the network namespace, as for `nsenter --net=`."""
    configuration: Path
    """The folder with its `resolv.conf` and `nsswitch.conf`."""
    user: User
    hidden: Path | None = None
    """A folder that is empty for the program ..."""
    shown: Path | None = None
    """... but for this one, which may be on another disk."""

    def __post_init__(self) -> None:
        if self.hidden and self.shown and self.hidden.is_relative_to(self.shown):
            raise ValueError(f"{self.shown} would show all of {self.hidden}, which is to be hidden")

    def command(self, program: Sequence[str]) -> list[str]:
        """Return the command that starts a program confined.

        Raises:
            FileNotFoundError: util-linux is not installed.
        """
        return [
            programs.path("nsenter"),
            f"--net={self.network}",
            programs.path("unshare"),
            "--mount",
            "--propagation=slave",
            programs.path("sh"),
            "-c",
            _VIEW,
            "confinement",
            str(self.configuration),
            str(self.hidden or ""),
            str(self.shown or ""),
            programs.path("setpriv"),
            f"--reuid={self.user.uid}",
            f"--regid={self.user.gid}",
            f"--groups={','.join(map(str, self.user.groups))}",
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--ambient-caps=-all",
            "--no-new-privs",
            # It never outlives the keeper, which alone knows that it is confined.
            "--pdeathsig=KILL",
            *program,
        ]

    async def start(
        self, program: Sequence[str], *, descriptors: Sequence[int]
    ) -> asyncio.subprocess.Process:
        """Start a program confined, with these descriptors of ours and hardly any environment.

        That something goes wrong on the way in, its exit status tells, and the journal how.

        Raises:
            OSError: it cannot be started at all.
        """
        return await asyncio.create_subprocess_exec(
            *self.command(program),
            pass_fds=descriptors,
            env=children.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is the house's business
        )


class EngineChild:
    """An engine that was started inside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The engine's own number."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait until it has ended; return its exit status, or minus the signal that ended it."""
        return await self._process.wait()

    def kill(self) -> None:
        """End it without asking."""
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self._process.kill()


class EngineLauncher:
    """Starts engines."""

    def __init__(self, confinement: Confinement, *, engine: Sequence[str] = ENGINE) -> None:
        self._confinement = confinement
        self._engine = engine

    async def launch(self, end: int) -> EngineChild:
        """Start an engine on this end of a socket pair, which stays the caller's to close.

        Raises:
            OSError: it cannot be started.
        """
        program = [*self._engine, str(end)]
        return EngineChild(await self._confinement.start(program, descriptors=[end]))
