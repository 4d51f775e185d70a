"""The HTTP client: every request of the house to anybody goes through one of these."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver

from miauflixd.egress.addresses import is_public
from miauflixd.egress.bodies import PLAIN, Body, too_large
from miauflixd.egress.errors import EgressError, Reason
from miauflixd.egress.redirects import Asked, Magnet, follow, parsed
from miauflixd.egress.sockets import Sockets
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.tunnel.ports import Road

_REDIRECTS = 5

_AT_ONCE = 32
"""Requests and streams under way at the same time; further ones wait, within their time."""

_CONNECT_WITHIN = 10.0
"""Seconds for one attempt to connect, of which the deadline of a request may allow several."""


class _PrivateAddressError(PermissionError):
    """A connection to somebody's own network was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes
    url: str
    """Where it came from after redirects; or the `magnet:` link that the last one named."""


class Stream:
    """An answer that is read as it comes."""

    def __init__(
        self, answer: aiohttp.ClientResponse, *, url: str, timeout: float, road: Road
    ) -> None:
        self._answer = answer
        self._road = road
        self._timeout = timeout
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self.url = url

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, piece by piece as the network brings it.

        Raises:
            TunnelDownError: it broke off, since there is no way out any more.
            EgressError: it broke off, or nothing came for the stream's timeout.
        """
        pieces = self._answer.content.iter_any()
        host = str(self._answer.url.raw_host)
        while True:
            with _explained(host, self._timeout, self._road):
                async with asyncio.timeout(self._timeout):
                    piece = await anext(pieces, b"")
            if not piece:
                return
            yield piece


class HttpClient:
    """HTTP by one road, with the same guards on each.

    Invariants: every connection is made in `_public` or `_any`, and the latter only for an origin
    that the caller named in `allow`. The two keep their connections apart, so one that was allowed
    for a request is never used for another. Certificates are always verified. There are no
    cookies, no proxies, no `.netrc`.
    """

    def __init__(
        self,
        *,
        road: Road,
        sockets: Sockets,
        public: aiohttp.ClientSession,
        anywhere: aiohttp.ClientSession,
    ) -> None:
        self._road = road
        self._sockets = sockets
        self._public = public
        self._anywhere = anywhere
        self._turn = asyncio.Semaphore(_AT_ONCE)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        road: Road,
        sockets: Sockets,
        names: AbstractResolver,
        user_agent: str,
        authorities: str | None = None,
    ) -> AsyncIterator[Self]:
        """Have a client for the length of the block.

        Args:
            road: whether there is a way out; asked before every hop.
            sockets: where connections are made from; closed with the client.
            names: the resolver; closed with the client.
            user_agent: what to call ourselves.
            authorities: a PEM file of the only certificate authorities to trust, instead of this
                machine's.
        """
        context = ssl.create_default_context(cafile=authorities)

        def take(info: Any) -> socket.socket:
            return sockets.take(info[0])

        def take_for_public(info: Any) -> socket.socket:
            if not is_public(info[4][0]):
                raise _PrivateAddressError("not a public address")
            return sockets.take(info[0])

        async with AsyncExitStack() as stack:
            stack.callback(sockets.close)
            stack.push_async_callback(names.close)
            sessions = [
                await stack.enter_async_context(
                    aiohttp.ClientSession(
                        connector=aiohttp.TCPConnector(
                            resolver=names,
                            socket_factory=factory,
                            ssl=context,
                            use_dns_cache=False,
                            limit=0,  # requests are counted here, before they wait for a connection
                        ),
                        cookie_jar=aiohttp.DummyCookieJar(),
                        headers={"User-Agent": user_agent},
                        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_WITHIN),
                        trust_env=False,
                        auto_decompress=False,
                    )
                )
                for factory in (take_for_public, take)
            ]
            yield cls(road=road, sockets=sockets, public=sessions[0], anywhere=sessions[1])

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: bytes | Mapping[str, str] | None = None,
        timeout: float,  # noqa: ASYNC109 - of the request, with waiting for a turn
        limit: int,
        allow: Collection[str] = (),
    ) -> Response:
        """Send a request, follow redirects, and return the whole answer, whatever its status.

        Args:
            method: `GET`, `POST` ...
            url: where to; http or https.
            headers: besides our own. Another host that the first one redirects to gets only
                harmless ones.
            json: a body to encode, unless it is `None`.
            data: a body as it is, or a form.
            timeout: seconds for all of it.
            limit: bytes that the body may have, unpacked.
            allow: origins (`http://192.168.1.20:9117`) that the owner of this house has set, which
                may be on a private network.

        Raises:
            TunnelDownError: there is no way out now.
            EgressError: no answer that can be used.
        """
        body, kind = _body(json, data)
        # Last: what is not asked for need not be unpacked.
        sent = {**kind, **(headers or {}), "Accept-Encoding": "gzip"}
        asked = Asked(method=method, url=parsed(url), headers=sent, body=body)
        with _explained(str(asked.url.raw_host), timeout, self._road):
            async with asyncio.timeout(timeout), self._turn, self._answer(asked, allow) as found:
                answer, where = found
                if where.startswith("magnet:"):
                    body = b""
                else:
                    body = await _whole(answer, limit)
                return Response(status=answer.status, headers=answer.headers, body=body, url=where)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float,  # noqa: ASYNC109 - for each piece anew, not for the whole
        allow: Collection[str] = (),
    ) -> AsyncIterator[Stream]:
        """Send a request, follow redirects, and have the answer's body come as it is read.

        The body is as it lies on the server, so that byte ranges mean what they say.

        Args:
            method: `GET`.
            url: as for `request`; a redirect to a `magnet:` link is an error here.
            headers: as for `request`; `Range`, say.
            timeout: seconds until the answer begins, and then between one piece and the next.
            allow: as for `request`.

        Raises:
            TunnelDownError: there is no way out now.
            EgressError: no answer that can be used.
        """
        sent = {**(headers or {}), "Accept-Encoding": "identity"}
        asked = Asked(method=method, url=parsed(url), headers=sent, body=None)
        host = str(asked.url.raw_host)
        async with AsyncExitStack() as stack:
            with _explained(host, timeout, self._road):
                async with asyncio.timeout(timeout):
                    await stack.enter_async_context(self._turn)
                    answer, where = await stack.enter_async_context(self._answer(asked, allow))
            if where.startswith("magnet:") or _encoding(answer) not in PLAIN:
                raise EgressError(f"{host} has nothing to stream there", reason="protocol")
            yield Stream(answer, url=where, timeout=timeout, road=self._road)

    @asynccontextmanager
    async def _answer(
        self, asked: Asked, allow: Collection[str]
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, str]]:
        """Follow redirects to an answer that is none, with where that came from."""
        allowed = {parsed(origin).origin() for origin in allow}
        for _ in range(_REDIRECTS + 1):
            if not self._road.up:
                raise TunnelDownError(self._road.reason)
            session = self._anywhere if asked.url.origin() in allowed else self._public
            async with self._sockets.hop():
                answer = await session.request(
                    asked.method,
                    asked.url,
                    headers=asked.headers,
                    data=asked.body,
                    allow_redirects=False,
                )
            try:
                following = follow(asked, answer.status, answer.headers.get("Location"))
                if isinstance(following, Asked):
                    asked = following
                    continue
                origin = str(asked.url.with_user(None))
                yield answer, following.uri if isinstance(following, Magnet) else origin
                return
            finally:
                answer.close()  # an answer that was read to its end has given back its connection
        raise EgressError(f"{asked.url.raw_host} redirects without end", reason="refused")


def _body(
    json: Any, data: bytes | Mapping[str, str] | None
) -> tuple[bytes | None, Mapping[str, str]]:
    if json is not None:
        return msgspec.json.encode(json), {"Content-Type": "application/json"}
    if isinstance(data, Mapping):
        form = urlencode(data).encode()
        return form, {"Content-Type": "application/x-www-form-urlencoded"}
    return data, {}


def _encoding(answer: aiohttp.ClientResponse) -> str:
    return answer.headers.get("Content-Encoding", "").strip().lower()


async def _whole(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    host = str(answer.url.raw_host)
    if answer.method == "HEAD":
        return b""
    if (answer.content_length or 0) > limit:
        raise too_large(host, limit)
    body = Body(encoding=_encoding(answer), limit=limit, host=host)
    async for piece in answer.content.iter_any():
        body.feed(piece)
    return body.whole()


@contextmanager
def _explained(host: str, timeout: float, road: Road) -> Iterator[None]:
    """Turn what aiohttp and the system raise into our errors, naming the host and no address."""
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:
        if not road.up:
            raise TunnelDownError(road.reason) from error
        raise _explanation(error, host, timeout) from error


def _explanation(error: Exception, host: str, timeout: float) -> EgressError:
    reason: Reason
    if isinstance(error, aiohttp.ClientConnectorError):
        host = error.host  # that of this hop
    match error:
        case aiohttp.ClientConnectorDNSError():
            reason, message = "name", f"The name {host} has no address"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            reason, message = "tls", f"{host} cannot prove who it is"
        case aiohttp.ClientConnectorError(os_error=_PrivateAddressError()):
            reason, message = "refused", f"{host} is on a private network, where nothing is asked"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int(number))):
            reason, message = "connect", f"{host} cannot be reached: {os.strerror(number)}"
        case aiohttp.ClientConnectorError():
            reason, message = "connect", f"{host} cannot be reached"
        case TimeoutError():
            reason, message = "timeout", f"{host} did not answer within {timeout:g} s"
        case aiohttp.InvalidURL():
            reason, message = "refused", "This is not an address of the web"
        case _:
            reason, message = "protocol", f"{host} broke off, or makes no sense"
    return EgressError(message, reason=reason)
