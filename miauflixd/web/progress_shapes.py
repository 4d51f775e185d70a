"""What players say of themselves, and what is asked about it."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from miauflixd.catalogue.watching import LONGEST, State
from miauflixd.web.paging import PageQuery


class ReportShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a player is."""

    position: Annotated[
        float, Meta(ge=0, le=LONGEST, description="Seconds; below 5 % nothing has begun.")
    ]
    duration: Annotated[float, Meta(gt=0, le=LONGEST, description="Seconds.")]
    state: Annotated[
        State, Meta(description="`ended`: at its end, which from 80 % on counts as watched.")
    ]


class ProgressQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of what one has begun or watched."""

    state: Literal["started", "watched"] | None = None
