"""What a route is: who may use it, how often, what it takes and what it gives.

Each module of handlers ends in its own `ROUTES`; `web.application` puts them together. A route
cannot be written down without its policy, and the same types that check requests describe them in
`/api/openapi.json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from types import UnionType
from typing import Literal

from aiohttp.typedefs import Handler


class Policy(Enum):
    """Who may use a route."""

    OPEN = "open"
    """Everybody, also without an account."""
    USER = "user"
    """Whoever is signed in."""
    ADMIN = "admin"
    """Administrators, and the control socket."""
    STREAM = "stream"
    """Whoever is signed in, or brings the stream key for just this source."""
    STREMIO = "stremio"
    """Whoever has a purpose key for Stremio in the address."""
    PLAYLIST = "playlist"
    """Whoever has a purpose key for playlists in the address."""
    METRICS = "metrics"
    """A purpose key for metrics, the control socket, or this machine itself."""


RateClass = Literal["page", "read", "write", "sign_in", "search", "stream"]
"""What is counted together: each class has its own bucket for each client."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One method of one address."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    """As aiohttp writes it: `/api/torrents/{source_id}`."""
    handler: Handler
    policy: Policy
    summary: str
    """What it does, a line for the description."""
    rate: RateClass = "read"
    query: type | None = None
    """A struct of what may stand behind the `?`."""
    request: type | None = None
    """A struct of the JSON body."""
    request_required: bool = True
    """Whether there has to be a body at all."""
    request_media: tuple[str, ...] = ()
    """Other kinds of body that it takes, such as `application/x-bittorrent`."""
    response: type | UnionType | None = None
    """A struct of the JSON answer; `None`: no body, or one of `response_media`.

    Several (`A | B`) where it depends on who asks.
    """
    response_media: str | None = None
    """The kind of an answer that is not JSON."""
    status: HTTPStatus = HTTPStatus.OK
    cors: bool = False
    """Whether pages from anywhere may read it, for its address alone says who asks."""
    other: Mapping[HTTPStatus, str] = field(default_factory=dict)
    """Statuses beyond those that every route of its policy may give, each with a line."""
