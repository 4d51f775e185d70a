"""Asking all directories at once, and putting together what they bring."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.egress.errors import EgressError
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.services import running
from miauflixd.sources.asking import Answers, Asking, NoDirectoryError, NotAskingError, Report
from miauflixd.sources.directories.directory import (
    Capabilities,
    DirectoryGuardedError,
    DirectoryRefusedError,
    DirectoryUnavailableError,
    DirectoryUnreachableError,
    FunctionMissingError,
    NothingThereError,
    TorrentBytes,
)
from miauflixd.sources.merge import merge
from miauflixd.sources.offers import DirectoryId, Hints, InfoHash, Offer, Query, info_hash_of
from miauflixd.sources.standing import LADDER, Standing, after_failure
from miauflixd.torrents.magnet import Magnet, parse_magnet
from miauflixd.tunnel.errors import TunnelDownError
from tests import sources_house
from tests.directory_fakes import BASE32, HASH, KEY, MAGNET, OTHER_HASH, FakeClock

FILM = Query(kind="movie", titles=("Big Cat",), year=2019, imdb_id="tt5550001")

WHILE = 0.05
"""Seconds for which a test waits for somebody who does not come."""


@dataclass
class FakeDirectory(sources_house.FakeDirectory):
    """A directory that counts those who do not wait, and is checked by being asked."""

    cancelled: int = 0

    async def search(self, query: Query, *, priority: Priority) -> Sequence[Offer]:
        try:
            return await super().search(query, priority=priority)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def check(self) -> None:
        await self.search(FILM, priority=Priority.WAITED_FOR)

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        await self.search(FILM, priority=priority)
        return parse_magnet(MAGNET)


def offer(directory: str = "a", info_hash: str | None = HASH, **changes) -> Offer:
    return Offer(
        directory=DirectoryId(directory),
        name=changes.pop("name", "Big Cat 2019"),
        info_hash=InfoHash(info_hash) if info_hash else None,
        **changes,
    )


@pytest.fixture
def clock():
    return FakeClock()


@asynccontextmanager
async def asking_of(
    *directories: FakeDirectory, clock: FakeClock | None = None, **options: Any
) -> AsyncIterator[Asking]:
    asking = Asking(clock=clock or FakeClock(), **options)
    asking.use(directories)
    async with running("asking", asking.run):
        await asyncio.sleep(0)
        yield asking


async def ask(asking: Asking, query: Query = FILM, *, within: float = 5.0) -> Answers:
    return await asking.ask_all(query, within=within, priority=Priority.ROUTINE)


def outcomes(answers: Answers) -> dict[str, str]:
    return {report.directory: report.outcome for report in answers.reports}


# --- all at once ----------------------------------------------------------------------------------


async def test_all_are_asked_and_what_they_bring_is_put_together():
    a = FakeDirectory("a", [offer("a", seeders=3), offer("a", OTHER_HASH)])
    b = FakeDirectory("b", [offer("b", seeders=5)])

    async with asking_of(a, b) as asking:
        answers = await ask(asking)

    assert [(each.info_hash, each.seeders) for each in answers.offers] == [
        (HASH, 5),
        (OTHER_HASH, None),
    ]
    assert answers.complete
    assert answers.reports == (
        Report(directory=DirectoryId("a"), outcome="answered", found=2),
        Report(directory=DirectoryId("b"), outcome="answered", found=1),
    )


async def test_one_that_hangs_is_not_waited_for_and_what_it_brings_later_is_kept():
    late = FakeDirectory("late", [offer("late", OTHER_HASH)], patient=False)

    async with asking_of(FakeDirectory("a", [offer()]), late) as asking:
        enquiry = asking.ask(FILM, priority=Priority.WAITED_FOR)
        first = await enquiry.first(within=WHILE)

        assert [each.info_hash for each in first.offers] == [HASH]
        assert outcomes(first) == {"a": "answered", "late": "waiting"}
        assert not first.complete
        assert not late.cancelled

        late.released.set()
        states = [answers async for answers in enquiry.progress()]

    assert [each.info_hash for each in states[-1].offers] == [HASH, OTHER_HASH]
    assert states[-1].complete


async def test_progress_tells_each_change_to_each_who_listens():
    a, b = FakeDirectory("a", [offer()], patient=False), FakeDirectory("b", patient=False)
    counts: list[list[int]] = [[], []]

    async with asking_of(a, b) as asking:
        enquiry = asking.ask(FILM, priority=Priority.ROUTINE)

        async def listen(heard: list[int]) -> None:
            async for answers in enquiry.progress():
                heard.append(len(answers.offers))
                if heard is counts[0]:
                    (b if a.released.is_set() else a).released.set()

        async with asyncio.TaskGroup() as group:
            for heard in counts:
                group.create_task(listen(heard))

    assert counts == [[0, 1, 1], [0, 1, 1]]


@pytest.mark.parametrize(
    "error",
    [
        DirectoryUnavailableError("It is gone"),
        EgressError("It is gone", reason="timeout"),
        ValueError(f"a parser stumbled over {KEY}"),
        RecursionError(),
    ],
)
async def test_one_that_fails_is_reported_and_spoils_no_other(error):
    bad = FakeDirectory("bad", error=error)

    async with asking_of(bad, FakeDirectory("a", [offer()])) as asking:
        answers = await ask(asking)
        again = await ask(asking)

    assert outcomes(answers) == {"bad": "failed", "a": "answered"}
    assert len(answers.offers) == len(again.offers) == 1
    assert answers.reports[0].reason
    assert KEY not in answers.reports[0].reason


async def test_one_that_does_not_come_to_an_end_is_left():
    endless = FakeDirectory("endless", patient=False)

    async with asking_of(endless, patience=WHILE) as asking:
        answers = await ask(asking)

        assert outcomes(answers) == {"endless": "failed"}
        assert asking.standing(endless.id).failures == 0


async def test_the_same_question_is_asked_once_at_a_time():
    a = FakeDirectory("a", [offer()], patient=False)

    async with asking_of(a) as asking:
        first = asking.ask(FILM, priority=Priority.ON_SCREEN)
        assert asking.ask(FILM, priority=Priority.ROUTINE) is first
        # Who is in a greater hurry does not wait behind.
        urgent = asking.ask(FILM, priority=Priority.WAITED_FOR)
        assert urgent is not first
        assert asking.ask(replace(FILM, year=1987), priority=Priority.ROUTINE) is not first

        a.released.set()
        await first.first(within=5)
        await urgent.first(within=5)
        assert asking.ask(FILM, priority=Priority.ROUTINE) is not first


async def test_only_those_are_asked_who_can_know():
    films = FakeDirectory("films", [offer()], kinds=frozenset({"movie"}))

    async with asking_of(films) as asking:
        answers = await ask(asking, Query(kind="episode", titles=("The Cats",)))

    assert (outcomes(answers), films.asked) == ({"films": "answered"}, [])
    assert asking.standing(films.id) == Standing()


@pytest.mark.parametrize(
    ("query", "can"),
    [
        (Query(kind="movie", titles=("Big Cat",), imdb_id="tt5550001"), False),
        (Query(kind="movie", titles=("Big Cat",), archive_id="big_cat_1928"), True),
        (Query(kind="season", titles=("Big Cat",), archive_id="big_cat_1928"), False),
    ],
)
def test_who_finds_nothing_by_its_name_wants_an_id(query, can):
    archive = Capabilities(
        kinds=frozenset({"movie", "episode"}), ids=frozenset({"archive"}), words=False
    )
    assert archive.can_find(query) is can


async def test_with_no_directories_there_is_an_answer_at_once():
    async with asking_of() as asking:
        assert await ask(asking) == Answers(offers=(), reports=(), complete=True)


async def test_some_can_be_asked_alone():
    a, b = FakeDirectory("a"), FakeDirectory("b")

    async with asking_of(a, b) as asking:
        enquiry = asking.ask(FILM, priority=Priority.ROUTINE, only=[b.id])
        assert outcomes(await enquiry.first(within=5)) == {"b": "answered"}


async def test_when_the_service_ends_nobody_is_left_waiting():
    a = FakeDirectory("a", patient=False)

    async with asking_of(a) as asking:
        begun = asking.ask(FILM, priority=Priority.ROUTINE)
        await asyncio.sleep(0)
        just_begun = asking.ask(replace(FILM, year=1987), priority=Priority.ROUTINE)

    for enquiry in (begun, just_begun):
        assert outcomes(await enquiry.first(within=5)) == {"a": "failed"}
    assert a.cancelled == 2
    with pytest.raises(NotAskingError):
        asking.ask(FILM, priority=Priority.ROUTINE)


# --- who is left alone ----------------------------------------------------------------------------


async def test_one_that_fails_again_and_again_is_left_alone_ever_longer(clock):
    bad = FakeDirectory("bad", error=DirectoryUnavailableError("It is gone"))
    rests = []

    async with asking_of(bad, clock=clock) as asking:
        for _ in range(12):
            await ask(asking)
            rest = asking.standing(bad.id).rests(clock())
            rests.append(rest.total_seconds() / 60)
            if rest:
                count = len(bad.asked)
                answers = await ask(asking)
                assert outcomes(answers) == {"bad": "resting"}
                assert answers.reports[0].reason == "It is gone"
                assert len(bad.asked) == count
            clock.now += rest

    assert rests == [0, 1, 5, 15, 30, 60, 180, 360, 720, 1440, 1440, 1440]


async def test_when_our_own_network_is_back_nothing_is_away_for_long(clock):
    away = FakeDirectory("away", error=DirectoryUnreachableError("Nobody is there"))

    async with asking_of(away, clock=clock) as asking:
        for _ in range(20):
            await ask(asking)
            clock.now += asking.standing(away.id).rests(clock())
        await ask(asking)

        assert asking.standing(away.id).rests(clock()) == timedelta(minutes=15)


async def test_one_that_answers_again_is_well_again(clock):
    bad = FakeDirectory("bad", error=DirectoryUnavailableError("It is gone"))

    async with asking_of(bad, clock=clock) as asking:
        await ask(asking)
        await ask(asking)
        since = asking.standing(bad.id).since
        bad.error = None
        clock.advance(minutes=1)
        await ask(asking)

        assert asking.standing(bad.id) == Standing(condition="ok", since=clock())
        assert since == clock() - timedelta(minutes=1)


async def test_one_that_says_when_is_left_alone_until_then(clock):
    busy = FakeDirectory("busy", error=DirectoryUnavailableError("No more", retry_after=7200))

    async with asking_of(busy, clock=clock) as asking:
        await ask(asking)

        assert asking.standing(busy.id).rests(clock()) == timedelta(hours=2)


@pytest.mark.parametrize(
    ("error", "condition"),
    [
        (DirectoryRefusedError("The key is wrong"), "refused"),
        (DirectoryGuardedError("A check"), "guarded"),
    ],
)
async def test_what_does_not_mend_itself_is_left_alone_for_longer(clock, error, condition):
    refusing = FakeDirectory("refusing", error=error)

    async with asking_of(refusing, clock=clock) as asking:
        await ask(asking)

        standing = asking.standing(refusing.id)
        assert (standing.condition, standing.reason) == (condition, str(error))
        assert standing.rests(clock()) == timedelta(hours=1)

        # Somebody has changed the key, and wants to know.
        refusing.error = None
        assert (await asking.check(refusing.id)).condition == "ok"


async def test_one_that_cannot_be_asked_in_this_way_is_well():
    async with asking_of(FakeDirectory("a", error=FunctionMissingError("No"))) as asking:
        assert outcomes(await ask(asking)) == {"a": "failed"}
        assert asking.standing(DirectoryId("a")).condition == "ok"


async def test_one_that_only_has_not_got_it_any_more_is_well():
    a = FakeDirectory("a", error=NothingThereError("Gone"))
    async with asking_of(a) as asking:
        with pytest.raises(NothingThereError):
            await asking.resolve(Offer(directory=a.id, name="x"), priority=Priority.ROUTINE)
        assert asking.standing(a.id).condition == "ok"


async def test_one_at_whose_address_there_is_nothing_is_not_well():
    a = FakeDirectory("a", error=NothingThereError("There is nothing at that address"))
    async with asking_of(a) as asking:
        assert (await asking.check(a.id)).condition == "failing"
        assert outcomes(await ask(asking)) == {"a": "failed"}
        assert asking.standing(a.id).reason == "There is nothing at that address"


async def test_nobody_is_blamed_while_there_is_no_way_out():
    a = FakeDirectory("a", error=TunnelDownError("The tunnel is down"))

    async with asking_of(a) as asking:
        answers = await ask(asking)

        assert outcomes(answers) == {"a": "no_way_out"}
        assert asking.standing(a.id) == Standing()
        with pytest.raises(TunnelDownError):
            await asking.check(a.id)


async def test_many_questions_that_fail_together_are_one_failure():
    a = FakeDirectory("a", error=DirectoryUnavailableError("It is gone"), patient=False)

    async with asking_of(a) as asking:
        enquiries = [
            asking.ask(replace(FILM, year=year), priority=Priority.ROUTINE)
            for year in range(2000, 2010)
        ]
        await asyncio.sleep(0)
        a.released.set()
        for enquiry in enquiries:
            await enquiry.first(within=5)

        assert asking.standing(a.id).failures == 1


async def test_how_one_is_doing_outlives_the_service(clock):
    bad = FakeDirectory("bad", error=DirectoryRefusedError("The key is wrong"))
    kept: dict[DirectoryId, Standing] = {}

    async with asking_of(bad, clock=clock, changed=kept.__setitem__) as asking:
        await ask(asking)
        assert kept == asking.standings()

    async with asking_of(bad, clock=clock, standings=kept) as asking:
        assert outcomes(await ask(asking)) == {"bad": "resting"}
        asking.forget(bad.id)
        assert outcomes(await ask(asking)) == {"bad": "failed"}


async def test_a_clock_that_was_wrong_leaves_nobody_alone_for_years(clock):
    error = DirectoryRefusedError("The key is wrong")
    future = after_failure(Standing(), error, clock() + timedelta(days=4000))
    bad = FakeDirectory("bad")

    async with asking_of(bad, clock=clock, standings={bad.id: future}) as asking:
        assert outcomes(await ask(asking)) == {"bad": "answered"}


async def test_one_that_is_taken_away_is_not_asked_and_not_remembered():
    a = FakeDirectory("a", error=DirectoryUnavailableError("Gone"), patient=False)
    kept: dict[DirectoryId, Standing] = {}

    async with asking_of(a, changed=kept.__setitem__) as asking:
        enquiry = asking.ask(FILM, priority=Priority.ROUTINE)
        await asyncio.sleep(0)
        asking.use([])
        a.released.set()
        await enquiry.first(within=5)

        assert (kept, asking.directories) == ({}, ())
        with pytest.raises(NoDirectoryError):
            await asking.check(a.id)


async def test_offers_are_resolved_by_whoever_made_them(clock):
    a = FakeDirectory("a")

    async with asking_of(a, clock=clock) as asking:
        assert await asking.resolve(offer("a"), priority=Priority.ROUTINE) == parse_magnet(MAGNET)
        with pytest.raises(NoDirectoryError):
            await asking.resolve(offer("gone"), priority=Priority.ROUTINE)

        a.error = DirectoryRefusedError("The key is wrong")
        with pytest.raises(DirectoryRefusedError):
            await asking.resolve(offer("a"), priority=Priority.ROUTINE)
        count = len(a.asked)
        with pytest.raises(DirectoryUnavailableError) as raised:
            await asking.resolve(offer("a"), priority=Priority.ROUTINE)
        assert (raised.value.retry_after, len(a.asked)) == (3600, count)


async def test_logs_name_nothing_that_was_looked_for_or_found(caplog):
    caplog.set_level(logging.INFO)
    secret = offer("a", magnet=MAGNET, torrent_url=f"https://x.example/?k={KEY}")

    async with asking_of(
        FakeDirectory("a", [secret]),
        FakeDirectory("b", error=DirectoryUnavailableError("Gone")),
    ) as asking:
        await ask(asking)

    assert "Directory b: failing" in caplog.text
    for word in ("Big Cat", HASH, KEY, "tt5550001"):
        assert word not in caplog.text
    assert KEY not in repr(secret)
    assert HASH not in repr(secret)


# --- the ladder, alone ----------------------------------------------------------------------------


@given(
    st.lists(st.floats(min_value=0, max_value=1e7) | st.none(), max_size=20),
    st.timedeltas(min_value=timedelta(days=-3000), max_value=timedelta(days=3000)),
)
def test_nobody_is_ever_left_alone_for_more_than_a_day(waits, later):
    clock = FakeClock()
    standing = Standing()
    for wait in waits:
        error = DirectoryUnavailableError("No", retry_after=wait)
        standing = after_failure(standing, error, clock())

    assert timedelta(0) <= standing.rests(clock() + later) <= LADDER[-1]


# --- putting together -----------------------------------------------------------------------------


def test_one_torrent_from_two_directories_is_one_offer():
    a = offer(
        "a",
        name="Big Cat",
        seeders=3,
        leechers=9,
        trackers=("udp://one.example:1", "udp://two.example:2"),
        size=5000,
        hints=Hints(quality="1080p", languages=("en",)),
        imdb_id="tt5550001",
    )
    b = offer(
        "b",
        name="Big.Cat.2019.1080p",
        seeders=7,
        trackers=("udp://two.example:2", "udp://three.example:3"),
        torrent_url="https://b.example/1.torrent",
        hints=Hints(quality="720p", video_codec="h264", languages=("de",)),
    )

    (one,) = merge([a, b])

    assert (one.name, one.other_names) == ("Big.Cat.2019.1080p", ("Big Cat",))
    assert (one.seeders, one.leechers, one.size) == (7, 9, 5000)
    assert one.trackers == ("udp://two.example:2", "udp://three.example:3", "udp://one.example:1")
    # Who counts most seeders is believed first.
    assert one.hints == Hints(quality="720p", video_codec="h264", languages=("de", "en"))
    assert one.imdb_id == "tt5550001"
    # The one who has the file is the one to ask for it.
    assert (one.directory, one.also) == ("b", ("a",))


def test_of_two_who_contradict_each_other_about_the_title_none_is_believed():
    (one,) = merge([offer("a", imdb_id="tt5550001", season=1), offer("b", imdb_id="tt7", season=1)])

    assert (one.imdb_id, one.season) == (None, 1)


def test_what_has_no_hash_is_the_same_by_its_link_or_not_at_all():
    v2 = parse_magnet("magnet:?xt=urn:btmh:1220" + "ab" * 32)
    offers = [
        offer("a", None, magnet=v2.uri),
        offer("b", None, magnet=v2.uri + "&dn=Other"),
        offer("a", None, torrent_url="https://x.example/1"),
        offer("b", None, torrent_url="https://x.example/2"),
        offer("a", None, archive_id="one"),
        offer("a", None, archive_id="two"),
    ]

    assert len(merge(offers)) == 5


def test_a_thousand_names_and_trackers_are_cut_to_what_is_of_use():
    (one,) = merge(
        offer("a", name=f"Big Cat {n}", trackers=(f"udp://t{n}.example:1",)) for n in range(1000)
    )

    assert (len(one.other_names), len(one.trackers)) == (8, 50)


MADE = st.tuples(
    st.sampled_from("abc"), st.sampled_from([HASH, OTHER_HASH]), st.none() | st.integers(0, 9)
)


@settings(max_examples=50)
@given(st.lists(MADE, max_size=8), st.integers(0, 8))
def test_merging_in_two_steps_is_merging(made, at):
    offers = [offer(name, hash_, seeders=seeders) for name, hash_, seeders in made]

    whole = merge(offers)
    steps = merge((*merge(offers[:at]), *offers[at:]))

    assert [(o.info_hash, o.seeders) for o in steps] == [(o.info_hash, o.seeders) for o in whole]
    assert [{o.directory, *o.also} for o in steps] == [{o.directory, *o.also} for o in whole]
    assert len({o.info_hash for o in whole}) == len(whole)


@pytest.mark.parametrize(
    "written", [HASH, HASH.upper(), BASE32, BASE32.lower(), f"urn:btih:{HASH}",
                f"URN:BTIH:{BASE32}", MAGNET, f" {HASH}\n"],
)  # fmt: skip
def test_a_hash_is_read_however_it_is_written(written):
    assert info_hash_of(written) == HASH


@pytest.mark.parametrize(
    "written", ["", "0" * 40, HASH[1:], None, 7, b"x", "magnet:?xt=urn:btih:1"]
)
def test_what_is_no_hash_is_none(written):
    assert info_hash_of(written) is None
