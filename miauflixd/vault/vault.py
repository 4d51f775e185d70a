"""The vault: downloads are encrypted at rest, or the house does not start.

It is open for as long as the daemon runs, and locked when it ends.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, Self

from miauflixd.runtime.services import running
from miauflixd.vault import mounts
from miauflixd.vault.backend import Backend, BackendName, Owner
from miauflixd.vault.errors import NoVaultError, PlainFilesError
from miauflixd.vault.fscrypt import Fscrypt
from miauflixd.vault.gocryptfs import Gocryptfs
from miauflixd.vault.sealing import derived_key

Encryption = Literal["auto", "fscrypt", "gocryptfs", "off"]

DOWNLOADS = "downloads"
"""The folder in the data directory where downloads are seen."""

ENCRYPTED = "vault"
"""Where they lie when they are seen there through gocryptfs."""

PLAIN = "downloads.plain"
"""Where `miauflixd vault init` puts what was not encrypted until it has brought it in."""

logger = logging.getLogger(__name__)


class Vault:
    """The downloads of one data directory, encrypted."""

    def __init__(self, backend: Backend, *, folder: Path) -> None:
        self._backend = backend
        self.folder = folder
        """Where names and contents are seen while it is open."""

    @property
    def backend(self) -> BackendName:
        """What encrypts it."""
        return self._backend.name

    @classmethod
    def prepare(
        cls, backend: Backend, *, data: Path, owner: Owner | None, moving: bool = False
    ) -> Self:
        """Do all that needs root's privileges.

        Args:
            backend: what `choose` has chosen.
            data: the data directory, in which the folder of downloads is already.
            owner: whose the files are to be, if that is not whoever runs this.
            moving: files that are not encrypted are about to be brought in.

        Raises:
            PlainFilesError: some lie there in the open.
            VaultError: it did not work.
        """
        folder = data / DOWNLOADS
        plain = _has_plain_files(backend, folder) or (data / PLAIN).exists()
        if plain and not moving:
            raise PlainFilesError(
                f"Downloads are to be encrypted, and some in {data} are not. "
                "`miauflixd vault init` brings them into the vault; or remove them, or set "
                'storage.encryption = "off"'
            )
        backend.prepare(owner)
        return cls(backend, folder=folder)

    @asynccontextmanager
    async def open(self, master_key: bytes) -> AsyncIterator[None]:
        """Show names and contents for the length of the block.

        Raises:
            WrongVaultKeyError: it was made with another key.
            VaultError: it does not open.
            ExceptionGroup: it did not stay open.
        """
        began = time.monotonic()
        await asyncio.to_thread(self.unlock, master_key)
        logger.info(
            "The vault is open (%s, %.0f ms)", self.backend, 1000 * (time.monotonic() - began)
        )
        try:
            async with running("vault", self._backend.watch):
                yield
        finally:
            await asyncio.to_thread(self._backend.lock)
            logger.info("The vault is locked")

    def unlock(self, master_key: bytes) -> None:
        """Show names and contents until `lock`; blocks.

        Raises:
            As `open`.
        """
        use = f"vault {self.backend} 1"
        self._backend.unlock(derived_key(master_key, use=use, size=self._backend.key_size))

    def lock(self) -> None:
        """Hide them again; blocks.

        Raises:
            VaultBusyError: somebody uses them still.
            VaultError: it did not work.
        """
        self._backend.lock()


def choose(encryption: Encryption, data: Path) -> Backend | None:
    """Return what encrypts downloads here: what did before, or what can.

    Raises:
        NoVaultError: nothing can, or something else did before.
    """
    before = existing(data)
    if before is not None and encryption not in ("auto", before.name):
        raise NoVaultError(
            f'storage.encryption is "{encryption}", and downloads in {data} were encrypted by '
            f'{before.name} before. Set it to "auto", or remove {_remains(before, data)}: films '
            "come again out of the swarm"
        )
    if encryption == "off":
        return None
    wanted = [one for one in _backends(data) if encryption in ("auto", one.name)]
    obstacles = []
    for one in wanted if before is None else [before]:
        if (obstacle := one.obstacle()) is None:
            return one
        obstacles.append(f"  {one.name}: {obstacle}")
    raise NoVaultError(
        "\n".join(
            [
                f"Downloads in {data} are to be encrypted, and that does not work here:",
                *obstacles,
                '  hint: storage.encryption = "off" leaves them readable for whoever has the disk',
            ]
        )
    )


def existing(data: Path) -> Backend | None:
    """Return what encrypted downloads before, if anything did."""
    # The last first: whoever looks at its folder through it may wait for a program that hangs.
    return next((one for one in reversed(_backends(data)) if one.exists()), None)


def _backends(data: Path) -> Sequence[Backend]:
    """Return what can encrypt downloads, the best first: the kernel costs least."""
    folder = data / DOWNLOADS
    return Fscrypt(folder), Gocryptfs(folder, encrypted=data / ENCRYPTED)


def _remains(backend: Backend, data: Path) -> Path:
    return data / (ENCRYPTED if backend.name == "gocryptfs" else DOWNLOADS)


def _has_plain_files(backend: Backend, folder: Path) -> bool:
    if backend.name == "fscrypt":
        return not backend.exists() and any(folder.iterdir())
    if mounts.kind_at(folder) is not None:
        return False  # one cannot see through what lies on top, and it was empty then
    return any(folder.iterdir())
