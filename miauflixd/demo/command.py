"""`miauflixd demo`: a film out of a swarm of one's own, on this machine alone.

No root, no internet, no keys. Whatever is started lives in a block of its own, so that the end,
also one by Ctrl-C in the middle of the start, leaves no process, no folder and no socket behind.
"""

import asyncio
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path

import aiohttp

from miauflixd.demo.daemon import DaemonDiedError, DaemonProcess, free_port
from miauflixd.demo.film import NAME, film
from miauflixd.demo.household import Login, sign_in
from miauflixd.demo.metainfo import Torrent
from miauflixd.demo.swarm import Swarm
from miauflixd.errors import MiauflixdError

_SEEDERS = 3
_UPLOAD_RATE = 1_200_000
"""Bytes per second of each seeder: together ten times what the film needs, and slow enough that one
sees it come."""

_OTHER_NAME = "The same minute, by magnet.mp4"
_OTHER_PIECE_LENGTH = 2**17
"""Bytes; not what the first torrent has, so that the same film makes another torrent."""

_ADD_WITHIN = aiohttp.ClientTimeout(total=20)


def run(data: Path | None, port: int) -> int:
    """Run the demo until Ctrl-C, SIGTERM or SIGHUP, and return the exit status.

    Args:
        data: where the film is kept from one time to the next; the user's cache when left out.
        port: where the page is; 0 for any free one.

    Returns:
        0 after a signal, 1 for any other end, with the reason on standard error.
    """
    try:
        asyncio.run(_until_signal(data or _cache(), port))
    except (MiauflixdError, OSError, ExceptionGroup) as error:
        reasons = list(_leaves(error))
        if not all(isinstance(reason, MiauflixdError | OSError) for reason in reasons):
            raise  # a mistake of ours, which needs its trace
        for sentence in dict.fromkeys(str(reason) for reason in reasons):
            print(f"miauflixd: {sentence}", file=sys.stderr)
        return 1
    return 0


async def _until_signal(cache: Path, port: int) -> None:
    task = asyncio.current_task()
    assert task is not None  # a coroutine of asyncio.run is one
    loop = asyncio.get_running_loop()
    stopping = False

    def stop() -> None:
        # Once: a second cancellation would cut the clean-up short and leave something behind.
        nonlocal stopping
        if not stopping:
            stopping = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        await _demo(cache, port)
    except asyncio.CancelledError:
        if not stopping:
            raise
    except (MiauflixdError, ExceptionGroup) as error:
        # Ctrl-C reaches the children too, and one may be gone before we have ended it.
        if not stopping or not all(isinstance(leaf, MiauflixdError) for leaf in _leaves(error)):
            raise
    _say("\nOver. Nothing is left running.")


async def _demo(cache: Path, port: int) -> None:
    port = free_port(port)
    _say(
        "Looking for the film; when it is made for the first time, this takes some ten seconds ..."
    )
    path = await film(cache)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="miauflixd-demo-")))
        _say(f"Starting a tracker and {_SEEDERS} seeders ...")
        swarm = await stack.enter_async_context(
            Swarm.open(
                path,
                directory=folder / "seeders",
                seeders=_SEEDERS,
                upload_rate=_UPLOAD_RATE,
                name=NAME,
            )
        )
        other = await stack.enter_async_context(
            Swarm.open(
                path,
                directory=folder / "other",
                seeders=1,
                upload_rate=_UPLOAD_RATE,
                piece_length=_OTHER_PIECE_LENGTH,
                name=_OTHER_NAME,
            )
        )
        other_file = _write(folder / "another.torrent", other.torrent)
        _say("Starting the daemon ...")
        daemon = await stack.enter_async_context(
            DaemonProcess.open(directory=folder, port=port, log_level="warning")
        )
        login = Login(email="demo@miauflix.example", password=secrets.token_hex(6))
        await _add(daemon.url, swarm.torrent, token=await sign_in(daemon, login))
        _say(
            f"\n    {daemon.url}/\n\n"
            "Open this in a browser on this machine, and sign in as\n\n"
            f"    {login.email}   password   {login.password}\n\n"
            "Then press play. The film comes out of a\n"
            f"BitTorrent swarm of {_SEEDERS} seeders with {_UPLOAD_RATE / 1e6:.1f} MB/s each, "
            "all on this machine.\n"
            "To play another, paste this link there, or drop the file:\n\n"
            f"    {other.torrent.magnet}\n    {other_file}\n\n"
            "Ctrl-C ends it and leaves nothing behind."
        )
        await asyncio.Event().wait()


def _write(path: Path, torrent: Torrent) -> Path:
    path.write_bytes(torrent.metainfo)
    return path


async def _add(url: str, torrent: Torrent, *, token: str) -> None:
    """Put a torrent on the daemon's list.

    Raises:
        DaemonDiedError: it does not take it.
    """
    headers = {"Content-Type": "application/x-bittorrent", "Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_ADD_WITHIN) as session,
            session.post(f"{url}/api/torrents", data=torrent.metainfo, headers=headers) as answer,
        ):
            if answer.status != HTTPStatus.CREATED:
                raise DaemonDiedError(f"The daemon does not take the film: {await answer.text()}")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise DaemonDiedError(f"The daemon does not answer: {error}") from error


def _cache() -> Path:
    """Return the user's folder for what can be made again, as the XDG base directories say."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative one is to be ignored, they say.
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "miauflixd"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _say(text: str) -> None:
    # At once, also into a pipe: whoever started us may wait for the URL.
    print(text, flush=True)
