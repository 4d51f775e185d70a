"""What the appliance says about itself."""

from aiohttp import web
from msgspec import Struct

from miauflixd.web.bodies import answer
from miauflixd.web.keys import VERSION


class Health(Struct, frozen=True, kw_only=True):
    """Whether it works."""

    status: str = "ok"


class Features(Struct, frozen=True, kw_only=True):
    """What this version can do, for clients that adapt."""

    remux: bool = False
    transcode: bool = False
    stremio: bool = False


class Server(Struct, frozen=True, kw_only=True):
    """What everybody may know."""

    name: str = "miauflixd"
    version: str
    setup_required: bool = False
    api: str = "1"
    features: Features = Features()


async def health(_request: web.Request) -> web.Response:
    return answer(Health())


async def server(request: web.Request) -> web.Response:
    return answer(Server(version=request.app[VERSION]))
