"""Pieces on the disk that nobody remembers are found, and only if they are right."""

import os
from pathlib import Path

import pytest

from miauflixd.engine import metainfo
from miauflixd.engine.metainfo import RefusedError
from miauflixd.engine.recovery import missing_but_present
from tests.torrent_files import LEAF, MAKERS, bencode, hybrid, noise, v1, v2, write_by_index

KINDS = list(MAKERS)
PIECE = 2 * LEAF
SEASON = {
    "a empty": b"",
    "b film.mkv": noise(5 * PIECE + 77, 1),
    "c note.txt": noise(33, 2),
    "d still.jpg": noise(LEAF + 1, 3),
    "e film.mkv": noise(3 * PIECE, 4),
}


class Disk:
    """A torrent and the folder where it is saved."""

    def __init__(self, folder: Path, kind: str, contents: dict[str, bytes], piece: int) -> None:
        self.folder = folder
        self.source = bencode(MAKERS[kind](contents, piece_length=piece))
        torrent = metainfo.load(self.source).ti
        assert torrent is not None
        described = metainfo.describe(torrent)
        self.pieces = list(range(torrent.num_pieces()))
        self.indices = {file.path: file.index for file in described.files}
        self.offsets = {file.path: file.offset for file in described.files}
        write_by_index(folder, contents, self.indices)

    def path(self, name: str) -> Path:
        return self.folder / str(self.indices[name])

    def found(self, *known: int) -> list[int]:
        have = [piece in known for piece in self.pieces]
        return missing_but_present(self.source, have, self.folder)


@pytest.fixture(params=KINDS)
def season(request, tmp_path):
    return Disk(tmp_path / "saved", request.param, SEASON, PIECE)


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def punch(path: Path, start: int, stop: int) -> None:
    """Make a hole, by writing what is around it to a new file."""
    data = path.read_bytes()
    path.unlink()
    with path.open("wb") as file:
        file.write(data[:start])
        file.seek(stop)
        file.write(data[stop:])
        file.truncate(len(data))


def test_a_complete_torrent_is_found_whole(season):
    assert season.found() == season.pieces


def test_known_pieces_are_not_returned(season):
    assert season.found(0, 2, season.pieces[-1]) == [
        piece for piece in season.pieces[:-1] if piece not in {0, 2}
    ]


def test_known_pieces_are_not_even_read(season):
    overwrite(season.path("b film.mkv"), 0, b"damaged")
    assert season.found(0) == season.pieces[1:]
    season.path("b film.mkv").unlink()
    season.path("e film.mkv").unlink()
    assert season.found(*season.pieces) == []


def test_a_short_memory_counts_as_nothing_known(season):
    assert missing_but_present(season.source, [True], season.folder) == season.pieces[1:]


def test_an_empty_folder_holds_nothing(season, tmp_path):
    nowhere = tmp_path / "nowhere"
    assert missing_but_present(season.source, [], nowhere) == []


def test_a_flipped_bit_takes_one_piece(season):
    path = season.path("b film.mkv")
    overwrite(path, 3 * PIECE - 1, bytes([path.read_bytes()[3 * PIECE - 1] ^ 1]))
    assert season.found() == [piece for piece in season.pieces if piece != 2]


def test_a_missing_file_takes_the_pieces_that_touch_it(season):
    season.path("d still.jpg").unlink()
    first = season.offsets["d still.jpg"] // PIECE
    last = (season.offsets["d still.jpg"] + LEAF) // PIECE
    assert season.found() == [piece for piece in season.pieces if not first <= piece <= last]


def test_a_file_cut_short_takes_its_end(season):
    os.truncate(season.path("e film.mkv"), 3 * PIECE - 1)
    assert season.found() == season.pieces[:-1]


def test_a_hole_is_not_a_piece_of_zeros(tmp_path):
    # A hole reads as zeros, which here even have the right hash: never written is not there.
    film = {"film": noise(PIECE, 1) + bytes(2 * PIECE) + noise(PIECE, 2)}
    disk = Disk(tmp_path / "saved", "v1", film, PIECE)
    assert disk.found() == [0, 1, 2, 3]
    punch(disk.path("film"), PIECE, 3 * PIECE)
    assert disk.found() == [0, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_a_piece_that_is_partly_a_hole_is_skipped(tmp_path, kind):
    disk = Disk(tmp_path / "saved", kind, {"film": noise(4 * PIECE, 1)}, PIECE)
    punch(disk.path("film"), PIECE + LEAF, PIECE + LEAF + 4096)
    assert disk.found() == [0, 2, 3]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece", [LEAF, 4 * LEAF, 64 * LEAF])
@pytest.mark.parametrize(
    "size", [1, LEAF, LEAF + 1, 3 * LEAF, 4 * LEAF, 4 * LEAF + 1, 11 * LEAF - 5, 200 * LEAF + 9]
)
def test_one_file_of_any_size_is_found_whole(tmp_path, kind, piece, size):
    disk = Disk(tmp_path / "saved", kind, {"film": noise(size, size)}, piece)
    assert disk.found() == disk.pieces


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_last_short_piece_is_not_returned(tmp_path, kind):
    disk = Disk(tmp_path / "saved", kind, {"film": noise(2 * PIECE + 5, 1)}, PIECE)
    overwrite(disk.path("film"), 2 * PIECE + 4, b"?")
    assert disk.found() == [0, 1]


def test_a_piece_across_many_small_files_needs_them_all(tmp_path):
    many = {f"{n:03}.srt": noise(100 + n, n) for n in range(300)}
    disk = Disk(tmp_path / "saved", "v1", many, PIECE)
    assert disk.found() == disk.pieces
    disk.path("150.srt").unlink()
    touched = disk.offsets["150.srt"] // PIECE
    assert disk.found() == [piece for piece in disk.pieces if piece != touched]


def test_padding_is_never_looked_for_on_the_disk(tmp_path):
    disk = Disk(tmp_path / "saved", "hybrid", SEASON, PIECE)
    assert {path.name for path in disk.folder.iterdir()} == set(map(str, disk.indices.values()))
    assert disk.found() == disk.pieces


def test_two_files_with_the_same_content_share_a_hash_tree(tmp_path):
    twins = {"a": noise(3 * PIECE, 1), "b": noise(3 * PIECE, 1)}
    disk = Disk(tmp_path / "saved", "v2", twins, PIECE)
    overwrite(disk.path("b"), PIECE, b"?")
    assert disk.found() == [0, 1, 2, 3, 5]


def test_without_piece_layers_only_files_of_one_piece_can_be_told(tmp_path):
    disk = Disk(tmp_path / "saved", "v2", {"a": noise(3 * PIECE, 1), "b": noise(9, 2)}, PIECE)
    raw = v2({"a": noise(3 * PIECE, 1), "b": noise(9, 2)}, piece_length=PIECE)
    del raw[b"piece layers"]
    assert missing_but_present(bencode(raw), [], disk.folder) == [3]


def test_a_hybrid_without_piece_layers_is_checked_by_its_v1_hashes(tmp_path):
    disk = Disk(tmp_path / "saved", "hybrid", SEASON, PIECE)
    raw = hybrid(SEASON, piece_length=PIECE)
    del raw[b"piece layers"]
    assert missing_but_present(bencode(raw), [], disk.folder) == disk.pieces


def test_a_link_where_a_file_should_be_is_not_followed(season, tmp_path):
    path = season.path("b film.mkv")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert 0 not in season.found()


def test_a_folder_where_a_file_should_be_is_no_content(season):
    season.path("b film.mkv").unlink()
    season.path("b film.mkv").mkdir()
    assert 0 not in season.found()


def test_a_hostile_torrent_is_refused_here_too(tmp_path):
    with pytest.raises(RefusedError):
        missing_but_present(bencode(v1({"film": b""})), [], tmp_path)


def test_no_file_stays_open(season):
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert season.found()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
