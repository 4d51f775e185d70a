"""Sources in the database: found again, and unreadable to whoever takes the file."""

import asyncio
import base64
import contextlib
import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from miauflixd.database.database import Database
from miauflixd.torrents.magnet import parse_magnet
from miauflixd.torrents.model import Layout, NoSourceError, SourceFile, SourceId
from miauflixd.torrents.store import SourceStore
from miauflixd.vault.keys import WrongKeyError
from miauflixd.vault.sealing import Sealer, UnsealError

KEY = bytes(range(32))
V1 = bytes.fromhex("c0ffee00c0ffee11c0ffee22c0ffee33c0ffee44")
V2 = bytes.fromhex("decade00" * 8)
NAME = "A Film That Nobody Needs To Know Of"
TRACKER = "udp://tracker.of-a-secret-place.example:6969/announce"
MAGNET = parse_magnet(
    f"magnet:?xt=urn:btih:{V1.hex()}&xt=urn:btmh:1220{V2.hex()}&dn={NAME}&tr={TRACKER}"
).uri
METAINFO = b"d8:announce53:" + TRACKER.encode() + b"4:infod4:name35:" + NAME.encode() + b"ee"
LAYOUT = Layout(
    name=NAME,
    piece_length=16384,
    total_size=70000,
    files=(
        SourceFile(index=0, name=f"{NAME}/film.mkv", size=60000, offset=0),
        SourceFile(index=2, name=f"{NAME}/films ünd more.srt", size=4464, offset=65536),
    ),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "house.sqlite3"


@pytest.fixture
async def open_store(path):
    """Open the store as the daemon does; opening it again is a restart."""
    async with AsyncExitStack() as stack:

        async def open_it(key: bytes = KEY) -> SourceStore:
            await stack.aclose()
            database = await stack.enter_async_context(Database.open(path))
            return await SourceStore.open(database=database, sealer=Sealer(key))

        yield open_it


@pytest.fixture
async def store(open_store):
    return await open_store()


def change(path: Path, statement: str, values: Sequence[object] = ()) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        other.execute(statement, values)


async def test_a_source_is_there_after_a_restart_with_all_that_was_said_of_it(store, open_store):
    before = datetime.now(UTC)
    added = await store.add(
        hashes=[V1, V2], name=NAME, magnet=MAGNET, metainfo=METAINFO, layout=LAYOUT
    )

    store = await open_store()

    assert await store.all() == [added]
    assert (added.name, added.layout) == (NAME, LAYOUT)
    assert before <= added.added_at <= datetime.now(UTC)
    assert added.added_at.utcoffset() == timedelta(0)
    content = await store.content(added.id)
    assert (content.magnet, content.metainfo) == (MAGNET, METAINFO)
    assert (content.resume_data, content.resume_boot_id, content.resume_settled) == (
        None,
        None,
        False,
    )


async def test_an_id_is_sixteen_digits_that_say_nothing_of_the_torrent(store):
    first = await store.add(hashes=[V1], magnet=MAGNET)
    await store.remove(first.id)
    second = await store.add(hashes=[V1], magnet=MAGNET)

    assert len(first.id) == 16
    assert int(first.id, 16) >= 0
    assert first.id != second.id


async def test_a_source_is_found_by_each_of_its_hashes(store):
    added = await store.add(hashes=[V1, V2], name=NAME)

    assert await store.find_by_hash(V1) == added
    assert await store.find_by_hash(V2) == added
    assert await store.find_by_hash(bytes(20)) is None


async def test_adding_a_known_hash_returns_what_is_known_and_changes_nothing(store):
    known = await store.add(hashes=[V1], name=NAME, magnet=MAGNET)

    again = await store.add(hashes=[V2, V1], name="another name", metainfo=METAINFO, layout=LAYOUT)

    assert again == known
    assert await store.all() == [known]
    assert (await store.content(known.id)).metainfo is None
    # Nobody but the torrent itself tells that the two hashes belong together.
    assert await store.find_by_hash(V2) is None


async def test_many_who_add_the_same_at_once_get_one_source(store):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.add(hashes=[V1], magnet=MAGNET)) for _ in range(20)]

    assert len({task.result().id for task in tasks}) == 1
    assert len(await store.all()) == 1


async def test_sources_are_listed_in_the_order_in_which_they_were_added(store, path):
    added = [(await store.add(hashes=[bytes([n]) * 20])).id for n in range(20)]
    # The clock was an hour ahead when the first was added.
    change(path, "UPDATE sources SET added_at = '2099-01-01T00:00:00+00:00' WHERE rowid = 1")

    assert [source.id for source in await store.all()] == added


async def test_what_a_magnet_link_turned_out_to_hold_is_kept(store):
    added = await store.add(hashes=[V1], name="as the link said", magnet=MAGNET)

    await store.save_metainfo(
        added.id, hashes=[V1, V2], name=NAME, metainfo=METAINFO, layout=LAYOUT
    )

    found = await store.find_by_hash(V2)
    assert found is not None
    assert (found.id, found.name, found.layout) == (added.id, NAME, LAYOUT)
    content = await store.content(added.id)
    assert (content.metainfo, content.magnet) == (METAINFO, MAGNET)


async def test_a_hash_stays_with_the_source_that_had_it_first(store):
    first = await store.add(hashes=[V1])
    second = await store.add(hashes=[V2])

    await store.save_metainfo(second.id, hashes=[V1, V2], name=NAME, metainfo=METAINFO)

    assert (await store.find_by_hash(V1)).id == first.id
    assert (await store.find_by_hash(V2)).id == second.id


async def test_resume_data_is_kept_with_the_run_of_the_machine_it_is_from(store):
    added = await store.add(hashes=[V1])

    await store.save_resume(added.id, data=b"where it was", boot_id="monday")

    content = await store.content(added.id)
    assert content.resume_data == b"where it was"
    assert (content.resume_boot_id, content.resume_settled) == ("monday", False)


async def test_settling_does_not_touch_what_an_earlier_run_left_unsettled(store):
    lost, kept = [await store.add(hashes=[bytes([n]) * 20]) for n in range(2)]
    await store.save_resume(lost.id, data=b"1", boot_id="monday")
    await store.save_resume(kept.id, data=b"2", boot_id="tuesday")

    await store.settle_all("tuesday")

    assert not (await store.content(lost.id)).resume_settled
    assert (await store.content(kept.id)).resume_settled


async def test_new_resume_data_is_unsettled_again_unless_said_otherwise(store):
    added = await store.add(hashes=[V1])
    await store.save_resume(added.id, data=b"1", boot_id="monday", settled=True)
    assert (await store.content(added.id)).resume_settled

    await store.save_resume(added.id, data=b"2", boot_id="monday")

    assert not (await store.content(added.id)).resume_settled


async def test_a_removed_source_is_gone_and_can_be_added_anew(store):
    added = await store.add(hashes=[V1, V2], magnet=MAGNET)

    await store.remove(added.id)
    await store.remove(added.id)

    assert await store.all() == []
    assert await store.find_by_hash(V1) is None
    with pytest.raises(NoSourceError):
        await store.content(added.id)
    assert (await store.add(hashes=[V1])).id != added.id


async def test_what_the_engine_still_says_of_a_removed_source_is_dropped(store):
    gone = SourceId("0123456789abcdef")

    await store.save_resume(gone, data=b"late", boot_id="monday")
    await store.save_metainfo(gone, hashes=[V1], name=NAME, metainfo=METAINFO)

    assert await store.all() == []
    assert await store.find_by_hash(V1) is None


# --- sealing --------------------------------------------------------------------------------------


async def test_another_key_is_noticed_at_the_start(store, open_store):
    await store.add(hashes=[V1], name=NAME)

    with pytest.raises(WrongKeyError, match=r"sealed with another key .*storage\.sealing_key"):
        await open_store(bytes(32))

    store = await open_store(KEY)
    assert [source.name for source in await store.all()] == [NAME]


async def test_another_key_is_noticed_even_before_there_is_any_source(store, open_store):
    with pytest.raises(WrongKeyError):
        await open_store(bytes(32))


async def test_a_sealed_value_that_was_moved_to_another_source_does_not_open(store, path):
    first = await store.add(hashes=[V1], name="first")
    second = await store.add(hashes=[V2], name="second")

    change(
        path,
        "UPDATE sources SET name = (SELECT name FROM sources WHERE id = ?) WHERE id = ?",
        [first.id, second.id],
    )

    with pytest.raises(UnsealError):
        await store.all()


def ways_to_write(secret: bytes) -> set[bytes]:
    """Return every form in which an info-hash might have slipped into a file."""
    base32, base64_ = base64.b32encode(secret), base64.b64encode(secret)
    hexadecimal = secret.hex().encode()
    return {
        secret,
        secret[::-1],
        hexadecimal,
        hexadecimal.upper(),
        base32.rstrip(b"="),
        base32.rstrip(b"=").lower(),
        base64_.rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
        "".join(f"%{byte:02x}" for byte in secret).encode(),
    }


async def test_no_file_tells_which_torrents_there_are(store, tmp_path, path):
    added = await store.add(
        hashes=[V1, V2], name=NAME, magnet=MAGNET, metainfo=METAINFO, layout=LAYOUT
    )
    await store.save_metainfo(
        added.id, hashes=[V1, V2], name=NAME, metainfo=METAINFO, layout=LAYOUT
    )
    await store.save_resume(added.id, data=b"resume" + V1 + NAME.encode() + METAINFO, boot_id="x")
    await store._database.backup(tmp_path / "backups" / "copy.sqlite3")

    files = [file for file in tmp_path.rglob("*") if file.is_file()]

    assert {file.name for file in files} >= {path.name, f"{path.name}-wal", "copy.sqlite3"}
    secrets = ways_to_write(V1) | ways_to_write(V2)
    secrets |= {NAME.encode(), NAME.replace(" ", "%20").encode(), NAME.encode("utf-16-le")}
    secrets |= {TRACKER.encode(), b"of-a-secret-place", b"film.mkv", b"magnet:", b"4:info"}
    for file in files:
        content = file.read_bytes()
        assert not [secret for secret in secrets if secret in content], file.name
    # That the test would notice: this is in the clear, and found.
    assert added.id.encode() in (tmp_path / "backups" / "copy.sqlite3").read_bytes()
