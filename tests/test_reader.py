"""What a reader does before bytes are sent: having them in memory."""

import io
import os

import pytest

from miauflixd.torrents import reader
from tests.torrent_files import noise

MIB = 2**20


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "0"
    path.write_bytes(noise(MIB) * 20)
    with io.FileIO(path) as file:
        yield file


def forgotten(file: io.FileIO) -> None:
    """Have the kernel drop all pages of a file, and read no more than it is asked for."""
    os.fsync(file.fileno())  # a page that is still to be written is not dropped
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
    try:
        os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
    except BlockingIOError:
        return
    pytest.skip("this file system keeps its pages, or cannot tell")


async def test_what_is_in_memory_may_be_sent_at_once(film):
    assert await reader._in_memory(film, 0, 20 * MIB) == 20 * MIB


async def test_what_is_not_is_read_before_it_is_sent(film):
    forgotten(film)
    position, spans = 0, 0
    while position < 20 * MIB:
        ready = await reader._in_memory(film, position, 20 * MIB - position)
        for offset in range(position, position + ready, MIB):
            assert os.preadv(film.fileno(), [bytearray(1)], offset, os.RWF_NOWAIT) == 1
        position, spans = position + ready, spans + 1
    assert (position, spans > 1) == (20 * MIB, True)


async def test_only_what_stands_before_the_first_gap_is_sent(film):
    forgotten(film)
    os.pread(film.fileno(), 5 * MIB - 4096, 0)
    assert await reader._in_memory(film, 0, 20 * MIB) == 5 * MIB


@pytest.mark.parametrize(
    ("took", "length"), [(0.001, 2 * MIB), (0.1, MIB), (10.0, MIB)], ids=["quick", "fair", "slow"]
)
def test_spans_grow_only_while_the_client_keeps_up(took, length):
    assert reader._next_length(MIB, took) == length
    assert reader._next_length(128 * MIB, 0.001) == 128 * MIB
    assert reader._next_length(128 * MIB, 10.0) == MIB
