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

from aiohttp import web

from miauflixd.errors import SettingsError
from miauflixd.web.protocol import AccessLogger, ProblemProtocol
from miauflixd.web.settings import WebSettings

_log = logging.getLogger(__name__)

_KEEPALIVE = 75.0
"""Seconds a connection may be idle, and a request's headers may take; as in nginx."""

_LINE_LIMIT = 8190
"""Bytes of the request line, and of one header."""

_HEADERS_LIMIT = 64
"""Headers of one request; browsers behind proxies send 30."""

_BACKLOG = 128

_LINGERING = 2.0
"""Seconds to go on reading a body that was refused, so that its sender gets to read why."""

_SHUTDOWN = 0.5
"""Seconds that requests in flight are given twice; then streams are cut off."""


@asynccontextmanager
async def serve(app: web.Application, settings: WebSettings) -> AsyncIterator[str]:
    """Listen for the length of the block, and yield the URL (without a final slash).

    Raises:
        SettingsError: it is not possible to listen where the settings say.
    """
    runner = web.AppRunner(
        app, handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN
    )
    await runner.setup()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        assert runner.server is not None  # noqa: S101 - set up above
        # Not aiohttp's sites, which would make protocols of their own kind.
        connected = functools.partial(
            ProblemProtocol,
            runner.server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_KEEPALIVE,
            max_line_size=_LINE_LIMIT,
            max_field_size=_LINE_LIMIT,
            max_headers=_HEADERS_LIMIT,
            lingering_time=_LINGERING,
            auto_decompress=False,
            logger=_log,
            access_log=logging.getLogger("miauflixd.web.access"),
            access_log_class=AccessLogger,
        )
        url = await stack.enter_async_context(_tcp(connected, settings.host, settings.port))
        if settings.unix_socket is not None:
            await stack.enter_async_context(_unix(connected, settings.unix_socket))
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
async def _unix(connected: Callable[[], ProblemProtocol], path: Path) -> AsyncIterator[None]:
    end = _bound(path)
    try:
        loop = asyncio.get_running_loop()
        listener = await loop.create_unix_server(connected, sock=end, backlog=_BACKLOG)
        try:
            yield
        finally:
            listener.close()
    finally:
        end.close()
        _remove(path)


def _bound(path: Path) -> socket.socket:
    """Return a socket bound to a path; nobody can connect before it listens."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists():
            _refuse_unless_stale(path)
            _remove(path)
        end.bind(str(path))
        path.chmod(0o660)  # nginx's user is in our group, nobody else is to come in
    except OSError as error:
        end.close()
        raise SettingsError(f"web.unix_socket: cannot use {path}: {error.strerror}") from error
    except SettingsError:
        end.close()
        raise
    return end


def _refuse_unless_stale(path: Path) -> None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise SettingsError(f"web.unix_socket: {path} exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.settimeout(1)  # a full backlog would make us wait
        try:
            other.connect(str(path))
        except ConnectionRefusedError:
            return  # an earlier run left it behind
    raise SettingsError(f"web.unix_socket: another program listens at {path}")


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
