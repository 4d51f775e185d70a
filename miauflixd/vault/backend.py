"""What a way of encrypting downloads can do."""

from dataclasses import dataclass
from typing import Literal, Protocol

BackendName = Literal["fscrypt", "gocryptfs"]


@dataclass(frozen=True, slots=True)
class Owner:
    """The user whose the downloads are."""

    uid: int
    gid: int


class Backend(Protocol):
    """A folder of names and contents that nobody can read without a key.

    All but `watch` blocks, and may be called in any thread.
    """

    @property
    def name(self) -> BackendName:
        """What it is called in the settings."""
        ...

    @property
    def key_size(self) -> int:
        """Bytes of a key."""
        ...

    def exists(self) -> bool:
        """Return whether there is a vault of this kind, open or not."""
        ...

    def obstacle(self) -> str | None:
        """Return why it cannot be used here, in words that go on after a colon, or `None`."""
        ...

    def is_open(self) -> bool:
        """Return whether somebody has unlocked it."""
        ...

    def prepare(self, owner: Owner | None) -> None:
        """Do what needs the privileges that are given up next.

        Args:
            owner: whose the files are to be; `None`: whoever runs this.

        Raises:
            VaultError: it did not work.
        """
        ...

    def unlock(self, key: bytes) -> None:
        """Show names and contents, in a vault that is made if there is none.

        Raises:
            WrongVaultKeyError: that is not its key.
            VaultError: it did not work.
        """
        ...

    def lock(self) -> None:
        """Hide them again.

        Raises:
            VaultError: it did not work.
        """
        ...

    async def watch(self) -> None:
        """Wait as long as it works.

        Raises:
            VaultError: it does no more.
        """
        ...
