"""Settings of what is done by itself."""

from datetime import time
from typing import Annotated

from msgspec import Meta, Struct

from miauflixd.jobs.model import Nightly

LocalTime = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z",
        description='a time of day from "00:00" to "23:59"',
    ),
]


class JobsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The timetable."""

    background: bool = True
    """Work by itself. Without it only what somebody asks for is done."""

    night: LocalTime = "03:30"
    """When nightly work begins, by the clock on the wall."""

    backups_kept: Annotated[int, Meta(ge=1, le=365)] = 7
    """Nightly copies of the database that stay; a week of them."""

    @property
    def nightly(self) -> Nightly:
        """The rule of what is done at night."""
        return Nightly(time.fromisoformat(self.night))
