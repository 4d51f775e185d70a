"""What was done by whom, in JSON."""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct

from miauflixd.auth.model import AuditEntry, AuditType
from miauflixd.web.paging import PageQuery

Moment = Annotated[datetime, Meta(tz=True)]


class AuditQuery(PageQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What somebody wants to know."""

    type: AuditType | None = None
    user: Annotated[str, Meta(max_length=64)] | None = None
    """The id of who did it."""
    since: Moment | None = None
    until: Moment | None = None


class AuditShape(Struct, frozen=True, kw_only=True):
    """Something that was done."""

    id: str
    type: AuditType
    at: datetime
    user_id: str | None
    address: str | None
    details: dict[str, str | int | bool]


def audit_shape(entry: AuditEntry) -> AuditShape:
    """Return an entry as administrators see it."""
    event = entry.event
    return AuditShape(
        id=str(entry.id),
        type=event.type,
        at=event.at.astimezone(UTC),
        user_id=event.user_id,
        address=event.address,
        details=dict(event.details),
    )
