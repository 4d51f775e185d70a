"""Which encoder of video works on this machine: tried, never assumed."""

import logging
from collections.abc import Sequence

from miauflixd.errors import MiauflixdError
from miauflixd.playback.worker import Worker

logger = logging.getLogger(__name__)

HARDWARE = ("h264_v4l2m2m",)
"""FFmpeg's names of those that cost the processor little and that PyAV's wheels have: Video4Linux'
memory-to-memory devices, as of a Raspberry Pi up to the fourth."""

SOFTWARE = "libx264"

_PACE = 1.5
"""Times as fast as it is watched, of 720 lines: less stutters as soon as something else goes on."""


class Encoders:
    """Finds out, once."""

    def __init__(self, *, software: bool, hardware: Sequence[str] = HARDWARE) -> None:
        """Know of none yet.

        Args:
            software: whether the operator wants the processor to do it.
            hardware: what else to try.
        """
        self._candidates = [*hardware, *([SOFTWARE] if software else [])]
        self.best: str | None = None
        """The one to use; `None`: there is none."""

    async def find(self) -> None:
        """Try them, the cheapest first; each in a process of its own, which a driver may kill."""
        for encoder in self._candidates:
            try:
                async with Worker.start() as worker:
                    pace = await worker.tries(encoder)
            except MiauflixdError:
                pace = None
            if pace is not None and (pace >= _PACE or encoder == SOFTWARE):
                logger.info("Pictures can be encoded by %s, %.1f times as fast", encoder, pace)
                self.best = encoder
                return
