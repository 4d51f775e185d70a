"""A bounded memory of what would otherwise be read again for every request."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


class Remembered(Generic[_K, _V]):
    """Remembers what `load` returned, until it is told to forget; the least used goes first.

    What was forgotten is never remembered from a reading that began before: `get` reads again when
    anything was forgotten meanwhile. Nothing else in here waits, so nothing comes in between.
    """

    def __init__(self, load: Callable[[_K], Awaitable[_V]], *, size: int) -> None:
        self._load = load
        self._size = size
        self._values: OrderedDict[_K, _V] = OrderedDict()
        self._forgotten = 0

    async def get(self, key: _K) -> _V:
        """Return what belongs to a key, from memory if it is there."""
        while key not in self._values:
            forgotten = self._forgotten
            value = await self._load(key)
            if forgotten == self._forgotten:
                self._values[key] = value
                if len(self._values) > self._size:
                    self._values.popitem(last=False)
                return value
        self._values.move_to_end(key)
        return self._values[key]

    def forget(self, keys: Iterable[_K]) -> None:
        """Read these again when they are asked for next."""
        self._forgotten += 1
        for key in keys:
            self._values.pop(key, None)

    def forget_all(self) -> None:
        """Read everything again."""
        self._forgotten += 1
        self._values.clear()
