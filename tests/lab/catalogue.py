"""Who tells what there is to watch: next door, in the house itself.

What the product asks TMDB and the Internet Archive goes by the house's own network, and is meant
to. Here that ends on the loopback, so that whatever does get onto the uplink is a leak.
"""

from aiohttp import web

from tests.lab.namespaces import Namespace
from tests.tmdb_fake import FIRST, TOKEN, FakeTmdb
from tests.tmdb_titles import imdb, listed, title

_ADDRESS, _PORT = "127.0.0.1", 8090

MOVIES = (FIRST, FIRST + 1)
"""All that there is to watch, by TMDB's numbers."""

SETTINGS = f"""\
[catalogue]
tmdb_token = "{TOKEN}"
tmdb_url = "http://{_ADDRESS}:{_PORT}/3"
tmdb_image_url = "http://{_ADDRESS}:{_PORT}/images"
archive_url = "http://{_ADDRESS}:{_PORT}/archive"
"""
"""For the product. There are no images, and nothing is in the Archive."""


def imdb_id(movie: int) -> str:
    """Return what IMDb calls a movie."""
    return imdb("movie", movie)


def release_name(movie: int) -> str:
    """Return what a release of a movie is called by those who have it."""
    year = listed("movie", movie)["release_date"][:4]
    return f"{title(movie)} {year} 1080p WEB-DL x264-LAB".replace(" ", ".")


async def open_catalogue(namespace: Namespace) -> None:
    """Tell until the run ends; a house is that of the namespace."""
    fake = FakeTmdb(movies=len(MOVIES), shows=0, rate=None)
    runner = web.AppRunner(fake.application(), access_log=None)
    await runner.setup()
    await web.SockSite(runner, namespace.listener(_ADDRESS, _PORT)).start()
