"""Getting ready what is on people's screens."""

import asyncio

import pytest

from miauflixd.sources.preload_plan import MOST_IN_ALL, Nearness
from miauflixd.sources.ranking import Preference
from miauflixd.torrents.model import SourceId
from miauflixd.web_files.model import WebFile
from tests.ready_house import FILM, GB, ReadyHouse, anna, open_ready, until
from tests.sources_house import FakeDirectory, offer
from tests.swarm_fakes import MIB

FOCUSED, ADJACENT, VISIBLE, NEAR = Nearness
SOURCE = SourceId("source-1")


def one_film() -> FakeDirectory:
    return FakeDirectory("a", [offer(FILM, 1, seeders=9)])


def hold(ready: ReadyHouse, number: int = 1, size: int = 4 * GB) -> None:
    ready.swarms.put(number, {"Big.Cat.2019.mkv": size})


async def test_the_first_seconds_of_the_focused_title_are_fetched(tmp_path):
    async with open_ready(tmp_path, one_film(), preloads=True) as ready:
        hold(ready)
        film = await ready.house.movie()

        ready.preloading.see("tv", anna(), {film: FOCUSED})
        await until(lambda: SOURCE in ready.swarms.preloads)
        ready.swarms.arrive(SOURCE)
        await until(lambda: ready.preloading.is_ready(film))

        spans, _ = ready.swarms.preloads[SOURCE]
        assert spans == ((0, 0, 4 * MIB), (0, 4 * GB - 2 * MIB, 4 * GB))
        assert not ready.swarms.awake


async def test_so_is_the_place_where_somebody_has_stopped(tmp_path):
    async with open_ready(tmp_path, one_film(), preloads=True) as ready:
        hold(ready)
        film = await ready.house.movie()
        ready.watched.positions[film] = (1800.0, 3600.0)

        ready.preloading.see("tv", anna(), {film: FOCUSED})
        await until(lambda: SOURCE in ready.swarms.preloads)

        spans, _ = ready.swarms.preloads[SOURCE]
        assert spans[2] == (0, 2 * GB, 2 * GB + 4 * MIB)


async def test_of_what_is_only_visible_nothing_is_downloaded(tmp_path):
    async with open_ready(tmp_path, one_film(), preloads=True) as ready:
        hold(ready)
        film = await ready.house.movie()

        ready.preloading.see("tv", anna(), {film: VISIBLE})
        await until(lambda: ready.swarms.asked == [1])
        (listing_id,) = await ready.house.ids(film)
        while await ready.file_of(film, listing_id) is None:
            await asyncio.sleep(0.01)

        assert not ready.swarms.ever_preloaded
        assert not ready.swarms.sources


async def test_what_is_just_outside_the_screen_is_searched_for_and_no_more(tmp_path):
    directory = one_film()
    async with open_ready(tmp_path, directory, preloads=True) as ready:
        hold(ready)
        film = await ready.house.movie()

        ready.preloading.see("tv", anna(), {film: NEAR})
        await until(lambda: directory.asked)
        while not await ready.house.ids(film):
            await asyncio.sleep(0.01)

        assert ready.swarms.asked == []


async def test_what_leaves_the_screen_is_given_up_at_once(tmp_path):
    async with open_ready(tmp_path, one_film(), preloads=True) as ready:
        hold(ready)
        film = await ready.house.movie()
        ready.preloading.see("tv", anna(), {film: FOCUSED})
        await until(lambda: SOURCE in ready.swarms.preloads)

        ready.preloading.see("tv", anna(), {})

        await until(lambda: not ready.swarms.preloads)


async def test_so_is_a_swarm_that_is_being_asked(tmp_path):
    async with open_ready(tmp_path, one_film(), preloads=True) as ready:
        hold(ready)
        ready.swarms.hesitates = asyncio.Event()
        film = await ready.house.movie()
        ready.preloading.see("tv", anna(), {film: FOCUSED})
        await until(lambda: ready.swarms.asked == [1])

        ready.preloading.see("tv", anna(), {})

        await until(lambda: ready.swarms.given_up == [1])


async def test_a_new_screen_takes_the_place_of_the_one_before(tmp_path):
    other = "Old.Dog.2019.1080p.WEB-DL.H264.AAC-GRP"
    known = [offer(FILM, 1), offer(other, 2)]
    async with open_ready(tmp_path, FakeDirectory("a", known), preloads=True) as ready:
        hold(ready)
        ready.swarms.put(2, {"Old.Dog.2019.mkv": GB})
        first = await ready.house.movie("Big Cat", tmdb=1)
        second = await ready.house.movie("Old Dog", tmdb=2)
        ready.preloading.see("tv", anna(), {first: FOCUSED})
        await until(lambda: SOURCE in ready.swarms.preloads)

        ready.preloading.see("tv", anna(), {second: FOCUSED})
        await until(lambda: "source-2" in ready.swarms.preloads)

        assert [*ready.swarms.preloads] == ["source-2"]


async def test_two_screens_are_both_served(tmp_path):
    other = "Old.Dog.2019.1080p.WEB-DL.H264.AAC-GRP"
    known = [offer(FILM, 1), offer(other, 2)]
    async with open_ready(tmp_path, FakeDirectory("a", known), preloads=True) as ready:
        hold(ready)
        ready.swarms.put(2, {"Old.Dog.2019.mkv": GB})
        first = await ready.house.movie("Big Cat", tmdb=1)
        second = await ready.house.movie("Old Dog", tmdb=2)

        ready.preloading.see("tv", anna(), {first: FOCUSED})
        ready.preloading.see("phone", anna(), {second: ADJACENT})
        await until(lambda: len(ready.swarms.preloads) == 2)

        _, first_rank = ready.swarms.preloads[SOURCE]
        _, second_rank = ready.swarms.preloads[SourceId("source-2")]
        assert first_rank > second_rank


async def test_what_becomes_focused_is_fetched_before_others(tmp_path):
    async with open_ready(tmp_path, one_film(), preloads=True) as ready:
        hold(ready)
        film = await ready.house.movie()
        ready.preloading.see("tv", anna(), {film: ADJACENT})
        await until(lambda: SOURCE in ready.swarms.preloads)
        _, before = ready.swarms.preloads[SOURCE]

        ready.preloading.see("tv", anna(), {film: FOCUSED})

        await until(lambda: ready.swarms.preloads[SOURCE][1] > before)


async def test_two_episodes_of_a_season_are_fetched_of_one_source(tmp_path):
    pack = "Lantern.Street.S01.1080p.WEB.H264-GRP"
    directory = FakeDirectory("a", [offer(pack, 1, seeders=9)])
    async with open_ready(tmp_path, directory, preloads=True) as ready:
        ready.swarms.put(1, {f"Lantern.Street.S01E{n:02}.mkv": GB for n in (1, 2, 3)})
        first, second, _ = await ready.house.season(episodes=3)
        ready.preloading.see("tv", anna(), {first: FOCUSED, second: ADJACENT})

        await until(
            lambda: {span[0] for span in ready.swarms.preloads.get(SOURCE, ((), 0))[0]} == {0, 1}
        )
        ready.preloading.see("tv", anna(), {second: FOCUSED})
        await asyncio.sleep(0.02)
        assert SOURCE in ready.swarms.preloads


async def test_nothing_is_begun_while_somebodys_stream_is_hungry(tmp_path):
    directory = one_film()
    async with open_ready(tmp_path, directory, preloads=True) as ready:
        hold(ready)
        ready.swarms.hungry = True
        film = await ready.house.movie()

        ready.preloading.see("tv", anna(), {film: FOCUSED})
        await asyncio.sleep(0.05)
        assert not directory.asked

        ready.swarms.hungry = False
        ready.preloading.see("tv", anna(), {film: FOCUSED})
        await until(lambda: SOURCE in ready.swarms.preloads)


async def test_a_title_that_fails_is_left_alone_for_a_while(tmp_path):
    async with open_ready(tmp_path, one_film(), preloads=True) as ready:
        hold(ready)
        ready.swarms.silent.add(1)
        film = await ready.house.movie()
        for _ in range(5):
            ready.preloading.see("tv", anna(), {film: FOCUSED})
            await asyncio.sleep(0.03)
            ready.preloading.see("tv", anna(), {})
            await asyncio.sleep(0.01)

        assert len(ready.swarms.asked) <= 1


async def test_a_hundred_titles_on_a_screen_are_not_fetched_at_once(tmp_path):
    known = [offer(f"Film.{n}.2019.1080p.WEB-DL.H264-GRP", n) for n in range(1, 13)]
    async with open_ready(tmp_path, FakeDirectory("a", known), preloads=True) as ready:
        ready.swarms.hesitates = asyncio.Event()
        films = {}
        for n in range(1, 13):
            ready.swarms.put(n, {f"Film {n}.mkv": GB})
            films[await ready.house.movie(f"Film {n}", tmdb=n)] = VISIBLE

        ready.preloading.see("tv", anna(), films)
        await until(lambda: len(ready.swarms.asked) == 3)
        await asyncio.sleep(0.05)
        assert len(ready.swarms.asked) == 3

        ready.swarms.hesitates.set()
        await until(lambda: len(ready.swarms.asked) == 12)


async def test_what_was_fetched_for_nobody_goes_when_there_is_no_room(tmp_path):
    async with open_ready(tmp_path, one_film()) as ready:
        hold(ready)
        ready.swarms.put(9, {"old.mkv": GB})
        old = await ready.swarms.add_metainfo(ready.swarms.torrents[9].metainfo, wake=False)
        await ready.notes.add(old, MOST_IN_ALL, at=ready.house.clock.now)
        film = await ready.house.movie()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(ready.preloading.run())
            ready.preloading.see("tv", anna(), {film: FOCUSED})
            await until(lambda: SOURCE in ready.swarms.preloads)
            task.cancel()

        assert old not in ready.swarms.sources
        assert [*await ready.notes.all()] == [SOURCE]


async def test_what_somebody_has_pressed_play_on_is_not_taken_away_again(tmp_path):
    async with open_ready(tmp_path, one_film(), preloads=True) as ready:
        hold(ready)
        film = await ready.house.movie()
        ready.preloading.see("tv", anna(), {film: FOCUSED})
        await until(lambda: SOURCE in ready.swarms.preloads)
        assert [*await ready.notes.all()] == [SOURCE]

        found = await ready.playing.ready(film, Preference())

        assert found.source_id == SOURCE
        assert await ready.notes.all() == {}


async def test_of_a_file_of_a_server_the_first_seconds_are_fetched_too(tmp_path):
    files = (
        WebFile(name="trailer.mp4", size=None, url="https://a.example/t.mp4"),
        WebFile(name="Big.Cat.2019.mp4", size=GB, url="https://a.example/f.mp4"),
    )
    directory = FakeDirectory("a", [offer(FILM, web_files=files)])
    async with open_ready(tmp_path, directory, preloads=True) as ready:
        film = await ready.house.movie()
        source = SourceId("web-0")

        ready.preloading.see("tv", anna(), {film: FOCUSED})
        await until(lambda: source in ready.swarms.preloads)
        ready.swarms.arrive(source)

        await until(lambda: ready.preloading.is_ready(film))
        spans, _ = ready.swarms.preloads[source]
        assert spans == ((1, 0, 4 * MIB), (1, GB - 2 * MIB, GB))


@pytest.mark.parametrize("down", [True, False])
async def test_nothing_that_fails_ends_the_service(tmp_path, down):
    async with open_ready(tmp_path, one_film(), preloads=True) as ready:
        ready.swarms.put(1, {"film.rar": GB})
        ready.swarms.is_up = not down
        film = await ready.house.movie()
        other = await ready.house.movie("Unheard Of", tmdb=7)

        ready.preloading.see("tv", anna(), {film: FOCUSED, other: ADJACENT})
        await until(lambda: ready.swarms.asked == [1])
        await asyncio.sleep(0.05)

        ready.preloading.see("tv", anna(), {})
        assert not ready.swarms.preloads


async def test_a_crowd_of_clients_is_bounded(tmp_path):
    async with open_ready(tmp_path, FakeDirectory("a")) as ready:
        film = await ready.house.movie()
        for number in range(10_000):
            ready.preloading.see(f"client {number}", anna(), {film: NEAR})

        assert ready.preloading.clients == 50
