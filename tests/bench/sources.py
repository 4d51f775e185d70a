"""`scripts/bench sources`: how soon it is known where a title can be had, and how soon it plays.

Names of releases, ranking, searches and the database are measured in one process, without HTTP.
Pressing play goes over HTTP to a daemon whose only swarm is that of `scripts/bench stream`, once
for a title that was on the screen before and once for one that was not.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import aiohttp

from miauflixd.demo.metainfo import Torrent
from miauflixd.sources.listing_model import Found, ListingId, Part
from miauflixd.sources.listing_store import Count, ListingStore
from miauflixd.sources.offers import DirectoryId, InfoHash, Offer
from miauflixd.sources.preload_plan import HEAD, TAIL
from miauflixd.sources.ranking import Candidate, Preference, rank
from miauflixd.sources.release_names import parse
from miauflixd.sources.service import WITHIN
from miauflixd.vault.sealing import Sealer
from tests.bench import client
from tests.bench.catalogue import SETTLING, measure_queue
from tests.bench.catalogue_data import STEMS
from tests.bench.measuring import (
    Results,
    Summary,
    Target,
    commits,
    cpu_seconds,
    family,
    table,
    write_report,
)
from tests.bench.stream import CAP, FILM, MIB, SEEDERS, Running, daemon, film_swarm
from tests.catalogue_titles import movie, open_shelf, put
from tests.sources_house import FakeDirectory, House, open_house
from tests.test_release_names import LABELLED, judge

_ROUNDS = 3
"""How often each name is read: the worst of one is often another program's doing."""

_RANKED = 1000

_DIRECTORIES = 5
"""One of them says nothing."""

_OF_EACH = 100
"""Offers of a directory for one title, a quarter of which the others have too."""

_LISTINGS = 100_000
_OF_A_TITLE = 50
_LATER = timedelta(hours=24)

_AT_ONCE = 50
"""Listings that are counted in one round."""

_QUIET = 0.5
"""Seconds without a new piece after which a preload is over."""

_KEY = bytes(range(32))
_MOVIE = "movie:1"

TARGETS = {
    "name": Target("a release's name", "ms", 1),
    "name_fields": Target("fields that names say, read right", "%", 97, at_least=True),
    "rank": Target("ranking of 1,000 sources", "ms", 20),
    "of_title": Target("a title with 1,000 sources: unsealed, read, ranked", "ms"),
    "search_first": Target("search of 5 directories, one hanging: first results kept", "ms"),
    "search": Target("the same, until it is answered", "ms", 1500),
    "due_now": Target("100,000 sources, all to be counted: the next 50", "ms", 5),
    "due_none": Target("the same, none to be counted now", "ms", 5),
    "next_due": Target("the same: when the next one is", "ms", 5),
    "queue_next": Target("100,000 searches waiting: next one found", "ms", 5),
    "queue_due": Target("100,000 that come due at once: next one found", "ms", 5),
    "idle_cpu": Target("idle with 100,000 sources", "% of a core", 0.5),
    "idle_commits": Target("idle with 100,000 sources: writes of the database", "1/min", 1),
    "play_cold": Target("play to first byte, from a magnet link", "ms", 800),
    "play_known": Target("play to first byte, from a `.torrent` file", "ms"),
    "preload": Target("on the screen until it is ready", "ms"),
    "play_focused": Target("play to first byte, focused before", "ms", 150),
}


# --- without a daemon -----------------------------------------------------------------------------


def measure_names(results: Results) -> None:
    """Measure how long names take to read, and how many of their fields are read right."""
    parse("Warm.Up.2019.1080p.WEB-DL.x264-GRP")
    for _ in range(_ROUNDS):
        for label in LABELLED:
            began = time.perf_counter()
            parse(label["name"])
            results.note("name", 1000 * (time.perf_counter() - began))
    said, wrong, _ = judge()
    for field in said:
        print(f"  {field}: {said[field] - wrong[field]} of {said[field]}", file=sys.stderr)
    results.note("name_fields", 100 * (1 - wrong.total() / said.total()))


def measure_ranking(results: Results, *, runs: int) -> None:
    """Measure how long it takes to put a thousand in order."""
    random = Random("ranking")
    wanted = Preference(runtime=7200, original_language="en")
    candidates = [
        Candidate(
            id=str(number),
            release=parse(name),
            size=random.randrange(2**28, 2**36),
            seeders=random.randrange(500),
            counted_ago=random.randrange(86_400),
        )
        for number, name in enumerate(_names(random, _RANKED))
    ]
    for _ in range(runs):
        began = time.perf_counter()
        rank(candidates, wanted)
        results.note("rank", 1000 * (time.perf_counter() - began))


async def measure_search(folder: Path, results: Results, *, runs: int) -> None:
    """Measure how soon somebody who opens a title has something to choose from."""
    random = Random("search")
    directories = [FakeDirectory(f"d{number}") for number in range(_DIRECTORIES)]
    directories[0].released.clear()
    place = folder / "search"
    place.mkdir()
    async with open_house(place, *directories) as house:
        for run in range(runs):
            title = await house.movie(_title(run))
            for directory in directories:
                directory.found = _offers(run, random, by=directory.name)
            house.told.clear()
            async with asyncio.TaskGroup() as group:
                began = time.perf_counter()
                group.create_task(_note_first(house, began, results))
                # What `GET /api/titles/{id}/sources` does.
                await house.sources.freshen(title)
                found = await house.of(title)
                results.note("search", 1000 * (time.perf_counter() - began))
            assert found.listings
            assert found.searching
        title = await house.movie(_title(runs))
        offers = _offers(runs, random, by="d1", count=_RANKED)
        part = Part(title_id=title, certain=True)
        await house.sources.listings.save(
            [Found(offer=offer, parts=(part,)) for offer in offers], at=house.clock()
        )
        for _ in range(runs):
            began = time.perf_counter()
            found = await house.of(title)
            results.note("of_title", 1000 * (time.perf_counter() - began))
            assert len(found.listings) == _RANKED


async def _note_first(house: House, began: float, results: Results) -> None:
    async with asyncio.timeout(2 * WITHIN):
        while not any(told.startswith("title:") for told in house.told):
            await asyncio.sleep(0.001)
    results.note("search_first", 1000 * (time.perf_counter() - began))


def _title(number: int) -> str:
    """Return a title of its own, without anything that could be read as a number."""
    words, rest = [], number
    for _ in range(3):
        rest, word = divmod(rest, len(STEMS))
        words.append(STEMS[word].title())
    return " ".join(words)


def _offers(run: int, random: Random, *, by: str, count: int = _OF_EACH) -> Sequence[Offer]:
    title = _title(run).replace(" ", ".")
    return [
        Offer(
            directory=DirectoryId(by),
            name=f"{title}.2019.{name.partition('.2019.')[2]}",
            info_hash=_hash(f"{run} {number if number % 4 == 0 else (number, by)}"),
            size=random.randrange(2**28, 2**34),
            seeders=random.randrange(500),
        )
        for number, name in enumerate(_names(random, count))
    ]


def _names(random: Random, count: int) -> Iterator[str]:
    for number in range(count):
        said = (
            random.choice(("2160p", "1080p", "720p", "480p")),
            random.choice(("WEB-DL", "BluRay", "HDTV", "WEBRip")),
            random.choice(("DDP5.1", "AAC2.0", "DTS-HD.MA.5.1", "TrueHD.7.1")),
            random.choice(("x264", "x265", "H.264", "HEVC", "AV1")),
        )
        yield f"Glass.Meridian.2019.{'.'.join(said)}-GRP{number}"


def _hash(words: str) -> InfoHash:
    return InfoHash(hashlib.sha1(words.encode()).hexdigest())


async def measure_listings(folder: Path, results: Results, *, runs: int) -> Path:
    """Measure how soon the next swarm to count is found among many; return the database."""
    place = folder / "listings"
    place.mkdir()
    now = datetime.now(UTC)
    async with open_shelf(place) as shelf:
        titles = await shelf.save(
            [movie(_title(number)) for number in range(_LISTINGS // _OF_A_TITLE)], at=now
        )
        store = ListingStore(database=shelf._database, sealer=Sealer(_KEY))
        saved: list[ListingId | None] = []
        for number, title in enumerate(titles):
            random = Random(f"listings {number}")
            found = [
                Found(offer=offer, parts=(Part(title_id=title, certain=True),))
                for offer in _offers(number, random, by="d1", count=_OF_A_TITLE)
            ]
            saved += (await store.save(found, at=now)).ids
        assert len({*saved}) == await store.count() == _LISTINGS
        await _note_due(store, "due_now", now, results, runs=runs)
        for start in range(0, _LISTINGS, 1000):
            counts = [
                Count(id=one, seeders=5, leechers=1, every=_LATER)
                for one in saved[start : start + 1000]
                if one is not None
            ]
            await store.save_counts(counts, at=now + timedelta(seconds=start / 1000))
        await _note_due(store, "due_none", now, results, runs=runs)
        for _ in range(runs):
            began = time.perf_counter()
            due = await store.next_due()
            results.note("next_due", 1000 * (time.perf_counter() - began))
            assert due is not None
    (database,) = place.glob("*.sqlite3")
    return database


async def _note_due(
    store: ListingStore, key: str, now: datetime, results: Results, *, runs: int
) -> None:
    for _ in range(runs):
        began = time.perf_counter()
        due = await store.due(now, limit=_AT_ONCE)
        results.note(key, 1000 * (time.perf_counter() - began))
        assert len(due) == (_AT_ONCE if key == "due_now" else 0)


# --- with a daemon --------------------------------------------------------------------------------


async def measure_idle(folder: Path, filled: Path, results: Results, *, seconds: float) -> None:
    """Measure what it costs to have many sources, and nothing to do."""
    settings = f'[storage]\nencryption = "off"\nsealing_key = "{_KEY.hex()}"\n'
    async with daemon(folder, filled=filled, settings=settings) as process:
        await asyncio.sleep(SETTLING)
        pids = family(process.pid)
        (database,) = folder.glob("*/data/miauflixd.sqlite3")
        before = cpu_seconds(pids)
        with commits(database) as counted:
            await asyncio.sleep(seconds)
        results.note("idle_cpu", (cpu_seconds(pids) - before) / seconds * 100)
        results.note("idle_commits", counted[0] * 60 / seconds)


async def measure_play(folder: Path, torrent: Torrent, results: Results) -> None:
    """Measure the way from pressing play to the first byte, each time in a new house."""
    place = folder / "titles"
    if not place.exists():
        place.mkdir()
        async with open_shelf(place) as shelf:
            facts = movie("Big Cat", released=date(2019, 5, 1))
            # What was told long ago, and is in no list, would be forgotten at once.
            assert str(await put(shelf, facts, at=datetime.now(UTC))) == _MOVIE
    (filled,) = place.glob("*.sqlite3")
    for key in ("play_cold", "play_known", "play_focused"):
        async with daemon(folder, filled=filled) as process:
            await _add_own(process, torrent, by_magnet=key != "play_known")
            if key == "play_focused":
                began = time.perf_counter()
                await _focus(process)
                results.note("preload", 1000 * (time.perf_counter() - began - _QUIET))
            results.note(key, 1000 * await asyncio.to_thread(_play, process))


def _play(process: Running) -> float:
    """Return the seconds from pressing play to the first byte."""
    began = time.perf_counter()
    url = client.play(process.url, {"title_id": _MOVIE}, token=process.token)
    asked = time.perf_counter() - began
    return asked + client.get(url, length=MIB).first_byte


async def _add_own(process: Running, torrent: Torrent, *, by_magnet: bool) -> None:
    url = f"{process.url}/api/titles/{_MOVIE}/sources"
    body = json.dumps({"magnet": torrent.magnet}).encode() if by_magnet else torrent.metainfo
    kind = "application/json" if by_magnet else "application/x-bittorrent"
    await asyncio.to_thread(client.post, url, body, kind=kind, token=process.token)


async def _focus(process: Running) -> None:
    """Have the title on the screen, and wait until nothing more comes of it."""
    shown = json.dumps({"items": [{"id": _MOVIE, "state": "focused"}]}).encode()
    await asyncio.to_thread(
        client.post, f"{process.url}/api/ui/viewport", shown, token=process.token
    )
    have, since = 0, time.monotonic()
    headers = {"Authorization": f"Bearer {process.token}"}
    async with aiohttp.ClientSession(headers=headers) as session, asyncio.timeout(60):
        while have < HEAD + TAIL or time.monotonic() - since < _QUIET:
            async with session.get(f"{process.url}/api/torrents") as answer:
                items = (await answer.json())["items"]
            now = sum(item["have"] for item in items)
            if now != have:
                have, since = now, time.monotonic()
            await asyncio.sleep(0.01)
    assert have < FILM, "all of it was fetched"


async def run(arguments: argparse.Namespace) -> dict[str, Summary]:
    """Take the measurements that are wanted."""
    results = Results(TARGETS)
    wanted = arguments.only or _PARTS
    runs = arguments.runs
    with tempfile.TemporaryDirectory(prefix="miauflixd-bench-") as name:
        folder = Path(name)
        if "names" in wanted:
            measure_names(results)
            measure_ranking(results, runs=runs)
        if "search" in wanted:
            await measure_search(folder, results, runs=arguments.plays)
        if "listings" in wanted:
            await measure_queue(folder, results, runs=runs)
            filled = await measure_listings(folder, results, runs=runs)
            await measure_idle(folder, filled, results, seconds=arguments.idle)
        if "play" in wanted:
            async with film_swarm(
                folder / "swarm",
                size=FILM,
                seeders=SEEDERS,
                cap=CAP,
                round_trip=0,
                name="Big.Cat.2019.1080p.WEB-DL.H264.AAC-GRP.mkv",
            ) as torrent:
                for _ in range(arguments.plays):
                    await measure_play(folder, torrent, results)
    return results.summaries()


_PARTS = ("names", "search", "listings", "play")


def main(words: list[str]) -> None:
    """Measure, print JSON to standard output (or a file) and a table to standard error."""
    parser = argparse.ArgumentParser(prog="scripts/bench sources", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="of what takes milliseconds")
    parser.add_argument("--plays", type=int, default=5, help="of searches, and of pressing play")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds to watch it idle")
    parser.add_argument("--only", action="append", choices=_PARTS, help="repeatable")
    parser.add_argument("--json", type=Path, default=None, help="write the JSON there")
    arguments = parser.parse_args(words)
    load = os.getloadavg()[0]
    summaries = asyncio.run(run(arguments))
    write_report(
        summaries,
        to=arguments.json,
        conditions={"load": [round(load, 2), round(os.getloadavg()[0], 2)]},
    )
    print(table(TARGETS, summaries), file=sys.stderr)
