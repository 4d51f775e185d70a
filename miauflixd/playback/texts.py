"""What is said in a film, as far as somebody has passed it. No I/O."""

from collections.abc import Iterable, Mapping, Sequence

from miauflixd.remuxer.media import SubtitlePacket

_LONGEST = 30.0
"""Seconds that something said is looked for before the moment it is asked of."""


class Texts:
    """The packets of a file's text tracks, and the parts of the film that they are all of."""

    def __init__(self) -> None:
        self._packets: dict[int, dict[tuple[float, bytes], SubtitlePacket]] = {}
        self._known: list[tuple[float, float]] = []
        """Parts in order; they neither touch nor overlap."""

    def add(self, texts: Mapping[int, Iterable[SubtitlePacket]]) -> None:
        """Take in packets, by track; the same one may come twice."""
        for track, packets in texts.items():
            kept = self._packets.setdefault(track, {})
            for packet in packets:
                kept[packet.start, packet.data] = packet

    def know(self, start: float, stop: float) -> None:
        """Note that everything between two moments was taken in."""
        if stop <= start:
            return
        apart = [part for part in self._known if part[1] < start or part[0] > stop]
        touching = [part for part in self._known if part not in apart]
        low = min([start, *(part[0] for part in touching)])
        high = max([stop, *(part[1] for part in touching)])
        self._known = sorted([*apart, (low, high)])

    def missing(self, start: float, stop: float) -> Sequence[tuple[float, float]]:
        """Return the parts between two moments of which nothing is known."""
        gaps = []
        for low, high in self._known:
            if high <= start or low >= stop:
                continue
            if low > start:
                gaps.append((start, low))
            start = high
        if start < stop:
            gaps.append((start, stop))
        return gaps

    def between(self, track: int, start: float, stop: float) -> Sequence[SubtitlePacket]:
        """Return what is shown of a track between two moments, in order."""
        found = [
            packet
            for packet in self._packets.get(track, {}).values()
            if packet.start < stop
            and packet.start + (_LONGEST if packet.duration is None else packet.duration) > start
        ]
        return sorted(found, key=lambda packet: packet.start)
