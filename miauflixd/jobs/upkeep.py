"""What keeps the house in order at night: a copy of the database, and what is over is forgotten."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from miauflixd.database.database import Database
from miauflixd.errors import MiauflixdError
from miauflixd.jobs.failures import cause, code
from miauflixd.jobs.job import Run
from miauflixd.runtime.clock import Clock

_log = logging.getLogger(__name__)

_STAMP = "%Y%m%dT%H%M%SZ"
_PREFIX = "nightly-"
_SUFFIX = ".sqlite3"

_CHECK_EVERY = timedelta(days=7) - timedelta(hours=2)
"""Reading all of the database takes a second for each 50 MB from an SD card, and such a card goes
bad over months. Two hours less than a week, so that it stays the same night."""

_MIB = 2**20


class Backups:
    """A folder of nightly copies, each whole and read once after it was written."""

    def __init__(self, *, database: Database, folder: Path, kept: int, clock: Clock) -> None:
        """Take where they are.

        Args:
            database: what is copied.
            folder: where the copies go; it may hold others.
            kept: how many stay, from 1 on.
            clock: the time of day, in UTC, after which they are named.
        """
        self._database = database
        self._folder = folder
        self._kept = kept
        self._clock = clock

    async def run(self, _run: Run) -> str:
        """Make a copy; only when it is sound, forget those that are too many.

        Raises:
            StorageFullError: there is no room for it; the others stay.
            DatabaseUnusableError: the database or the copy is damaged; the others stay.
        """
        now = self._clock()
        target = self._folder / f"{_PREFIX}{now.strftime(_STAMP)}{_SUFFIX}"
        await self._database.backup(target, verify=True)
        return await asyncio.to_thread(self._tidy, target, now)

    def _tidy(self, target: Path, now: datetime) -> str:
        size = target.stat().st_size
        others = [path for path in self._folder.glob(f"{_PREFIX}*{_SUFFIX}") if path != target]
        dated = [(stamp, path) for path in others if (stamp := _stamp(path)) is not None]
        # A clock that was wrong has left copies from the future. Those would be the newest for
        # years, and push out every one that is: they go first.
        dated.sort(key=lambda one: (one[0] <= now, one[0]), reverse=True)
        removed = 0
        for _, path in dated[self._kept - 1 :]:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                removed += 1
        kept = 1 + len(dated) - removed
        return f"{size / _MIB:.1f} MiB copied and read back, {kept} kept"


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Something that is to be cleaned up."""

    name: str
    """What there is less of afterwards: "expired sessions"."""
    run: Callable[[], Awaitable[int]]
    """Forgets what is over, and returns how much that was."""


class CleanUpError(MiauflixdError):
    """Some of the cleaning up did not work; the rest is done."""

    code = "clean_up_incomplete"


class CleanUp:
    """Forgets what is over, part by part; one that fails does not keep the others from theirs."""

    def __init__(self, *, database: Database, parts: Sequence[Part], clock: Clock) -> None:
        """Take what there is to do; the database itself comes last.

        Args:
            database: is optimized each time, and checked once a week.
            parts: done in this order.
            clock: the time of day, in UTC.
        """
        self._database = database
        self._parts = parts
        self._clock = clock

    async def run(self, run: Run) -> str | None:
        """Do all of it.

        Raises:
            CleanUpError: some of it did not work; the message says which, and what did.
        """
        done: list[str] = []
        failed: list[str] = []
        for part in self._parts:
            with self._telling(part.name, failed):
                count = await part.run()
                if count:
                    done.append(f"{count} {part.name}")
        with self._telling("optimizing the database", failed):
            await self._database.optimize()
        if _is_due(run.cursor, self._clock()):
            with self._telling("checking the database", failed):
                await self._database.check()
                await run.checkpoint(self._clock().isoformat().encode())
                done.append("the database is sound")
        if failed:
            raise CleanUpError("; ".join([f"Not done: {', '.join(failed)}", *done]))
        return ", ".join(done) or None

    @contextlib.contextmanager
    def _telling(self, what: str, failed: list[str]) -> Iterator[None]:
        try:
            yield
        except Exception as raised:  # noqa: BLE001 - parts are whatever the root gave
            error = cause(raised)
            failed.append(f"{what} ({code(error)})")
            if not isinstance(error, MiauflixdError | TimeoutError):
                _log.error("Cleaning up broke: %s", what, exc_info=error)


def _is_due(cursor: bytes | None, now: datetime) -> bool:
    """Return whether the last check, of which the cursor tells, is too long ago or unheard of."""
    try:
        last = datetime.fromisoformat((cursor or b"").decode())
        return not timedelta() <= now - last < _CHECK_EVERY
    except (ValueError, TypeError):
        return True


def _stamp(path: Path) -> datetime | None:
    """Return when a copy was made, by its name; `None`: it is not one of ours."""
    text = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
