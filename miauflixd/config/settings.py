"""What there is to set: each package's own settings, one table of the file for each."""

from typing import Literal

from msgspec import Struct

from miauflixd.database.settings import StorageSettings
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.tunnel.settings import TunnelSettings
from miauflixd.web.settings import WebSettings


class LogSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written to the log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important kind of line that is still written."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. Only the composition root sees them together."""

    web: WebSettings = WebSettings()
    torrents: TorrentsSettings = TorrentsSettings()
    vpn: TunnelSettings = TunnelSettings()
    storage: StorageSettings = StorageSettings()
    log: LogSettings = LogSettings()
