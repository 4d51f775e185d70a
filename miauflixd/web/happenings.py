"""What there is to tell of, kind by kind: first how it is, then each change.

An event is made when it is asked for, and not when something happens: who reads slowly gets fewer
of them, and nothing waits for them here but the ids of what has changed.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol

import msgspec
from msgspec import Struct

from miauflixd.auth.model import UserId
from miauflixd.cache.service import Cache
from miauflixd.playback.model import PlaybackId
from miauflixd.playback.service import Playback, Playbacks
from miauflixd.torrents.model import NoSourceError, SourceId
from miauflixd.tunnel.model import TunnelView
from miauflixd.web.playback_shapes import EndedShape
from miauflixd.web.ports import Library, Timetable, Torrents, Tunnel
from miauflixd.web.shapes import RemovedShape, shape
from miauflixd.web.task_shapes import task_shape
from miauflixd.web.vpn_shapes import public_shape, tunnel_shape

_TITLES_AT_ONCE = 500
"""Titles that one event names: 8 kB. A new list has a hundred, a feed of changes thousands."""


class Happening(Protocol):
    """One kind of thing to tell of."""

    def now(self) -> Iterable[bytes]:
        """Return how it is now: what a client is told that has just come."""
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Yield an event for each change, for the length of the block."""
        ...


class LibraryShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is worth asking for again."""

    lists: list[str]
    """The slugs of lists."""
    titles: list[str]
    home: bool
    """The first page."""
    sources: list[str] = msgspec.field(default_factory=list)
    """Titles of which sources were found or lost, or the search is over; missing: none."""


class ProgressShape(msgspec.Struct, frozen=True, kw_only=True):
    """One has watched something, perhaps on another device."""

    title_id: str


def event(name: str, data: msgspec.Struct) -> bytes:
    """Return an event as it is sent; JSON has no line breaks that could end it early."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


class Sources:
    """The sources; for administrators."""

    def __init__(self, torrents: Torrents, cache: Cache) -> None:
        self._torrents = torrents
        self._cache = cache

    def now(self) -> Iterator[bytes]:
        """Return all of them."""
        return (
            event("torrent", shape(source, self._cache.use(source.id)))
            for source in self._torrents.sources()
        )

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield a source whenever it changed, or that it is gone."""
        async with self._torrents.changes() as changed:
            yield (self._event(source_id) async for source_id in changed)

    def _event(self, source_id: SourceId) -> bytes:
        try:
            source = self._torrents.source(source_id)
            return event("torrent", shape(source, self._cache.use(source_id)))
        except NoSourceError:
            return event("torrent", RemovedShape(id=source_id))


class Tasks:
    """What goes on by itself; for administrators."""

    def __init__(self, timetable: Timetable) -> None:
        self._timetable = timetable

    def now(self) -> Iterator[bytes]:
        """Return all of them."""
        return (event("task", task_shape(task)) for task in self._timetable.tasks())

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield a task whenever it changed."""
        async with self._timetable.changes() as changed:
            yield (event("task", task_shape(self._timetable.task(name))) async for name in changed)


class ThePlaybacks:
    """What one plays; for administrators, what everybody does."""

    def __init__(
        self, playbacks: Playbacks, *, user_id: UserId | None, show: Callable[[Playback], Struct]
    ) -> None:
        self._playbacks = playbacks
        self._user_id = user_id
        self._show = show

    def now(self) -> Iterator[bytes]:
        """Return all of them."""
        for playback in self._playbacks.of(self._user_id):
            yield from self._events(playback.id)

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield a playback when it begins, and when another source is played, or that it ended."""
        async with self._playbacks.changes() as changed:
            yield (one async for playback_id in changed for one in self._events(playback_id))

    def _events(self, playback_id: PlaybackId) -> Iterator[bytes]:
        found = [one for one in self._playbacks.of(None) if one.id == playback_id]
        if not found:
            # An id tells nobody anything who does not play it.
            yield event("playback", EndedShape(id=playback_id))
        elif self._user_id in (None, found[0].user_id):
            with suppress(NoSourceError):  # it was removed this moment
                yield event("playback", self._show(found[0]))


class TheTunnel:
    """The tunnel; what others than administrators see of it is little."""

    def __init__(self, tunnel: Tunnel, *, sees_all: bool) -> None:
        self._tunnel = tunnel
        self._shape = tunnel_shape if sees_all else public_shape

    def now(self) -> Iterator[bytes]:
        """Return how it is."""
        yield self._event(self._tunnel.view())

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield how it is whenever that has changed."""
        async with self._tunnel.changes() as views:
            yield (self._event(view) async for view in views)

    def _event(self, view: TunnelView) -> bytes:
        return event("tunnel", self._shape(view))


class TheLibrary:
    """What there is to watch, and how far one is with it."""

    def __init__(self, library: Library, *, user_id: UserId | None) -> None:
        self._library = library
        self._user_id = user_id

    def now(self) -> Iterator[bytes]:
        """Return nothing: who has just come asks for what it wants to see."""
        return iter(())

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield what is worth asking for again."""
        async with self._library.changes() as batches:
            yield (one async for batch in batches for one in library_events(batch, self._user_id))


def _own(text: str, user_id: UserId | None) -> list[str]:
    """Return what stands before the name of whom it concerns, if it concerns this one."""
    what, _, whose = text.partition(":")
    return [what] if whose in {"", user_id} else []


def library_events(changed: Sequence[str], user_id: UserId | None) -> Iterator[bytes]:
    """Yield what a user is told of these changes in the library.

    Args:
        changed: as in `Library.changes`; what somebody else has watched is theirs to know.
        user_id: who is told; `None`: nobody of the household.
    """
    told: dict[str, list[str]] = {"list": [], "title": [], "sources": []}
    home = False
    for one in changed:
        kind, _, rest = one.partition(":")
        if kind == "list":
            told[kind] += _own(rest, user_id)
        elif kind in told and rest:
            told[kind].append(rest)
        elif kind == "home":
            home |= rest in {"", user_id}
        elif kind == "progress":
            whose, _, title_id = rest.partition(":")
            if whose == user_id:
                yield event("progress", ProgressShape(title_id=title_id))
    titles, sources = told["title"], told["sources"]
    if not (any(told.values()) or home):
        return
    yield event(
        "library",
        LibraryShape(
            lists=told["list"],
            titles=titles[:_TITLES_AT_ONCE],
            home=home,
            sources=sources[:_TITLES_AT_ONCE],
        ),
    )
    for start in range(_TITLES_AT_ONCE, max(len(titles), len(sources)), _TITLES_AT_ONCE):
        part = slice(start, start + _TITLES_AT_ONCE)
        yield event(
            "library",
            LibraryShape(lists=[], titles=titles[part], home=False, sources=sources[part]),
        )
