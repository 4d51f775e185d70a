"""`miauflixd sources` against a running web server: what a person reads, and the exit status."""

import asyncio
import io
import json
import os
from datetime import date

import pytest

from miauflixd import cli
from miauflixd.config import loading
from miauflixd.config.settings import Config
from miauflixd.sources.directories.directory import DirectoryRefusedError
from miauflixd.sources.settings import SourcesSettings
from tests.catalogue_titles import movie, put
from tests.sources_house import FakeDirectory, offer, spec
from tests.web_house import open_web


@pytest.fixture
def directory():
    return FakeDirectory(
        "a",
        [
            offer("Big.Cat.2019.1080p.WEB-DL.H264.AAC-\x1b]0;GRP", 1, seeders=20, size=2**32),
            offer("Big.Cat.1971-GRP", 2),
        ],
    )


@pytest.fixture
async def run(tmp_path, monkeypatch, capsys, directory):
    for name in [*os.environ]:
        if name.startswith("MIAUFLIX_") or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)
    monkeypatch.setattr(loading, "DEFAULT_FILE", tmp_path / "none.toml")
    socket = tmp_path / "control.sock"
    monkeypatch.setenv("MIAUFLIX_WEB_CONTROL_SOCKET", str(socket))

    async def run(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(cli.main, ["sources", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    def build(described):
        return directory if described.id == "a" else FakeDirectory(described.id)

    config = Config(sources=SourcesSettings(archive=False))
    async with open_web(tmp_path, config=config, directories=build, control_socket=socket) as web:
        await web.sources.directories.add(spec("a"))
        await put(web.library.titles, movie("Big Cat", released=date(2019, 5, 1)))
        yield run


async def test_a_person_reads_where_a_title_can_be_had_and_why(run):
    status, out, _ = await run("list", "movie:1")
    assert status == 0
    assert "Big.Cat.2019.1080p" in out
    assert "A, magnet, 4.00 GiB, 20 seeders, plays " in out
    assert "1080p, as wanted" in out
    assert "Left out 1: " in out
    assert "\x1b" not in out

    status, out, _ = await run("list", "movie:1", "--refresh", "--json")
    assert json.loads(out)["total"] == 1
    status, _, err = await run("list", "movie:2")
    assert (status, err) == (1, "miauflixd: There is no such title\n")


async def test_directories_are_added_looked_at_checked_and_removed(run, directory, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    status, out, _ = await run(
        *("add-directory", "--kind", "torznab", "--title", "Mine", "--key", "--category", "2000"),
        *("--url", "http://192.168.1.5/api", "--via", "host"),
    )
    assert status == 0
    assert "torznab at http://192.168.1.5/api by this machine's own network, with a key" in out
    assert "hunter2" not in out

    status, out, _ = await run("directories")
    assert "a  A: not asked yet" in out
    assert "mine  Mine: not asked yet" in out

    assert (await run("check", "mine"))[0] == 0
    directory.error = DirectoryRefusedError("It wants a key")
    status, out, _ = await run("check", "a")
    assert status == 1
    assert "a  A: does not let us in (It wants a key), left alone until " in out

    assert (await run("remove-directory", "mine"))[0] == 0
    assert (await run("remove-directory", "mine"))[0] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--title", ""), "title: This must not be empty"),
        (("--title", "A" * 81), "title: At most 80 characters are taken"),
        (("--title", "A", "--id", "Bad Id"), "id: This has not the right form"),
        (("--title", "A", "--category", "-5"), "categories[0]: The least is 1"),
    ],
)
async def test_what_cannot_be_meant_is_said_so_in_words(run, words, said):
    status, _, err = await run(
        "add-directory", "--kind", "yts", "--url", "https://a.example", *words
    )
    assert (status, err) == (1, f"miauflixd: {said}\n")


async def test_whoever_finds_nothing_reads_who_has_failed(run, directory):
    directory.error = DirectoryRefusedError("It wants a key")
    status, out, _ = await run("list", "movie:1")
    assert status == 1
    assert "Nothing is known that this can be played from" in out
    assert "Nothing from a: It wants a key" in out
