"""Playing, from the wish to the end: what is played, how, and what becomes of it.

    start     a source that this client can play: the best is looked into, then the next best
    hls       its segments, for whoever holds the key
    report    how far somebody is; near the end of an episode the next one is got ready
    run       a source that gives nothing, or wrong data again and again, is swapped for another

A playback outlives the process: its address goes on working after a start anew.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import ValidationError, convert, to_builtins

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import TitleId
from miauflixd.errors import MiauflixdError, NotFoundError, TimedOutError
from miauflixd.playback.client import Capabilities
from miauflixd.playback.decision import decide
from miauflixd.playback.errors import UnplayableFileError, WorkerDiedError
from miauflixd.playback.model import Decision, Method, PlaybackId, Reason
from miauflixd.playback.playback_store import PlaybackStore, Record
from miauflixd.playback.ports import HlsStream, MediaFiles, Readers
from miauflixd.playback.settings import PlaybackSettings
from miauflixd.playback.waiting import Waiting, WatchedReader
from miauflixd.remuxer.media import Media
from miauflixd.runtime.changes import Changes
from miauflixd.runtime.clock import Clock
from miauflixd.sources.listing_model import ListingId, NothingToPlayError
from miauflixd.sources.playing import Ready
from miauflixd.sources.ranking import Preference
from miauflixd.torrents.model import Activity, NoSourceError, Source, SourceId
from miauflixd.torrents.reader import NoDataError

logger = logging.getLogger(__name__)

LIFETIME = timedelta(hours=6)
"""Since it was last used; as that of its key."""

_LOOK_WITHIN = 15.0
"""Seconds to find out what a file holds before another source is tried."""

_TRIES = 4
"""Sources that are looked into for one wish."""

_WATCH_EVERY = 0.5
"""Seconds between looks at whether something comes."""

_TIDY_EVERY = 60.0

_NEARLY_OVER = 0.8
"""Of an episode, from where on the next one is got ready."""

_WRONG = 4
"""Pieces that fail their hash, from which on the source is somebody's bad joke."""

_EXCUSED = frozenset(
    {Activity.CHECKING, Activity.TUNNEL_DOWN, Activity.DISK_FULL, Activity.DORMANT}
)
"""States in which nothing comes, and another source would give nothing either."""


class NoPlaybackError(NotFoundError):
    """There is no such playback, or not any more."""

    code = "no_playback"


class Playing(Protocol):
    """Makes titles into sources; see `sources.playing.Playing`."""

    async def ready(
        self,
        title_id: TitleId,
        preference: Preference,
        *,
        not_these: Collection[ListingId] = (),
    ) -> Ready:
        """Return what to play a title from, waiting for it if need be."""
        ...

    async def chosen(self, source_id: SourceId) -> None:
        """Note that somebody plays a source that they have chosen themselves."""
        ...

    async def gave_nothing(self, source_id: SourceId) -> None:
        """Note that a source could not be played."""
        ...


class Sources(Readers, Protocol):
    """The sources, as far as playing looks at them."""

    def source(self, source_id: SourceId) -> Source:
        """Return one source as it is now.

        Raises:
            NoSourceError: there is none.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What somebody wants to play, and on what."""

    user_id: UserId
    client: Capabilities
    preference: Preference
    title_id: TitleId | None = None
    source_id: SourceId | None = None
    """One of the two."""
    file_index: int | None = None
    audio: int | None = None
    """The track that they have chosen."""
    not_these: tuple[ListingId, ...] = ()
    """What they do not want."""
    failed: frozenset[Method] = frozenset()
    """What their client has tried already."""
    resume_at: float = 0.0
    """Seconds."""


@dataclass(kw_only=True, slots=True)
class Playback:
    """Something that is being played."""

    id: PlaybackId
    user_id: UserId
    title_id: TitleId | None
    source_id: SourceId
    file_index: int
    listing_id: ListingId | None
    decision: Decision
    media: Media | None
    began_at: datetime
    why: tuple[str, ...] = ()
    """Why this source, and what was wrong with others; for people."""
    ready: Ready | None = None
    wish: Wish | None = None
    """`None`: there is no other source to go on with."""
    position: float = 0.0
    """Seconds, as last reported."""
    swaps: int = 0
    stalls: int = 0
    """How often somebody waited for more than a moment."""
    stalled: float = 0.0
    """Seconds in all."""
    prepared: bool = False
    """Whether the next episode was seen to."""
    used_at: float = 0.0
    """By the loop's clock."""
    streams: dict[int | None, HlsStream] = field(default_factory=dict)
    """By the audio track that was asked for instead."""
    wrong_before: int = 0
    """Pieces of its source that had failed before it began."""


class Playbacks:
    """All that is being played."""

    def __init__(
        self,
        *,
        settings: PlaybackSettings,
        sources: Sources,
        waiting: Waiting,
        playing: Playing,
        media: MediaFiles,
        store: PlaybackStore,
        clock: Clock,
        encoder: Callable[[], str | None] = lambda: None,
        prepare: Callable[[Playback], Awaitable[None]] | None = None,
        watched: Callable[[SourceId, float], None] | None = None,
    ) -> None:
        """Play nothing yet.

        Args:
            settings: how long nothing may come.
            sources: where bytes come from.
            waiting: who waits for them.
            playing: makes sources of titles.
            media: opens files.
            store: where playbacks outlive the process.
            clock: the time.
            encoder: of video, that works on this machine; `None`: there is none.
            prepare: called when an episode is nearly over.
            watched: told of which source how much has been seen, 0 to 1.
        """
        self._settings = settings
        self._sources = sources
        self.waiting = waiting
        self._playing = playing
        self._media = media
        self._store = store
        self._clock = clock
        self._encoder = encoder
        self._prepare = prepare
        self._watched = watched or (lambda *_: None)
        self._all: dict[PlaybackId, Playback] = {}
        self._changes = Changes[PlaybackId]()
        self._progress: dict[SourceId, tuple[int, float]] = {}
        """What of a source was here when it last grew, and when that was."""

    # --- beginning and ending ---------------------------------------------------------------------

    async def start(self, wish: Wish) -> Playback:
        """Return a playback of what somebody wants, waiting for a source if need be.

        Raises:
            NoSourceError: there is no such source.
            NothingToPlayError: there is nothing to play the title from; the message says why.
            MiauflixdError: there is no way to what there is.
        """
        found = await self._found(wish, not_these=wish.not_these)
        playback = self._all[found.id] = found
        await self._save(playback)
        if playback.decision.recipe is not None:
            stream = await self.hls(playback, audio=None, start=wish.resume_at)
            stream.warm()
        self._changes.note(playback.id)
        return playback

    async def get(self, playback_id: str) -> Playback:
        """Return a playback, also one of before the daemon was started anew.

        Raises:
            NoPlaybackError: there is none.
        """
        playback = self._all.get(PlaybackId(playback_id))
        if playback is None:
            playback = await self._restored(PlaybackId(playback_id))
        playback.used_at = asyncio.get_running_loop().time()
        return playback

    def of(self, user_id: UserId | None) -> Sequence[Playback]:
        """Return what somebody plays, or everybody."""
        return [one for one in self._all.values() if user_id in (None, one.user_id)]

    async def end(self, playback: Playback) -> None:
        """Play something no more."""
        self._all.pop(playback.id, None)
        for stream in playback.streams.values():
            await stream.aclose()
        await self._store.remove(playback.id)
        self._changes.note(playback.id)

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[PlaybackId]]:
        """Yield the id of each playback that begins, changes or ends."""
        return self._changes.listen()

    # --- while it lasts ---------------------------------------------------------------------------

    def reader(
        self, source_id: SourceId, file: int | None
    ) -> AbstractAsyncContextManager[WatchedReader]:
        """Read a file; whoever waits is seen to."""
        return self.waiting.reader(source_id, file)

    async def hls(
        self, playback: Playback, *, audio: int | None, start: float | None = None
    ) -> HlsStream:
        """Return what is played as HLS, perhaps with another audio track.

        Raises:
            NoPlaybackError: it is played as it is.
            NotFoundError: it has no such track.
            MiauflixdError: it cannot be opened.
        """
        known = playback.streams.get(audio)
        if known is not None:
            return known
        recipe = playback.decision.recipe
        if recipe is None:
            raise NoPlaybackError("This is played as it is, not in segments")
        if audio is not None and audio != recipe.audio:
            media = await self._media.probe(playback.source_id, playback.file_index)
            if audio not in {one.index for one in media.audio}:
                raise NoPlaybackError("The film has no such audio track")
            recipe = replace(recipe, audio=audio, audio_codec="aac")
        stream = await self._media.hls(
            playback.source_id,
            playback.file_index,
            recipe,
            start=playback.position if start is None else start,
        )
        for old in playback.streams.values():
            await old.aclose()
        playback.streams[audio] = stream
        return stream

    async def report(
        self, user_id: UserId, title_id: TitleId, *, position: float, duration: float
    ) -> None:
        """Note how far somebody is with a title."""
        for playback in list(self._all.values()):
            if (playback.user_id, playback.title_id) != (user_id, title_id):
                continue
            playback.position = position
            playback.used_at = asyncio.get_running_loop().time()
            if duration > 0:
                self._watched(playback.source_id, position / duration)
            if not playback.prepared and duration > 0 and position >= _NEARLY_OVER * duration:
                playback.prepared = True
                if self._prepare is not None:
                    await self._prepare(playback)

    @property
    def transcodes(self) -> bool:
        """Whether pictures can be encoded anew as fast as they are watched."""
        return self._encoder() is not None

    async def run(self) -> None:
        """See to sources that give nothing, and forget playbacks that nobody uses."""
        loop = asyncio.get_running_loop()
        tidied = loop.time()
        while True:
            await asyncio.sleep(_WATCH_EVERY)
            for playback in list(self._all.values()):
                if self.is_hopeless(playback):
                    await self.swap(playback)
            if loop.time() - tidied > _TIDY_EVERY:
                tidied = loop.time()
                await self._tidy(tidied)

    # --- finding a source -------------------------------------------------------------------------

    async def _found(self, wish: Wish, *, not_these: Sequence[ListingId]) -> Playback:
        if wish.title_id is None:
            return await self._of_source(wish)
        tried, against = [*not_these], list[str]()
        fallback: Playback | None = None
        for _ in range(_TRIES):
            try:
                ready = await self._playing.ready(
                    wish.title_id, wish.preference, not_these=tuple(tried)
                )
            except NothingToPlayError as error:
                if fallback is not None:
                    return fallback
                raise NothingToPlayError(
                    ". ".join(dict.fromkeys([*against, str(error)]))
                ) from error
            tried.append(ready.listing_id)
            try:
                media, file = await self._looked_into(ready.source_id, ready.file_index)
            except (UnplayableFileError, TimedOutError) as error:
                against.append(str(error))
                await self._playing.gave_nothing(ready.source_id)
                continue
            playback = self._made(wish, ready.source_id, file, media, ready=ready, against=against)
            if playback.decision.method != "external":
                return playback
            fallback = fallback or playback
            against.append("Another one cannot be shown on this screen")
        if fallback is not None:
            return fallback
        raise NothingToPlayError(". ".join(dict.fromkeys(against)))

    async def _of_source(self, wish: Wish) -> Playback:
        source_id = wish.source_id or SourceId("")
        await self._playing.chosen(source_id)
        try:
            media, file = await self._looked_into(source_id, wish.file_index)
        except UnplayableFileError:
            decision = Decision(method="external", reasons=(Reason.NOT_A_MEDIA_FILE,))
        except (TimedOutError, WorkerDiedError):
            decision = Decision(method="direct", reasons=(Reason.NOT_LOOKED_INTO,))
        else:
            return self._made(wish, source_id, file, media, ready=None, against=[])
        layout = self._sources.source(source_id).layout
        main = 0 if layout is None else layout.main_file().index
        file = main if wish.file_index is None else wish.file_index
        return self._new(wish, source_id, file, decision)

    async def _looked_into(self, source_id: SourceId, file: int | None) -> tuple[Media, int]:
        try:
            async with asyncio.timeout(_LOOK_WITHIN):
                if file is None:
                    async with self.waiting.reader(source_id, None) as reader:
                        file = reader.file.index
                return await self._media.probe(source_id, file), file
        except TimeoutError as error:
            raise NoDataError("What it holds did not come in time") from error

    def _made(
        self,
        wish: Wish,
        source_id: SourceId,
        file: int,
        media: Media,
        *,
        ready: Ready | None,
        against: Sequence[str],
    ) -> Playback:
        preference = wish.preference
        original = preference.original_language if ready is None else ready.original_language
        decision = decide(
            media,
            wish.client,
            audio=wish.audio,
            languages=preference.languages,
            original_language=original,
            failed=wish.failed,
            encoder=self._encoder(),
            encoding_allowed=self._settings.software_encoding or self._encoder() is not None,
            max_height=preference.max_height,
        )
        playback = self._new(wish, source_id, file, decision)
        playback.media, playback.ready = media, ready
        if ready is not None:
            playback.listing_id = ready.listing_id
            playback.why = (*ready.reasons, *dict.fromkeys(against))
        return playback

    def _new(self, wish: Wish, source_id: SourceId, file: int, decision: Decision) -> Playback:
        return Playback(
            id=PlaybackId(secrets.token_hex(8)),
            user_id=wish.user_id,
            title_id=wish.title_id,
            source_id=source_id,
            file_index=file,
            listing_id=None,
            decision=decision,
            media=None,
            began_at=self._clock(),
            wish=wish,
            position=wish.resume_at,
            used_at=asyncio.get_running_loop().time(),
            wrong_before=self._wrong(source_id),
        )

    # --- another source ---------------------------------------------------------------------------

    def is_hopeless(self, playback: Playback) -> bool:
        """Whether a title's source should be another one by now."""
        loop = asyncio.get_running_loop()
        source_id = playback.source_id
        since = self.waiting.since(source_id)
        try:
            source = self._sources.source(source_id)
        except NoSourceError:
            return False
        grown, at = self._progress.get(source_id, (-1, 0.0))
        if source.have != grown:
            grown, at = source.have, loop.time()
            self._progress[source_id] = (grown, at)
        if since is None:
            return False
        waited = loop.time() - max(since, at)
        if waited > _WATCH_EVERY:
            playback.stalled += _WATCH_EVERY
            playback.stalls += waited < 2 * _WATCH_EVERY + 0.1
        if playback.wish is None or playback.title_id is None:
            return False
        if source.condition.activity in _EXCUSED:
            return False
        wrong = self._wrong(source_id) - playback.wrong_before
        return waited >= self._settings.stall_after or wrong >= _WRONG

    def _wrong(self, source_id: SourceId) -> int:
        try:
            return self._sources.source(source_id).wrong_pieces
        except NoSourceError:
            return 0

    async def swap(self, playback: Playback) -> None:
        """Have the next best source played from the same position."""
        wish = playback.wish
        if wish is None:
            return
        await self._playing.gave_nothing(playback.source_id)
        not_these = [] if playback.listing_id is None else [playback.listing_id]
        try:
            found = await self._found(
                replace(wish, resume_at=playback.position, file_index=None), not_these=not_these
            )
        except MiauflixdError as error:
            logger.info("No other source is there to go on with (%s)", error.code)
            # Not again at once: whoever waits is told by the reader, and may try anew.
            playback.wish = None
            return
        for stream in playback.streams.values():
            await stream.aclose()
        playback.streams.clear()
        playback.source_id, playback.file_index = found.source_id, found.file_index
        playback.listing_id, playback.ready = found.listing_id, found.ready
        playback.decision, playback.media = found.decision, found.media
        playback.why = ("The source before gave nothing", *found.why)
        playback.wrong_before = found.wrong_before
        playback.swaps += 1
        await self._save(playback)
        if playback.decision.recipe is not None:
            with suppress(MiauflixdError):
                (await self.hls(playback, audio=None)).warm()
        logger.info("A source gave nothing, and another one is played instead")
        self._changes.note(playback.id)

    # --- what outlives the process ----------------------------------------------------------------

    async def _save(self, playback: Playback) -> None:
        title_id, decision = playback.title_id, playback.decision
        record = Record(
            user_id=playback.user_id,
            title_id=None if title_id is None else str(title_id),
            source_id=playback.source_id,
            file_index=playback.file_index,
            listing_id=playback.listing_id,
            method=decision.method,
            reasons=decision.reasons,
            recipe=decision.recipe,
            began_at=playback.began_at,
            wish=None if playback.wish is None else to_builtins(playback.wish),
        )
        await self._store.put(playback.id, record, at=self._clock())

    async def _restored(self, playback_id: PlaybackId) -> Playback:
        record = await self._store.get(playback_id)
        if record is None:
            raise NoPlaybackError("This is not played any more. Start it again")
        recipe = record.recipe
        playback = Playback(
            id=playback_id,
            user_id=UserId(record.user_id),
            title_id=None if record.title_id is None else TitleId.parse(record.title_id),
            source_id=SourceId(record.source_id),
            file_index=record.file_index,
            listing_id=None if record.listing_id is None else ListingId(record.listing_id),
            decision=Decision(
                method=record.method,
                reasons=record.reasons,
                recipe=recipe,
                audio=None if recipe is None else recipe.audio,
            ),
            media=None,
            began_at=record.began_at,
            wish=_wish_of(record),
            used_at=asyncio.get_running_loop().time(),
            wrong_before=self._wrong(SourceId(record.source_id)),
        )
        return self._all.setdefault(playback_id, playback)

    async def _tidy(self, now: float) -> None:
        lifetime = LIFETIME.total_seconds()
        for playback in list(self._all.values()):
            if self.waiting.since(playback.source_id) is not None:
                playback.used_at = now
            if now - playback.used_at > lifetime:
                await self.end(playback)
        await self._store.forget(before=self._clock() - 4 * LIFETIME)


def _wish_of(record: Record) -> Wish | None:
    """Return what somebody wanted, if that still means what it did in an earlier version."""
    if record.wish is None:
        return None
    try:
        return convert(record.wish, Wish)
    except ValidationError:
        return None
