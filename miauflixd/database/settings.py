"""Settings of what is kept on the disk."""

from pathlib import Path
from typing import Literal

from msgspec import Struct

from miauflixd.runtime.secrets import Secret


class StorageSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where miauflixd keeps what it remembers, and what that is sealed with."""

    path: Path = Path("/var/lib/miauflixd")
    """The data directory: database, downloads, state of the swarm. Nobody else needs to read it."""

    sealing_key: Secret | None = None
    """The key with which info-hashes, magnets and `.torrent` files are sealed in the database.

    32 bytes, as base64 or as hexadecimal digits; `openssl rand -base64 32` makes one.
    Without it a key file is created in the data directory at the first start. That keeps a copied
    database closed, but not a copied directory; whoever wants the key elsewhere hands it over here,
    best as the systemd credential `storage.sealing_key`. What one key has sealed no other opens.
    """

    encryption: Literal["auto", "fscrypt", "gocryptfs", "off"] = "auto"
    """What keeps downloads, and their names, unreadable while miauflixd does not run.

    `auto`: the kernel's fscrypt where the file system was made for it, else gocryptfs. Where
    neither works miauflixd does not start. The key is derived from the sealing key.
    """
