"""Listings in the database: what is known again, what is counted, what is joined."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.catalogue.model import TitleId
from miauflixd.sources.belonging import settle
from miauflixd.sources.listing_model import (
    ChosenFile,
    Found,
    Listing,
    ListingId,
    NoListingError,
    Part,
    Search,
)
from miauflixd.sources.listing_store import Count, ListingStore
from miauflixd.torrents.model import SourceId
from miauflixd.vault.sealing import Sealer, UnsealError
from tests.catalogue_titles import open_shelf
from tests.sources_house import SEALER, info_hash, offer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILM = TitleId.parse("movie:7")
OTHER = TitleId.parse("movie:8")
EPISODES = [TitleId.parse(f"episode:{number}") for number in range(1, 4)]
NAME = "Big.Cat.2019.1080p.WEB-GRP"


@pytest.fixture
async def store(tmp_path):
    async with open_shelf(tmp_path) as shelf:
        yield ListingStore(database=shelf._database, sealer=SEALER)


def found(
    *titles: TitleId,
    number: int | None = 1,
    certain: bool = True,
    pack: bool = False,
    **said: Any,
) -> Found:
    return Found(
        offer=offer(said.pop("name", NAME), number, **said),
        parts=tuple(Part(title_id=title, certain=certain, pack=pack) for title in titles),
    )


async def save(
    store: ListingStore, *all_of_them: Found, at: datetime = NOW
) -> tuple[ListingId, ...]:
    ids = (await store.save(all_of_them, at=at)).ids
    return tuple(one for one in ids if one is not None)


async def only(store: ListingStore, title: TitleId = FILM) -> tuple[Listing, Part]:
    ((listing, part),) = await store.of_title(title)
    return listing, part


# --- known again ----------------------------------------------------------------------------------


async def test_the_same_torrent_is_one_listing_and_learns_what_is_new(store):
    (first,) = await save(store, found(FILM, seeders=3, trackers=("udp://a.example:1",)))
    later = NOW + timedelta(hours=5)
    (second,) = await save(
        store,
        found(
            FILM,
            by="b",
            seeders=9,
            trackers=("udp://b.example:1",),
            name=f"{NAME}.and.more",
            size=7,
        ),
        at=later,
    )
    assert first == second
    listing, _ = await only(store)
    assert set(listing.offer.trackers) == {"udp://a.example:1", "udp://b.example:1"}
    assert (listing.seeders, listing.seeders_before, listing.counted_at) == (9, 3, later)
    assert (listing.added_at, listing.seen_at) == (NOW, later)
    assert listing.offer.name == NAME  # the one that fits the title
    assert listing.size == 7


async def test_two_counts_at_once_are_not_a_trend(store):
    await save(store, found(FILM, seeders=30))
    await save(store, found(FILM, by="b", seeders=3), at=NOW + timedelta(seconds=2))
    listing, _ = await only(store)
    assert listing.seeders_before is None


async def test_without_a_hash_the_same_name_of_the_same_directory_is_the_same(store):
    one = found(FILM, number=None, torrent_url="https://x.example/1?t=1", size=5)
    again = found(FILM, number=None, torrent_url="https://x.example/1?t=2", size=5)
    other = found(FILM, number=None, torrent_url="https://x.example/1?t=2", size=6)
    ids = await save(store, one, again, other)
    assert ids[0] == ids[1] != ids[2]


async def test_when_its_hash_is_known_it_joins_the_one_that_has_it(store):
    (known,) = await save(store, found(FILM, number=1))
    (late,) = await save(store, found(OTHER, number=None, torrent_url="https://x.example/1"))
    kept = await store.save_torrent(late, b"metainfo", hashes=[bytes.fromhex(info_hash(1))])
    assert kept == known
    assert await store.torrent(known) == b"metainfo"
    assert (await store.listing(known)).state == "ready"
    assert {part.title_id for part in await store.parts(known)} == {FILM, OTHER}
    with pytest.raises(NoListingError):
        await store.listing(late)


async def test_a_file_stays_chosen_when_two_are_joined(store):
    (late,) = await save(store, found(OTHER, number=None, torrent_url="https://x.example/1"))
    file = ChosenFile(index=3, name="film.mkv", size=9)
    await store.choose_file(late, OTHER, file)
    (other,) = await save(store, found(FILM, number=1))
    kept = await store.save_torrent(late, b"m", hashes=[bytes.fromhex(info_hash(1))])
    assert kept == late
    assert (await only(store, OTHER))[1].file == file
    with pytest.raises(NoListingError):
        await store.listing(other)


# --- what becomes of it ---------------------------------------------------------------------------


async def test_a_listing_that_has_become_a_source_is_found_by_it(store):
    (listing,) = await save(store, found(FILM))
    await store.set_source(listing, SourceId("5" * 16))
    again = await store.by_source(SourceId("5" * 16))
    assert again is not None
    assert again.id == listing
    assert await store.by_source(SourceId("6" * 16)) is None


async def test_what_is_broken_or_dead_cannot_be_played(store):
    first, second = await save(store, found(FILM), found(FILM, number=2))
    await store.mark_broken(first, "It is another film")
    assert await store.playable([FILM, OTHER]) == {FILM}
    await store.set_state(second, "dead")
    assert await store.playable([FILM, OTHER]) == set()
    await save(store, found(FILM, number=2, seeders=4))
    assert await store.playable([FILM]) == {FILM}
    assert (await store.listing(first)).broken == "It is another film"


async def test_what_is_gone_is_gone_with_all_that_belongs_to_it(store, tmp_path):
    (listing,) = await save(store, found(*EPISODES, pack=True))
    await store.save_torrent(listing, b"metainfo", hashes=[])
    await store.remove(listing)
    with sqlite3.connect(tmp_path / "shelf.sqlite3") as connection:
        for table in ("listings", "listing_marks", "listing_titles", "listing_torrents"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    # Nothing happens to what is not there.
    await store.set_source(listing, SourceId("5" * 16))
    await store.set_state(listing, "dead")
    await store.set_size(listing, 5)
    await store.choose_file(listing, FILM, None)
    with pytest.raises(NoListingError):
        await store.mark_broken(listing, "x")
    with pytest.raises(NoListingError):
        await store.save_torrent(listing, b"", hashes=[])


async def test_a_row_that_was_moved_does_not_open(store, tmp_path):
    await save(store, found(FILM), found(OTHER, number=2))
    with sqlite3.connect(tmp_path / "shelf.sqlite3") as connection:
        connection.execute(
            "UPDATE listings SET about = (SELECT about FROM listings WHERE number = 2)"
            " WHERE number = 1"
        )
    with pytest.raises(UnsealError):
        await store.of_title(FILM)


async def test_another_key_opens_nothing(store):
    await save(store, found(FILM))
    other = ListingStore(database=store._database, sealer=Sealer(bytes(32)))
    with pytest.raises(UnsealError):
        await other.of_title(FILM)


# --- counting -------------------------------------------------------------------------------------


async def test_swarms_are_counted_when_they_are_due(store):
    first, second, _ = await save(
        store,
        found(FILM, seeders=5),
        found(FILM, number=2),
        found(FILM, number=None, torrent_url="https://x.example/1"),
    )
    assert [due.id for due in await store.due(NOW, limit=10)] == [first, second]
    every = timedelta(hours=6)
    await store.save_counts(
        [
            Count(id=first, seeders=8, leechers=1, every=every),
            Count(id=second, seeders=None, leechers=None, every=every * 2),
        ],
        at=NOW,
    )
    assert await store.due(NOW, limit=10) == []
    assert await store.next_due() == NOW + every
    (due,) = await store.due(NOW + every, limit=10)
    assert (due.id, due.seeders, due.every) == (first, 8, every)
    listing = await store.listing(first)
    assert (listing.seeders, listing.seeders_before) == (8, 5)


async def test_the_swarm_itself_is_believed_for_a_day(store):
    (listing,) = await save(store, found(FILM, seeders=5))
    count = Count(id=listing, seeders=2, leechers=0, every=timedelta(hours=6))
    await store.save_counts([count], at=NOW)
    await save(store, found(FILM, seeders=900), at=NOW + timedelta(hours=23))
    assert (await store.listing(listing)).seeders == 2
    await save(store, found(FILM, seeders=900), at=NOW + timedelta(hours=25))
    assert (await store.listing(listing)).seeders == 900


async def test_what_nobody_offers_any_more_is_found_but_not_ones_own(store):
    old, _, played = await save(
        store, found(FILM), found(FILM, number=2, by="own"), found(FILM, number=3)
    )
    await store.set_source(played, SourceId("5" * 16))
    (new,) = await save(store, found(FILM, number=4), at=NOW + timedelta(days=40))
    assert await store.unseen(before=NOW + timedelta(days=30), limit=9) == [old]
    assert new


async def test_the_last_search_is_remembered(store):
    search = Search(at=NOW, found=3, in_vain=0, complete=True, refused={"It is a sample": 2})
    await store.note_search(FILM, search)
    assert await store.search_of(FILM) == search
    await store.note_search(FILM, replace(search, found=0, in_vain=1))
    assert (await store.searches([FILM, OTHER]))[FILM].in_vain == 1
    assert await store.search_of(OTHER) is None


# --- who has it -----------------------------------------------------------------------------------


def part(number: int, *, certain: bool, pack: bool = False) -> Part:
    return Part(title_id=TitleId.parse(f"movie:{number}"), certain=certain, pack=pack)


SURE, UNSURE = part(1, certain=True), part(1, certain=False)


@pytest.mark.parametrize(
    ("known", "claimed", "keeps", "loses"),
    [
        ([], UNSURE, True, False),
        ([part(2, certain=True)], SURE, True, False),
        ([part(2, certain=False)], SURE, True, True),
        ([part(2, certain=True)], UNSURE, False, False),
        ([part(2, certain=False)], UNSURE, False, False),
        ([part(2, certain=True, pack=True)], UNSURE, True, False),
        ([part(2, certain=True)], part(1, certain=False, pack=True), True, False),
        ([part(2, certain=True), part(3, certain=False)], SURE, True, True),
        ([part(2, certain=True), UNSURE], UNSURE, True, False),
    ],
)
def test_the_surer_one_has_it(known, claimed, keeps, loses):
    settled = settle(known, [claimed])
    assert bool(settled.kept) is keeps
    assert bool(settled.given_up) is loses


parts = st.builds(part, st.integers(1, 4), certain=st.booleans(), pack=st.booleans())


@settings(derandomize=True, max_examples=50)
@given(st.lists(parts, unique_by=lambda one: one.title_id), parts)
def test_nobody_sure_ever_loses_a_torrent(known, claimed):
    settled = settle(known, [claimed])
    certain = {one.title_id for one in known if one.certain}
    assert certain.isdisjoint(settled.given_up)
    # And of those who cannot share it no two have it.
    left = [one for one in known if one.title_id not in settled.given_up]
    if claimed.title_id not in {one.title_id for one in known}:
        for mine in settled.kept:
            for theirs in left:
                assert mine.pack or theirs.pack or (mine.certain and theirs.certain)
