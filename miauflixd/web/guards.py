"""Who may talk to the appliance, judged by where a request comes from.

A page from elsewhere, open in a browser at home, can send requests to any address at home, and the
browser adds what it knows. Two guards keep it out: it must not change anything (`is_foreign`), and
it must not pass for the appliance's own page by letting its name point here (`is_ours`, against DNS
rebinding). Programs other than browsers send none of the headers looked at, and are let through.
"""

import ipaddress
from collections.abc import Collection
from functools import lru_cache

from multidict import MultiMapping

from miauflixd.errors import ForbiddenError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that change nothing."""

_LONGEST_ADDRESS = 64
"""Characters, with the name of an interface behind it."""

_REMEMBERED = 256
"""Names that are not looked at again."""


class ForeignOriginError(ForbiddenError):
    """A page of another site tried to change something here."""

    code = "foreign_origin"


class UnknownHostError(ForbiddenError):
    """The request was meant for a name that is not this machine's."""

    code = "unknown_host"


def is_foreign(headers: MultiMapping[str], host: str | None) -> bool:
    """Return whether a request was sent by another site's page.

    Browsers send `Sec-Fetch-Site` over TLS and to the loopback only, `Origin` with every
    unsafe request.

    Args:
        headers: the request's.
        host: the name that the client asked for, port and all.
    """
    if (site := headers.get("Sec-Fetch-Site")) is not None:
        return site not in {"same-origin", "none"}
    if (origin := headers.get("Origin")) is not None:
        return origin.partition("://")[2].lower() != (host or "").lower()
    return False


def tells_its_origin(headers: MultiMapping[str]) -> bool:
    """Return whether a request says which site's page it is from."""
    return "Sec-Fetch-Site" in headers or "Origin" in headers


def is_ours(host: str, own_names: Collection[str]) -> bool:
    """Return whether a `Host` is one that nobody else can make point here.

    An address is no name, and `.local` is resolved by multicast at home, never by a name server.
    """
    name, port = _split(host)
    if port and not (port.isascii() and port.isdigit()):
        return False
    if len(name) <= _LONGEST_ADDRESS and _is_address(name):
        return True
    name = name.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".local") or name in own_names


@lru_cache(maxsize=_REMEMBERED)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _split(host: str) -> tuple[str, str]:
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = host.partition(":")
    return name, port
