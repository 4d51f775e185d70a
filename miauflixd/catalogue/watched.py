"""What people have watched, and what they will want to go on with.

Players report every few seconds. What a report changes for a person (begun, seen) is written at
once, and so is where they pause or end; how far they are in between only every ten seconds: what is
in memory alone is never older than that, and all that is asked is answered out of both.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from miauflixd.auth.model import UserId
from miauflixd.catalogue import watching
from miauflixd.catalogue.model import Kind, NoTitleError, Progress, TitleId
from miauflixd.catalogue.next_up import NextUp
from miauflixd.catalogue.ports import Outline
from miauflixd.catalogue.watching import BadProgressError, Record, Report, State, Turn
from miauflixd.catalogue.watching_store import Key, Mark, WatchingStore
from miauflixd.errors import InvalidInputError, MiauflixdError
from miauflixd.runtime.clock import Clock

_log = logging.getLogger(__name__)

WRITTEN_EVERY = 10.0
"""Seconds between two writes of one title that plays on: what a crash may cost of a position, and
what an SD card bears for years."""

_PAUSE_WHEN_FAILING = 30.0
"""Seconds after which to try again when the disk is full or the database busy."""

_SILENCE = 600.0
"""Seconds after which a player that says nothing is gone: the next report begins anew."""

_REMEMBERED = 1_000
"""Plays whose last report is remembered, those that are not written yet not counted."""

_AT_ONCE = 500
"""Records written in one go: 25 ms in which the database does nothing else."""


class Begun(NamedTuple):
    """How far somebody came, and when."""

    said: Report
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """What came of a report."""

    watched: bool
    """Whether it has been seen to its end just now."""
    percent: float
    """How much has been seen, from 0 to 100."""
    turn: Turn | None
    """What the player has begun to do; `None`: it goes on as before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressPage:
    """A part of what somebody has begun or seen, the latest first."""

    items: Sequence[Progress]
    next_cursor: str | None
    """Where the next part begins; `None`: this is the last."""
    total: int


@dataclass(kw_only=True, slots=True)
class _Play:
    """Somebody and a title, as last reported."""

    record: Record | None
    show: TitleId | None
    written_at: float
    state: State | None = None
    percent: float = 0.0
    noted_at: float = 0.0
    is_written: bool = True


class Watching:
    """Everybody's progress with movies and episodes.

    Tells `progress:<user_id>:<title_id>` with every report, and `home:<user_id>` when what there is
    to continue, or what comes next, may be another.
    """

    def __init__(
        self,
        *,
        store: WatchingStore,
        outline: Outline,
        clock: Clock,
        changed: Callable[[str], None],
        seconds: Callable[[], float] = time.monotonic,
        written_every: float = WRITTEN_EVERY,
    ) -> None:
        """Keep it in the store; `written_every` is in seconds."""
        self._store = store
        self._outline = outline
        self._clock = clock
        self._changed = changed
        self._seconds = seconds
        self._written_every = written_every
        self._plays: dict[Key, _Play] = {}
        """The one that was reported last comes last."""
        self._next_up = NextUp(store=store, outline=outline, clock=clock, seconds=seconds)
        self._changing = asyncio.Lock()
        """Held from reading a record until it is written: two reports must not undo each other."""
        self._unwritten = asyncio.Event()

    # --- what players say -------------------------------------------------------------------------

    async def note(
        self, user_id: UserId, title_id: TitleId, *, position: float, duration: float, state: State
    ) -> Noted:
        """Take note of how far somebody is.

        Args:
            user_id: who.
            title_id: a movie or episode.
            position: seconds from the beginning.
            duration: seconds.
            state: what the player does.

        Raises:
            BadProgressError: it cannot be so far or so long, or is a whole show.
            NoTitleError: there is no such episode.
            MiauflixdError: it could not be written now; it will be later.
        """
        said = watching.report(position=position, duration=duration, state=state)
        if title_id.kind is Kind.SHOW:
            raise BadProgressError("A show is watched one episode after the other")
        key = Key(user_id, title_id)
        async with self._changing:
            play = await self._play(key)
            now = self._seconds()
            last = play.state if now - play.noted_at < _SILENCE else None
            turn = watching.turn(last, state)
            before = play.record
            play.record = watching.advanced(
                before, said, title_id=title_id, show=play.show, at=self._clock()
            )
            play.state, play.percent, play.noted_at = state, said.part * 100, now
            if play.record != before:
                play.is_written = False
                self._unwritten.set()
            self._remember(key, play)
            is_news = _standing(play.record) != _standing(before)
            rests = turn is not None and state is not State.PLAYING
            if is_news or rests or now - play.written_at >= self._written_every:
                await self._write([key])
        shows = [] if play.show is None else [play.show]
        self._tell([key], home=is_news or turn is not None, shows=shows)
        return Noted(watched=_plays(play.record) > _plays(before), percent=play.percent, turn=turn)

    async def close(self, user_id: UserId, title_id: TitleId) -> Noted | None:
        """Take note that a player is gone; `None` when it had ended before, or none was known.

        Raises:
            MiauflixdError: how far it was could not be written now; it will be later.
        """
        key = Key(user_id, title_id)
        async with self._changing:
            play = self._plays.get(key)
            if play is None or play.state in {None, State.ENDED}:
                return None
            play.state = State.ENDED
            await self._write([key])
            return Noted(watched=False, percent=play.percent, turn="stopped")

    async def run(self) -> None:
        """Write what plays on, until cancelled; then all that is not written yet."""
        fails = False
        try:
            while True:
                await self._unwritten.wait()
                await asyncio.sleep(_PAUSE_WHEN_FAILING if fails else self._until_due())
                try:
                    await self.flush(due=self._seconds() - self._written_every)
                except MiauflixdError as error:
                    if not fails:
                        _log.warning("What is watched cannot be written for now: %s", error.code)
                    fails = True
                else:
                    fails = False
        finally:
            try:
                await self.flush()
            except MiauflixdError as error:
                _log.warning("What was watched last could not be written: %s", error.code)

    async def flush(self, *, due: float | None = None) -> None:
        """Write what is in memory alone; only what was last written by then, if that is said.

        Raises:
            MiauflixdError: that is not possible now.
        """
        async with self._changing:
            keys = [
                key
                for key, play in self._plays.items()
                if not play.is_written and (due is None or play.written_at <= due)
            ]
            await self._write(keys)

    # --- what people want to know -----------------------------------------------------------------

    async def progress(
        self, user_id: UserId, ids: Collection[TitleId]
    ) -> Mapping[TitleId, Progress]:
        """Return how far a user is with these, without those that they have not begun."""
        wanted = [one for one in ids if one.kind is not Kind.SHOW]
        records = await self._store.records(user_id, wanted) if wanted else {}
        latest = (self._latest(user_id, one, records.get(one)) for one in dict.fromkeys(wanted))
        return {record.title_id: record.progress for record in latest if record is not None}

    async def page(
        self,
        user_id: UserId,
        *,
        state: Literal["started", "watched"] | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> ProgressPage:
        """Return what a user has begun or seen, the latest first.

        What is being watched once more is both.

        Args:
            user_id: who.
            state: only what they are in the middle of, or only what they have seen.
            cursor: the `next_cursor` of the page before.
            limit: how many at most.

        Raises:
            InvalidInputError: the cursor is none of ours.
        """
        behind = None if cursor is None else _mark(cursor)
        records, mark, total = await self._store.page(
            user_id, state=state, behind=behind, limit=limit
        )
        return ProgressPage(
            items=self._latest_of(user_id, records),
            next_cursor=None if mark is None else f"{mark.updated_at}-{mark.title_id}",
            total=total,
        )

    async def continue_watching(self, user_id: UserId, count: int) -> Sequence[Progress]:
        """Return what a user is in the middle of, the latest first."""
        records = await self._store.started(user_id, count)
        return self._latest_of(user_id, records)

    async def next_up(self, user_id: UserId, count: int) -> Sequence[TitleId]:
        """Return the next episode of each show that a user watches, of the latest first.

        Not of shows that they have seen all of, nor where they are in the middle of that episode:
        it is one to continue then.
        """
        return await self._next_up.ids(user_id, count)

    def outline_changed(self, show: TitleId) -> None:
        """Look anew for what comes next: more is known of a show."""
        self._next_up.outline_changed(show)

    # --- what people say --------------------------------------------------------------------------

    async def mark_watched(
        self, user_id: UserId, ids: Collection[TitleId], *, at: datetime | None = None
    ) -> None:
        """Take note that a user has seen these to their ends.

        Args:
            user_id: who.
            ids: movies, episodes, and shows: of these all that was aired, but no specials.
            at: when; now if `None`.
        """
        at = at or self._clock()
        seen: dict[TitleId, datetime] = {}
        for one in ids:
            if one.kind is Kind.SHOW:
                seen |= {
                    step.id: at
                    for step in await self._outline.outline(one)
                    if step.season != 0 and watching.is_aired(step, at.date())
                }
            else:
                seen[one] = at
        await self.remember_watched(user_id, seen)

    async def remember_watched(self, user_id: UserId, seen: Mapping[TitleId, datetime]) -> None:
        """Take note of when a user saw movies and episodes, which they may have done elsewhere.

        What is known of later times stays, and episodes that are not known are left out.
        """

        def marked(title_id: TitleId, show: TitleId | None, before: Record | None) -> Record:
            return watching.marked(before, title_id=title_id, show=show, at=seen[title_id])

        await self._remember_all(user_id, list(seen), marked)

    async def remember_begun(self, user_id: UserId, begun: Mapping[TitleId, Begun]) -> None:
        """Take note of how far a user came with movies and episodes elsewhere.

        What was done here since stays, and episodes that are not known are left out.
        """

        def resumed(
            title_id: TitleId, show: TitleId | None, before: Record | None
        ) -> Record | None:
            said, at = begun[title_id]
            return watching.resumed(before, said, title_id=title_id, show=show, at=at)

        await self._remember_all(user_id, list(begun), resumed)

    async def _remember_all(
        self,
        user_id: UserId,
        wanted: Sequence[TitleId],
        changed_to: Callable[[TitleId, TitleId | None, Record | None], Record | None],
    ) -> None:
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            episodes = [one for one in some if one.kind is Kind.EPISODE]
            shows = await self._outline.shows_of(episodes) if episodes else {}
            async with self._changing:
                records = await self._store.records(user_id, some)
                changed: dict[Key, Record | None] = {}
                for one in some:
                    if one.kind is Kind.SHOW or (one.kind is Kind.EPISODE and one not in shows):
                        continue
                    before = self._latest(user_id, one, records.get(one))
                    record = changed_to(one, shows.get(one), before)
                    if record != before:
                        changed[Key(user_id, one)] = record
                await self._store.save(changed)
                for key, now in changed.items():
                    if (play := self._plays.get(key)) is not None:
                        play.record, play.is_written = now, True
            self._tell(changed, home=True, shows=set(shows.values()))

    async def titles(self) -> Collection[TitleId]:
        """Return the movies, and the shows of the episodes, that anybody has begun or seen."""
        playing = {play.show or key.title_id for key, play in self._plays.items()}
        return await self._store.titles() | playing

    async def forget(self, user_id: UserId, title_id: TitleId) -> None:
        """Forget that a user has begun or seen something."""
        key = Key(user_id, title_id)
        async with self._changing:
            self._plays.pop(key, None)
            await self._store.save({key: None})
        self._tell([key], home=True)

    async def forget_user(self, user_id: UserId) -> None:
        """Forget all about somebody who is gone."""
        async with self._changing:
            for key in [key for key in self._plays if key.user_id == user_id]:
                del self._plays[key]
            self._next_up.changed(user_id)
            await self._store.forget_user(user_id)

    # ----------------------------------------------------------------------------------------------

    async def _play(self, key: Key) -> _Play:
        if (known := self._plays.get(key)) is not None:
            return known
        title_id = key.title_id
        record = (await self._store.records(key.user_id, [title_id])).get(title_id)
        show = None if record is None else record.show
        if record is None and title_id.kind is Kind.EPISODE:
            show = (await self._outline.shows_of([title_id])).get(title_id)
            if show is None:
                raise NoTitleError("There is no such title")
        return _Play(record=record, show=show, written_at=-math.inf)

    def _remember(self, key: Key, play: _Play) -> None:
        self._plays.pop(key, None)
        self._plays[key] = play
        if len(self._plays) > _REMEMBERED:
            oldest = next((key for key, play in self._plays.items() if play.is_written), None)
            if oldest is not None:
                del self._plays[oldest]

    async def _write(self, keys: Collection[Key]) -> None:
        plays = {key: self._plays[key] for key in keys if not self._plays[key].is_written}
        if plays:
            await self._store.save({key: play.record for key, play in plays.items()})
        now = self._seconds()
        for play in plays.values():
            play.is_written, play.written_at = True, now
        if all(play.is_written for play in self._plays.values()):
            self._unwritten.clear()

    def _until_due(self) -> float:
        """Return the seconds after which the next one has to be written."""
        waiting = [play.written_at for play in self._plays.values() if not play.is_written]
        return max(0.0, min(waiting, default=0.0) + self._written_every - self._seconds())

    def _latest(self, user_id: UserId, title_id: TitleId, written: Record | None) -> Record | None:
        play = self._plays.get(Key(user_id, title_id))
        return written if play is None else play.record

    def _latest_of(self, user_id: UserId, written: Iterable[Record]) -> Sequence[Progress]:
        latest = (self._latest(user_id, record.title_id, record) for record in written)
        return [record.progress for record in latest if record is not None]

    def _tell(
        self, keys: Iterable[Key], *, home: bool, shows: Collection[TitleId] | None = None
    ) -> None:
        """Tell what has changed; `shows`: of which, if that is known."""
        users = set()
        for key in keys:
            users.add(key.user_id)
            self._changed(f"progress:{key.user_id}:{key.title_id}")
        if home:
            for user_id in users:
                self._next_up.changed(user_id, shows)
                self._changed(f"home:{user_id}")


def _standing(record: Record | None) -> tuple[bool, bool, int]:
    """Return what of a record makes a difference to what a person is offered."""
    if record is None:
        return False, False, 0
    return record.position > 0, record.watched_at is not None, record.plays


def _plays(record: Record | None) -> int:
    return 0 if record is None else record.plays


def _mark(cursor: str) -> Mark:
    updated_at, _, title_id = cursor.partition("-")
    try:
        # More than 18 digits could be more than SQLite counts to.
        if updated_at.isascii() and updated_at.isdecimal() and len(updated_at) <= 18:  # noqa: PLR2004 -- see above
            return Mark(int(updated_at), str(TitleId.parse(title_id)))
    except NoTitleError:
        pass
    raise InvalidInputError("The cursor is not one that was given out here")
