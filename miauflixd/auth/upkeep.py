"""What is written once a minute, because for each request would be too often."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from miauflixd.errors import MiauflixdError

_log = logging.getLogger(__name__)

_EVERY = 60.0
"""Seconds: "last used" is read by people, and an SD card wears out."""


class Tidied(Protocol):
    """Something that is to be tidied now and then."""

    async def tidy(self) -> None:
        """Write down what was only noted, and forget what is over."""
        ...


class Upkeep:
    """Tidies sessions and keys. A time that fails is a time less, not an end."""

    def __init__(self, parts: Sequence[Tidied], *, every: float = _EVERY) -> None:
        """Take what is to be tidied `every` so many seconds."""
        self._parts = parts
        self._every = every

    async def run(self) -> None:
        """Do so until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            for part in self._parts:
                try:
                    await part.tidy()
                except MiauflixdError as error:
                    _log.warning("What was last used cannot be written now: %s", error.code)
