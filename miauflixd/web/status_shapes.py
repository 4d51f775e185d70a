"""The state of the machine in JSON; nothing in it is secret."""

from datetime import UTC

from msgspec import Struct

from miauflixd.catalogue.providers.provider import Condition, ProviderState
from miauflixd.web.doctor import Check, Verdict
from miauflixd.web.shapes import Moment


class StatusShape(Struct, frozen=True, kw_only=True):
    """The machine at a glance: flat, so that a dashboard can show any of it. Fields only come."""

    version: str
    health: Verdict
    """The worst that `GET /api/doctor` would say."""
    uptime: float
    """Seconds."""
    streams: int
    """Clients that read a film now."""
    downloads: int
    """Sources that want something from the swarm now."""
    vpn: str
    """The state of the tunnel."""
    movies: int
    shows: int
    disk_free: int | None
    """Bytes; `null` when the disk does not say."""
    cache_used: int
    """Bytes on the disk of what could be fetched again: artwork."""
    tmdb: Condition
    archive: Condition
    trakt: Condition


class ProviderShape(Struct, frozen=True, kw_only=True):
    """How a provider is doing."""

    name: str
    condition: Condition
    since: Moment
    reason: str
    next: str


class ProvidersShape(Struct, frozen=True, kw_only=True):
    """How all of them are."""

    items: list[ProviderShape]


class CheckShape(Struct, frozen=True, kw_only=True):
    """What was looked at, and what came of it."""

    id: str
    state: Verdict
    message: str
    suggestion: str
    """Empty when there is nothing to do."""


class DoctorShape(Struct, frozen=True, kw_only=True):
    """All that was looked at."""

    checks: list[CheckShape]


def provider_shape(state: ProviderState) -> ProviderShape:
    """Return how a provider is doing."""
    return ProviderShape(
        name=state.name,
        condition=state.condition,
        since=state.since.astimezone(UTC),
        reason=state.reason,
        next=state.next,
    )


def check_shape(check: Check) -> CheckShape:
    """Return what came of a look."""
    return CheckShape(
        id=check.id, state=check.state, message=check.message, suggestion=check.suggestion
    )
