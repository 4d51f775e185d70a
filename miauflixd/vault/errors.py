"""What can be wrong with the vault."""

from pathlib import Path

from miauflixd.errors import MiauflixdError, SettingsError


class VaultError(MiauflixdError):
    """The vault does not do what it should."""

    code = "vault_failed"


class VaultBusyError(VaultError):
    """It cannot be locked wholly, for something of it is in use."""

    code = "vault_busy"


class NoVaultError(SettingsError):
    """Downloads are to be encrypted, and cannot be here."""

    code = "vault_impossible"


class PlainFilesError(SettingsError):
    """Downloads are to be encrypted, and some are there that are not."""

    code = "vault_plain_files"


class WrongVaultKeyError(SettingsError):
    """The vault was made with another key than the one at hand."""

    code = "wrong_vault_key"

    def __init__(self, folder: Path) -> None:
        """Say what can be done about it."""
        super().__init__(
            f"What is in {folder} was encrypted with another key. Put back the sealing key that "
            "was in use then; or, should it be lost, remove the folder: films come again out of "
            "the swarm"
        )
