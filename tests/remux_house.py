"""Films made here, read as if they came from a swarm, and the workers that take them apart."""

import asyncio
import os
from array import array
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from math import pi, sin
from pathlib import Path
from typing import Any

import av

from miauflixd.database.database import Database
from miauflixd.playback.media_files import MediaFiles
from miauflixd.playback.media_store import MediaStore
from miauflixd.playback.ports import Readers
from miauflixd.playback.settings import PlaybackSettings
from miauflixd.torrents.model import NoSourceError, SourceFile, SourceId
from miauflixd.torrents.reader import Span
from miauflixd.vault.sealing import Sealer

FILM = SourceId("00000000000000f1")

RATE = 24
GOP = 48
"""Pictures between keyframes: two seconds."""


def film(
    path: Path,
    *,
    seconds: int = 20,
    video: str = "libx264",
    audio: str | None = "ac3",
    texts: bool = False,
) -> Path:
    """Make a small film in the container of the path's name: a grey that grows, and a tone."""
    with av.open(str(path), "w") as output:
        pictures: Any = output.add_stream(
            video, rate=RATE, options={"preset": "ultrafast", "bf": "2"}
        )
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        pictures.codec_context.gop_size = GOP
        sound: Any = (
            None if audio is None else output.add_stream(audio, rate=48_000, layout="stereo")
        )
        said = output.add_mux_stream("subrip") if texts else None
        for number in range(seconds * RATE):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane, value in zip(frame.planes, (number % 250, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(pictures.encode(frame))
            if sound is not None and number % RATE == 0:
                _sound(output, sound, number // RATE)
            if said is not None and number % (2 * RATE) == 0:
                packet = av.Packet(f"At {number // RATE}".encode())
                packet.stream, packet.time_base = said, Fraction(1, 1000)
                packet.pts = packet.dts = 1000 * number // RATE
                packet.duration = 1500
                output.mux(packet)
        output.mux(pictures.encode(None))
        if sound is not None:
            output.mux(sound.encode(None))
    return path


def _sound(output, sound, second: int) -> None:
    frame_size = sound.codec_context.frame_size or 1024
    start = -(-second * 48_000 // frame_size) * frame_size
    for at in range(start, (second + 1) * 48_000, frame_size):
        wave = array(
            "f", (sin(2 * pi * 440 * (at + one) / 48_000) / 3 for one in range(frame_size))
        )
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=frame_size)
        for plane in frame.planes:
            plane.update(wave.tobytes().ljust(plane.buffer_size, b"\0"))
        frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
        output.mux(sound.encode(frame))


class FileReader:
    """A file of which only a part may be there; reading further waits until it is."""

    etag = '"film"'

    def __init__(self, house: "Files", path: Path) -> None:
        self._house = house
        self._path = path
        size = path.stat().st_size
        self.file = SourceFile(index=0, name=path.name, size=size, offset=0)

    async def spans(self, start: int, stop: int) -> AsyncGenerator[Span, None]:
        self._house.asked.append((start, stop))
        with self._path.open("rb", buffering=0) as opened:
            while start < stop:
                length = min(2**18, stop - start)
                await self._house.wait_for(start, start + length)
                yield Span(opened, start, length)
                start += length


class Files:
    """What `Everything` is to playback, with films of this disk."""

    def __init__(self, **films: Path) -> None:
        self.films = films
        self.asked: list[tuple[int, int]] = []
        """Where reading began, and up to where it was to go."""
        self.here = 2**62
        """Bytes from the start of a file that are there."""
        self.error: Exception | None = None
        self._more = asyncio.Condition()

    async def bring(self, here: int) -> None:
        """Have more of it be there."""
        async with self._more:
            self.here = here
            self._more.notify_all()

    async def wait_for(self, start: int, stop: int) -> None:
        """Wait until bytes are there."""
        async with self._more:
            await self._more.wait_for(lambda: stop <= self.here or self.error is not None)
        if self.error is not None:
            raise self.error

    @asynccontextmanager
    async def reader(self, source_id: SourceId, file: int | None) -> AsyncIterator[FileReader]:
        """Read a film; there is one file in each source."""
        if file not in (None, 0) or source_id not in self.films:
            raise NoSourceError("There is no such source")
        yield FileReader(self, self.films[source_id])


@asynccontextmanager
async def media_files(
    folder: Path, sources: Readers, *, workers: int = 4
) -> AsyncIterator[MediaFiles]:
    """Run workers over films."""
    async with (
        Database.open(folder / "media.sqlite3") as database,
        MediaFiles.open(
            settings=PlaybackSettings(workers=workers),
            sources=sources,
            store=MediaStore(database=database, sealer=Sealer(bytes(32))),
        ) as files,
    ):
        yield files


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [int(one) for one in found]


def own_children() -> list[int]:
    """Return the processes that this one has started."""
    return children_of(os.getpid())
