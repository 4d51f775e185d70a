"""Fragmented MP4 as it comes out of FFmpeg's muxer, cut into boxes (ISO/IEC 14496-12). No I/O."""

import struct
from collections.abc import Iterator

_BOX = struct.Struct(">I4s")


class Boxes:
    """Takes in what the muxer writes, and gives it back in whole boxes."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def take_in(self, data: bytes) -> None:
        """Add what was written."""
        self._rest += data

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the type of each box that is complete, and all its bytes."""
        at = 0
        while len(self._rest) - at >= _BOX.size:
            size, kind = _BOX.unpack_from(self._rest, at)
            if size < _BOX.size or len(self._rest) - at < size:
                break
            yield kind, bytes(self._rest[at : at + size])
            at += size
        del self._rest[:at]


def decode_times(moof: bytes) -> dict[int, int]:
    """Return when each track of a fragment begins, by its id and in its own time scale."""
    times: dict[int, int] = {}
    track = 0
    for kind, start, stop in _inside(moof, _BOX.size, len(moof)):
        if kind != b"traf":
            continue
        for inner, place, _ in _inside(moof, start, stop):
            if inner == b"tfhd":
                (track,) = struct.unpack_from(">I", moof, place + 4)
            elif inner == b"tfdt":
                form = ">Q" if moof[place] else ">I"
                (times[track],) = struct.unpack_from(form, moof, place + 4)
    return times


def _inside(data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each box between two places, and where its content is."""
    while start + _BOX.size <= stop:
        size, kind = _BOX.unpack_from(data, start)
        if size < _BOX.size:
            return
        yield kind, start + _BOX.size, start + size
        start += size
