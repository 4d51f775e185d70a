"""Who may talk to the appliance, judged by where a request comes from.

A page from elsewhere, open in a browser at home, can send requests to any address at home. Two
guards keep it out while there are no accounts: it must not change anything (`same_origin`), and it
must not pass for the appliance's own page by letting its name point here (`known_host`, against DNS
rebinding). Programs other than browsers send none of the headers looked at, and are let through.
"""

import ipaddress
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import MultiMapping

from miauflixd.errors import ForbiddenError

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class ForeignOriginError(ForbiddenError):
    """A page of another site tried to change something here."""

    code = "foreign_origin"


class UnknownHostError(ForbiddenError):
    """The request was meant for a name that is not this machine's."""

    code = "unknown_host"


@web.middleware
async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let only the appliance's own page, or no page at all, change anything.

    Raises:
        ForeignOriginError: it was another page.
    """
    if request.method not in _SAFE_METHODS and is_foreign(request.headers):
        raise ForeignOriginError("Another site's page may not change anything here")
    return await handler(request)


def known_host(own_names: Collection[str]) -> Middleware:
    """Return a middleware that answers only when addressed by an IP address or one of our names."""
    names = frozenset(name.lower() for name in own_names)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        # A request without it is HTTP/1.0, and no browser's: aiohttp insists on it in HTTP/1.1.
        host = request.headers.get("Host")
        if host is not None and not is_ours(host, names):
            raise UnknownHostError("This machine is not known by the name it was asked for")
        return await handler(request)

    return guard


def is_foreign(headers: MultiMapping[str]) -> bool:
    """Return whether a request was sent by another site's page.

    Browsers send `Sec-Fetch-Site` over TLS and to the loopback only, `Origin` with every
    unsafe request.
    """
    if (site := headers.get("Sec-Fetch-Site")) is not None:
        return site not in {"same-origin", "none"}
    if (origin := headers.get("Origin")) is not None:
        return origin.partition("://")[2].lower() != headers.get("Host", "").lower()
    return False


def is_ours(host: str, own_names: Collection[str]) -> bool:
    """Return whether a `Host` is one that nobody else can make point here.

    An address is no name, and `.local` is resolved by multicast at home, never by a name server.
    """
    name, port = _split(host)
    if port and not (port.isascii() and port.isdigit()):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        name = name.lower().removesuffix(".")
        return name == "localhost" or name.endswith(".local") or name in own_names
    return True


def _split(host: str) -> tuple[str, str]:
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = host.partition(":")
    return name, port
