"""Torznab in all its dialects, Prowlarr's JSON, and whatever comes instead."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any, get_args

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.errors import MiauflixdError
from miauflixd.runtime.http import Http
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.secrets import Secret
from miauflixd.sources import said
from miauflixd.sources.directories.directory import (
    Directory,
    DirectoryGuardedError,
    DirectoryRefusedError,
    DirectoryUnavailableError,
    FunctionMissingError,
    NothingThereError,
    TorrentBytes,
)
from miauflixd.sources.directories.feed_xml import NotXmlError, read
from miauflixd.sources.directories.prowlarr import Prowlarr
from miauflixd.sources.directories.torznab import Torznab
from miauflixd.sources.directories.torznab_caps import read_caps, requests
from miauflixd.sources.offers import DirectoryId, Offer, Query
from miauflixd.torrents.magnet import Magnet
from tests.directory_fakes import (
    API_KEY,
    BASE32,
    CAPS,
    CAPS_OF_WORDS_ONLY,
    HASH,
    KEY,
    LOGIN,
    MAGNET,
    NEWZNAB,
    OTHER_HASH,
    TORRENT,
    FakeClock,
    FakeDirectories,
    Trouble,
    client,
    enclosure,
    error,
    exchange,
    item,
    link,
    rss,
    serving,
)

NAME = DirectoryId("indexer")
FILM = Query(kind="movie", titles=("Big Cat",), year=2019, imdb_id="tt5550001", tmdb_id=55)
EPISODE = Query(
    kind="episode", titles=("The Cats",), tvdb_id=77, imdb_id="tt5550002", season=1, episode=2
)


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


@pytest.fixture
def torznab(http, fake, clock):
    return make(http, fake, clock)


def make(
    http: Http,
    fake: FakeDirectories,
    clock: FakeClock,
    *,
    api_key: Secret | None = API_KEY,
    categories: Sequence[int] = (),
    within: float = 5.0,
    own: bool = True,
) -> Torznab:
    return Torznab(
        id=NAME,
        title="Fake",
        exchange=exchange(http, f"{fake.origin}/torznab", within=within, own=own),
        api_key=api_key,
        categories=categories,
        clock=clock,
    )


@pytest.fixture
def prowlarr(http, fake):
    return Prowlarr(id=NAME, title="Fake", exchange=exchange(http, fake.origin), api_key=API_KEY)


@pytest.fixture
def impatient(http, fake, clock):
    """Return directories of both kinds that wait for nobody longer than for a moment."""
    asking = exchange(http, fake.origin, within=0.3)
    return {
        "torznab": make(http, fake, clock, within=0.3),
        "prowlarr": Prowlarr(id=NAME, title="Fake", exchange=asking, api_key=API_KEY),
    }


async def search(directory: Directory, query: Query = FILM) -> Sequence[Offer]:
    return await directory.search(query, priority=Priority.WAITED_FOR)


async def only(directory: Directory, query: Query = FILM) -> Offer:
    (offer,) = await search(directory, query)
    return offer


async def resolve(directory: Directory, offer: Offer) -> Magnet | TorrentBytes:
    return await directory.resolve(offer, priority=Priority.WAITED_FOR)


def asked(fake: FakeDirectories) -> list[dict[str, str]]:
    return [
        {k: v for k, v in request.query.items() if k not in ("apikey", "extended", "limit")}
        for request in fake.asked
        if request.query.get("t") != "caps"
    ]


# --- dialects -------------------------------------------------------------------------------------


async def test_jackett_s_items_have_magnet_links(torznab, fake):
    fake.feed = rss(
        item(
            "Big.Cat.2019.1080p.WEB-DL.x264",
            inside=link(MAGNET)
            + "<pubDate>Tue, 03 Jun 2025 10:00:00 +0200</pubDate><size>2147483648</size>"
            + enclosure(MAGNET, 2147483648)
            + "<category>2000</category>",
            category="2040",
            magneturl=MAGNET,
            seeders="12",
            peers="20",
            imdb="5550001",
        ),
        version="2.0",
    )

    offer = await only(torznab)

    assert offer.name == "Big.Cat.2019.1080p.WEB-DL.x264"
    assert offer.info_hash == HASH
    assert offer.trackers == ("udp://tracker.example:6969",)
    assert (offer.size, offer.seeders, offer.leechers) == (2**31, 12, 8)
    assert offer.imdb_id == "tt5550001"
    assert offer.published == datetime(2025, 6, 3, 8, tzinfo=UTC)
    assert offer.torrent_url is None


async def test_prowlarr_s_items_have_links_of_a_proxy(torznab, fake):
    proxied = f"{fake.origin}/download/x/1?apikey={KEY}&link=abc&file=Big"
    fake.feed = rss(
        item(
            "Big Cat 2019",
            inside=link(proxied) + enclosure(proxied, 5000) + "<guid>https://site.example/1</guid>",
            seeders="3",
        ),
        version="1.0",
    )

    offer = await only(torznab)

    assert (offer.magnet, offer.info_hash, offer.torrent_url) == (None, None, proxied)
    assert offer.size == 5000
    assert KEY not in repr(offer)


async def test_attributes_may_be_newznab_s_and_named_in_any_case(torznab, fake):
    fake.feed = rss(
        item("Big Cat", INFOHASH=BASE32, Seeders="4", Leechers="5", tmdbid="55"),
        namespace=NEWZNAB,
    )

    offer = await only(torznab)

    assert (offer.info_hash, offer.seeders, offer.leechers, offer.tmdb_id) == (HASH, 4, 5, 55)


async def test_what_is_not_said_is_not_zero(torznab, fake):
    fake.feed = rss(item("Big Cat", inside=enclosure("https://x.example/1.torrent", 0)))

    offer = await only(torznab)

    assert (offer.size, offer.seeders, offer.leechers, offer.published) == (None,) * 4


@pytest.mark.parametrize("number", [2**63, 2**64, -1, "1e9", "9" * 5000, "many", "", "٣"])
async def test_numbers_that_cannot_be_are_not_believed(torznab, fake, number):
    fake.feed = rss(
        item("Big Cat", infohash=HASH, size=number, seeders=number, peers=number, season=number)
    )

    offer = await only(torznab)

    assert (offer.size, offer.seeders, offer.leechers, offer.season) == (None,) * 4


async def test_the_hash_is_that_of_the_link_that_would_be_followed(torznab, fake):
    fake.feed = rss(item("Big Cat", magneturl=MAGNET, infohash=OTHER_HASH))

    assert (await only(torznab)).info_hash == HASH


@pytest.mark.parametrize(
    "link_", ["file:///etc/passwd", "javascript:alert(1)", "//x", "http://[::1", "magnet:?xt=no"]
)
async def test_an_item_that_leads_nowhere_is_left_out(torznab, fake, link_):
    fake.feed = rss(
        item("Nothing", inside=link(link_), infohash="0" * 40), item("Big Cat", infohash=HASH)
    )

    assert (await only(torznab)).name == "Big Cat"


async def test_what_is_for_adults_or_for_usenet_is_left_out(torznab, fake):
    fake.feed = rss(
        item("A", infohash=HASH, category="6040"),
        item("B", infohash=HASH, category="100100"),  # which the caps call so
        item("C", infohash=HASH, inside="<category>XXX &gt; HD</category>"),
        item("D", inside=enclosure("https://x.example/d.nzb", kind="application/x-nzb")),
        item("Big Cat", infohash=HASH, category="2000"),
    )

    assert (await only(torznab)).name == "Big Cat"


# --- what is wrong with real XML ------------------------------------------------------------------


async def test_control_characters_and_bare_ampersands_are_mended(torznab, fake):
    fake.feed = rss(
        item(
            "Cats \x00\x1b[31m& Dogs &#x1F; &#0; &nbsp; \u202egnp.exe",
            inside=f"<link>{fake.origin}/download/x/1?a=1&b=2</link>",
        )
    )

    offer = await only(torznab)

    assert offer.name == "Cats [31m& Dogs gnp.exe"
    assert offer.torrent_url == f"{fake.origin}/download/x/1?a=1&b=2"


async def test_character_data_is_left_as_it_is(torznab, fake):
    address = "https://x.example/dl?a=1&b=2&amp=3"
    fake.feed = rss(item("<![CDATA[Cats & Dogs]]>", inside=f"<link><![CDATA[{address}]]></link>"))

    offer = await only(torznab)

    assert (offer.name, offer.torrent_url) == ("Cats & Dogs", address)


@pytest.mark.parametrize(
    ("charset", "declared", "header"),
    [
        ("cp1251", "windows-1251", ""),
        ("cp1251", "", "text/xml; charset=windows-1251"),
        ("utf-8", "iso-8859-1", "text/xml; charset=iso-8859-1"),
        ("utf-16", "utf-16", ""),
        ("utf-8-sig", "utf-8", ""),
    ],
)
async def test_the_charset_is_found_whatever_is_declared(torznab, fake, charset, declared, header):
    feed = rss(item("\u041a\u043e\u0442", infohash=HASH)).partition("\n")[2]
    said_ = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    fake.feed = (said_ + feed).encode(charset)
    fake.content_type = header or "application/xml"

    assert (await only(torznab)).name == "\u041a\u043e\u0442"


@pytest.mark.parametrize("declared", ["rot13", "zlib_codec", "no-such", "idna", "utf-7"])
async def test_a_charset_that_is_none_is_not_used(torznab, fake, declared):
    fake.feed = f'<?xml version="1.0" encoding="{declared}"?>'.encode() + rss(
        item("Caf\xe9", infohash=HASH)
    ).partition("\n")[2].encode("latin-1")

    assert (await only(torznab)).name == "Caf\xe9"


@pytest.mark.parametrize(
    "hostile",
    [
        '<!DOCTYPE rss SYSTEM "http://127.0.0.1/x.dtd"><rss/>',
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss>&x;</rss>',
        "<rss>" + "<a>" * 100,
        "<rss><channel>" + "<a/>" * 300_000 + "</channel></rss>",
        "<rss><channel><item></channel></rss>",
        "<rss><channel><item>" + "&" * 5_000_000,
        "<rss><channel><item>" + "<![CDATA[" * 500_000,
        "<rss><channel><item>" + "<![CDATA[]]>" * 500_000,
        "<rss><channel><item a='" + "<" * 5_000_000,
        "",
        "\x00",
    ],
    ids=[
        "external",
        "entity",
        "deep",
        "many",
        "crossed",
        "ampersands",
        "sections",
        "empty sections",
        "brackets",
        "empty",
        "nul",
    ],
)
def test_a_hostile_document_is_refused(hostile):
    with pytest.raises(NotXmlError):
        read(hostile.encode())


def test_ten_thousand_items_are_cut_to_what_anybody_looks_at():
    document = read(rss(*[item("x" * 40_000, infohash=HASH)] * 100, *["<item/>"] * 9900).encode())

    assert len(document.entries) == 1000
    assert max(len(part.text) for part in document.entries[0].parts) <= 32 * 1024


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_document_or_are_not(junk):
    for body in (junk, b"<rss><channel><item>" + junk + b"</item></channel></rss>"):
        with suppress(NotXmlError):
            assert len(read(body).entries) <= 1


# --- what is asked --------------------------------------------------------------------------------


async def test_a_film_is_asked_for_by_the_id_that_the_server_knows(torznab, fake):
    await search(torznab)

    assert asked(fake) == [{"t": "movie", "imdbid": "tt5550001", "cat": "2000"}]


async def test_what_is_not_found_by_id_is_asked_for_by_name(torznab, fake):
    fake.feed = lambda query: rss(
        *[item("Big Cat", infohash=HASH)] if query["t"] == "search" else []
    )

    await only(torznab)

    assert asked(fake)[1] == {"t": "search", "q": "big cat 2019", "cat": "2000"}


def questions(query: Query, caps: str = CAPS) -> list[dict[str, str]]:
    return [
        {k: v for k, v in each.items() if k not in ("extended", "limit", "cat")}
        for each in requests(query, read_caps(caps.encode()))
    ]


def test_an_episode_is_asked_for_by_the_show_s_id_and_its_numbers():
    assert questions(EPISODE) == [
        {"t": "tvsearch", "tvdbid": "77", "season": "1", "ep": "2"},
        {"t": "search", "q": "the cats S01E02"},
    ]


def test_specials_are_of_season_00():
    query = Query(kind="season", titles=("The Cats",), tvdb_id=77, season=0)

    assert questions(query) == [
        {"t": "tvsearch", "tvdbid": "77", "season": "00"},
        {"t": "search", "q": "the cats S00"},
    ]


def test_a_daily_show_is_asked_for_by_its_date():
    query = Query(
        kind="episode",
        titles=("Cat News",),
        tvdb_id=78,
        season=30,
        episode=118,
        aired=date(2025, 6, 3),
        daily=True,
    )

    assert questions(query) == [
        {"t": "tvsearch", "tvdbid": "78", "season": "2025", "ep": "06/03"},
        {"t": "search", "q": "cat news 2025 06 03"},
    ]


def test_an_id_that_is_not_advertised_is_not_sent():
    only_tmdb = Query(kind="movie", titles=("Big Cat", "Gro\xdfe Katze", "Third"), tmdb_id=55)

    assert questions(only_tmdb) == [
        {"t": "search", "q": "big cat"},
        {"t": "search", "q": "grosse katze"},
    ]
    # Without a list of parameters a server is only good for words, and what is not there not asked.
    assert questions(FILM, CAPS_OF_WORDS_ONLY) == [{"t": "search", "q": "big cat 2019"}]
    # A server that does not know numbers would send everything of the show.
    without = CAPS.replace("q,season,ep,tvdbid,imdbid", "q,tvdbid")
    assert questions(EPISODE, without) == [{"t": "search", "q": "the cats S01E02"}]


def test_categories_are_known_by_name_before_number():
    caps = read_caps(CAPS_OF_WORDS_ONLY.encode())

    assert (caps.movies, caps.shows) == ((3000,), ())
    assert read_caps(CAPS.encode()).adult == {6000, 6010, 100100}
    nameless = read_caps(
        b'<caps><categories><category id="2000"/><category id="5000"/>'
        b'<category id="6000"/></categories></caps>'
    )
    assert (nameless.movies, nameless.shows) == ((2000,), (5000,))
    assert nameless.adult == {6000}


async def test_the_operator_s_categories_go_before_those_of_the_server(http, fake, clock):
    await search(make(http, fake, clock, categories=(2040, 100101)))

    assert asked(fake)[0]["cat"] == "2040,100101"


async def test_caps_are_asked_for_once_a_week(torznab, fake, clock):
    await search(torznab)
    await search(torznab)
    assert fake.count(t="caps") == 1
    assert torznab.capabilities().ids == {"imdb", "tvdb"}

    clock.advance(days=7)
    await search(torznab)
    assert fake.count(t="caps") == 2


async def test_a_function_that_caps_promise_and_that_is_not_there_is_done_without(torznab, fake):
    fake.feed = lambda query: (
        error(202, "No such function")
        if query["t"] == "movie"
        else rss(item("Big Cat", infohash=HASH))
    )

    assert (await only(torznab)).name == "Big Cat"


async def test_a_server_that_can_do_nothing_says_so(torznab, fake):
    fake.feed = error(203, "Function not available")

    with pytest.raises(FunctionMissingError):
        await search(torznab)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    ("code", "description", "kind"),
    [
        (100, "Invalid API Key", DirectoryRefusedError),
        (101, "Account suspended", DirectoryRefusedError),
        (200, "Missing parameter (apikey)", DirectoryRefusedError),
        (410, "Indexer is disabled", DirectoryRefusedError),
        (910, "API disabled", DirectoryRefusedError),
        (900, "Whatever", DirectoryUnavailableError),
        (500, "Request limit reached", DirectoryUnavailableError),
    ],
)
async def test_an_error_means_the_same_under_any_status(
    torznab, fake, *, status, code, description, kind
):
    fake.feed = lambda _: web.Response(
        status=status, text=error(code, f"{description} {KEY}"), content_type="text/xml"
    )

    with pytest.raises(DirectoryUnavailableError) as raised:
        await search(torznab)

    assert type(raised.value) is kind
    assert KEY not in str(raised.value)
    assert len(asked(fake)) == 1  # it is not asked again


async def test_an_error_may_come_instead_of_caps(torznab, fake):
    fake.caps = error(100, "Invalid API Key")

    with pytest.raises(DirectoryRefusedError):
        await search(torznab)


async def test_nothing_found_may_be_an_error_to_them(torznab, fake):
    fake.feed = error(300, "No such item")

    assert await search(torznab) == ()


async def test_too_often_is_said_with_and_without_until_when(torznab, fake):
    fake.trouble = "429"
    with pytest.raises(DirectoryUnavailableError) as raised:
        await search(torznab)
    assert raised.value.retry_after == 3600

    fake.trouble = "429 in an hour"
    with pytest.raises(DirectoryUnavailableError) as raised:
        await search(torznab)
    assert raised.value.retry_after == 7200


async def test_a_limit_in_words_is_a_limit(torznab, fake):
    fake.feed = error(900, "Request limit reached for today")

    with pytest.raises(DirectoryUnavailableError) as raised:
        await search(torznab)

    assert raised.value.retry_after == 3600


async def test_a_server_that_stumbles_twice_is_asked_a_third_time(torznab, fake):
    fake.trouble = "500 twice"

    assert (await only(torznab)).info_hash == HASH


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ("401", DirectoryRefusedError),
        ("410", DirectoryRefusedError),
        ("cloudflare", DirectoryGuardedError),
        ("cloudflare with 200", DirectoryGuardedError),
    ],
)
async def test_what_keeps_us_out_is_told_apart(torznab, fake, trouble, kind):
    fake.trouble = trouble

    with pytest.raises(kind):
        await search(torznab)


@pytest.mark.parametrize("trouble", [t for t in get_args(Trouble) if t[:3] not in ("non", "500")])
@pytest.mark.parametrize("dialect", ["torznab", "prowlarr"])
async def test_whatever_comes_instead_is_unavailable_and_tells_no_key(
    impatient, fake, *, trouble, dialect, caplog
):
    caplog.set_level(logging.DEBUG, "miauflixd")
    fake.trouble = trouble

    with pytest.raises(DirectoryUnavailableError) as raised:
        await search(impatient[dialect])

    assert KEY not in str(raised.value)
    assert "Big" not in str(raised.value)
    assert KEY not in caplog.text


async def test_a_login_page_is_called_a_page(torznab, fake):
    fake.caps = LOGIN

    with pytest.raises(DirectoryUnavailableError, match="web page"):
        await search(torznab)


async def test_a_wrong_key_is_found_out_by_a_check(http, fake, clock):
    await make(http, fake, clock).check()

    with pytest.raises(DirectoryRefusedError):
        await make(http, fake, clock, api_key=Secret("wrong")).check()


async def test_a_private_address_is_only_asked_if_the_operator_set_it(http, fake, clock):
    with pytest.raises(DirectoryUnavailableError, match=r"private network.*`via` is `host`"):
        await search(make(http, fake, clock, own=False))
    assert not fake.asked


# --- from an offer to a torrent -------------------------------------------------------------------


def to(location: str, status: int = 302):
    return lambda: web.Response(status=status, headers={"Location": location})


def says(body: bytes | str, **options):
    return lambda: web.Response(body=body, **options)


def behind(fake, name="1", **fields) -> Offer:
    return Offer(
        directory=NAME,
        name="Big Cat",
        torrent_url=f"{fake.origin}/download/x/{name}?apikey={KEY}",
        **fields,
    )


async def test_a_magnet_link_behind_redirects_is_found(torznab, fake):
    fake.downloads = {
        "1": to("/download/x/2", 301),
        "2": to("/download/x/3"),
        "3": to(MAGNET, 301),
    }

    found = await resolve(torznab, behind(fake))

    assert isinstance(found, Magnet)
    assert found.v1 == bytes.fromhex(HASH)


@pytest.mark.parametrize("body", [MAGNET, f"\n  {MAGNET}\n", MAGNET.replace("magnet", "MAGNET")])
async def test_a_magnet_link_may_be_the_body(torznab, fake, body):
    fake.downloads = {"1": says(body)}

    found = await resolve(torznab, behind(fake))

    assert isinstance(found, Magnet)
    assert found.v1 == bytes.fromhex(HASH)


async def test_a_torrent_comes_as_it_is(torznab, fake):
    fake.downloads = {"1": says(TORRENT, content_type="text/html")}

    assert await resolve(torznab, behind(fake)) == TorrentBytes(TORRENT)


@pytest.mark.parametrize(
    "made",
    [
        says("", status=404),
        says("", status=410),
        says(LOGIN),
        says(b"d4:infod" + b"x" * 50),
        says(b""),
        says(b"\x00" * 1000),
        says("magnet:?xt=urn:btih:nothing"),
        says(bytes(11 * 2**20)),
        to("magnet:?xt=urn:btih:nothing"),
        to("http://10.0.0.1/x.torrent"),
        to("http://169.254.169.254/latest/meta-data"),
        to("file:///etc/passwd"),
        to("/download/x/1"),
        says(error(500, "Download limit reached")),
    ],
)
async def test_what_is_no_torrent_is_an_error_or_the_hash_if_one_was_said(torznab, fake, made):
    fake.downloads = {"1": made}

    with pytest.raises(DirectoryUnavailableError) as raised:
        await resolve(torznab, behind(fake))
    assert KEY not in str(raised.value)

    known = await resolve(torznab, behind(fake, info_hash=HASH, trackers=("udp://t.example:1",)))
    assert isinstance(known, Magnet)
    assert (known.v1, known.trackers) == (bytes.fromhex(HASH), ("udp://t.example:1",))


async def test_an_offer_with_nothing_behind_it_says_so(torznab):
    with pytest.raises(NothingThereError):
        await resolve(torznab, Offer(directory=NAME, name="Big Cat"))


async def test_a_directory_is_not_blamed_for_a_server_that_it_links_to(torznab):
    elsewhere = Offer(directory=NAME, name="Big Cat", torrent_url="http://192.168.1.1/x.torrent")

    with pytest.raises(NothingThereError):
        await resolve(torznab, elsewhere)


async def test_a_download_limit_is_the_directory_s(torznab, fake):
    fake.downloads = {"1": says(error(501, "Download limit reached"))}

    with pytest.raises(DirectoryUnavailableError) as raised:
        await resolve(torznab, behind(fake))

    assert raised.value.retry_after == 3600


async def test_a_magnet_link_gets_all_trackers_that_anybody_named(torznab):
    trackers = ("udp://one.example:1/announce?a=1&b=2", "not a tracker")

    found = await resolve(
        torznab, Offer(directory=NAME, name="Big Cat", magnet=MAGNET, trackers=trackers)
    )

    assert isinstance(found, Magnet)
    assert found.trackers == ("udp://tracker.example:6969", trackers[0])


# --- Prowlarr's JSON ------------------------------------------------------------------------------


def release(**changes: Any) -> Any:
    return {
        "guid": "https://site.example/1",
        "size": 5000,
        "indexer": "One",
        "title": "Big Cat 2019 720p",
        "imdbId": 5550001,
        "publishDate": "2025-06-03T10:00:00Z",
        "downloadUrl": f"http://127.0.0.1:9696/1/download?apikey={KEY}&link=x",
        "seeders": 4,
        "leechers": 1,
        "protocol": "torrent",
        "categories": [{"id": 2000, "name": "Movies", "subCategories": []}],
        **changes,
    }


async def test_prowlarr_is_asked_for_all_its_indexers_with_the_key_in_a_header(prowlarr, fake):
    fake.prowlarr = [
        release(infoHash=HASH.upper()),
        release(title="nzb", protocol="usenet"),
        release(title="not for us", categories=[{"id": 6010, "name": "XXX/DVD"}]),
        release(title="leads nowhere", downloadUrl=None),
        "nonsense",
        None,
    ]

    (offer,) = await search(prowlarr)

    assert (offer.name, offer.info_hash, offer.imdb_id) == ("Big Cat 2019 720p", HASH, "tt5550001")
    assert (offer.size, offer.seeders, offer.leechers) == (5000, 4, 1)
    assert offer.published == datetime(2025, 6, 3, 10, tzinfo=UTC)
    (request,) = fake.asked
    assert request.query["query"] == "{ImdbId:tt5550001}{TmdbId:55}"
    assert (request.query["type"], request.query["indexerIds"]) == ("movie", "-2")
    assert KEY not in request.path_qs


async def test_prowlarr_is_asked_by_words_for_what_ids_do_not_find(prowlarr, fake):
    assert await search(prowlarr, EPISODE) == ()

    first, second = (request.query for request in fake.asked)
    assert first["query"] == "{TvdbId:77}{ImdbId:tt5550002}{Season:1}{Episode:2}"
    assert (second["query"], second["type"]) == ("the cats S01E02", "search")
    assert second["categories"] == "5000"


async def test_prowlarr_s_check_tells_a_wrong_key(http, fake, prowlarr):
    await prowlarr.check()

    wrong = Prowlarr(
        id=NAME, title="x", exchange=exchange(http, fake.origin), api_key=Secret("wrong")
    )
    with pytest.raises(DirectoryRefusedError):
        await wrong.check()


# --- what is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["tt5550001", "5550001", 5550001, "TT05550001", " tt5550001 "])
def test_imdb_ids_are_written_one_way(value):
    assert said.imdb_id(value) == "tt5550001"


@pytest.mark.parametrize(
    "value",
    [10**30, "tt\u0663\u0663", "tt", "", "0", 0, "tt0000000", None, True, "nm0000001", [], "x"],
)
def test_what_is_no_imdb_id_is_none(value):
    assert said.imdb_id(value) is None


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Am\xe9lie's Big-Cat & Co.", "amelies big cat and co"),
        ("Gro\xdfe \xdcbung", "grosse ubung"),
        ("\u0419\u043e\u0434", "\u0439\u043e\u0434"),
        ("\u304c\u304e\uff01 \ud55c\uad6d", "\u304c\u304e \ud55c\uad6d"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940"),
        ("../../x\x00y", "x y"),
        ("\u2026!?", ""),
    ],
)
def test_words_are_what_one_would_search_by(title, words):
    assert " ".join(said.words(title)) == words


async def test_a_server_without_shows_is_not_asked_for_one(torznab, fake):
    fake.caps = CAPS.replace('<category id="5000" name="TV" />', "")

    assert await search(torznab, EPISODE) == ()
    assert asked(fake) == []


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()))
def test_nothing_that_is_said_raises(value):
    for take in (said.text, said.size, said.peers, said.imdb_id, said.moment, said.day, said.url):
        take(value)


async def test_a_search_can_be_given_up(torznab, fake):
    fake.trouble = "slow"

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await search(torznab)


def test_errors_of_directories_are_of_a_kind_that_http_knows():
    assert issubclass(DirectoryUnavailableError, MiauflixdError)
