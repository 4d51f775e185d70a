"""`miauflixd vault`: what it is, made and locked, without a daemon."""

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from miauflixd.errors import ConflictError
from miauflixd.runtime import privileges
from miauflixd.runtime.occupancy import OccupiedError, occupy
from miauflixd.runtime.secrets import Secret
from miauflixd.vault.backend import Owner
from miauflixd.vault.errors import VaultError
from miauflixd.vault.keys import master_key
from miauflixd.vault.moving import move_in
from miauflixd.vault.vault import DOWNLOADS, PLAIN, Encryption, Vault, choose, existing


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How a vault is."""

    encryption: Encryption
    """What the settings want."""
    backend: str | None
    """What encrypts it; `None`: nothing has yet."""
    state: Literal["none", "locked", "open"]
    daemon: bool
    """Whether a daemon is running, which keeps it open."""
    folder: str
    """Where names and contents are seen while it is open."""

    def as_json(self) -> dict[str, object]:
        """Return what `--json` prints."""
        return asdict(self)

    def in_words(self) -> str:
        """Return it for people."""
        if self.backend is None:
            if self.encryption == "off":
                return f"Downloads in {self.folder} are not encrypted, as the settings say."
            return "There is no vault yet; the first start of miauflixd makes it."
        if self.state == "locked":
            return f"The vault ({self.backend}) is locked: no name and no byte can be read."
        why = (
            "as long as miauflixd runs"
            if self.daemon
            else "though miauflixd does not run; `miauflixd vault lock` locks it"
        )
        return f"The vault ({self.backend}) is open in {self.folder}, {why}."


def status(data: Path, *, encryption: Encryption) -> Status:
    """Return how the vault of a data directory is.

    Raises:
        VaultError: it does not say.
    """
    backend = existing(data)
    state: Literal["none", "open", "locked"] = "none"
    if backend is not None:
        state = "open" if backend.is_open() else "locked"
    return Status(
        encryption=encryption,
        backend=None if backend is None else backend.name,
        state=state,
        daemon=_occupied(data),
        folder=str(data / DOWNLOADS),
    )


def lock(data: Path) -> str:
    """Lock a vault that was left open, and return what there is to say.

    Raises:
        ConflictError: a daemon uses it.
        VaultError: it cannot be locked.
    """
    if _occupied(data):
        raise ConflictError(
            "miauflixd is running and uses the vault; `systemctl stop miauflixd` locks it"
        )
    if (backend := existing(data)) is None:
        return "There is no vault."
    backend.lock()
    return f"The vault ({backend.name}) is locked."


def init(data: Path, *, encryption: Encryption, sealing_key: Secret | None, user: str) -> str:
    """Make a vault, bring in what lies in the open, and return what there is to say.

    Run by root, it goes on as the user whose the files are to be.

    Raises:
        SettingsError: nothing can encrypt here, or the key is another one.
        OccupiedError: a daemon is running.
        VaultError: it did not work.
    """
    owner = None
    if os.geteuid() == 0 and user:
        account = privileges.account(user)
        owner = Owner(account.pw_uid, account.pw_gid)
    folder, plain = data / DOWNLOADS, data / PLAIN
    _make(data, owner)
    _make(folder, owner)
    occupy(data)
    if (backend := choose(encryption, data)) is None:
        return 'storage.encryption is "off": there is nothing to be done.'
    if not backend.exists() and any(folder.iterdir()):
        _set_aside(folder, plain, owner)
    vault = Vault.prepare(backend, data=data, owner=owner, moving=True)
    if owner is not None:
        privileges.drop(user)
    vault.unlock(master_key(sealing_key, folder=data))
    try:
        moved = move_in(plain, folder) if plain.exists() else 0
    except OSError as error:
        raise VaultError(
            f"Not all could be brought into the vault ({error.strerror}); the rest is in {plain}, "
            "and `miauflixd vault init` goes on with it"
        ) from error
    finally:
        vault.lock()
    brought = f" {moved} files were brought into it." if moved else ""
    return f"The vault ({vault.backend}) is there, and locked.{brought}"


def _set_aside(folder: Path, plain: Path, owner: Owner | None) -> None:
    if plain.exists():  # somebody has begun before, and more has come since
        for entry in folder.iterdir():
            shutil.move(entry, plain / entry.name)
        return
    folder.rename(plain)
    _make(folder, owner)


def _make(folder: Path, owner: Owner | None) -> None:
    if folder.exists():
        return
    folder.mkdir(mode=0o700, parents=True)
    if owner is not None:
        os.chown(folder, owner.uid, owner.gid)


def _occupied(data: Path) -> bool:
    if not data.is_dir():
        return False
    try:
        os.close(occupy(data))
    except OccupiedError:
        return True
    return False
