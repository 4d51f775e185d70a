"""Fetching what will probably be played, with an engine of paper."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from miauflixd.engine.messages import (
    Pieces,
    PiecesFinished,
    Prioritize,
    Remove,
    Removed,
)
from miauflixd.torrents import preloading
from miauflixd.torrents.model import NoSourceError, SourceId
from miauflixd.torrents.service import Torrents
from tests.test_torrents_service import PaperEngine, Place, metadata_or_refusal, outcome
from tests.torrent_files import LEAF, bencode, noise, v1

FILMS = [bencode(v1({f"{number}.mkv": noise(16 * LEAF, number)})) for number in range(3)]


class Engine(PaperEngine):
    """One that knows what is wanted of it, and does not hold back what it was told."""

    def priorities(self, source_id: SourceId) -> dict[int, int]:
        """Return the pieces that are wanted, and how much."""
        wanted: dict[int, int] = {}
        for command in self.commands:
            if isinstance(command, Prioritize) and command.torrent_id == source_id:
                wanted.update(command.pieces)
        return {piece: priority for piece, priority in wanted.items() if priority}

    def finish(self, source_id: SourceId, *pieces: int) -> None:
        self.say(PiecesFinished(torrent_id=source_id, pieces=list(pieces)))


class House:
    """Three sources that nobody has asked for since the start."""

    def __init__(self, torrents: Torrents, engine: Engine, sources: list[SourceId]) -> None:
        self.torrents = torrents
        self.preloading = torrents.preloading
        self.engine = engine
        self.sources = sources

    async def preload(self, number: int, *pieces: int, rank: int = 0) -> None:
        spans = [(0, piece * LEAF, (piece + 1) * LEAF) for piece in pieces]
        await self.preloading.preload(self.sources[number], spans, rank=rank)
        await self.settles()

    def wanted(self, number: int) -> set[int]:
        return set(self.engine.priorities(self.sources[number]))

    async def settles(self) -> None:
        """Wait until all that the engine has said was heard."""
        await self.torrents.questions.inspect(FILMS[0])


@asynccontextmanager
async def house(tmp_path) -> AsyncIterator[House]:
    place = Place(tmp_path)
    async with place.house() as (torrents, _):
        sources = [await torrents.add_metainfo(film) for film in FILMS]
    engine = Engine()
    async with place.house(engine=engine, no_data_timeout=20) as (torrents, _):
        yield House(torrents, engine, sources)


async def test_only_the_spans_are_wanted_the_first_before_the_others(tmp_path):
    async with house(tmp_path) as home:
        await home.preload(0, 3, 15, 7)
        priorities = home.engine.priorities(home.sources[0])
        assert priorities.keys() == {3, 15, 7}
        assert priorities[3] > priorities[15] == priorities[7] > 1


async def test_spans_beyond_the_file_want_nothing(tmp_path):
    async with house(tmp_path) as home:
        spans = [(0, -5, LEAF), (0, 15 * LEAF, 2**63), (0, 2**62, 2**63), (0, 9, 9), (0, 9, 3)]
        await home.preloading.preload(home.sources[0], spans, rank=0)
        await home.settles()
        assert home.wanted(0) == {0, 15}


async def test_it_is_known_when_all_of_it_is_here(tmp_path):
    async with house(tmp_path) as home:
        source_id = home.sources[0]
        assert not home.preloading.preloaded(source_id)
        await home.preload(0, 3, 4)
        home.engine.finish(source_id, 3)
        await home.settles()
        assert not home.preloading.preloaded(source_id)
        home.engine.finish(source_id, 4)
        await home.settles()
        assert home.preloading.preloaded(source_id)


async def test_a_source_that_is_only_preloaded_leaves_when_told(tmp_path):
    async with house(tmp_path) as home:
        await home.preload(0, 3)
        home.preloading.stop_preload(home.sources[0])
        home.preloading.stop_preload(home.sources[0])
        await home.settles()
        assert home.engine.torrents == set()
        assert not home.preloading.preloaded(home.sources[0])
        # And it can be had again.
        await home.preload(0, 4)
        assert 4 in home.wanted(0)


async def test_a_source_that_somebody_else_asked_for_stays(tmp_path):
    async with house(tmp_path) as home:
        await home.preload(0, 3)
        async with home.torrents.reader(home.sources[0], None):
            pass
        home.preloading.stop_preload(home.sources[0])
        await home.settles()
        assert home.engine.torrents == {home.sources[0]}
        assert home.wanted(0) == set()


async def test_what_is_asked_again_replaces_what_was_asked(tmp_path):
    async with house(tmp_path) as home:
        await home.preload(0, 3, 4)
        await home.preload(0, 4, 5)
        assert home.wanted(0) == {4, 5}


@pytest.mark.parametrize("turns", range(1, 8))
async def test_one_that_is_stopped_while_it_wakes_leaves_nothing(tmp_path, turns):
    async with house(tmp_path) as home, asyncio.TaskGroup() as group:
        waking = group.create_task(home.preload(0, 3))
        for _ in range(turns):
            await asyncio.sleep(0)
        home.preloading.stop_preload(home.sources[0])
        await waking
        assert home.engine.torrents == set()


async def test_what_is_not_there_cannot_be_preloaded(tmp_path):
    async with house(tmp_path) as home:
        with pytest.raises(NoSourceError):
            await home.preloading.preload(SourceId("0" * 16), [(0, 0, 1)], rank=0)
        with pytest.raises(NoSourceError):
            await home.preloading.preload(home.sources[0], [(7, 0, 1)], rank=0)
        await home.settles()
        assert home.engine.torrents == set()


async def test_of_a_source_that_is_removed_nothing_is_left(tmp_path):
    async with house(tmp_path) as home:
        await home.preload(0, 3)
        await home.torrents.remove(home.sources[0])
        assert home.engine.torrents == set()
        assert not home.preloading.preloaded(home.sources[0])


# --- one against the other ------------------------------------------------------------------------


async def test_while_somebody_watches_hungrily_nothing_is_preloaded_anywhere(tmp_path):
    async with house(tmp_path) as home:
        await home.preload(0, 3)
        await home.preload(1, 12)
        async with (
            home.torrents.reader(home.sources[1], None) as reader,
            asyncio.TaskGroup() as group,
        ):
            spans = reader.spans(0, 2 * LEAF)
            waiting = group.create_task(outcome(anext(spans)))
            while not home.torrents.readers:
                await asyncio.sleep(0)
            assert home.wanted(0) == set()
            assert 12 not in home.wanted(1)
            await home.preload(2, 5)
            assert home.wanted(2) == set()
            home.engine.finish(home.sources[1], 0, 1)
            await home.settles()
            assert home.wanted(0) == {3}
            assert home.wanted(2) == {5}
            assert 12 in home.wanted(1)
            await waiting
            await spans.aclose()


async def test_higher_ranks_come_first(tmp_path):
    async with house(tmp_path) as home:
        await home.preload(0, 3, rank=1)
        await home.preload(1, 3, rank=2)
        await home.preload(2, 3, rank=2)
        assert [home.wanted(number) for number in range(3)] == [set(), {3}, {3}]
        home.engine.finish(home.sources[1], 3)
        await home.settles()
        assert home.wanted(0) == set()
        home.engine.finish(home.sources[2], 3)
        await home.settles()
        assert home.wanted(0) == {3}


async def test_a_dead_swarm_holds_up_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(preloading, "_FRUITLESS_AFTER", 0.0)
    async with house(tmp_path) as home:
        await home.preload(0, 3, rank=1)
        await home.preload(1, 3, rank=2)
        assert home.wanted(0) == set()
        home.preloading.look()
        assert home.wanted(0) == home.wanted(1) == {3}
        await home.preload(2, 3, rank=3)
        assert (home.wanted(0), home.wanted(1), home.wanted(2)) == (set(), set(), {3})


async def test_when_the_first_is_stopped_the_next_has_its_turn(tmp_path):
    async with house(tmp_path) as home:
        await home.preload(0, 3, rank=1)
        await home.preload(1, 3, rank=2)
        home.preloading.stop_preload(home.sources[1])
        assert home.wanted(0) == {3}


# --- what was just added --------------------------------------------------------------------------


async def test_what_was_just_added_is_preloaded_before_all_others(tmp_path):
    film = bencode(v1({"new.mkv": noise(16 * LEAF, 9)}))
    async with house(tmp_path) as home:
        await home.preload(0, 3, rank=999)
        source_id = await home.torrents.add_metainfo(film)
        await home.settles()
        assert set(home.engine.priorities(source_id)) == set(range(16))
        assert home.wanted(0) == set()
        home.engine.say(Removed(torrent_id=source_id))  # as after ten minutes
        await home.settles()
        assert home.wanted(0) == {3}


async def test_a_magnet_link_that_was_added_is_preloaded_once_its_files_are_known(tmp_path):
    async with house(tmp_path) as home:
        source_id = await home.torrents.add_magnet("magnet:?xt=urn:btih:" + "05" * 20)
        home.engine.say(metadata_or_refusal(source_id, bencode(v1({"a.mkv": noise(LEAF, 8)}))))
        home.engine.say(Pieces(torrent_id=source_id, have=b"\x00"))
        await home.settles()
        assert set(home.engine.priorities(source_id)) == {0}
        assert not home.engine.told(Remove)
