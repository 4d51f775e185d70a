"""What a request becomes when its answer says "elsewhere"."""

from dataclasses import dataclass, replace

from yarl import URL

from miauflixd.egress.addresses import is_disguised
from miauflixd.egress.errors import EgressError

_ELSEWHERE = frozenset({301, 302, 303, 307, 308})
_SAME_AGAIN = frozenset({307, 308})

_HARMLESS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "range",
        "user-agent",
    }
)
"""The headers that another host gets to see. A list of those that are secret is never complete."""

_OF_A_BODY = frozenset({"content-type", "content-encoding", "content-language"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, as it is sent on one hop."""

    method: str
    url: URL
    headers: dict[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Magnet:
    """Torznab answers so: the torrent asked for is behind this link, which no HTTP follows."""

    uri: str


def parsed(url: str) -> URL:
    """Return an address that a request can go to.

    Raises:
        EgressError: it is none.
    """
    try:
        result = URL(url)
        port = result.port
    except (ValueError, TypeError):
        raise EgressError("This is not an address of the web", reason="refused") from None
    if result.scheme not in {"http", "https"} or not result.raw_host or not port:
        raise EgressError("This is not an address of the web", reason="refused")
    if is_disguised(result.raw_host):
        raise EgressError(
            f"{result.raw_host} is an IP address in disguise, and is not asked", reason="refused"
        )
    return result.with_fragment(None)


def follow(asked: Asked, status: int, location: str | None) -> Asked | Magnet | None:
    """Return what to ask next, a magnet link, or `None`: this answer is the answer.

    Across origins neither credentials nor a body go along.

    Raises:
        EgressError: one does not go there.
    """
    if status not in _ELSEWHERE or not location:
        return None
    if location[:7].lower() == "magnet:":
        return Magnet(location)
    target = _target(asked.url, location)
    if asked.url.scheme == "https" and target.scheme == "http":
        raise EgressError(
            f"{asked.url.raw_host} redirects from https to http, which is not followed",
            reason="refused",
        )
    following = replace(asked, url=target) if status in _SAME_AGAIN else _as_get(asked, target)
    if target.origin() == asked.url.origin():
        return following
    return _for_strangers(following, asked.url)


def _target(base: URL, location: str) -> URL:
    try:
        joined = base.join(URL(location))
    except ValueError:
        raise EgressError(
            f"{base.raw_host} redirects to nowhere that makes sense", reason="refused"
        ) from None
    # A user and password that a stranger puts into an address are not ours to send.
    return parsed(str(joined)).with_user(None)


def _as_get(asked: Asked, target: URL) -> Asked:
    """A 301 or 302 to a POST is answered with GET by everybody, and 303 means it."""
    if asked.method in {"GET", "HEAD"}:
        return replace(asked, url=target)
    headers = {n: value for n, value in asked.headers.items() if n.lower() not in _OF_A_BODY}
    return Asked(method="GET", url=target, headers=headers, body=None)


def _for_strangers(asked: Asked, origin: URL) -> Asked:
    if asked.body is not None:
        raise EgressError(
            f"{origin.raw_host} wants what it was sent to go to another host", reason="refused"
        )
    headers = {name: value for name, value in asked.headers.items() if name.lower() in _HARMLESS}
    return replace(asked, headers=headers)
