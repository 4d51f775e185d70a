"""The subtitles of what is played: within the file, or in files beside it."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from miauflixd.errors import NotFoundError
from miauflixd.playback.media_files import NoTrackError
from miauflixd.playback.ports import MediaFiles, Readers
from miauflixd.playback.webvtt import Cue, ass_file, cues_of_file, cues_of_packets
from miauflixd.remuxer.media import Media, SubtitleTrack
from miauflixd.sources.subtitle_files import Subtitles as Beside
from miauflixd.sources.subtitle_files import beside
from miauflixd.torrents.model import Layout, SourceFile, SourceId

BESIDE = 1_000_000
"""Added to the index of a file beside the video; those within have the index of their track."""

_NAMES = {
    "ar": "العربية", "bg": "Български", "cs": "Čeština", "da": "Dansk", "de": "Deutsch",
    "el": "Ελληνικά", "en": "English", "es": "Español", "fi": "Suomi", "fr": "Français",
    "he": "עברית", "hr": "Hrvatski", "hu": "Magyar", "id": "Indonesia", "it": "Italiano",
    "ja": "日本語", "ko": "한국어", "nb": "Norsk", "nl": "Nederlands", "no": "Norsk",
    "pl": "Polski", "pt": "Português", "ro": "Română", "ru": "Русский", "sk": "Slovenčina",
    "sl": "Slovenščina", "sr": "Srpski", "sv": "Svenska", "th": "ไทย", "tr": "Türkçe",
    "uk": "Українська", "vi": "Tiếng Việt", "zh": "中文",
}  # fmt: skip
"""Languages as those who read them call them."""

_VIDEOS = frozenset({"mp4", "mkv", "webm", "avi", "ts", "m4v", "mov", "mpg", "mpeg", "m2ts", "wmv"})
"""Endings of videos."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Subtitles that somebody can choose."""

    index: int
    language: str | None
    label: str
    forced: bool
    for_deaf: bool
    is_text: bool
    """Whether they can be shown by a browser."""
    is_ass: bool = False


class Subtitles:
    """Finds and reads them."""

    def __init__(self, *, media: MediaFiles, sources: Readers) -> None:
        self._media = media
        self._sources = sources

    async def cues(
        self,
        source_id: SourceId,
        file: int,
        layout: Layout | None,
        index: int,
        *,
        start: float,
        stop: float,
    ) -> Sequence[Cue]:
        """Return what is shown between two moments, in seconds; of a file beside it, everything.

        Raises:
            NoTrackError: there are no such subtitles.
            BadSubtitlesError: they cannot be read.
            MiauflixdError: they do not come.
        """
        if index >= BESIDE:
            found = next(
                (one for one in _beside(layout, file) if one.file.index == index - BESIDE), None
            )
            if found is None:
                raise NoTrackError("There are no such subtitles")
            return cues_of_file(await self._whole(source_id, found.file), language=found.language)
        track = await self._track(source_id, file, index)
        packets = await self._media.subtitles(source_id, file, track=index, start=start, stop=stop)
        return cues_of_packets(track, packets)

    async def ass(
        self, source_id: SourceId, file: int, index: int, *, start: float, stop: float
    ) -> str:
        """Return an ASS track between two moments as a file, for clients that draw it themselves.

        Raises:
            As `cues`.
        """
        track = await self._track(source_id, file, index)
        if track.codec not in ("ass", "ssa"):
            raise NoTrackError("These subtitles are no ASS")
        packets = await self._media.subtitles(source_id, file, track=index, start=start, stop=stop)
        return ass_file(track, packets)

    async def attachment(self, source_id: SourceId, file: int, index: int) -> bytes:
        """Return a file within the film, such as a font.

        Raises:
            NoTrackError: there is none.
            MiauflixdError: it does not come.
        """
        return await self._media.attachment(source_id, file, index)

    async def _track(self, source_id: SourceId, file: int, index: int) -> SubtitleTrack:
        media = await self._media.probe(source_id, file)
        for track in media.subtitles:
            if track.index == index and track.kind == "text":
                return track
        raise NoTrackError("There are no such subtitles")

    async def _whole(self, source_id: SourceId, wanted: SourceFile) -> bytes:
        data = bytearray()
        async with (
            self._sources.reader(source_id, wanted.index) as reader,
            aclosing(reader.spans(0, wanted.size)) as spans,
        ):
            async for span in spans:
                span.file.seek(span.offset)
                data += span.file.read(span.length)
        return bytes(data)


def choices(media: Media | None, layout: Layout | None, file: int) -> Sequence[Choice]:
    """Return the subtitles of a file, those within it first."""
    within = [
        Choice(
            index=track.index,
            language=track.language,
            label=_label(track.language, track.title, track.forced, track.hearing_impaired),
            forced=track.forced,
            for_deaf=track.hearing_impaired,
            is_text=track.kind == "text",
            is_ass=track.codec in ("ass", "ssa"),
        )
        for track in (() if media is None else media.subtitles)
    ]
    outside = [
        Choice(
            index=BESIDE + one.file.index,
            language=one.language,
            label=_label(one.language, None, one.forced, one.for_deaf),
            forced=one.forced,
            for_deaf=one.for_deaf,
            is_text=True,
        )
        for one in _beside(layout, file)
    ]
    return [*within, *outside]


def shown_at_first(
    found: Sequence[Choice], *, heard: str | None, read: Sequence[str]
) -> Choice | None:
    """Return the subtitles that are shown unless somebody says otherwise.

    Whoever hears a language that they read sees only what is forced: signs, and what is spoken in
    another one. Whoever does not sees the dearest language that there is, and what is for the deaf
    only when there is nothing else.

    Args:
        found: what there is.
        heard: the language of the sound; `None`: not known.
        read: the languages to read, the dearest first; none: forced ones alone.
    """
    usable = [one for one in found if one.is_text]
    hears = _primary(heard)
    wanted = [_primary(one) for one in read]
    if not wanted or (hears and hears == wanted[0]):
        forced = [one for one in usable if one.forced and _primary(one.language) in (hears, "")]
        return next(iter(forced), None)
    for language in wanted:
        fitting = [one for one in usable if _primary(one.language) == language and not one.forced]
        if fitting:
            return min(fitting, key=lambda one: one.for_deaf)
    return None


def _primary(language: str | None) -> str:
    return (language or "").partition("-")[0].lower()


def _label(language: str | None, title: str | None, forced: bool, for_deaf: bool) -> str:  # noqa: FBT001
    name = _NAMES.get(_primary(language), language or "?")
    said = [title] if title and title.lower() != name.lower() else []
    words = " ".join(said).lower()
    said += ["forced"] if forced and "forced" not in words else []
    said += ["SDH"] if for_deaf and "sdh" not in words else []
    return f"{name} ({', '.join(said)})" if said else name


def _beside(layout: Layout | None, file: int) -> Sequence[Beside]:
    if layout is None:
        return ()
    try:
        video = layout.file(file)
    except NotFoundError:
        return ()
    videos = [one for one in layout.files if one.name.rpartition(".")[2].lower() in _VIDEOS]
    return beside(video, layout.files, alone=len(videos) == 1)
