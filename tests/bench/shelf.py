"""`scripts/bench shelf`: how soon the shelf answers with as many titles as a house has.

In one process, without HTTP: what is measured is SQLite and what is made of its rows, a tenth of
which is the way to the database's thread and back. Each question is asked again with other titles
and words, for nobody asks the same twice.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random
from time import perf_counter

from miauflixd.catalogue.browsing import Query
from miauflixd.catalogue.model import GenreSlug, Kind, Locale, Region, TitleId
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.database.database import Database
from tests.bench.catalogue_data import AT, GENRES, WHOLE, Scale, fill, titles_of
from tests.bench.measuring import Results, Summary, Target, table, write_report

TARGETS = {
    "open": Target("opening", "ms", 50),
    "cards": Target("cards of 200 titles", "ms", 3),
    "cards_foreign": Target("the same in a language that few are in", "ms", 3),
    "episodes": Target("cards of 50 episodes", "ms", 3),
    "title": Target("a title in full", "ms", 3),
    "search": Target("search for a word", "ms", 20),
    "search_prefix": Target("search for one to three letters", "ms", 20),
    "browse": Target("browse, 50 of all", "ms", 10),
    "browse_narrow": Target("browse, 50 of a genre within a limit", "ms", 10),
    "unchanged": Target("a list of 120 titles told again", "ms"),
}

_WORDS = ("harbour", "the lantern", "winter song", "mirror", "kingdom f", "salt", "horse", "zebra")
_LETTERS = ("a", "h", "th", "the", "lan", "s", "wi", "har")
_EN, _PT = Locale("en"), Locale("pt-BR")


async def measure(path: Path, *, runs: int) -> dict[str, Summary]:
    results = Results(TARGETS)
    random = Random("shelf")
    async with Database.open(path) as database:
        await fill(await _open(database), WHOLE)
    for run in range(runs):
        async with Database.open(path) as database:
            began = perf_counter()
            shelf = await _open(database)
            results.note("open", 1000 * (perf_counter() - began))
            questions = _questions(shelf, run, random)
            for ask in questions.values():
                # Once before, as in a house that has been up for a while: its pages are in memory.
                await ask()
            for key, ask in questions.items():
                began = perf_counter()
                await ask()
                results.note(key, 1000 * (perf_counter() - began))
    return results.summaries()


def _questions(
    shelf: TitleStore, run: int, random: Random
) -> Mapping[str, Callable[[], Awaitable[object]]]:
    films, episodes = (
        [TitleId(kind, number) for number in random.sample(range(1, most + 1), count)]
        for kind, count, most in (
            (Kind.MOVIE, 200, WHOLE.movies),
            (Kind.EPISODE, 50, WHOLE.episodes),
        )
    )
    word, letters = _WORDS[run % len(_WORDS)], _LETTERS[run % len(_LETTERS)]
    narrow = Query(genre=GenreSlug(GENRES[run % len(GENRES)]), limit=12, order="rating")
    brief = [*titles_of(Scale(movies=120, shows=0, episodes=0, full=0))]
    return {
        "cards": lambda: shelf.cards(films, _EN, None),
        "cards_foreign": lambda: shelf.cards(films, _PT, None),
        "episodes": lambda: shelf.episode_cards(episodes, _EN, None),
        "title": lambda: shelf.title(films[0], _PT, None),
        "search": lambda: shelf.search(word, locale=_EN, limit=None),
        "search_prefix": lambda: shelf.search(letters, locale=_EN, limit=None),
        "browse": lambda: shelf.browse(Query(), _EN),
        "browse_narrow": lambda: shelf.browse(narrow, _EN),
        "unchanged": lambda: shelf.save(brief, at=AT),
    }


async def _open(database: Database) -> TitleStore:
    return await TitleStore.open(database=database, region=Region("US"), language=_EN)


def main(words: list[str]) -> None:
    """Measure, print JSON to standard output (or a file) and a table to standard error."""
    parser = argparse.ArgumentParser(prog="scripts/bench shelf", description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="of each measurement")
    parser.add_argument("--json", type=Path, default=None, help="write the JSON there")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "house.sqlite3"
        summaries = asyncio.run(measure(path, runs=arguments.runs))
    write_report(summaries, to=arguments.json, conditions={"runs": arguments.runs})
    print(table(TARGETS, summaries), file=sys.stderr)
