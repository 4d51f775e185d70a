"""What the appliance says about itself, and about where it thinks that a client is."""

from http import HTTPStatus

from aiohttp import web
from msgspec import Struct

from miauflixd.web.bodies import answer
from miauflixd.web.client_address import ClientAddress
from miauflixd.web.keys import CLIENT, HOUSEHOLD, PLAYBACKS, VERSION
from miauflixd.web.routes import Policy, Route


class Health(Struct, frozen=True, kw_only=True):
    """Whether it works."""

    status: str = "ok"


class Features(Struct, frozen=True, kw_only=True):
    """What this version can do, for clients that adapt."""

    remux: bool = True
    transcode: bool = False
    """Whether pictures can be encoded anew on this machine."""
    stremio: bool = True


class Server(Struct, frozen=True, kw_only=True):
    """What everybody may know."""

    name: str = "miauflixd"
    version: str
    setup_required: bool
    """Whether it waits for its first user."""
    api: str = "1"
    features: Features = Features()


class ForwardedShape(Struct, frozen=True, kw_only=True):
    """What the peer said of the client, believed or not."""

    x_forwarded_for: str | None
    x_forwarded_proto: str | None
    x_forwarded_host: str | None


class IpShape(Struct, frozen=True, kw_only=True):
    """Where a request comes from, as far as this machine believes it."""

    client_ip: str
    peer_ip: str | None
    """Who is at the other end of the connection; `null`: somebody at a unix socket."""
    trusted_proxy: bool
    """Whether what the peer says of the client is believed."""
    counted_as: str
    """What rate limits count the client by."""
    host: str | None
    secure: bool
    """Whether the client speaks TLS."""
    forwarded: ForwardedShape
    explanation: str


async def health(_request: web.Request) -> web.Response:
    return answer(Health())


async def server(request: web.Request) -> web.Response:
    setup_required = await request.app[HOUSEHOLD].accounts.setup_required()
    features = Features(transcode=request.app[PLAYBACKS].transcodes)
    return answer(
        Server(version=request.app[VERSION], setup_required=setup_required, features=features)
    )


async def ip(request: web.Request) -> web.Response:
    client = request[CLIENT]
    forwarded = client.forwarded
    return answer(
        IpShape(
            client_ip=client.address,
            peer_ip=client.peer,
            trusted_proxy=client.trusted_proxy,
            counted_as=client.network,
            host=client.host,
            secure=client.secure,
            forwarded=ForwardedShape(
                x_forwarded_for=forwarded.addresses,
                x_forwarded_proto=forwarded.proto,
                x_forwarded_host=forwarded.host,
            ),
            explanation=explained(client),
        )
    )


def explained(client: ClientAddress) -> str:
    """Say why a client is taken for what it is."""
    was_told = any((client.forwarded.addresses, client.forwarded.proto, client.forwarded.host))
    if client.is_control:
        return "The request came by the control socket, so it is this machine's administrator"
    if client.trusted_proxy and client.forwarded.addresses is None:
        return "A proxy is believed, but it did not say whom it asks for: it lacks X-Forwarded-For"
    if client.trusted_proxy:
        return "A proxy is believed; the client is the last in X-Forwarded-For that is no proxy"
    if was_told:
        return (
            "The peer is taken for the client, and what it forwarded is ignored: its address is "
            "not in web.trusted_proxies, or it did not send web.proxy_secret"
        )
    return "The client is connected directly"


ROUTES = (
    Route(
        method="GET",
        path="/api/health",
        handler=health,
        policy=Policy.OPEN,
        summary="Tell whether it works",
        response=Health,
    ),
    Route(
        method="GET",
        path="/api/server",
        handler=server,
        policy=Policy.OPEN,
        summary="Tell what this is, and what it can do",
        response=Server,
        other={HTTPStatus.SERVICE_UNAVAILABLE: "The database is busy"},
    ),
    Route(
        method="GET",
        path="/api/ip",
        handler=ip,
        policy=Policy.ADMIN,
        summary="Explain where one's request comes from",
        response=IpShape,
    ),
)
