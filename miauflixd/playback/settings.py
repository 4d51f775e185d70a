"""Settings of playback."""

from typing import Annotated

from msgspec import Meta, Struct


class PlaybackSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How films get onto screens."""

    workers: Annotated[int, Meta(ge=1, le=64)] = 4
    """Films that are taken apart at the same time; each has a process and some 100 MiB."""

    software_encoding: bool = False
    """Encode pictures that a screen cannot show with the processor.

    It takes several fast cores for one film; a Raspberry Pi or a small NAS only stutters.
    """

    stall_after: Annotated[float, Meta(ge=2, le=600)] = 8.0
    """Seconds without a byte for somebody who waits, after which a title's next best source is
    taken instead."""
