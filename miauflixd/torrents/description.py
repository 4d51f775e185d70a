"""What is said of a source, out of what is known and what the engine has of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from miauflixd.torrents.active import ActiveTorrent
from miauflixd.torrents.condition import Circumstances, activity_of, explain
from miauflixd.torrents.model import Activity, Condition, Layout, Source, SourceId
from miauflixd.torrents.road import Road


@dataclass(kw_only=True, eq=False)
class Known:
    """A source, in the swarm or not."""

    id: SourceId
    name: str | None
    added_at: datetime
    layout: Layout | None
    since: datetime
    activity: Activity = Activity.DORMANT
    emptied: asyncio.Event | None = None
    """Set once it holds nothing any more, while that is being seen to."""

    @contextmanager
    def emptying(self) -> Iterator[None]:
        """Have others wait for the length of the block."""
        self.emptied = emptied = asyncio.Event()
        try:
            yield
        finally:
            self.emptied = None
            emptied.set()


def describe(known: Known, active: ActiveTorrent | None, road: Road) -> Source:
    """Return a source as it is right now, and note since when it does what it does."""
    now = _circumstances(known, active, road)
    activity = activity_of(now)
    if activity is not known.activity:
        known.activity, known.since = activity, datetime.now(UTC)
    reason, next_step = explain(activity, now)
    source = Source(
        id=known.id,
        name=known.name,
        added_at=known.added_at,
        condition=Condition(activity=activity, since=known.since, reason=reason, next=next_step),
        layout=known.layout,
    )
    if active is None:
        return source
    if (progress := active.progress) is not None:
        source = replace(
            source,
            download_rate=progress.download_rate,
            upload_rate=progress.upload_rate,
            peers=progress.peers,
            seeds=progress.seeds,
            known_peers=progress.known_peers,
        )
    if known.layout is not None:
        source = replace(
            source,
            have=active.pieces.total(known.layout),
            available={
                file.index: active.pieces.spans(known.layout, file) for file in active.files_in_use
            },
        )
    return replace(source, readers=active.readers, wrong_pieces=active.wrong_pieces)


def _circumstances(known: Known, active: ActiveTorrent | None, road: Road) -> Circumstances:
    if active is None:
        return Circumstances(known=known.layout is not None)
    return Circumstances(
        active=True,
        known=known.layout is not None,
        checked=active.checked,
        complete=active.complete,
        wanting=active.wanting,
        peers=active.progress.peers if active.progress is not None else 0,
        no_road=None if road.up else f"{road.in_words()}.",
        no_room=active.no_room,
        failure=active.failure,
    )
