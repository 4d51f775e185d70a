"""Playback over files whose contents a test has made up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from miauflixd.database.database import Database
from miauflixd.errors import NotFoundError
from miauflixd.playback.model import Recipe
from miauflixd.playback.playback_store import PlaybackStore
from miauflixd.playback.ports import MediaFiles, Readers
from miauflixd.playback.service import Playback, Playbacks
from miauflixd.playback.settings import PlaybackSettings
from miauflixd.playback.waiting import Waiting
from miauflixd.remuxer.media import (
    AudioTrack,
    Chapter,
    Media,
    SubtitlePacket,
    SubtitleTrack,
    VideoTrack,
)
from miauflixd.torrents.model import SourceId
from miauflixd.vault.sealing import Sealer
from tests.fakes import FakeTorrents


def video(codec: str = "h264", **more: Any) -> VideoTrack:
    return VideoTrack(**{"index": 0, "codec": codec, "width": 1920, "height": 1080, **more})


def audio(codec: str = "aac", index: int = 1, **more: Any) -> AudioTrack:
    return AudioTrack(
        **{"index": index, "codec": codec, "channels": 2, "sample_rate": 48_000, **more}
    )


def media(container: str = "mov", *, duration: float | None = 5400.0, **more: Any) -> Media:
    """Return a film that any browser plays, unless said otherwise."""
    return Media(
        **{
            "container": container,
            "duration": duration,
            "video": (video(),),
            "audio": (audio(),),
            "keyframes": tuple(float(at) for at in range(0, 5400, 2)),
            **more,
        }
    )


def rich() -> Media:
    """Return what a release of a film is like: sound in two languages, subtitles, chapters."""
    return media(
        "matroska",
        audio=(
            audio("ac3", 1, language="en", default=True, channels=6),
            audio("aac", 2, language="de"),
        ),
        subtitles=(
            SubtitleTrack(index=3, codec="subrip", kind="text", language="en"),
            SubtitleTrack(index=4, codec="subrip", kind="text", language="de", forced=True),
            SubtitleTrack(index=5, codec="hdmv_pgs_subtitle", kind="image", language="fr"),
        ),
        chapters=(Chapter(start=0, stop=60, title="Opening"),),
    )


@dataclass
class FakeStream:
    """A film in segments that say which they are."""

    recipe: Recipe
    start: float
    durations: Sequence[float] = (4.0,) * 1350
    codecs: str = "avc1.640028,mp4a.40.2"
    warm_at: float | None = None
    closed: bool = False

    def warm(self) -> None:
        self.warm_at = self.start

    async def aclose(self) -> None:
        self.closed = True

    async def init(self) -> bytes:
        return b"init"

    async def segment(self, number: int) -> bytes:
        if number >= len(self.durations):
            raise NotFoundError("The film has no such segment")
        return f"segment {number} of {self.recipe.audio}".encode()


@dataclass
class FakeMedia:
    """Files that a test has described; all others are `usual`."""

    usual: Media | Exception = field(default_factory=media)
    files: dict[SourceId, Media | Exception] = field(default_factory=dict)
    said: list[SubtitlePacket] = field(default_factory=list)
    streams: list[FakeStream] = field(default_factory=list)

    async def probe(self, source_id: SourceId, file: int | None) -> Media:
        match self.files.get(source_id, self.usual):
            case Exception() as error:
                raise error
            case Media() as found:
                return found

    async def hls(
        self, source_id: SourceId, file: int | None, recipe: Recipe, *, start: float = 0.0
    ) -> FakeStream:
        self.streams.append(FakeStream(recipe, start))
        return self.streams[-1]

    async def subtitles(
        self, source_id: SourceId, file: int | None, *, track: int, start: float, stop: float
    ) -> Sequence[SubtitlePacket]:
        return [one for one in self.said if start - 10 < one.start < stop]

    async def attachment(self, source_id: SourceId, file: int | None, index: int) -> bytes:
        return b"font"


def playbacks(
    database: Database,
    *,
    torrents: Any = None,
    waiting: Readers | None = None,
    playing: Any = None,
    files: MediaFiles | None = None,
    clock: Callable[[], datetime],
    **more: Any,
) -> Playbacks:
    """Return the playbacks of a house; nobody runs them."""
    sources = torrents or FakeTorrents()
    return Playbacks(
        sources=sources,
        waiting=Waiting(waiting or sources),
        playing=playing,
        media=files or FakeMedia(),
        store=PlaybackStore(database=database, sealer=Sealer(bytes(32))),
        clock=clock,
        **{"settings": PlaybackSettings(), **more},
    )


__all__ = ["FakeMedia", "FakeStream", "Playback", "media", "playbacks", "rich"]
