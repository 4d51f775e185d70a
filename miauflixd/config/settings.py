"""What there is to set: each package's own settings, one table of the file for each."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from miauflixd.auth.settings import AuthSettings
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.database.settings import StorageSettings
from miauflixd.jobs.settings import JobsSettings
from miauflixd.playback.settings import PlaybackSettings
from miauflixd.sources.settings import SourcesSettings
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.tunnel.settings import TunnelSettings
from miauflixd.web.settings import WebSettings


class LogSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written to the log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important kind of line that is still written."""


class ServiceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The daemon as a process."""

    user: Annotated[
        str,
        Meta(
            pattern=r"^([a-z_][a-z0-9_-]{0,31})?\Z",
            description='the name of a user, or "" for none',
        ),
    ] = "miauflix"
    """Whom everything but the keeper runs as, when the daemon is started as root.

    Empty: as whoever starts it, with all privileges. For a machine that has no such user.
    """


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. Only the composition root sees them together."""

    web: WebSettings = WebSettings()
    torrents: TorrentsSettings = TorrentsSettings()
    vpn: TunnelSettings = TunnelSettings()
    auth: AuthSettings = AuthSettings()
    catalogue: CatalogueSettings = CatalogueSettings()
    sources: SourcesSettings = SourcesSettings()
    playback: PlaybackSettings = PlaybackSettings()
    jobs: JobsSettings = JobsSettings()
    storage: StorageSettings = StorageSettings()
    service: ServiceSettings = ServiceSettings()
    log: LogSettings = LogSettings()
