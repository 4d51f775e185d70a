"""Sockets: where the application listens, and how it stops."""

import asyncio
import errno
import functools
import logging
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from miauflixd.errors import SettingsError
from miauflixd.web.client_address import trust_of
from miauflixd.web.connections import Crowd, Entrance
from miauflixd.web.limits import ConnectionLimits
from miauflixd.web.protocol import ProblemProtocol
from miauflixd.web.settings import WebSettings

_log = logging.getLogger(__name__)

_BACKLOG = 128

_SHUTDOWN = 0.5
"""Seconds that requests in flight are given twice; then streams are cut off."""


class _Place(NamedTuple):
    """Where a unix socket is to be."""

    setting: str
    path: Path
    mode: int
    """Its permissions: nginx's user is in our group, and nobody else is to come in there."""


@asynccontextmanager
async def serve(
    app: web.Application, settings: WebSettings, *, limits: ConnectionLimits | None = None
) -> AsyncIterator[str]:
    """Listen for the length of the block, and yield the URL (without a final slash).

    Raises:
        SettingsError: it is not possible to listen where the settings say.
    """
    limits = limits or ConnectionLimits()
    crowd = Crowd(most=limits.per_network, proxies=trust_of(settings).proxies)
    runner = web.AppRunner(
        app, handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN
    )
    await runner.setup()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        manager = runner.server
        assert manager is not None  # noqa: S101 - set up above

        def connecting(entrance: Entrance) -> Callable[[], ProblemProtocol]:
            # Not aiohttp's sites, which would make protocols of their own kind.
            return functools.partial(
                ProblemProtocol,
                manager,
                loop=asyncio.get_running_loop(),
                entrance=entrance,
                crowd=crowd,
                limits=limits,
                access_log=logging.getLogger("miauflixd.web.access"),
            )

        tcp = _tcp(connecting(Entrance.TCP), settings.host, settings.port)
        url = await stack.enter_async_context(tcp)
        if settings.unix_socket is not None:
            place = _Place("web.unix_socket", settings.unix_socket, mode=0o660)
            await stack.enter_async_context(_unix(connecting(Entrance.UNIX), place))
        if settings.control_socket is not None:
            place = _Place("web.control_socket", settings.control_socket, mode=0o600)
            await stack.enter_async_context(_unix(connecting(Entrance.CONTROL), place))
        _log.info("Listening on %s", url)
        yield url


@asynccontextmanager
async def _tcp(
    connected: Callable[[], ProblemProtocol], host: str, port: int
) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    try:
        listener = await loop.create_server(connected, host, port, backlog=_BACKLOG)
    except OSError as error:
        raise _not_possible(error, host, port) from error
    try:
        address, port = listener.sockets[0].getsockname()[:2]
        yield f"http://{_in_url(address)}:{port}"
    finally:
        listener.close()


@asynccontextmanager
async def _unix(connected: Callable[[], ProblemProtocol], place: _Place) -> AsyncIterator[None]:
    end = _bound(place)
    try:
        loop = asyncio.get_running_loop()
        listener = await loop.create_unix_server(connected, sock=end, backlog=_BACKLOG)
        try:
            yield
        finally:
            listener.close()
    finally:
        end.close()
        _remove(place.path)


def _bound(place: _Place) -> socket.socket:
    """Return a socket bound to a path; nobody can connect before it listens."""
    setting, path, mode = place
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists():
            _refuse_unless_stale(setting, path)
            _remove(path)
        end.bind(str(path))
        path.chmod(mode)
    except OSError as error:
        end.close()
        raise SettingsError(f"{setting}: cannot use {path}: {error.strerror}") from error
    except SettingsError:
        end.close()
        raise
    return end


def _refuse_unless_stale(setting: str, path: Path) -> None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise SettingsError(f"{setting}: {path} exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.settimeout(1)  # a full backlog would make us wait
        try:
            other.connect(str(path))
        except ConnectionRefusedError:
            return  # an earlier run left it behind
    raise SettingsError(f"{setting}: another program listens at {path}")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _not_possible(error: OSError, host: str, port: int) -> SettingsError:
    match error.errno:
        case errno.EADDRINUSE:
            return SettingsError(
                f"web.port: {port} is in use by another program. Is miauflixd running already? "
                "Otherwise choose another port, or 0 for any free one"
            )
        case errno.EACCES:
            return SettingsError(
                f"web.port: {port} is reserved for the system. "
                "Choose one above 1023, with nginx before it"
            )
        case _:
            return SettingsError(
                f"web.host: {host!r} is no address of this machine. "
                "Use 127.0.0.1 for this machine alone, or 0.0.0.0 for everybody who can reach it"
            )


def _in_url(address: str) -> str:
    if address in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return "localhost"
    return f"[{address}]" if ":" in address else address
