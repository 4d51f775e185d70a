"""Web sources: files that are kept as they are read, whatever their server does."""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from miauflixd.database.database import Database
from miauflixd.egress.clients import open_client
from miauflixd.errors import MiauflixdError, StorageFullError
from miauflixd.runtime.changes import Changes
from miauflixd.runtime.services import running
from miauflixd.torrents.downloads import Downloads
from miauflixd.torrents.model import Activity, NoSourceError, SourceId
from miauflixd.torrents.reader import NoDataError, SourceFailedError
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.vault.sealing import Sealer
from miauflixd.web_files import service, troubles
from miauflixd.web_files.local_file import LocalFile
from miauflixd.web_files.model import BLOCK, BadWebSourceError, WebContent, WebFile
from miauflixd.web_files.service import WebSources
from miauflixd.web_files.store import StoredWebSource, WebSourceStore
from tests.range_fake import RangeServer, serving
from tests.torrent_files import noise

pytestmark = pytest.mark.slow

MIB = 2**20
FILM = noise(7 * MIB + 12_345)
KEY = bytes(range(32))


@pytest.fixture(scope="module", autouse=True)
def _database(tmp_path_factory):
    """Build a database once; each test takes a copy, which spares it all migrations."""
    House.database = tmp_path_factory.mktemp("database") / "a.sqlite3"

    async def build() -> None:
        async with Database.open(House.database):
            pass

    asyncio.run(build())


class House:
    """Web sources over a real database, a real client and a folder; it can be left and entered."""

    database: ClassVar[Path]

    def __init__(self, folder, server: RangeServer) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        shutil.copy(self.database, folder)
        self.server = server
        self.settings = TorrentsSettings(minimum_free=0, no_data_timeout=5)
        self.downloads = Downloads(folder / "downloads")
        self.sources: WebSources

    @asynccontextmanager
    async def open(self, *, run: bool = True) -> AsyncIterator["House"]:
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(Database.open(self.folder / "a.sqlite3"))
            client = await stack.enter_async_context(open_client())
            self.store = WebSourceStore(
                database=database, sealer=Sealer(KEY), clock=lambda: datetime.now(UTC)
            )
            self.downloads.prepare({source.id for source in await self.store.all()})
            self.sources = await stack.enter_async_context(
                WebSources.open(
                    settings=self.settings,
                    store=self.store,
                    downloads=self.downloads,
                    http={"tunnel": client, "host": client},
                    changes=Changes[SourceId](),
                    clock=lambda: datetime.now(UTC),
                )
            )
            if run:
                await stack.enter_async_context(running("web sources", self.sources.run))
            yield self

    def content(self, **fields) -> WebContent:
        file = WebFile(name="film.mp4", size=None, url=self.server.url())
        usual = {"name": "A Film", "files": (file,), "own": (self.server.origin,)}
        return WebContent(**(usual | fields))

    async def add(self, **fields) -> SourceId:
        return await self.sources.add(self.content(**fields))

    async def read(self, source_id: SourceId, start: int = 0, stop: int | None = None) -> bytes:
        async with self.sources.reader(source_id, None) as reader:
            return await read(reader, start, stop)

    async def failure(self, source_id: SourceId, start: int = 0) -> MiauflixdError:
        with pytest.raises(MiauflixdError) as raised:
            await self.read(source_id, start)
        return raised.value

    def on_disk(self, source_id: SourceId) -> bytes:
        return (self.downloads.path(source_id) / "0").read_bytes()


async def read(reader, start: int = 0, stop: int | None = None) -> bytes:
    parts = []
    stop = reader.file.size if stop is None else stop
    async with contextlib.aclosing(reader.spans(start, stop)) as spans:
        async for span in spans:
            span.file.seek(span.offset)
            parts.append(span.file.read(span.length))
    return b"".join(parts)


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch):
    monkeypatch.setattr(troubles, "_PAUSES", (0.01,))


@pytest.fixture
async def server():
    async with serving(RangeServer(FILM)) as it:
        yield it


@pytest.fixture
async def house(tmp_path, server):
    async with House(tmp_path, server).open() as it:
        yield it


# --- what it is for -------------------------------------------------------------------------------


async def test_a_file_of_the_web_is_read_from_the_first_byte_to_the_last(house):
    source_id = await house.add()
    assert await house.read(source_id) == FILM
    assert house.on_disk(source_id) == FILM
    source = house.sources.source(source_id)
    assert source.condition.activity is Activity.COMPLETE
    assert source.have == source.layout.total_size == len(FILM)


async def test_what_is_here_is_not_asked_for_again(house, server):
    source_id = await house.add()
    await house.read(source_id)
    server.fault = "silent"
    before = len(server.asked)
    assert await house.read(source_id, 1000, 5 * MIB) == FILM[1000 : 5 * MIB]
    assert len(server.asked) == before


async def test_a_seek_asks_for_what_is_there_and_not_for_what_lies_before(house, server):
    source_id = await house.add()
    assert await house.read(source_id, 6 * MIB, 6 * MIB + 10) == FILM[6 * MIB : 6 * MIB + 10]
    # Of the second MiB up to the sixth nobody has asked.
    assert sorted(server.ranges) == ["bytes=0-1048575", f"bytes={6 * MIB}-{6 * MIB + BLOCK - 1}"]


async def test_a_seek_does_not_wait_for_what_was_under_way(house, server):
    source_id = await house.add()
    await house.read(source_id, 0, 1)
    server.gate.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(house.read(source_id, 2 * MIB))
        while server.under_way < 2:  # what is waited for, and what comes next
            await asyncio.sleep(0.01)
        first.cancel()
        second = group.create_task(house.read(source_id, 6 * MIB, 6 * MIB + 1))
        while f"bytes={6 * MIB}-{6 * MIB + BLOCK - 1}" not in server.ranges:
            await asyncio.sleep(0.01)
        while server.under_way > 1:  # the other connection has been given up
            server.gate.set()
            await asyncio.sleep(0.01)
        server.gate.set()
    assert second.result() == FILM[6 * MIB : 6 * MIB + 1]
    assert house.sources.source(source_id).have <= 3 * MIB


async def test_the_end_of_a_file_can_be_read_first(house):
    source_id = await house.add()
    assert await house.read(source_id, len(FILM) - 100) == FILM[-100:]
    assert await house.read(source_id) == FILM


async def test_a_file_is_fetched_no_farther_than_a_window_ahead(tmp_path):
    async with serving(RangeServer(noise(MIB) * 60)) as server, House(tmp_path, server).open() as h:
        source_id = await h.add()
        async with (
            h.sources.reader(source_id, None) as reader,
            contextlib.aclosing(reader.spans(0, reader.file.size)) as spans,
        ):
            await anext(spans)
            previous = -1
            while server.under_way or server.sent != previous:
                previous = server.sent
                await asyncio.sleep(0.15)
        assert 24 * MIB <= h.sources.source(source_id).have <= 34 * MIB


async def test_several_read_one_copy(house, server):
    source_id = await house.add()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(house.read(source_id, at)) for at in (0, 0, 3 * MIB, 5 * MIB, 100)
        ]
    assert [task.result() for task in tasks] == [FILM[at:] for at in (0, 0, 3 * MIB, 5 * MIB, 100)]
    assert server.sent < len(FILM) + 3 * MIB
    assert server.most_under_way <= 3


async def test_the_same_addresses_are_the_same_source(house):
    assert await house.add() == await house.add(name="By another name")
    assert len(house.sources.sources()) == 1


async def test_a_source_that_is_added_again_by_another_road_goes_by_that_one(tmp_path, server):
    class Closed:
        def stream(self, *_args, **_kwargs):
            raise TunnelDownError("The VPN tunnel is down")

    house = House(tmp_path, server)
    async with house.open():
        house.sources._http = {"host": house.sources._http["host"], "tunnel": Closed()}
        house.sources.configure(TorrentsSettings(minimum_free=0, no_data_timeout=0.1))
        source_id = await house.add(via="host")
        assert await house.read(source_id, 0, MIB) == FILM[:MIB]
        before = len(server.asked)
        assert await house.add(via="tunnel") == source_id
        assert isinstance(await house.failure(source_id, 6 * MIB), TunnelDownError)
        assert len(server.asked) == before
    async with house.open(run=False):
        assert [each.content.via for each in await house.store.all()] == ["tunnel"]


async def test_the_main_file_is_the_largest_when_that_is_known_and_else_the_first(house, server):
    small = WebFile(name="extra.mp4", size=10, url=server.url("/extra.mp4"))
    large = WebFile(name="film.mp4", size=10**9, url=server.url("/b.mp4"))
    known = await house.add(files=(small, large))
    async with house.sources.reader(known, None) as reader:
        # The server knows better how long it is.
        assert (reader.file.index, reader.file.size) == (1, len(FILM))
    unknown = await house.add(files=(WebFile(name="a", size=None, url=server.url("/c")), large))
    async with house.sources.reader(unknown, None) as reader:
        assert reader.file.index == 0


async def test_files_that_are_not_there_are_named_so(house):
    source_id = await house.add()
    for index in (1, -1, 10**9):
        with pytest.raises(NoSourceError):
            async with house.sources.reader(source_id, index):
                pass
    with pytest.raises(NoSourceError):
        house.sources.source(SourceId("0" * 16))


@pytest.mark.parametrize(
    "url", ["", "ftp://host/a", "file:///etc/passwd", "magnet:?xt=a", "http://a/b"]
)
async def test_what_is_no_address_of_the_web_is_no_source(house, url):
    with pytest.raises(BadWebSourceError):
        await house.add(files=(WebFile(name="a", size=1, url=url),))
    with pytest.raises(BadWebSourceError):
        await house.add(files=())


async def test_a_private_address_is_refused_unless_it_is_the_operators(house):
    own = WebFile(name="a", size=1, url=house.server.url().replace("http:", "https:"))
    error = await house.failure(await house.add(files=(own,), own=()))
    assert (error.code, "private network" in str(error)) == ("source_failed", True)


async def test_an_empty_file_is_empty(house, server):
    server.content = b""
    assert await house.read(await house.add()) == b""


async def test_a_removed_source_leaves_nothing_and_its_readers_are_told(house, server):
    source_id = await house.add()
    server.gate.clear()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(house.failure(source_id))
        while not server.under_way:
            await asyncio.sleep(0.01)
        await house.sources.remove(source_id)
    assert waiting.result().code in {"source_failed", "no_source"}
    assert not house.downloads.path(source_id).exists()
    assert await house.store.all() == []
    server.gate.set()


# --- what survives --------------------------------------------------------------------------------


async def test_after_a_restart_it_goes_on_where_it_was(tmp_path, server):
    house = House(tmp_path, server)
    async with house.open():
        source_id = await house.add()
        await house.read(source_id, 0, 4 * MIB)
        have = house.sources.source(source_id).have
    server.sent = 0
    async with house.open():
        assert house.sources.source(source_id).have >= have >= 4 * MIB
        assert await house.read(source_id) == FILM
        assert server.sent <= len(FILM) - have + BLOCK


async def test_what_is_complete_plays_without_its_server_after_a_restart(tmp_path):
    async with serving(RangeServer(FILM)) as server:
        house = House(tmp_path, server)
        async with house.open():
            source_id = await house.add()
            await house.read(source_id)
    async with house.open():
        assert house.sources.source(source_id).condition.activity is Activity.COMPLETE
        assert await house.read(source_id) == FILM


async def test_a_crash_leaves_nothing_that_is_trusted_and_wrong(tmp_path, server, monkeypatch):
    monkeypatch.setattr(service, "_TIDY_EVERY", 0.01)
    before, after = House(tmp_path / "before", server), House(tmp_path / "after", server)
    async with before.open():
        source_id = await before.add()
        await before.read(source_id, 0, 3 * MIB)
        while not trusted((await before.store.all())[0]):
            await asyncio.sleep(0.01)
        await before.read(source_id, 0, 5 * MIB)
        # What would be there if the process were gone now.
        shutil.copytree(before.folder, after.folder, dirs_exist_ok=True)
    (stored,) = await saved_in(after)
    assert trusted(stored)
    content = bytearray(after.on_disk(source_id))
    for block in range(len(content) // BLOCK + 1):
        if block not in trusted(stored):  # of these nobody has said that they are whole
            content[block * BLOCK : (block + 1) * BLOCK] = b"?" * BLOCK
    (after.downloads.path(source_id) / "0").write_bytes(content[: len(FILM)])
    async with after.open():
        assert await after.read(source_id) == FILM


async def saved_in(house: House) -> list[StoredWebSource]:
    async with house.open(run=False):
        return await house.store.all()


def trusted(stored: StoredWebSource) -> set[int]:
    have = stored.files[0].have if stored.files else b""
    return {block for block in range(8 * len(have)) if have[block // 8] & 0x80 >> block % 8}


@pytest.mark.parametrize("damage", ["gone", "shorter", "a link"])
async def test_a_file_that_is_not_as_it_was_left_starts_anew(tmp_path, server, damage):
    house = House(tmp_path, server)
    async with house.open():
        source_id = await house.add()
        await house.read(source_id)
    path = house.downloads.path(source_id) / "0"
    if damage == "shorter":
        path.write_bytes(FILM[:1000])
    else:
        path.unlink()
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * len(FILM))
    if damage == "a link":
        path.symlink_to(secret)
    async with house.open():
        if damage == "a link":
            assert (await house.failure(source_id)).code == "source_failed"
            assert secret.read_bytes() == b"s" * len(FILM)
        else:
            assert await house.read(source_id) == FILM


async def test_a_file_that_has_changed_starts_anew(tmp_path, server):
    house = House(tmp_path, server)
    async with house.open():
        source_id = await house.add()
        await house.read(source_id, 0, 2 * MIB)
        async with house.sources.reader(source_id, None) as reader:
            old = reader.etag
    server.content, server.etag = noise(6 * MIB, seed=2), '"v2"'
    async with house.open():
        assert await house.read(source_id) == server.content
        async with house.sources.reader(source_id, None) as reader:
            assert reader.etag != old


async def test_a_change_in_the_middle_ends_those_who_have_begun_and_mixes_nothing(house, server):
    source_id = await house.add()
    async with house.sources.reader(source_id, None) as reader:
        assert await read(reader, 0, MIB) == FILM[:MIB]
        server.content, server.etag = noise(len(FILM), seed=3), '"v2"'
        with pytest.raises(SourceFailedError, match="replaced"):
            await read(reader, 0)
    assert await house.read(source_id) == server.content


async def test_servers_without_validators_are_told_apart_by_length(tmp_path, server):
    server.etag = None
    house = House(tmp_path, server)
    async with house.open():
        source_id = await house.add()
        await house.read(source_id, 0, 2 * MIB)
    server.content = FILM[: 5 * MIB + 1]
    async with house.open():
        assert await house.read(source_id) == server.content


async def test_nothing_that_tells_what_it_is_stands_in_the_database(tmp_path, server):
    house = House(tmp_path, server)
    server.modified = "Wed, 01 May 2024 20:15:00 GMT"
    async with house.open():
        await house.read(await house.add(name="A Telling Name"))
    content = (tmp_path / "a.sqlite3").read_bytes()
    for telling in (b"A Telling Name", b"film.mp4", server.origin.encode(), b"v1", b"20:15:00"):
        assert telling not in content
    with contextlib.closing(sqlite3.connect(tmp_path / "a.sqlite3")) as other:
        assert other.execute("SELECT count(*) FROM web_files").fetchone() == (1,)


# --- what servers do ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["short", "capped", "longer", "wrong start", "gzip", "416"])
async def test_a_server_that_stumbles_is_asked_again(house, server, fault):
    source_id = await house.add()
    async with house.sources.reader(source_id, None):
        pass
    server.fault, server.faulty = fault, 1
    if fault == "416" and not await _survives(house, source_id):
        return  # "it has 7 bytes" is a change, whatever else it says
    assert await house.read(source_id) == FILM


async def _survives(house: House, source_id: SourceId) -> bool:
    error = await house.failure(source_id)
    assert error.code == "source_failed"
    assert await house.read(source_id) == FILM
    return False


async def test_answers_that_always_break_off_make_a_whole_file_in_the_end(house, server):
    server.fault, server.cut_at = "short", 400_000
    assert await house.read(await house.add()) == FILM


async def test_a_server_that_gives_a_little_at_a_time_is_borne(house, server):
    server.fault, server.cut_at = "capped", 200_001
    assert await house.read(await house.add()) == FILM


async def test_a_server_without_ranges_is_read_from_its_start(house, server):
    server.fault = "no ranges"
    source_id = await house.add()
    assert await house.read(source_id, 3 * MIB) == FILM[3 * MIB :]
    assert await house.read(source_id) == FILM
    assert len(server.asked) == 1


async def test_of_a_server_without_ranges_what_is_far_ahead_cannot_be_had(tmp_path):
    async with serving(RangeServer(noise(MIB) * 40)) as server, House(tmp_path, server).open() as h:
        server.fault = "no ranges"
        source_id = await h.add()
        server.gate.clear()
        error = await h.failure(source_id, 39 * MIB)
        assert (error.code, "from its start only" in str(error)) == ("source_failed", True)
        server.gate.set()
        assert await h.read(source_id, 0, 2 * MIB) == noise(MIB) * 2


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("no length", "how long"),
        ("unknown size", "how long"),
        ("huge", "impossible size"),
        ("page", "gives it to nobody"),
    ],
)
async def test_what_cannot_be_played_is_said_at_once(house, server, fault, word):
    server.fault = fault
    source_id = await house.add()
    error = await house.failure(source_id)
    assert (error.code, word in str(error)) == ("source_failed", True)
    source = house.sources.source(source_id)
    assert source.condition.activity is Activity.FAILED
    assert word in source.condition.reason
    assert server.origin not in source.condition.reason
    server.fault = "none"  # and whoever presses play again has it tried again
    assert await house.read(source_id) == FILM


@pytest.mark.parametrize("fault", ["negative", "no content range", "multipart", "gzip"])
async def test_a_server_that_never_makes_sense_is_given_up(house, server, fault):
    house.settings = TorrentsSettings(minimum_free=0, no_data_timeout=30)
    house.sources.configure(house.settings)
    server.fault = fault
    assert (await house.failure(await house.add())).code == "source_failed"
    assert len(server.asked) <= 5


async def test_a_server_that_changes_its_mind_each_time_mixes_nothing(house, server):
    server.fault, server.etag = "wrong size", None
    error = await house.failure(await house.add())
    assert error.code == "source_failed"


async def test_a_busy_server_is_asked_again(house, server):
    server.status, server.faulty = 503, 2
    assert await house.read(await house.add()) == FILM


async def test_a_server_that_wants_to_be_left_alone_is_left_alone(house, server):
    server.status, server.headers = 429, {"Retry-After": "120"}
    source_id = await house.add()
    error = await house.failure(source_id)
    assert (error.code, "left alone" in str(error)) == ("source_failed", True)
    assert len(server.asked) == 1
    await house.failure(source_id)
    assert len(server.asked) == 1


async def test_a_silent_server_is_an_error_after_a_while_and_no_answer_before(house, server):
    house.sources.configure(TorrentsSettings(minimum_free=0, no_data_timeout=0.3))
    server.fault = "silent"
    source_id = await house.add()
    error = await house.failure(source_id)
    assert isinstance(error, NoDataError)
    server.fault = "stuck"
    another = await house.add(files=(WebFile(name="b.mp4", size=1, url=server.url("/b.mp4")),))
    assert isinstance(await house.failure(another), NoDataError)


async def test_a_server_that_is_gone_while_somebody_reads_is_an_error(tmp_path):
    house = House(tmp_path, RangeServer(FILM))
    house.settings = TorrentsSettings(minimum_free=0, no_data_timeout=0.5)
    async with AsyncExitStack() as stack:
        async with serving(house.server):
            await stack.enter_async_context(house.open())
            source_id = await house.add()
            await house.read(source_id, 0, MIB)
        assert await house.read(source_id, 0, MIB) == FILM[:MIB]
        error = await house.failure(source_id, 6 * MIB)
        assert isinstance(error, NoDataError)
        assert "127.0.0.1" in str(error)
        assert house.server.origin not in str(error)


async def test_where_a_redirect_led_to_is_asked_directly_until_it_is_gone(tmp_path, server):
    async with serving(RangeServer(FILM)) as node:
        # Another host by name, as far as anybody can tell.
        server.redirect_to = node.url("/elsewhere.mp4").replace("127.0.0.1", "localhost")
        allowed = (server.origin, node.origin.replace("127.0.0.1", "localhost"))
        async with House(tmp_path, server).open() as house:
            source_id = await house.add(own=allowed)
            await house.read(source_id, 0, 2 * MIB)
            assert len(server.asked) < len(node.asked) or len(server.asked) == 1
            node.status, node.faulty = 404, 1
            assert await house.read(source_id) == FILM


async def test_a_tunnel_that_is_down_is_said_so(tmp_path, server):
    class Down:
        def stream(self, *_args, **_kwargs):
            raise TunnelDownError("The VPN tunnel is down: it is being built")

    async with House(tmp_path, server).open() as house:
        house.sources._http = {"tunnel": Down(), "host": Down()}
        house.sources.configure(TorrentsSettings(minimum_free=0, no_data_timeout=0.3))
        source_id = await house.add()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(house.failure(source_id))
            while house.sources.source(source_id).condition.activity is not Activity.TUNNEL_DOWN:
                await asyncio.sleep(0.01)
        assert isinstance(waiting.result(), TunnelDownError)


# --- the disk -------------------------------------------------------------------------------------


async def test_a_full_disk_stops_it_and_says_so(tmp_path, server):
    house = House(tmp_path, server)
    house.settings = TorrentsSettings(minimum_free=2**60, no_data_timeout=5)
    async with house.open():
        source_id = await house.add()
        assert isinstance(await house.failure(source_id), StorageFullError)
        assert house.sources.source(source_id).condition.activity is Activity.DISK_FULL
        assert server.asked == []


async def test_a_disk_that_fills_up_while_it_is_written_to_stops_it_too(house, monkeypatch):
    def write(self, data, offset):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalFile, "write", write)
    source_id = await house.add()
    assert isinstance(await house.failure(source_id), StorageFullError)


async def test_a_database_without_room_stops_nobody_and_is_got_over(tmp_path, server, monkeypatch):
    monkeypatch.setattr(service, "_TIDY_EVERY", 0.01)
    house = House(tmp_path, server)
    tried = asyncio.Event()

    async def save(*_args):
        tried.set()
        raise StorageFullError("There is no room")

    async with house.open():
        whole = house.store.save
        monkeypatch.setattr(house.store, "save", save)
        source_id = await house.add()
        assert await house.read(source_id) == FILM
        await tried.wait()
        assert await house.read(source_id) == FILM
        monkeypatch.setattr(house.store, "save", whole)
    (stored,) = await saved_in(house)
    assert len(trusted(stored)) == -(-len(FILM) // BLOCK)


# --- before anybody plays it ----------------------------------------------------------------------


async def test_a_preload_fetches_what_was_asked_for_and_no_more(house, server):
    source_id = await house.add()
    await house.sources.preload(source_id, [(0, 0, MIB), (0, len(FILM) - 1000, 2**40)], rank=1)
    while not house.sources.preloaded(source_id):
        await asyncio.sleep(0.01)
    assert house.sources.source(source_id).have <= 2 * MIB
    server.fault = "silent"
    assert await house.read(source_id, 0, MIB) == FILM[:MIB]
    assert await house.read(source_id, len(FILM) - 1000) == FILM[-1000:]
    house.sources.stop_preload(source_id)
    assert not house.sources.preloaded(source_id)


async def test_nothing_is_preloaded_while_somebody_waits(house, server):
    watched = await house.add()
    await house.read(watched, 0, 1)
    other = await house.add(files=(WebFile(name="b.mp4", size=1, url=server.url("/b.mp4")),))
    server.gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(house.read(watched))
        while not house.sources.hungry:
            await asyncio.sleep(0.01)
        await house.sources.preload(other, [(0, 0, MIB)], rank=1)
        await asyncio.sleep(0.05)
        assert "/b.mp4" not in [path for path, _ in server.asked]
        server.gate.set()
    while not house.sources.preloaded(other):
        await asyncio.sleep(0.01)


async def test_a_file_can_be_asked_for_its_size_alone(house, server):
    file = house.content().files[0]
    facts = await house.sources.probe(file, via="host", own=[server.origin])
    assert (facts.size, facts.etag) == (len(FILM), '"v1"')
    server.status = 404
    with pytest.raises(SourceFailedError):
        await house.sources.probe(file, via="host", own=[server.origin])
