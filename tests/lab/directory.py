"""A directory out in the internet, in Torznab's words. It remembers who asked for what."""

from collections.abc import Sequence

from aiohttp import web

from tests.directory_fakes import CAPS, enclosure, item, rss
from tests.lab import topology
from tests.lab.canaries import Canaries
from tests.lab.catalogue import MOVIES, imdb_id, release_name
from tests.lab.household import serve_http
from tests.lab.names import Journal
from tests.lab.namespaces import Namespace
from tests.lab.swarm import Film

PLACE = "directory"
"""As the journal calls it."""

FILE = "/download/film.torrent"
"""Where the `.torrent` file is that it offers."""


def urls(canaries: Canaries) -> Sequence[str]:
    """Return where it is: once by name, and once by an address that nothing else has."""
    return (
        f"http://{canaries.name(PLACE)}/torznab",
        f"http://{topology.DIRECTORY_BY_ADDRESS}/torznab",
    )


async def open_directory(namespace: Namespace, *, films: Sequence[Film], journal: Journal) -> None:
    """Have it in a namespace until the run ends.

    Args:
        namespace: where.
        films: what it offers of the catalogue's movies: of the first one a `.torrent` file, and of
            any other only what its swarm is called.
        journal: where requests are noted.
    """

    def offered(number: int, origin: str) -> str:
        film = films[number]
        name = release_name(MOVIES[number])
        if number == 0:
            file = enclosure(f"{origin}{FILE}")
            return item(name, inside=file, infohash=film.info_hash.hex(), size=film.size, seeders=3)
        return item(name, magneturl=film.magnet, size=film.size, seeders=3)

    async def answer(request: web.Request) -> web.Response:
        journal.note(PLACE, request.remote or "", str(request.rel_url))
        if request.path == FILE:
            return web.Response(body=films[0].metainfo, content_type="application/x-bittorrent")
        if request.query.get("t") == "caps":
            return web.Response(text=CAPS, content_type="application/xml")
        wanted = request.query.get("imdbid", "")
        found = [
            offered(number, f"http://{request.host}")
            for number, movie in enumerate(MOVIES[: len(films)])
            if not wanted or imdb_id(movie).endswith(wanted.removeprefix("tt"))
        ]
        return web.Response(text=rss(*found), content_type="application/rss+xml")

    for address in (topology.DIRECTORY, topology.DIRECTORY_BY_ADDRESS):
        await serve_http(namespace.listener(address, 80), answer)
