"""Time and servers for tests of how providers are asked: both do only what a test tells them."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class FakeTimer:
    """A monotonic clock that moves when a test says so, and then rings whom it should."""

    def __init__(self) -> None:
        self.now = 100.0
        self._alarms: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> object:
        heapq.heappush(self._alarms, (when, next(self._order), callback))
        return None

    async def advance(self, seconds: float) -> None:
        """Let time go by, and everybody do what they do in it."""
        until = self.now + seconds
        await settle()
        while self._alarms and self._alarms[0][0] <= until:
            self.now, _, callback = heapq.heappop(self._alarms)
            callback()
            await settle()
        self.now = until
        await settle()

    @property
    def alarms(self) -> int:
        """How many are to come."""
        return len(self._alarms)


async def settle() -> None:
    """Let everybody go on who can."""
    for _ in range(20):
        await asyncio.sleep(0)


class WallClock:
    """The time of day, which moves when a test says so."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a server answers."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"a": 1}'


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a server was asked."""

    method: str
    url: str
    headers: Mapping[str, str]
    json: object | None
    timeout: float
    limit: int
    allow: tuple[str, ...]


class FakeHttp:
    """An HTTP client whose answers a test puts down in advance; the last one is given for ever."""

    def __init__(self, *answers: Said | Exception) -> None:
        self.answers = list(answers) or [Said()]
        self.asked: list[Asked] = []
        self.gate = asyncio.Event()
        """Nobody is answered while it is closed."""
        self.gate.set()
        self.given_up = 0

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        timeout: float,
        limit: int,
        allow: Any = (),
    ) -> Said:
        self.asked.append(
            Asked(
                method=method,
                url=url,
                headers=headers or {},
                json=json,
                timeout=timeout,
                limit=limit,
                allow=tuple(allow),
            )
        )
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer
