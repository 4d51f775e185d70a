"""When pictures are decoded, where a container does not say so, or says what cannot be. No I/O."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P")

_SQUEEZED = 100
"""By how much what is decoded before 0 is moved together: MP4 in fragments has nothing before 0."""


@dataclass(slots=True)
class Timed(Generic[P]):
    """A packet, and its times in ticks."""

    packet: P
    pts: int
    dts: int


class DecodingTimes(Generic[P]):
    """Gives each packet a time to be decoded at: rising, not below 0, never after it is shown.

    Matroska holds only when a picture is shown, and FFmpeg knows no decoding time of the first few
    behind a seek. They are held back until one has a time, and count back from there.
    """

    def __init__(self, *, step: int) -> None:
        """Begin.

        Args:
            step: ticks between two pictures, about.
        """
        self._step = max(1, step)
        self._held: list[tuple[P, int | None]] = []
        self._last: int | None = None
        self._lowest: int | None = None

    def add(self, packet: P, *, pts: int | None, dts: int | None) -> Iterator[Timed[P]]:
        """Yield the packets whose times are known by now."""
        if dts is None and pts is None:
            return
        if dts is None:
            self._held.append((packet, pts))
            if len(self._held) > _SQUEEZED:
                yield from self.finish()
            return
        for place, (held, shown) in enumerate(self._held):
            back = dts - (len(self._held) - place) * self._step
            yield self._timed(held, shown, back)
        self._held.clear()
        yield self._timed(packet, pts, dts)

    def finish(self) -> Iterator[Timed[P]]:
        """Yield what is still held back."""
        order = sorted(shown for _, shown in self._held if shown is not None)
        for (held, shown), dts in zip(self._held, order, strict=False):
            yield self._timed(held, shown, dts)
        self._held.clear()

    def _timed(self, packet: P, pts: int | None, dts: int) -> Timed[P]:
        if dts < 0:
            self._lowest = dts if self._lowest is None else self._lowest
            dts = max(0, dts - self._lowest) // _SQUEEZED
        shown = dts if pts is None else pts
        dts = min(dts, shown)
        if self._last is not None:
            dts = max(dts, self._last + 1)
        self._last = dts
        return Timed(packet, max(shown, dts), dts)
