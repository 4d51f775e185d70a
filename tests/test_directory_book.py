"""The directories of a house: what is kept of them over a restart, and what is asked."""

import logging

import pytest

from miauflixd.runtime.secrets import Secret
from miauflixd.sources.directories.directory import DirectoryRefusedError
from miauflixd.sources.directory_book import BuiltInDirectoryError, DirectoryExistsError
from miauflixd.sources.offers import DirectoryId
from miauflixd.sources.settings import BadDirectoryError
from tests.library_house import Nowhere
from tests.sources_house import FakeDirectory, open_house, spec

A, B = DirectoryId("a"), DirectoryId("b")
FOLDER = DirectoryId("folder")


def names(house) -> list[str]:
    return [view.spec.id for view in house.sources.directories.all()]


async def test_out_of_the_box_only_the_archive_is_asked(tmp_path):
    async with open_house(tmp_path, archive=True) as house:
        (view,) = house.sources.directories.all()
        assert (view.spec.id, view.spec.url, view.built_in) == (
            "archive",
            "https://archive.org",
            True,
        )
        with pytest.raises(BuiltInDirectoryError):
            await house.sources.directories.remove(DirectoryId("archive"))


async def test_a_folder_of_the_settings_is_asked(tmp_path):
    async with open_house(tmp_path, folder=tmp_path) as house:
        assert names(house) == ["folder"]
        await house.sources.directories.check(FOLDER)
        assert house.sources.directories.all()[0].standing.condition == "ok"


async def test_what_was_added_is_there_after_a_restart_with_its_key(tmp_path):
    described = spec("b", kind="torznab", api_key=Secret("hunter2"), categories=(2000,), trust=0.8)
    async with open_house(tmp_path) as house:
        await house.sources.directories.add(spec("a"))
        await house.sources.directories.add(described)
        await house.sources.directories.reorder([B])
    async with open_house(tmp_path) as house:
        assert names(house) == ["b", "a"]
        assert house.sources.directories.directory(B).spec == described
        assert house.sources.directories.trust(B) == 0.8
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"hunter2" not in written
    assert b"b.example" not in written


async def test_how_they_did_is_there_after_a_restart(tmp_path):
    broken = FakeDirectory("a", error=DirectoryRefusedError("It wants a key"))
    async with open_house(tmp_path, broken) as house:
        film = await house.movie()
        await house.search(film)
        standing = house.sources.directories.directory(A).standing
        assert standing.condition == "refused"
        await house.database.run(lambda: None)  # behind what was written in the background
    async with open_house(tmp_path, broken) as house:
        assert house.sources.directories.directory(A).standing == standing
        assert (await house.search(film), len(broken.asked)) == (True, 1)


async def test_one_that_was_changed_is_asked_as_if_it_were_new(tmp_path):
    broken = FakeDirectory("a", error=DirectoryRefusedError("It wants a key"))
    async with open_house(tmp_path, broken) as house:
        film = await house.movie()
        await house.search(film)
        await house.sources.directories.change(A, lambda _: spec("a", api_key=Secret("x")))
        assert house.sources.directories.directory(A).standing.condition == "unknown"
        broken.error = None
        await house.search(film)
        assert len(broken.asked) == 2


async def test_what_is_switched_off_is_not_asked(tmp_path):
    directory = FakeDirectory("a")
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        await house.sources.directories.change(A, lambda _: spec("a", enabled=False))
        await house.search(film)
        assert directory.asked == []


async def test_ids_are_made_of_titles_and_are_each_one_of_a_kind(tmp_path):
    async with open_house(tmp_path) as house:
        book = house.sources.directories
        for title in ("My Indexer!", "my indexer", "\u732b", "archive", "x" * 80):
            await book.add(spec("", title=title, url="https://x.example"))
        assert names(house) == ["my-indexer", "my-indexer-2", "yts", "archive-2", "x" * 30]
        with pytest.raises(DirectoryExistsError):
            await book.add(spec("yts"))


async def test_what_cannot_be_built_changes_nothing(tmp_path):
    async with open_house(tmp_path) as house:
        await house.sources.directories.add(spec("a"))
        with pytest.raises(BadDirectoryError):
            await house.sources.directories.add(spec("b", url="gopher://x"))
        with pytest.raises(BadDirectoryError):
            await house.sources.directories.change(A, lambda _: spec("a", url="nowhere"))
        assert [view.spec for view in house.sources.directories.all()] == [spec("a")]


async def test_there_are_only_so_many(tmp_path):
    async with open_house(tmp_path) as house:
        for number in range(50):
            await house.sources.directories.add(spec(f"d{number}"))
        with pytest.raises(BadDirectoryError):
            await house.sources.directories.add(spec("more"))


async def test_no_log_line_tells_an_address_or_a_key(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "miauflixd")
    async with open_house(tmp_path, http=Nowhere()) as house:
        described = spec("a", kind="torznab", url="https://secret.example/x", api_key=Secret("k3y"))
        await house.sources.directories.add(described)
        film = await house.movie("Big Cat")
        await house.search(film)
        await house.sources.directories.check(A)
    assert "k3y" not in caplog.text
    assert "Big Cat" not in caplog.text
