"""What was answered lately, for as long as the server says that it holds."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

from miauflixd.runtime.http_headers import fresh_for, header

_OVERHEAD = 1024
"""Bytes that an answer takes besides its body: headers, key, objects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """An answer that may be used again."""

    body: bytes
    headers: Mapping[str, str]
    etag: str | None
    until: float
    """By the monotonic clock: until then without asking whether it still holds."""


class Answers:
    """Answers in memory, so many bytes of them; what was not wanted for longest goes first."""

    def __init__(self, *, limit: int, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._size

    def get(self, key: Hashable) -> Kept | None:
        """Return what was answered to this, whether it still holds or not."""
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def holds(self, kept: Kept) -> bool:
        """Whether it can be used without asking."""
        return self._monotonic() < kept.until

    def put(self, key: Hashable, body: bytes, headers: Mapping[str, str]) -> None:
        """Keep an answer, if its server lets us and it can ever be of use."""
        self.forget(key)
        seconds = fresh_for(headers)
        etag = header(headers, "ETag")
        size = len(body) + _OVERHEAD
        # One that takes half of the room would drive out all others.
        if seconds is None or not (seconds or etag) or size * 2 > self._limit:
            return
        self._kept[key] = Kept(
            body=body, headers=headers, etag=etag, until=self._monotonic() + seconds
        )
        self._size += size
        while self._size > self._limit:
            self.forget(next(iter(self._kept)))

    def renew(self, key: Hashable, kept: Kept, headers: Mapping[str, str]) -> None:
        """Take note that an answer still holds, as the server has said with these headers."""
        if self._kept.get(key) is kept:
            self._kept[key] = replace(kept, until=self._monotonic() + (fresh_for(headers) or 0.0))

    def forget(self, key: Hashable) -> None:
        """Keep an answer no longer."""
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= len(kept.body) + _OVERHEAD
