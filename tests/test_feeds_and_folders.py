"""Feeds, watched folders, and what a `.torrent` file says of itself."""

import hashlib
import os
from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.errors import MiauflixdError
from miauflixd.runtime.priority import Priority
from miauflixd.sources.building import build
from miauflixd.sources.directories.directory import (
    Directory,
    DirectoryUnavailableError,
    NothingThereError,
    TorrentBytes,
)
from miauflixd.sources.directories.feed import Feed
from miauflixd.sources.directories.folder import Folder
from miauflixd.sources.offers import DirectoryId, Offer, Query
from miauflixd.sources.settings import ARCHIVE, BadDirectoryError, DirectorySpec
from miauflixd.sources.torrent_outline import NotTorrentError, outline
from miauflixd.torrents.magnet import Magnet
from tests.directory_fakes import (
    API_KEY,
    HASH,
    KEY,
    MAGNET,
    OTHER_HASH,
    TORRENT,
    FakeClock,
    FakeDirectories,
    Trouble,
    client,
    enclosure,
    exchange,
    item,
    link,
    rss,
    serving,
)
from tests.torrent_files import bencode, v1, v2

FILM = Query(kind="movie", titles=("Big Cat", "Gro\xdfe Katze"), year=2019, imdb_id="tt5550001")
TORRENT_HASH = outline(TORRENT).info_hash


@pytest.fixture
async def http():
    async with client() as http:
        yield http


@pytest.fixture
async def fake():
    async with serving(FakeDirectories()) as fake:
        yield fake


@pytest.fixture
def clock():
    return FakeClock()


async def search(directory: Directory, query: Query = FILM) -> Sequence[Offer]:
    return await directory.search(query, priority=Priority.ROUTINE)


async def names(directory: Directory, query: Query = FILM) -> list[str]:
    return sorted(offer.name for offer in await search(directory, query))


# --- feeds ----------------------------------------------------------------------------------------


@pytest.fixture
def feed(http, fake, clock):
    return Feed(
        id=DirectoryId("feed"),
        title="Fake",
        exchange=exchange(http, f"{fake.origin}/feed?passkey={KEY}", within=0.3),
        clock=clock,
    )


ATOM = f"""<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Fake</title>
<entry><title>Big Cat 2019 1080p</title><updated>2025-06-03T10:00:00Z</updated>
<link rel="alternate" href="https://site.example/1"/>
<link rel="enclosure" type="application/x-bittorrent" href="https://site.example/1.torrent"/></entry>
<entry><title>Big Cat 2019 720p</title><id>{MAGNET.replace("&", "&amp;")}</id></entry>
<entry><title>Big Cat: a review</title><link href="https://site.example/review"/></entry>
</feed>"""


async def test_an_rss_feed_offers_what_is_called_like_the_title(feed, fake):
    fake.feed = rss(
        item("Big.Cat.2019.1080p", inside=enclosure("https://site.example/1.torrent", 5000)),
        item("[Group] Gro\xdfe Katze - 05", inside=link(MAGNET)),
        item("Bigger.Cat.2019", infohash=OTHER_HASH),
        item("Named otherwise", infohash="1" * 40, imdb="5550001"),
        item("Not For Us", infohash="2" * 40, category="6000", imdb="5550001"),
    )

    assert await names(feed) == [
        "Big.Cat.2019.1080p",
        "Named otherwise",
        "[Group] Gro\xdfe Katze - 05",
    ]


async def test_a_feed_that_is_no_torznab_says_the_same_in_its_own_elements(feed, fake):
    fake.feed = rss(
        item(
            "Big Cat",
            inside=link("https://site.example/download/1.torrent")
            + f'<n:infoHash xmlns:n="https://n.example">{HASH}</n:infoHash>'
            + '<n:seeders xmlns:n="https://n.example">7</n:seeders>',
        )
    )

    (offer,) = await search(feed)

    assert (offer.info_hash, offer.seeders) == (HASH, 7)
    assert offer.torrent_url == "https://site.example/download/1.torrent"


async def test_pages_and_podcasts_of_a_feed_are_no_torrents(feed, fake):
    fake.feed = rss(
        item("Big Cat, a review", inside=link("https://site.example/review")),
        item("Big Cat, spoken", inside=enclosure("https://x.example/1.mp3", 5, "audio/mpeg")),
    )

    assert await search(feed) == []


async def test_an_atom_feed_has_enclosures_or_magnet_links(feed, fake):
    fake.feed = ATOM

    offers = {offer.name: offer for offer in await search(feed)}

    assert offers["Big Cat 2019 1080p"].torrent_url == "https://site.example/1.torrent"
    assert offers["Big Cat 2019 720p"].info_hash == HASH
    assert len(offers) == 2


async def test_a_feed_is_asked_again_after_a_while_and_only_for_news(feed, fake, clock):
    fake.feed = rss(item("Big Cat", infohash=HASH))
    await search(feed)
    await search(feed)
    assert len(fake.asked) == 1

    clock.advance(minutes=15)
    assert await names(feed) == ["Big Cat"]
    assert fake.asked[1].headers["If-None-Match"] == fake.etag

    # What has left the feed is remembered.
    clock.advance(minutes=15)
    fake.etag, fake.feed = '"2"', rss(item("Big Cat 2", infohash=OTHER_HASH))
    assert await names(feed) == ["Big Cat", "Big Cat 2"]


async def test_what_could_not_be_read_is_not_called_unchanged_afterwards(feed, fake, clock):
    fake.feed = "<rss>"
    with pytest.raises(DirectoryUnavailableError):
        await search(feed)

    fake.feed = rss(item("Big Cat", infohash=HASH))
    assert await names(feed) == ["Big Cat"]


@pytest.mark.parametrize("trouble", [t for t in get_args(Trouble) if t[:3] not in ("non", "500")])
async def test_whatever_comes_instead_of_a_feed_is_unavailable(feed, fake, trouble):
    fake.trouble = trouble

    with pytest.raises(DirectoryUnavailableError) as raised:
        await search(feed)

    assert KEY not in str(raised.value)


# --- folders --------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    (tmp_path / "watched").mkdir()
    return tmp_path / "watched"


@pytest.fixture
def folder(path, clock):
    return Folder(id=DirectoryId("folder"), title="Fake", path=path, clock=clock)


async def test_torrents_and_magnet_links_of_a_folder_are_offered(folder, path):
    (path / "shows").mkdir()
    (path / "shows" / "Big Cat 2019.torrent").write_bytes(TORRENT)
    (path / "links.txt").write_text(f"# mine\n{MAGNET}\nmagnet:?xt=broken\nhttps://x.example\n")
    (path / "Big Cat.magnet").write_text(MAGNET.replace("&dn=Big+Cat", ""))
    (path / "Big Cat.mkv").write_bytes(b"a film")
    (path / ".hidden.torrent").write_bytes(TORRENT)

    offers = await search(folder)

    assert sorted((offer.name, offer.info_hash) for offer in offers) == [
        ("Big Cat", HASH),
        ("Big Cat", HASH),
        ("film.mkv", TORRENT_HASH),
    ]
    (named,) = await search(folder, Query(kind="movie", titles=("film",)))
    assert named.info_hash == TORRENT_HASH
    assert (named.other_names, named.size) == (("Big Cat 2019",), 30_000)


async def test_a_torrent_is_found_by_its_file_s_name_too(folder, path):
    (path / "Big Cat 2019.torrent").write_bytes(TORRENT)

    (offer,) = await search(folder)

    assert (offer.name, offer.info_hash) == ("film.mkv", TORRENT_HASH)
    found = await folder.resolve(offer, priority=Priority.ROUTINE)
    assert found == TorrentBytes(TORRENT)


async def test_a_torrent_of_version_2_is_offered_by_its_link(folder, path):
    (path / "Big Cat.torrent").write_bytes(bencode(v2({"film": b"x" * 50_000})))

    (offer,) = await search(folder)

    assert offer.info_hash is None
    found = await folder.resolve(offer, priority=Priority.ROUTINE)
    assert isinstance(found, Magnet)
    assert found.v2 is not None


async def test_what_is_still_being_written_is_left_for_later(folder, path, clock):
    (path / "Big Cat.magnet").write_text(MAGNET)
    now = clock().timestamp()
    os.utime(path / "Big Cat.magnet", (now, now - 1))
    assert await search(folder) == []

    clock.advance(seconds=5)
    assert len(await search(folder)) == 1


async def test_a_file_that_has_changed_is_read_again_and_one_that_is_gone_is_gone(folder, path):
    file = path / "Big Cat.torrent"
    file.write_bytes(TORRENT[:-100])
    assert await search(folder) == []

    file.write_bytes(TORRENT)
    (offer,) = await search(folder)

    file.unlink()
    assert await search(folder) == []
    found = await folder.resolve(offer, priority=Priority.ROUTINE)
    assert isinstance(found, Magnet)


async def test_nothing_outside_the_folder_is_opened(folder, path):
    outside = path.parent / "outside"
    outside.mkdir()
    (outside / "Big Cat.magnet").write_text(MAGNET)
    (path / "link.magnet").symlink_to(outside / "Big Cat.magnet")
    (path / "folder").symlink_to(outside)
    (path / "Big Cat.txt").symlink_to("/dev/zero")
    os.mkfifo(path / "Big Cat.torrent")
    (path / "Big Cat 2.torrent").mkdir()

    assert await search(folder) == []


async def test_what_is_too_large_or_too_deep_is_left_out(folder, path):
    (path / "Big Cat.magnet").write_text(MAGNET + " " * 300_000)
    with (path / "Big Cat.torrent").open("wb") as file:
        file.truncate(2**40)
    deep = path / "a/b/c/d/e"
    deep.mkdir(parents=True)
    (deep / "Big Cat.magnet").write_text(MAGNET)

    assert await search(folder) == []


@pytest.mark.parametrize("data", [b"", b"d", b"\xff\xfe" * 100, b"magnet:?" * 1000, b"\0" * 1000])
@pytest.mark.parametrize("suffix", [".torrent", ".magnet", ".txt"])
async def test_a_broken_file_spoils_no_other(folder, path, data, suffix):
    (path / f"a{suffix}").write_bytes(data)
    (path / "Big Cat.magnet").write_text(MAGNET)

    assert await names(folder) == ["Big Cat"]


async def test_a_folder_that_is_not_there_is_unavailable(tmp_path, clock):
    missing = Folder(id=DirectoryId("folder"), title="Mine", path=tmp_path / "missing", clock=clock)

    with pytest.raises(DirectoryUnavailableError, match="Mine cannot be read"):
        await missing.check()


async def test_an_offer_that_a_folder_never_made_leads_nowhere(folder):
    offer = Offer(directory=DirectoryId("folder"), name="../../etc/passwd")

    with pytest.raises(NothingThereError):
        await folder.resolve(offer, priority=Priority.ROUTINE)


# --- what a torrent says of itself ----------------------------------------------------------------


def test_an_outline_says_hash_name_size_and_files():
    raw = v1({"a/film.mkv": b"x" * 40_000, "b.srt": b"y" * 500}, name="Big Cat")
    raw = {b"announce": b"udp://one.example:1", b"announce-list": [[b"udp://two.example:2"]], **raw}

    found = outline(bencode(raw))

    assert found.info_hash == hashlib.sha1(bencode(raw[b"info"])).hexdigest()
    assert (found.name, found.size) == ("Big Cat", 40_500)
    assert [(file.name, file.size) for file in found.files] == [
        ("a/film.mkv", 40_000),
        ("b.srt", 500),
    ]
    assert found.trackers == ("udp://one.example:1", "udp://two.example:2")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"d",
        b"i5e",
        b"de",
        b"d4:infoi5ee",
        b"d4:infod",
        b"l" * 100_000,
        b"d4:info" * 50_000,
        b"d4:info" + b"d1:a" * 50 + b"i1e" + b"e" * 51,
        b"l" + b"i1e" * 200_000 + b"e",
        b"d4:infod6:lengthi" + b"9" * 5000 + b"eee",
        b"d4:infod4:name99999999999999999999:xee",
        b"d4:infod4:name-5:xee",
        b"d4:infodee4:infodeee",
        b"d4:infode4:infodee",
        b"di5e4:infodee",
        b"e",
        b"d4:infoe",
    ],
)
def test_what_is_no_torrent_has_no_outline(data):
    with pytest.raises(NotTorrentError):
        outline(data)


@given(st.binary(max_size=200), st.integers(0, len(TORRENT)))
def test_any_bytes_have_an_outline_or_have_not(junk, at):
    for data in (junk, TORRENT[:at] + junk + TORRENT[at:], TORRENT[:at]):
        try:
            outline(data)
        except NotTorrentError:
            continue


# --- how directories are described ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("torznab", ""),
        ("torznab", "ftp://x.example"),
        ("torznab", "https://x.example/api?apikey=1"),
        ("torznab", "https://user:word@x.example"),
        ("torznab", "https://"),
        ("torznab", "http://[::1"),
        ("torznab", "http://x.example:99999"),
        ("yts", "http://x y"),
        ("folder", "relative"),
        ("folder", "/a\0b"),
        ("folder", ""),
        ("other", "https://x.example"),
    ],
)
def test_a_description_that_cannot_be_meant_is_refused(kind, url):
    with pytest.raises(BadDirectoryError):
        DirectorySpec(id="x", kind=kind, title="x", url=url).check()


def test_a_description_shows_no_key():
    spec = DirectorySpec(
        id="x", kind="feed", title="x", url=f"https://x.example/?passkey={KEY}", api_key=API_KEY
    )

    spec.check()

    assert KEY not in repr(spec)


class Tunnel:
    """A way out that says that it was asked."""

    async def request(self, *_args, allow=(), **_options):
        # Nothing on a private network is ever asked for there.
        assert not allow
        raise NothingThereError("The tunnel was asked")


async def test_whom_a_directory_of_the_house_links_to_is_asked_through_the_tunnel(
    http, fake, clock
):
    spec = DirectorySpec(id="x", kind="torznab", title="X", url=fake.origin, via="host")
    directory = build(spec, tunnel_http=Tunnel(), host_http=http, clock=clock)
    linked = Offer(
        directory=DirectoryId("x"), name="x", torrent_url="https://tracker.example/1.torrent"
    )

    with pytest.raises(NothingThereError, match="The tunnel was asked"):
        await directory.resolve(linked, priority=Priority.ROUTINE)


@pytest.mark.parametrize("kind", ["torznab", "prowlarr", "yts", "therarbg", "archive", "feed"])
@pytest.mark.parametrize("via", ["host", "tunnel"])
async def test_what_is_described_is_built_and_goes_by_the_road_that_was_said(
    http, fake, clock, kind, via
):
    address = fake.origin + {"torznab": "/torznab", "feed": "/feed"}.get(kind, "")
    spec = DirectorySpec(id="x", kind=kind, title="X", url=address, via=via, api_key=API_KEY)
    directory = build(spec, tunnel_http=Tunnel(), host_http=http, clock=clock)

    assert (directory.id, directory.kind) == ("x", kind)
    if via == "host":
        await directory.check()
    else:
        with pytest.raises(MiauflixdError, match="The tunnel was asked"):
            await directory.check()
        assert not fake.asked


async def test_a_folder_is_built_from_its_path(http, clock, tmp_path):
    spec = DirectorySpec(id="x", kind="folder", title="X", url=str(tmp_path))

    await build(spec, tunnel_http=http, host_http=http, clock=clock).check()


def test_the_archive_is_there_without_anybody_setting_it():
    ARCHIVE.check()

    assert (ARCHIVE.enabled, ARCHIVE.api_key) == (True, None)
