"""What became of the last runs, in memory, and in the database as often as an SD card likes it."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from miauflixd.errors import MiauflixdError
from miauflixd.jobs.model import Record
from miauflixd.jobs.pausing import pause
from miauflixd.jobs.task_store import TaskStore

_log = logging.getLogger(__name__)

Weight = Literal["urgent", "usual", "quiet"]

_PAUSES: Mapping[Weight, float] = {"urgent": 0.0, "usual": 60.0, "quiet": 600.0}
"""Seconds since the last writing. `urgent`: a restart would do harm without it. `quiet`: nothing
happened but that somebody looked. So an idle house writes some times an hour; killed, it loses a
minute of what only says when something ran."""

_AGAIN = 60.0
"""Seconds until the next attempt, when the database does not take it."""


class Records:
    """The record of each task."""

    def __init__(self, *, store: TaskStore, records: Mapping[str, Record]) -> None:
        self._store = store
        self._records = dict(records)
        self._changed: set[str] = set()
        self._written_at: float | None = None
        self._due: float | None = None
        self._stirred = asyncio.Event()
        self._failing = False

    def of(self, task: str) -> Record:
        """Return a task's."""
        return self._records.get(task, Record())

    def change(self, task: str, *, weight: Weight = "usual", **fields: Any) -> Record:
        """Change some of it, and return what it is now."""
        record = self._records[task] = replace(self.of(task), **fields)
        self._changed.add(task)
        now = asyncio.get_running_loop().time()
        since = now if self._written_at is None else self._written_at + _PAUSES[weight]
        due = max(now, since)
        if self._due is None or due < self._due:
            self._due = due
            self._stirred.set()
        return record

    async def run(self) -> None:
        """Write what has changed, until cancelled."""
        while True:
            self._stirred.clear()
            if self._due is None:
                await self._stirred.wait()
                continue
            # Rounded before it is looked at: a wait of less than a microsecond is none.
            left = timedelta(seconds=self._due - asyncio.get_running_loop().time())
            if left > timedelta():
                await pause(self._stirred, within=left)
                continue
            await self.flush()

    async def flush(self) -> None:
        """Write what has changed; what cannot be written now is written later."""
        changed, self._changed, self._due = self._changed, set(), None
        if not changed:
            return
        # Before it is done, so that what changes meanwhile does not ask for another one at once.
        self._written_at = now = asyncio.get_running_loop().time()
        try:
            await self._store.write({name: self._records[name] for name in changed})
        except MiauflixdError as error:
            self._changed |= changed
            self._due = now + _AGAIN
            if not self._failing:
                _log.warning("What tasks did cannot be written down now: %s", error.code)
            self._failing = True
        else:
            self._failing = False
