"""The work of the sources by itself: found, looked into, counted and forgotten, over months."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from miauflixd.catalogue.library import Library
from miauflixd.catalogue.list_model import ListSpec
from miauflixd.catalogue.model import EpisodeFacts, ListSlug, Locale, SeasonFacts, TitleId
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.database.database import Database
from miauflixd.errors import MiauflixdError, NotFoundError, UnavailableError
from miauflixd.jobs.job import Job, QueueJob, Run
from miauflixd.jobs.queue_store import Claim, Outcome
from miauflixd.jobs.settings import JobsSettings
from miauflixd.jobs.sources import sources_work
from miauflixd.jobs.task_store import TaskStore
from miauflixd.runtime.priority import Priority
from miauflixd.sources.counting import Counting
from miauflixd.sources.directories.directory import DirectoryUnreachableError
from miauflixd.sources.opening import Opening
from miauflixd.sources.ranking import Preference
from miauflixd.sources.service import Sources
from miauflixd.sources.settings import SourcesSettings
from tests.catalogue_titles import NOON, movie, put, show
from tests.directory_fakes import FakeClock
from tests.library_house import Nowhere
from tests.ready_house import FILM, GB, TorrentDirectory
from tests.sources_house import ANYBODY, SEALER, FakeDirectory, info_hash, offer, spec
from tests.swarm_fakes import FakeSwarms, torrent

HALF_A_DAY = timedelta(hours=12)
SEARCH, FETCH, COUNT = "search_sources", "fetch_torrents", "update_source_stats"
OTHER = "Big.Cat.2019.720p.WEB-DL.H264.AAC-GRP"
TRACKER = ("udp://tracker.example:1337/announce",)


@dataclass
class Working:
    """A house whose work is done hour by hour, as time passes when a test says so."""

    library: Library
    sources: Sources
    swarms: FakeSwarms
    database: Database
    clock: FakeClock
    jobs: dict[str, Job | QueueJob]
    is_open: bool = True
    resting: set[str] = field(default_factory=set)
    """Queues of which something that they need did not answer the last time."""
    said: list[str] = field(default_factory=list)
    night: date | None = None

    async def in_list(self, *titles: TitleId) -> None:
        spec = ListSpec(slug=ListSlug("tmdb-new"), title="New", kind="mixed", provider="tmdb")
        await self.library.lists.replace(spec, titles)

    async def movie(self, title: str = "Big Cat", **said) -> TitleId:
        said.setdefault("released", date(2019, 5, 1))
        return await put(self.library.titles, movie(title, **said))

    async def listing(self, title_id: TitleId, place: int = 0):
        found = await self.sources.of_title(title_id, Preference(), audience=ANYBODY)
        return found.listings[place]

    async def look(self) -> None:
        """Do what is due now."""
        searches = self.jobs[SEARCH]
        assert isinstance(searches, QueueJob)
        assert searches.feed is not None
        self.said.append(await searches.feed(self._run(SEARCH)) or "")
        for name in (SEARCH, FETCH, COUNT):
            await self._work_off(name)

    async def pass_by(self, *, step: timedelta = timedelta(hours=1), **time: float) -> None:
        """Let time pass, and have everything done that becomes due; once a night the rest."""
        end = self.clock.now + timedelta(**time)
        while self.clock.now < end:
            self.clock.now += step
            await self.look()
            if self.night != self.clock.now.date():
                self.night = self.clock.now.date()
                job = self.jobs["resync_sources"]
                assert isinstance(job, Job)
                self.said.append(await job.run(self._run("resync_sources")) or "")

    async def _work_off(self, name: str) -> None:
        job = self.jobs[name]
        assert isinstance(job, QueueJob)
        self.resting.discard(name)
        turn = await job.queue.turn([], claim=100, least=Priority.ROUTINE)
        while turn.claimed:
            outcomes = [await self._outcome(job, item) for item in turn.claimed]
            claim = 0 if name in self.resting else 100
            turn = await job.queue.turn(outcomes, claim=claim, least=Priority.ROUTINE)

    async def _outcome(self, job: QueueJob, claim: Claim) -> Outcome:
        item = claim.item
        try:
            await job.handler(item, claim.priority)
        except NotFoundError:
            pass
        except UnavailableError:
            self.resting.add(job.name)
            return Outcome(item=item, kind="released")
        except MiauflixdError as error:
            return Outcome(item=item, kind="failed", error=error.code)
        return Outcome(item=item, kind="done")

    def _run(self, name: str) -> Run:
        return Run(task=name, cursor=None, store=TaskStore(database=self.database))


@asynccontextmanager
async def at_work(folder: Path, *directories: FakeDirectory) -> AsyncIterator[Working]:
    known = {directory.name: directory for directory in directories}
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.open(folder / "house.sqlite3"))
        clock = FakeClock(now=datetime(2026, 3, 1, 12, tzinfo=UTC))
        library = await stack.enter_async_context(
            Library.open(
                settings=CatalogueSettings(archive=False),
                database=database,
                sealer=SEALER,
                http=Nowhere(),
                artwork=folder / "artwork",
                clock=clock,
            )
        )
        sources = await stack.enter_async_context(
            Sources.open(
                settings=SourcesSettings(archive=False),
                database=database,
                sealer=SEALER,
                titles=library.titles,
                changed=library.changed,
                tunnel_http=Nowhere(),
                host_http=Nowhere(),
                clock=clock,
                build=lambda spec: known[spec.id],
            )
        )
        for name in known:
            await sources.directories.add(spec(name))
        swarms = FakeSwarms()
        house = Working(library, sources, swarms, database, clock, {})
        work = await sources_work(
            sources=sources,
            opening=Opening(
                sources=sources,
                titles=library.titles,
                swarms=swarms,
                stock=swarms,
            ),
            counting=Counting(sources=sources, swarms=swarms, clock=clock, chance=lambda: 0.5),
            library=library,
            users=_nobody,
            way_out=lambda: house.is_open,
            database=database,
            clock=clock,
            nightly=JobsSettings().nightly,
        )
        house.jobs |= {job.name: job for job in work}
        await asyncio.sleep(0)  # those who ask directories begin
        yield house


async def _nobody():
    return []


# --- searching ------------------------------------------------------------------------------------


async def test_what_is_in_lists_is_found_looked_into_and_available(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1, seeders=9)])
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(1, {"Big.Cat.2019.mkv": GB})
        film = await house.movie()
        await house.in_list(film)

        await house.look()

        found = await house.listing(film)
        assert found.part.file is not None
        assert found.part.file.name == "Big.Cat.2019.mkv"
        assert found.state == "ready"
        cards = await house.library.titles.cards([film], Locale("en"), None)
        assert cards[film].available


async def test_what_is_not_found_is_searched_for_ever_less_often_but_always_again(tmp_path):
    directory = FakeDirectory("a")
    async with at_work(tmp_path, directory) as house:
        await house.in_list(await house.movie())
        await house.look()
        counts = []
        for _ in range(5):
            before = len(directory.asked)
            await house.pass_by(days=14, step=timedelta(hours=6))
            counts.append(len(directory.asked) - before)

    assert 6 <= counts[0] <= 12
    assert all(1 <= count <= 3 for count in counts[2:])


async def test_what_is_new_is_searched_for_twice_a_day_until_it_is_there(tmp_path):
    directory = FakeDirectory("a")
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(1, {"Big.Cat.2026.mkv": GB})
        film = await house.movie(released=house.clock.now.date())
        await house.in_list(film)
        await house.look()
        await house.pass_by(days=4, step=timedelta(hours=2))
        before = len(directory.asked)
        await house.pass_by(days=4, step=timedelta(hours=2))
        assert 6 <= len(directory.asked) - before <= 11

        directory.found = [offer("Big.Cat.2026.1080p.WEB-DL.H264-GRP", 1)]
        await house.pass_by(days=1)
        assert (await house.listing(film)).state == "ready"
        before = len(directory.asked)
        await house.pass_by(days=4, step=timedelta(hours=2))
        assert 2 <= len(directory.asked) - before <= 9


async def test_an_old_film_that_can_be_had_is_searched_for_every_few_weeks(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1)])
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(1, {"Big.Cat.2019.mkv": GB})
        film = await house.movie()
        await house.in_list(film)
        await house.look()
        await house.pass_by(days=60, step=HALF_A_DAY)

    # The first of a list twice as often as others.
    assert 4 <= len(directory.asked) <= 6


async def test_of_a_show_the_first_and_the_latest_episodes_are_searched_for(tmp_path):
    directory = FakeDirectory("a")
    async with at_work(tmp_path, directory) as house:
        series = await put(
            house.library.titles,
            show("Lantern Street", full=True, seasons=(SeasonFacts(number=1, episode_count=9),)),
        )
        await house.library.titles.save_season(
            series,
            SeasonFacts(
                number=1,
                episode_count=9,
                episodes=tuple(
                    EpisodeFacts(number=n, aired=date(2026, 1, 1) + timedelta(weeks=2 * n))
                    for n in range(1, 10)
                ),
            ),
            locale=Locale("en"),
            at=NOON,
        )
        await house.in_list(series)

        await house.look()

    # On the first of March the first four are on the air.
    asked = {query.episode for query in directory.asked if query.kind == "episode"}
    assert asked == {1, 3, 4}


async def test_without_a_way_out_nothing_is_asked_and_nobody_is_blamed(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1)])
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(1, {"Big.Cat.2019.mkv": GB})
        house.is_open = False
        film = await house.movie()
        await house.in_list(film)
        await house.look()
        assert directory.asked == []
        assert house.resting == {SEARCH}

        house.is_open = True
        await house.pass_by(hours=2)
        assert await house.listing(film)


async def test_without_a_directory_there_is_nothing_to_do(tmp_path):
    async with at_work(tmp_path) as house:
        await house.in_list(await house.movie())
        await house.look()

        assert house.said == ["No directory is on"]


# --- looking into what was found ------------------------------------------------------------------


async def test_what_is_useless_makes_room_for_the_next(tmp_path):
    url = "https://a.example/1.torrent"
    known = [offer(FILM, 1, seeders=90, torrent_url=url), offer(OTHER, 2, seeders=1)]
    directory = TorrentDirectory("a", known, files={FILM: torrent(2, {"x.mkv": GB}).metainfo})
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(2, {"x.mkv": GB})
        film = await house.movie()
        await house.in_list(film)

        await house.look()

        best, other = await house.listing(film), await house.listing(film, 1)
        assert best.listing.offer.name == OTHER
        assert best.part.file is not None
        assert not other.usable
        assert other.listing.broken == "It is another torrent than was offered"


async def test_of_many_only_the_best_few_are_looked_into(tmp_path):
    known = [offer(f"Big.Cat.2019.1080p.WEB-DL.H264.AAC-G{n}", n, seeders=n) for n in range(1, 30)]
    async with at_work(tmp_path, FakeDirectory("a", known)) as house:
        for n in range(1, 30):
            house.swarms.put(n, {"Big.Cat.2019.mkv": GB})
        await house.in_list(await house.movie())

        await house.look()

        assert len(house.swarms.asked) == 3


async def test_a_silent_swarm_is_asked_ever_less_often(tmp_path):
    async with at_work(tmp_path, FakeDirectory("a", [offer(FILM, 1)])) as house:
        house.swarms.put(1, {"Big.Cat.2019.mkv": GB})
        house.swarms.silent.add(1)
        await house.in_list(await house.movie())
        await house.look()
        await house.pass_by(days=1)
        first = len(house.swarms.asked)
        await house.pass_by(days=1)
        second = len(house.swarms.asked) - first

        assert first <= 8
        assert second <= 2


async def test_a_directory_that_fails_does_not_stop_the_others(tmp_path):
    url = "https://a.example/1.torrent"
    known = [offer(FILM, None, torrent_url=url), offer(OTHER, 2)]
    directory = TorrentDirectory("a", known, files={FILM: DirectoryUnreachableError("No")})
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(2, {"x.mkv": GB})
        film = await house.movie()
        await house.in_list(film)

        await house.look()

        assert not house.resting
        assert house.swarms.asked == [2]


# --- counting -------------------------------------------------------------------------------------


async def test_swarms_are_counted_in_their_own_rhythm(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1, trackers=TRACKER)])
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(1, {"Big.Cat.2019.mkv": GB})
        house.swarms.counts[1] = (40, 4)
        film = await house.movie()
        await house.in_list(film)
        await house.look()
        await house.pass_by(minutes=15)
        assert (await house.listing(film)).listing.seeders == 40

        # Nothing changes: after 6, 12, 24, 48 and then 72 hours.
        before = len(house.swarms.scrapes)
        await house.pass_by(days=30, step=timedelta(hours=4))
        assert 9 <= len(house.swarms.scrapes) - before <= 14


async def test_fifty_are_asked_about_at_once_and_none_is_forgotten(tmp_path):
    known = [
        offer(f"Big.Cat.2019.1080p.WEB-DL.H264.AAC-G{n}", n, trackers=TRACKER)
        for n in range(1, 121)
    ]
    async with at_work(tmp_path, FakeDirectory("a", known)) as house:
        for n in range(1, 121):
            house.swarms.put(n, {"Big.Cat.2019.mkv": GB})
            house.swarms.counts[n] = (n, 0)
        film = await house.movie()
        await house.in_list(film)
        await house.look()
        await house.pass_by(minutes=15)

        assert house.swarms.scrapes == [50, 50, 20]
        found = await house.sources.of_title(film, Preference(), audience=ANYBODY)
        assert {one.listing.seeders for one in found.listings} == set(range(1, 121))


async def test_those_nobody_tells_of_do_not_keep_others_from_being_counted(tmp_path):
    known = [
        offer(f"Big.Cat.2019.1080p.WEB-DL.H264.AAC-G{n}", n, trackers=TRACKER) for n in range(1, 61)
    ]
    async with at_work(tmp_path, FakeDirectory("a", known)) as house:
        for n in range(1, 61):
            house.swarms.put(n, {"Big.Cat.2019.mkv": GB})
        await house.in_list(await house.movie())
        await house.look()
        await house.pass_by(days=10, step=timedelta(hours=2))

        # 6, 12, 24, 48, 72, 72: not every ten minutes.
        assert sum(house.swarms.scrapes) <= 60 * 8


async def test_what_nobody_has_twice_is_dead_and_lives_again_when_somebody_has_it(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1, trackers=TRACKER)])
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(1, {"Big.Cat.2019.mkv": GB})
        house.swarms.counts[1] = (0, 0)
        film = await house.movie()
        await house.in_list(film)
        await house.look()
        await house.pass_by(hours=1)
        assert (await house.listing(film)).state == "ready"
        await house.pass_by(days=2)
        assert (await house.listing(film)).state == "dead"
        cards = await house.library.titles.cards([film], Locale("en"), None)
        assert not cards[film].available

        house.swarms.counts[1] = (7, 1)
        await house.pass_by(days=4, step=timedelta(hours=2))
        assert (await house.listing(film)).state == "ready"
        cards = await house.library.titles.cards([film], Locale("en"), None)
        assert cards[film].available


async def test_without_a_way_to_the_trackers_nothing_is_put_off(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1, trackers=TRACKER)])
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(1, {"Big.Cat.2019.mkv": GB})
        house.swarms.counts[1] = (5, 5)
        film = await house.movie()
        await house.in_list(film)
        await house.look()
        house.swarms.is_up = False
        await house.pass_by(hours=1)
        assert COUNT in house.resting

        house.swarms.is_up = True
        await house.pass_by(hours=1)
        assert (await house.listing(film)).listing.seeders == 5


# --- once a night ---------------------------------------------------------------------------------


async def test_what_nobody_offers_and_nobody_has_is_forgotten_after_months(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1), offer(OTHER, 2, seeders=4)])
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(1, {"Big.Cat.2019.mkv": GB})
        house.swarms.put(2, {"Big.Cat.2019.mkv": GB})
        film = await house.movie()
        await house.in_list(film)
        await house.look()
        directory.found = []
        await house.pass_by(days=50, step=HALF_A_DAY)
        assert await house.sources.listings.count() == 2

        await house.pass_by(days=20, step=HALF_A_DAY)

        assert await house.sources.listings.count() == 1
        assert (await house.listing(film)).listing.offer.name == OTHER


async def test_what_was_left_over_is_looked_into_by_night(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1)])
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(1, {"Big.Cat.2019.mkv": GB})
        film = await house.movie()
        await house.sources.search(film, within=5.0)
        assert house.swarms.asked == []

        await house.pass_by(days=1)

        assert house.swarms.asked == [1]
        assert (await house.listing(film)).state == "ready"


async def test_nothing_of_it_tells_what_anybody_watches(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    directory = FakeDirectory("a", [offer(FILM, 1, seeders=9, trackers=TRACKER)])
    async with at_work(tmp_path, directory) as house:
        house.swarms.put(1, {"film.rar": GB})
        await house.in_list(await house.movie())
        await house.look()
        await house.pass_by(days=2)

    for text in (caplog.text, *house.said):
        assert "cat" not in text.lower().replace("catalogue", "")
        assert info_hash(1) not in text
