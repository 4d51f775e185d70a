"""What is said of a web source, out of what is known and what is under way."""

import asyncio
from datetime import datetime

from miauflixd.torrents.model import (
    Activity,
    Condition,
    Layout,
    NoSourceError,
    Source,
    SourceFile,
)
from miauflixd.web_files.blocks import bytes_in
from miauflixd.web_files.condition import Circumstances, activity_of, explain
from miauflixd.web_files.copies import Copy
from miauflixd.web_files.model import BLOCK
from miauflixd.web_files.store import StoredFile, StoredWebSource


class Known:
    """A web source, whether somebody reads it or not."""

    def __init__(self, stored: StoredWebSource, *, since: datetime) -> None:
        self.id = stored.id
        self.content = stored.content
        self.added_at = stored.added_at
        self.files: dict[int, StoredFile] = dict(stored.files)
        """What has been saved of each."""
        self.copies: dict[int, Copy] = {}
        """Those that are read, or were lately."""
        self.since = since
        self.activity = Activity.DORMANT

    def check(self, index: int) -> int:
        """Return the index of a file.

        Raises:
            NoSourceError: there is none.
        """
        if not 0 <= index < len(self.content.files):
            raise NoSourceError("This source has no such file")
        return index

    def main_file(self) -> int:
        """Return the file that somebody who just presses play means.

        That is the largest one, as of torrents; or the first, if it is not known how large all are.
        """
        layout = self.layout()
        return 0 if layout is None else max(layout.files, key=lambda file: file.size).index

    def size(self, index: int) -> int | None:
        """Return how long a file is, as its server said, or else the directory."""
        copy = self.copies.get(index)
        if copy is not None and copy.facts is not None:
            return copy.facts.size
        if (stored := self.files.get(index)) is not None:
            return stored.facts.size
        return self.content.files[index].size

    def layout(self) -> Layout | None:
        """Return all files, each beginning at a block of its own; nothing before all are known."""
        files: list[SourceFile] = []
        offset = 0
        for index, file in enumerate(self.content.files):
            if (size := self.size(index)) is None:
                return None
            files.append(SourceFile(index=index, name=file.name, size=size, offset=offset))
            offset += -(-size // BLOCK) * BLOCK
        total = files[-1].offset + files[-1].size
        return Layout(
            name=self.content.name, piece_length=BLOCK, total_size=total, files=tuple(files)
        )

    def have(self) -> int:
        """Return how many bytes are on the disk."""
        return sum(
            copy.blocks.total
            if (copy := self.copies.get(index)) is not None and copy.facts is not None
            else self._stored(index)
            for index in range(len(self.content.files))
        )

    def _stored(self, index: int) -> int:
        stored = self.files.get(index)
        return 0 if stored is None else bytes_in(stored.have, stored.facts.size)


def describe(known: Known, *, now: datetime) -> Source:
    """Return a source as it is right now, and note since when it does what it does."""
    layout = known.layout()
    have = known.have()
    size = None if layout is None else sum(file.size for file in layout.files)
    circumstances = _circumstances(known, known=layout is not None, complete=have == size)
    activity = activity_of(circumstances)
    if activity is not known.activity:
        known.activity, known.since = activity, now
    reason, next_step = explain(activity, circumstances)
    copies = known.copies.values()
    return Source(
        id=known.id,
        name=known.content.name,
        added_at=known.added_at,
        condition=Condition(activity=activity, since=known.since, reason=reason, next=next_step),
        layout=layout,
        have=have,
        download_rate=sum(copy.rate for copy in copies),
        readers=sum(copy.readers for copy in copies),
        available={copy.index: copy.blocks.spans() for copy in copies if copy.facts is not None},
    )


def _circumstances(source: Known, *, known: bool, complete: bool) -> Circumstances:
    copies = source.copies.values()
    wanting = [copy for copy in copies if copy.wanting]
    troubled = next((copy for copy in wanting if copy.troubles.error is not None), None)
    trouble = None if troubled is None else str(troubled.troubles.error)
    no_road = troubled is not None and troubled.troubles.no_road
    return Circumstances(
        active=bool(copies),
        known=known,
        complete=complete,
        wanting=bool(wanting),
        no_road=f"{trouble.rstrip('.')}." if trouble and no_road else None,
        trouble=trouble,
        again_in=_seconds_to(troubled.again_at) if troubled else 0.0,
        no_room=any(copy.no_room for copy in copies),
        failure=next((copy.failure for copy in copies if copy.failure is not None), None),
    )


def _seconds_to(moment: float) -> float:
    return max(0.0, moment - asyncio.get_running_loop().time())
