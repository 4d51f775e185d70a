"""Lists in JSON, and what may be said of them."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from miauflixd.catalogue.list_model import LONGEST_TITLE, MOST_ITEMS, ListInfo
from miauflixd.web.title_shapes import CardShape

ListTitle = Annotated[str, Meta(min_length=1, max_length=LONGEST_TITLE)]
TitleIdText = Annotated[str, Meta(max_length=32, description="Such as `movie:7` or `show:8`.")]


class OwnerShape(Struct, frozen=True, kw_only=True):
    """Whose a list is."""

    id: str
    display_name: str


class ListShape(Struct, frozen=True, kw_only=True):
    """A list, without what is in it."""

    slug: str
    title: str
    kind: Literal["movie", "show", "mixed"]
    provider: (
        Annotated[Literal["tmdb", "archive", "trakt"], Meta(description="Who fills it.")] | None
    )
    owner: OwnerShape | None
    """`None`: it is built in."""
    shared: bool
    editable: bool
    """Whether the one who asks may change it."""
    count: int
    refreshed_at: Annotated[datetime, Meta(tz=True)] | None


class FullListShape(ListShape, frozen=True, kw_only=True):
    """A list with a part of what is in it.

    What the one who asks may not see is counted, but not shown.
    """

    items: list[CardShape]
    next_cursor: str | None
    total: int


class NewListShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list to make."""

    title: ListTitle
    shared: Annotated[bool, Meta(description="Whether the whole household sees it.")] = False


class ListPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different about a list."""

    title: ListTitle | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    order: (
        Annotated[
            list[TitleIdText],
            Meta(
                max_length=MOST_ITEMS,
                description="Titles that are in it, to come first in this order.",
            ),
        ]
        | UnsetType
    ) = UNSET


class PlaceShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where in a list a title is to be."""

    position: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=MOST_ITEMS,
                description="How many titles are to come before it; without, it is put at the end, "
                "or stays where it is.",
            ),
        ]
        | None
    ) = None


def list_shape(info: ListInfo, *, owner: OwnerShape | None, editable: bool) -> ListShape:
    """Return a list as clients see it."""
    return ListShape(
        slug=info.slug,
        title=info.title,
        kind=info.kind,
        provider=info.provider,
        owner=owner,
        shared=info.shared,
        editable=editable,
        count=info.count,
        refreshed_at=None if info.refreshed_at is None else info.refreshed_at.astimezone(UTC),
    )


def full_list_shape(
    shown: ListShape, items: list[CardShape], next_cursor: str | None
) -> FullListShape:
    """Return a list with a part of what is in it, as clients see it."""
    return FullListShape(
        slug=shown.slug,
        title=shown.title,
        kind=shown.kind,
        provider=shown.provider,
        owner=shown.owner,
        shared=shown.shared,
        editable=shown.editable,
        count=shown.count,
        refreshed_at=shown.refreshed_at,
        items=items,
        next_cursor=next_cursor,
        total=shown.count,
    )
