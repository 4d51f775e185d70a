"""The ladder: which endpoint next.

The house's order is the preference. What an endpoint did wrong counts against it and is slowly
forgotten, so that the next choice is neither the one that just failed nor a matter of chance.

Promise: as long as some other endpoint has nothing against it, none that has is picked.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

from miauflixd.keeper.messages import Endpoint

HALF_LIFE = 600.0
"""Seconds after which half of a penalty is forgotten: a server that reboots is back by then."""

FORGOTTEN = 0.25
"""A penalty below this counts as none: 20 minutes after one failure."""

SAME_PROVIDER_LIMIT = 3
"""So many endpoints of one provider in a row that never answer are no accident."""


@dataclass(frozen=True, slots=True)
class Penalty:
    """What is held against an endpoint, as it was at one moment."""

    weight: float
    at: float

    def left(self, now: float) -> float:
        """Return what is left of it."""
        forgotten: float = 0.5 ** (max(0.0, now - self.at) / HALF_LIFE)
        return self.weight * forgotten


def _networks(endpoint: Endpoint) -> frozenset[str]:
    """Return the neighbourhoods of its servers: those in one rack tend to die together."""
    return frozenset(
        str(ip_network((server.host, 48 if ":" in server.host else 24), strict=False))
        for server in endpoint.servers
    )


def same_server(one: Endpoint, other: Endpoint) -> bool:
    """Return whether both lead to one machine, which knows us by one key and once only."""
    return one.public_key == other.public_key or not {
        server.host for server in one.servers
    }.isdisjoint(server.host for server in other.servers)


@dataclass(frozen=True, slots=True)
class Ladder:
    """All endpoints, the most preferred first, and what is held against them."""

    endpoints: tuple[Endpoint, ...] = ()
    penalties: Mapping[str, Penalty] = field(default_factory=dict)
    chosen: str | None = None
    """The one that a person asked for; it stands above the order."""
    mute: frozenset[str] = frozenset()
    """Those that did not answer a handshake when last tried."""

    def find(self, endpoint_id: str | None) -> Endpoint | None:
        """Return the endpoint of this id."""
        return next((each for each in self.endpoints if each.id == endpoint_id), None)

    def preferred(self) -> Endpoint | None:
        """Return where we would like to be."""
        return self.find(self.chosen) or next(iter(self.endpoints), None)

    def replaced(self, endpoints: Iterable[Endpoint]) -> "Ladder":
        """Return a ladder of other endpoints; what is known of those that stay is kept."""
        endpoints = tuple(endpoints)
        ids = {each.id for each in endpoints}
        return Ladder(
            endpoints=endpoints,
            penalties={key: value for key, value in self.penalties.items() if key in ids},
            chosen=self.chosen if self.chosen in ids else None,
            mute=self.mute & ids,
        )

    def choosing(self, endpoint_id: str) -> "Ladder":
        """Return a ladder with this one above all others."""
        return replace(self, chosen=endpoint_id)

    def penalising(self, ids: Collection[str], now: float, *, weight: float = 1.0) -> "Ladder":
        """Return a ladder that holds another failure against each of these."""
        added = {key: Penalty(self.against(key, now) + weight, now) for key in ids}
        return replace(self, penalties={**self.penalties, **added})

    def against(self, endpoint_id: str, now: float) -> float:
        """Return what is held against an endpoint at this moment."""
        penalty = self.penalties.get(endpoint_id)
        return penalty.left(now) if penalty else 0.0

    def is_penalised(self, endpoint_id: str, now: float) -> bool:
        """Return whether it is passed over while there is another."""
        return self.against(endpoint_id, now) >= FORGOTTEN

    def standing(self, now: float) -> dict[str, float]:
        """Return what is held against whom, without what is as good as forgotten."""
        return {
            key: left for key in self.penalties if (left := self.against(key, now)) >= FORGOTTEN / 4
        }

    def best(self, now: float, *, without: Collection[str] = ()) -> Endpoint | None:
        """Return the one to use: the first without a penalty, else the least penalised."""
        preferred = self.preferred()
        return min(
            (each for each in self.endpoints if each.id not in without),
            key=lambda each: (self._held(each, now), each is not preferred),
            default=None,  # and min() returns the first of equals, which keeps the order
        )

    def companion(self, active: Endpoint, now: float) -> Endpoint | None:
        """Return the one to keep warm beside the active one.

        Where we would rather be, if that may be picked; else the one least likely to fail together
        with the active one.
        """
        preferred = self.preferred()
        neighbours = _networks(active)
        return min(
            (each for each in self.endpoints if not same_server(each, active)),
            key=lambda each: (
                self._held(each, now),
                each is not preferred,
                not neighbours.isdisjoint(_networks(each)),
                each.provider == active.provider,
            ),
            default=None,
        )

    def answered(self, endpoint: Endpoint) -> "Ladder":
        """Return a ladder that knows that this one, and so its provider's account, works."""
        theirs = {each.id for each in self.endpoints if each.provider == endpoint.provider}
        return replace(self, mute=self.mute - theirs)

    def silent(self, endpoint_id: str) -> "Ladder":
        """Return a ladder that knows that this one did not answer a handshake."""
        return replace(self, mute=self.mute | {endpoint_id})

    def refusing_provider(self) -> str | None:
        """Return a provider none of whose endpoints answers, so that its keys may be wrong."""
        counts: dict[str, int] = {}
        for each in self.endpoints:
            if each.id in self.mute:
                counts[each.provider] = counts.get(each.provider, 0) + 1
        return next((name for name, n in counts.items() if n >= SAME_PROVIDER_LIMIT), None)

    def _held(self, endpoint: Endpoint, now: float) -> float:
        left = self.against(endpoint.id, now)
        return left if left >= FORGOTTEN else 0.0
