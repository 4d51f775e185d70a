"""Titles as they stand in rows, in JSON.

A poster, backdrop or still is the key of an image, not an address: which of `small`, `medium`,
`large` and `original` is wanted only whoever shows it knows. It is then at
`/api/images/{size}/{key}`.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from miauflixd.catalogue.model import Card, EpisodeCard, Progress

ImageKeyText = Annotated[
    str, Meta(description="The key of an image, which is at `/api/images/{size}/{key}`.")
]


class ProgressShape(Struct, frozen=True, kw_only=True):
    """How far one is with something."""

    position: Annotated[
        float, Meta(description="Seconds at which to go on; 0 when it was seen to its end.")
    ]
    duration: Annotated[float, Meta(description="Seconds; 0 when nobody has said.")]
    watched: Annotated[bool, Meta(description="Seen to its end; perhaps being watched once more.")]
    updated_at: Annotated[datetime, Meta(tz=True)]


class ShowShape(Struct, frozen=True, kw_only=True):
    """The show that an episode belongs to."""

    id: str
    title: str


class CardShape(Struct, frozen=True, kw_only=True):
    """A title as it stands in a row; an episode has its show's artwork, and a still of its own."""

    id: str
    type: Literal["movie", "show", "episode"]
    title: str
    year: int | None
    poster: ImageKeyText | None
    backdrop: ImageKeyText | None
    rating: Annotated[float, Meta(description="From 0 to 10.")] | None
    available: Annotated[
        bool, Meta(description="Whether something is known that it can be played from.")
    ]
    progress: ProgressShape | UnsetType = UNSET
    """Missing: not begun."""
    show: ShowShape | UnsetType = UNSET
    season: int | UnsetType = UNSET
    episode: int | UnsetType = UNSET
    still: ImageKeyText | UnsetType | None = UNSET
    air_date: date | UnsetType | None = UNSET


def card_shape(card: Card | EpisodeCard, progress: Progress | None = None) -> CardShape:
    """Return a title as clients see it, and how far the one who asks is with it."""
    shown = UNSET if progress is None else progress_shape(progress)
    match card:
        case Card():
            return CardShape(
                id=str(card.id),
                type=card.id.kind.value,
                title=card.title,
                year=card.year,
                poster=card.poster,
                backdrop=card.backdrop,
                rating=card.rating,
                available=card.available,
                progress=shown,
            )
        case EpisodeCard():
            return CardShape(
                id=str(card.id),
                type=card.id.kind.value,
                title=card.title,
                year=None if card.aired is None else card.aired.year,
                poster=card.show.poster,
                backdrop=card.show.backdrop,
                rating=None,
                available=card.available,
                progress=shown,
                show=ShowShape(id=str(card.show.id), title=card.show.title),
                season=card.season,
                episode=card.episode,
                still=card.still,
                air_date=card.aired,
            )


def progress_shape(progress: Progress) -> ProgressShape:
    """Return how far somebody is as clients see it."""
    return ProgressShape(
        position=progress.position,
        duration=progress.duration,
        watched=progress.watched,
        updated_at=progress.updated_at.astimezone(UTC),
    )
