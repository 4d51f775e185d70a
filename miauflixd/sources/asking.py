"""Asking all directories at once: whoever is late is not waited for, and not sent away either."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from miauflixd.errors import MiauflixdError, NotFoundError, UnavailableError
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.priority import Priority
from miauflixd.sources.directories.directory import (
    Directory,
    DirectoryUnavailableError,
    FunctionMissingError,
    NothingThereError,
    TorrentBytes,
)
from miauflixd.sources.merge import merge
from miauflixd.sources.offers import DirectoryId, Offer, Query
from miauflixd.sources.standing import Standing, after_answer, after_failure
from miauflixd.torrents.magnet import Magnet
from miauflixd.tunnel.errors import TunnelDownError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_PATIENCE = 90.0
"""Seconds for one directory with all it does for a query. Each exchange has 20 s of its own, and
there are up to four, with turns to wait for between them; this is for one that does not end."""

_MAX_OFFERS = 3000
"""Of one query, merged; what is beyond nobody would ever see, and each has a place in memory."""

Outcome = Literal["waiting", "answered", "failed", "resting", "no_way_out"]


class NoDirectoryError(NotFoundError):
    """There is no such directory, or it has been taken away."""

    code = "no_directory"


class NotAskingError(UnavailableError):
    """Nobody is asked: the service is not running, or about to end."""

    code = "not_asking"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What became of a query at one directory."""

    directory: DirectoryId
    outcome: Outcome
    found: int = 0
    reason: str = ""
    """Why it has not answered; a sentence for a person."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What has been offered so far."""

    offers: tuple[Offer, ...]
    """Each torrent once."""
    reports: tuple[Report, ...]
    """One for each directory, in their order."""
    complete: bool
    """Whether nobody is waited for any more."""


class Enquiry:
    """One query to all directories, while the answers come in."""

    def __init__(self, query: Query, *, priority: Priority, asked: Sequence[DirectoryId]) -> None:
        self.query = query
        self.priority = priority
        self._reports = {name: Report(directory=name, outcome="waiting") for name in asked}
        self._offers: tuple[Offer, ...] = ()
        self._news = asyncio.Event()

    @property
    def complete(self) -> bool:
        """Whether nobody is waited for any more."""
        return all(report.outcome != "waiting" for report in self._reports.values())

    def answers(self) -> Answers:
        """Return what there is by now."""
        return Answers(
            offers=self._offers, reports=tuple(self._reports.values()), complete=self.complete
        )

    async def first(self, *, within: float) -> Answers:
        """Return what there is when all have answered, or after so many seconds.

        Those who have not go on; `progress` tells what they bring.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                async for _ in self.progress():
                    pass
        return self.answers()

    async def progress(self) -> AsyncIterator[Answers]:
        """Yield what there is, and again whenever that has changed, until all have answered."""
        while True:
            news = self._news
            yield self.answers()
            if self.complete:
                return
            await news.wait()

    def note(self, report: Report, offers: Sequence[Offer] = ()) -> None:
        """Take what one directory brings."""
        self._reports[report.directory] = report
        if offers:
            self._offers = merge((*self._offers, *offers))[:_MAX_OFFERS]
        # Those who wait have the old event; each round has one of its own, so none is missed.
        self._news.set()
        self._news = asyncio.Event()


class Asking:
    """The service that asks directories, and knows how each is doing.

    Invariants: every question is a task of `run`; one that fails, hangs or is wrong spoils no
    other; a directory that is left alone is asked nothing until its time has come, by nobody but
    `check`.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        standings: Mapping[DirectoryId, Standing] | None = None,
        changed: Callable[[DirectoryId, Standing], None] = lambda *_: None,
        patience: float = _PATIENCE,
    ) -> None:
        """Begin with no directories.

        Args:
            clock: the time of day.
            standings: how each was doing when the last run ended.
            changed: told of each new standing; must not block.
            patience: seconds for one directory and query, waiting for its turn included.
        """
        self._clock = clock
        self._standings = dict(standings or {})
        self._changed = changed
        self._patience = patience
        self._directories: dict[DirectoryId, Directory] = {}
        self._under_way: dict[tuple[Query, frozenset[DirectoryId]], Enquiry] = {}
        self._group: asyncio.TaskGroup | None = None

    def use(self, directories: Sequence[Directory]) -> None:
        """Ask these from now on, and no others. Questions under way go on."""
        self._directories = {directory.id: directory for directory in directories}

    def forget(self, name: DirectoryId) -> None:
        """Know nothing of how a directory was doing: it has been changed, or taken away."""
        self._standings.pop(name, None)

    @property
    def directories(self) -> Sequence[Directory]:
        """Those that are asked."""
        return tuple(self._directories.values())

    def standing(self, name: DirectoryId) -> Standing:
        """Return how a directory is doing; asks nobody."""
        return self._standings.get(name, Standing())

    def standings(self) -> Mapping[DirectoryId, Standing]:
        """Return how all are doing, to be kept until the next run."""
        return dict(self._standings)

    async def run(self) -> None:
        """Be there for questions until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None  # at once: a group that ends takes no more tasks

    def ask(
        self,
        query: Query,
        *,
        priority: Priority,
        only: Sequence[DirectoryId] | None = None,
    ) -> Enquiry:
        """Put a query to all directories, or some, and return the enquiry while it is under way.

        Who asks what is being asked already, and no less urgently, gets the same enquiry.

        Raises:
            NotAskingError: the service is not running.
        """
        if self._group is None:
            raise NotAskingError("Directories are not asked now")
        chosen = [
            directory
            for directory in self._directories.values()
            if only is None or directory.id in only
        ]
        key = query, frozenset(directory.id for directory in chosen)
        known = self._under_way.get(key)
        if known is not None and known.priority <= priority:
            return known
        enquiry = Enquiry(query, priority=priority, asked=[each.id for each in chosen])
        for directory in chosen:
            left = self.standing(directory.id).rests(self._clock())
            if left:
                reason = self.standing(directory.id).reason
                enquiry.note(Report(directory=directory.id, outcome="resting", reason=reason))
            elif not directory.capabilities().can_find(query):
                enquiry.note(Report(directory=directory.id, outcome="answered"))
            else:
                self._group.create_task(
                    self._put(directory, enquiry, key), name=f"asking {directory.id}"
                )
        if not enquiry.complete:
            self._under_way[key] = enquiry
        return enquiry

    async def ask_all(self, query: Query, *, within: float, priority: Priority) -> Answers:
        """Put a query to all directories, and return what there is after so many seconds.

        Raises:
            NotAskingError: the service is not running.
        """
        return await self.ask(query, priority=priority).first(within=within)

    async def check(self, name: DirectoryId) -> Standing:
        """Ask a directory something small, even if it is left alone; for somebody who waits.

        Raises:
            NoDirectoryError: there is none of this name.
            TunnelDownError: there is no way out, so nothing is known.
        """
        directory = self._directory(name)
        with suppress(DirectoryUnavailableError):  # which its standing says
            await self._judged(directory, directory.check())
        return self.standing(name)

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        """Return what an offer leads to.

        Raises:
            NoDirectoryError: the directory that offered it is not asked any more.
            DirectoryUnavailableError: it gave no usable answer, or is left alone.
            TunnelDownError: there is no way out.
        """
        directory = self._directory(offer.directory)
        standing = self.standing(offer.directory)
        if left := standing.rests(self._clock()):
            raise DirectoryUnavailableError(standing.reason, retry_after=left.total_seconds())
        return await self._judged(
            directory, directory.resolve(offer, priority=priority), may_be_gone=True
        )

    def _directory(self, name: DirectoryId) -> Directory:
        if (directory := self._directories.get(name)) is None:
            raise NoDirectoryError("There is no such directory")
        return directory

    async def _put(
        self,
        directory: Directory,
        enquiry: Enquiry,
        key: tuple[Query, frozenset[DirectoryId]],
    ) -> None:
        report = Report(directory=directory.id, outcome="failed", reason="It was interrupted")
        found: Sequence[Offer] = ()
        try:
            async with asyncio.timeout(self._patience):
                found = await self._judged(
                    directory, directory.search(enquiry.query, priority=enquiry.priority)
                )
            report = replace(report, outcome="answered", found=len(found), reason="")
        except TunnelDownError as error:
            report = replace(report, outcome="no_way_out", reason=str(error))
        except MiauflixdError as error:
            report = replace(report, reason=str(error))
        except TimeoutError:
            # It may only have had too many questions before this one, so nobody is to blame.
            report = replace(report, reason="It did not come to an end")
        except Exception:
            # The edge to what strangers answer: a case that nobody thought of, in one directory,
            # must not end the asking of the others.
            logger.exception("Directory %s answered with something unforeseen", directory.id)
            report = replace(report, reason="Something unforeseen happened")
        finally:
            enquiry.note(report, found)
            if enquiry.complete and self._under_way.get(key) is enquiry:
                del self._under_way[key]

    async def _judged(
        self, directory: Directory, answer: Awaitable[T], *, may_be_gone: bool = False
    ) -> T:
        """Wait for an answer, and remember whether there was one.

        That there is nothing at an address is an answer where one offer of many is asked for; where
        the directory itself is, somebody has mistyped it.
        """
        before = self.standing(directory.id)
        try:
            result = await answer
        except DirectoryUnavailableError as error:
            if isinstance(error, FunctionMissingError) or (
                may_be_gone and isinstance(error, NothingThereError)
            ):
                self._remember(directory, after_answer(before, self._clock()))
                raise
            # Of many questions under way when a server fails each would be a rung of its own.
            if self.standing(directory.id) == before:
                after = after_failure(before, error, self._clock())
                self._remember(directory, after)
            raise
        self._remember(directory, after_answer(self.standing(directory.id), self._clock()))
        return result

    def _remember(self, directory: Directory, standing: Standing) -> None:
        if directory.id not in self._directories or standing == self.standing(directory.id):
            return
        logger.info("Directory %s: %s", directory.id, standing.condition)
        self._standings[directory.id] = standing
        self._changed(directory.id, standing)
