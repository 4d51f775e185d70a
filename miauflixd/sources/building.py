"""From a description to the directory that it describes."""

from pathlib import Path
from typing import assert_never

from miauflixd.catalogue.providers.pace import Pace
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.http import Http
from miauflixd.sources.directories.archive import Archive
from miauflixd.sources.directories.directory import Directory, DirectoryKind
from miauflixd.sources.directories.exchange import Exchange
from miauflixd.sources.directories.feed import Feed
from miauflixd.sources.directories.folder import Folder
from miauflixd.sources.directories.prowlarr import Prowlarr
from miauflixd.sources.directories.therarbg import TheRarbg
from miauflixd.sources.directories.torznab import Torznab
from miauflixd.sources.directories.yts import Yts
from miauflixd.sources.offers import DirectoryId
from miauflixd.sources.ports import Turns
from miauflixd.sources.settings import ARCHIVE_URL, DirectorySpec


def build(  # noqa: PLR0911 -- one for each kind
    spec: DirectorySpec, *, tunnel_http: Http, host_http: Http, clock: Clock
) -> Directory:
    """Return the directory that is described; to be called in the running loop.

    Args:
        spec: its description.
        tunnel_http: the client that goes through the tunnel.
        host_http: the client of the host's own network.
        clock: the time of day.

    Raises:
        BadDirectoryError: nothing can be built from this.
    """
    spec.check()
    name = DirectoryId(spec.id)
    if spec.kind == "folder":
        return Folder(id=name, title=spec.title, path=Path(spec.url), clock=clock)
    exchange = Exchange(
        http=host_http if spec.via == "host" else tunnel_http,
        elsewhere=tunnel_http,
        base=spec.url,
        turns=turns(spec.kind, spec.title),
        # Behind the tunnel nobody has a network of his own, but for its far end.
        own=spec.via == "host" and spec.url != ARCHIVE_URL,
    )
    match spec.kind:
        case "archive":
            return Archive(id=name, title=spec.title, exchange=exchange)
        case "torznab":
            return Torznab(
                id=name,
                title=spec.title,
                exchange=exchange,
                api_key=spec.api_key,
                categories=spec.categories,
                clock=clock,
            )
        case "prowlarr":
            return Prowlarr(
                id=name,
                title=spec.title,
                exchange=exchange,
                api_key=spec.api_key,
                categories=spec.categories,
            )
        case "yts":
            return Yts(id=name, title=spec.title, exchange=exchange)
        case "therarbg":
            return TheRarbg(id=name, title=spec.title, exchange=exchange)
        case "feed":
            return Feed(id=name, title=spec.title, exchange=exchange, clock=clock)
        case _:
            assert_never(spec.kind)


def turns(kind: DirectoryKind, company: str) -> Turns:
    """Return how fast a server of this kind may be asked."""
    match kind:
        case "yts":
            # 20 a minute is what its makers ask for; a page of posters opened at once gets more.
            return Pace(company=company, per_second=20 / 60, burst=4, at_once=2)
        case "therarbg":
            return Pace(company=company, per_second=2, burst=2, at_once=2)
        case "archive":
            # 50 at once and without a pause got people locked out; 5 and half a second did not.
            return Pace(company=company, per_second=2, burst=3, at_once=5)
        case _:
            # Prowlarr leaves each indexer 2 s. The first of two at once is for the caps.
            return Pace(company=company, per_second=0.5, burst=2, at_once=2)
