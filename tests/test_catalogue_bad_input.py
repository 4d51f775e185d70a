"""What strangers ask of the catalogue, and what strangers have written into it, over HTTP."""

import json
import unicodedata
from typing import Any
from urllib.parse import quote

import pytest

from miauflixd.catalogue.list_model import ListSpec
from miauflixd.catalogue.model import Kind, ListSlug, Text, TitleId
from miauflixd.catalogue.providers.provider import ProviderUnavailableError
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.catalogue.syncing import ListNotRefreshedError
from miauflixd.config.settings import Config
from miauflixd.egress.clients import host_client
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.secrets import Secret
from tests.catalogue_titles import movie, put, show
from tests.catalogue_visitor import visitor
from tests.tmdb_fake import TOKEN, FakeTmdb, serving
from tests.web_house import Answer, open_web

pytestmark = pytest.mark.slow

ALONE = Config(catalogue=CatalogueSettings(archive=False))


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module", autouse=True)
def no_authorities(tmp_path_factory, monkeypatch_module):
    """Nobody here speaks TLS, and to read all of this machine's authorities outlasts a test."""
    none = tmp_path_factory.mktemp("tls") / "none.pem"
    none.touch()
    monkeypatch_module.setenv("SSL_CERT_FILE", str(none))
    monkeypatch_module.setenv("SSL_CERT_DIR", str(none.parent))


@pytest.fixture
async def ben(tmp_path):
    async with open_web(tmp_path, config=ALONE) as web:
        yield await visitor(web, "ben")


async def status(ben, path: str) -> int:
    """Return with which status a path is answered, sent as it is written."""
    said: Answer = await ben.web.ask("GET", path, token=ben.token)
    if said.status >= 400:
        assert said.body["status"] == said.status
        assert said.body["detail"]
    return said.status


# --- what is asked --------------------------------------------------------------------------------

WORDS = [
    '"',
    '""',
    '"amber',
    "*",
    "amber*",
    "*amber",
    "NEAR(",
    "NEAR(amber road, 2)",
    "amber NEAR road",
    "AND",
    "OR OR OR",
    "NOT amber",
    "main:amber",
    "main : amber",
    "{main other}: amber",
    ":",
    "^amber",
    "^",
    "-amber",
    "amber - road",
    "--",
    "(",
    "((((",
    ")",
    "a'; DROP TABLE titles; --",
    "\\",
    "%",
    "_",
    "amber\0road",
    "\0",
    "\r\nSet-Cookie: a=b",
    "\u202eamber\u202c",
    "شارع العنبر",
    "רחוב",
    "🎬🍿",
    "👨‍👩‍👧‍👦",
    "琥珀の道",
    "e\u0301" * 100,
    "\u0301" * 2_000,
    "a" * 10_000,
    "a " * 2_500,
    '"' * 5_000,
    "ﷺ" * 800,
    "\uffff\ufffe\ufeff",
    "9" * 30,
    "tt" + "9" * 30,
    "tt0000603\n",
]


async def test_any_words_are_an_answer_or_a_refusal(ben):
    await put(ben.web.library.titles, movie("Amber Road", tmdb=1))
    for words in WORDS:
        assert await status(ben, f"/api/search?q={quote(words)}") in {200, 422}, words
    for kept in ("amber*", '"amber', "^amber", "\u202eamber\u202c", "AMBER\0"):
        assert await ben.titles(f"/api/search?q={quote(kept)}") == ["Amber Road"], kept


async def test_halves_of_letters_and_broken_encodings_are_answered(ben):
    for raw in ("%ED%A0%80", "%ED%B0%80a", "%FF%FE", "%C3", "%", "%zz", "%u0041", "+%00+"):
        assert await status(ben, f"/api/search?q={raw}") in {200, 400, 422}, raw
        for name in ("genre", "certification", "language", "cursor", "imdb_id", "archive_id"):
            assert await status(ben, f"/api/titles?{name}={raw}") in {200, 400, 422}, (name, raw)


async def test_ten_kilobytes_and_a_megabyte_of_words_are_answered(ben):
    assert await status(ben, f"/api/search?q={'a' * 10_240}") == 200
    for size in (20_000, 2**20):
        assert await status(ben, f"/api/search?q={'a' * size}") == 431, size
    assert await status(ben, "/api/search?q=amber") == 200


async def test_what_makes_no_sense_is_refused_by_name(ben):
    for path, field in (
        ("/api/search", "q"),
        ("/api/search?q=a&type=episode", "type"),
        ("/api/search?q=a&limit=0", "limit"),
        ("/api/search?q=a&limit=" + "9" * 30, "limit"),
        ("/api/search?q=a&page=2", "page"),
        ("/api/titles?type=movies", "type"),
        ("/api/titles?year=0", "year"),
        ("/api/titles?year=" + "9" * 30, "year"),
        ("/api/titles?year_from=-1", "year_from"),
        ("/api/titles?year_to=MMXX", "year_to"),
        ("/api/titles?year=1999.5", "year"),
        ("/api/titles?rating=11", "rating"),
        ("/api/titles?rating=nan", "rating"),
        ("/api/titles?rating=inf", "rating"),
        ("/api/titles?rating=1e400", "rating"),
        ("/api/titles?language=english", "language"),
        ("/api/titles?language=en%0a", "language"),
        ("/api/titles?certification=", "certification"),
        ("/api/titles?certification=" + "a" * 17, "certification"),
        ("/api/titles?genre=" + "a" * 65, "genre"),
        ("/api/titles?sort=best", "sort"),
        ("/api/titles?limit=201", "limit"),
        ("/api/titles?cursor=" + "a" * 513, "cursor"),
        ("/api/titles?tmdb_id=0", "tmdb_id"),
        ("/api/titles?tmdb_id=" + "9" * 30, "tmdb_id"),
        ("/api/titles?tmdb_id=603a", "tmdb_id"),
        ("/api/titles?imdb_id=0000603", "imdb_id"),
        ("/api/titles?imdb_id=tt0000603%0a", "imdb_id"),
        ("/api/titles?archive_id=../../etc/passwd", "archive_id"),
        ("/api/titles?id=1", "id"),
    ):
        refused = await ben.get(path, status=422)
        assert [one["field"] for one in refused["errors"]] == [field], path


NO_IDS = [
    "movie",
    "movie:",
    ":1",
    "movie:0",
    "movie:-1",
    "movie:+1",
    "movie:01",
    "movie:1.0",
    "movie:1e3",
    "movie:x",
    "movie:\uff11",
    "movie:" + "9" * 15,
    "movie:" + "9" * 30,
    "movie:" + "9" * 5_000,
    "episode:1",
    "person:1",
    "Movie:1",
    "movie%3A2",
    "movie:1%00",
    "movie:1%0a",
    "%ED%A0%80",
    "1",
    "movie:1:1",
    "tt0000603",
]


async def test_what_is_no_id_is_no_title(ben):
    film = await put(ben.web.library.titles, movie("Amber Road", tmdb=1))
    assert film == TitleId(Kind.MOVIE, 1)
    for text in [*NO_IDS, "show:1"]:
        for path in (f"/api/titles/{text}", f"/api/titles/{text}/seasons/1"):
            assert await status(ben, path) == 404, path


async def test_what_is_no_number_is_no_season(ben):
    series = await put(ben.web.library.titles, show(tmdb=1))
    for text in (
        *(
            "x",
            "-1",
            "+1",
            "1.0",
            "1e3",
            "\uff11",
            "%00",
            "",
            "9999",
            "10000",
            "9" * 30,
            "9" * 5_000,
        ),
        "0" * 5 + "9" * 5_000,
        "0" * 6_000,
    ):
        assert await status(ben, f"/api/titles/{series}/seasons/{text}") == 404, text


WRONG: list[dict[str, Any]] = [
    {"position": -1},
    {"position": 1e400},
    {"position": "900"},
    {"position": 10**30},
    {"position": None},
    {"position": []},
    {"duration": -1},
    {"duration": True},
    {"state": ""},
    {"state": "PAUSED"},
    {"state": None},
    {"state": 1},
    {"title_id": "movie:1"},
]


async def test_progress_with_what_is_no_title_is_refused(ben):
    await put(ben.web.library.titles, movie("Amber Road", tmdb=1))
    body: dict[str, Any] = {"position": 900, "duration": 3600, "state": "paused"}
    for text in [*NO_IDS, "show:1"]:
        said = await ben.web.ask("PUT", f"/api/progress/{text}", body, token=ben.token)
        assert said.status == 404, text
    for wrong in WRONG:
        said = await ben.web.ask("PUT", "/api/progress/movie:1", body | wrong, token=ben.token)
        assert said.status == 422, wrong
    assert (await ben.get("/api/progress"))["items"] == []


# --- what was written -----------------------------------------------------------------------------

LISTS = ("tmdb-movies-popular", "tmdb-shows-popular")


def seen(value: Any) -> list[str]:
    """Return all texts in an answer."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in seen(one)]
    if isinstance(value, list):
        return [text for one in value for text in seen(one)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    "trouble",
    [
        "none",
        "wrong types",
        "missing fields",
        "ids as strings",
        "nulls",
        "large overview",
        "control characters",
        "year zero",
        "images elsewhere",
        "adult",
        "endless numbers",
    ],
)
async def test_whatever_a_provider_says_can_be_shown(tmp_path, trouble):
    fake = FakeTmdb(movies=6, shows=4, seasons=1, episodes=2, rate=None)
    if trouble != "none":
        fake.trouble(trouble)
    async with serving(fake) as base, host_client() as http:
        settings = CatalogueSettings(archive=False, tmdb_token=Secret(TOKEN), tmdb_url=base)
        async with open_web(tmp_path, config=Config(catalogue=settings), http=http) as web:
            ben = await visitor(web, "ben")
            for slug in LISTS:
                await refreshed(web.library.syncing, ListSlug(slug))
            await everything_is_shown(ben, trouble)


async def refreshed(syncing: Any, slug: ListSlug) -> None:
    """Fill a list and look its titles up, as far as what is said can be used."""
    try:
        found = await syncing.refresh(slug)
    except ListNotRefreshedError:
        return
    for title_id, _ in found.incomplete:
        try:
            seasons = await syncing.details(title_id, priority=Priority.WAITED_FOR)
            for number in seasons:
                await syncing.season(title_id, number, priority=Priority.WAITED_FOR)
        except ProviderUnavailableError:
            continue


async def everything_is_shown(ben: Any, trouble: str) -> None:
    told = [await ben.get("/api/home"), await ben.get("/api/genres")]
    for sort in ("popularity", "rating", "newest", "title"):
        page = await ben.get(f"/api/titles?sort={sort}&limit=1")
        told.append(await ben.get(f"/api/titles?sort={sort}"))
        if page["next_cursor"] is not None:
            await ben.get(f"/api/titles?sort={sort}&cursor={page['next_cursor']}")
    for card in told[-1]["items"]:
        whole = await ben.get(f"/api/titles/{card['id']}")
        told.append(whole)
        assert len(whole["overview"]) <= 10_000
        assert len(whole["title"]) <= 300
        for season in whole["seasons"]:
            told.append(await ben.get(f"/api/titles/{card['id']}/seasons/{season['number']}"))
            told += [await ben.get(f"/api/titles/{one['id']}") for one in told[-1]["episodes"]]
    if trouble in {"none", "control characters", "year zero", "images elsewhere"}:
        assert len(told) > 20
    for text in seen(told):
        assert not any(unicodedata.category(one) in {"Cc", "Cs"} for one in text if one != "\n")
        assert not {"\u202e", "\u2066", "<"} & set(text), text
        assert "evil.example" not in text
    assert "0000-00-00" not in json.dumps(told)


async def test_what_stands_in_the_database_is_shown_as_it_is(ben):
    """A text is a text to us: whoever shows it knows what is markup in their own place."""
    shelf = ben.web.library.titles
    texts = {
        "movie:1": '<script>alert("1")</script> & </title>',
        "movie:2": "\u202egnp.\u2066",
        "movie:3": "\x1b[31m\x07",
        "movie:4": "a\u2028b\u2029c",
        "movie:5": "🎬" * 75,
    }
    for number, text in enumerate(texts.values(), start=1):
        facts = movie(text, tmdb=number, full=True, overview="word " * 200_000)
        assert facts.text == Text(title=text, overview=facts.text.overview)
        await put(shelf, facts)
    spec = ListSpec(slug=ListSlug("tmdb-trending"), title="All", kind="mixed", provider="tmdb")
    await ben.web.lists.replace(spec, [TitleId.parse(one) for one in texts])
    (row,) = (await ben.get("/api/home"))["rows"]
    assert {one["id"]: one["title"] for one in row["items"]} == texts
    for one, text in texts.items():
        said = await ben.web.ask("GET", f"/api/titles/{one}", token=ben.token)
        assert said.body["title"] == text
        assert len(said.body["overview"]) == 1_000_000
        assert said.headers["Content-Type"] == "application/json"
        assert said.headers["X-Content-Type-Options"] == "nosniff"
