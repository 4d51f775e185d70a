"""Titles that nobody has seen, and a shelf to put them on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from miauflixd.catalogue.model import (
    Facts,
    Kind,
    Locale,
    OutsideIds,
    ProviderName,
    Region,
    Text,
    TitleId,
)
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.database.connection import connect, connection, prepare
from miauflixd.database.database import Database
from miauflixd.database.migration import MIGRATIONS, migrate

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EN = Locale("en")
US = Region("US")


@asynccontextmanager
async def open_shelf(
    path: Path, *, region: str = "US", language: str = "en"
) -> AsyncIterator[TitleStore]:
    file = path / "shelf.sqlite3"
    if not file.exists():
        file.write_bytes(_empty())
    async with Database.open(file) as database:
        yield await TitleStore.open(
            database=database, region=Region(region), language=Locale(language)
        )


def movie(title: str = "The Quiet Harbour", **said: Any) -> Facts:
    return _facts(Kind.MOVIE, title, said)


def show(title: str = "Lantern Street", **said: Any) -> Facts:
    return _facts(Kind.SHOW, title, said)


async def put(shelf: TitleStore, facts: Facts, *, at: datetime = NOON) -> TitleId:
    (title,) = await shelf.save([facts], at=at)
    return title


async def writes(shelf: TitleStore) -> int:
    """Return how many rows have been written since the database was opened."""
    database = shelf._database
    ((count,),) = await database.run(lambda: database.execute("SELECT total_changes()").fetchall())
    return int(count)


def also(facts: Facts, **said: Any) -> Facts:
    """Return facts that say something else, too."""
    return replace(facts, **said)


@cache
def _empty() -> bytes:
    # Made once: what a shelf needs takes longer to create than most tests take to run.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.sqlite3"
        database = connection(path)
        prepare(path)
        connect(database, path)
        migrate(database, path=path, directory=MIGRATIONS)
        database.close()
        return path.read_bytes()


def _facts(kind: Literal[Kind.MOVIE, Kind.SHOW], title: str, said: dict[str, Any]) -> Facts:
    ids = {
        name: said.pop(name)
        for name in ("tmdb", "imdb", "archive", "trakt", "tvdb")
        if name in said
    }
    provider: ProviderName = said.pop("provider", "tmdb")
    said.setdefault("released", date(1968, 10, 1))
    said.setdefault("original_title", title)
    said.setdefault("original_language", "en")
    return Facts(
        provider=provider,
        kind=kind,
        ids=OutsideIds(**ids),
        locale=Locale(said.pop("locale", "en")),
        text=Text(title=title, overview=said.pop("overview", ""), tagline=said.pop("tagline", "")),
        **said,
    )
