"""Folders that the kernel encrypts by itself: fscrypt, Documentation/filesystems/fscrypt.rst.

Everything is done by ioctls on a folder, and an ordinary user may do it with a folder of his own.
Numbers and layouts are those of linux/fscrypt.h, policies of version 2.
"""

import asyncio
import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from miauflixd.runtime.processor import has_aes
from miauflixd.vault.backend import BackendName, Owner
from miauflixd.vault.errors import VaultBusyError, VaultError, WrongVaultKeyError

KEY_SIZE = 64
"""Bytes of a master key, the most that the kernel takes; AES-256-XTS wants them all."""

_SET_POLICY = 0x800C6613
_GET_POLICY_EX = 0xC0096616
_ADD_KEY = 0xC0506617
_REMOVE_KEY = 0xC0406618
_GET_KEY_STATUS = 0xC080661A

_POLICY = struct.Struct("=BBBBB3x16s")
"""Version, mode of contents, mode of names, flags, log2 of the data unit's size, key identifier."""

_SPECIFIER = struct.Struct("=II16s16x")
"""Type, reserved, key identifier."""

_IDENTIFIER = 2
"""The type of a key specifier: an identifier, not a descriptor."""

_VERSION_2 = 2
_PAD_32 = 0x03
"""Names are filled up to 32 bytes, so that their length tells little."""

_DIRECT_KEY = 0x04

_AES = (1, 4, _PAD_32)
"""AES-256-XTS for contents, AES-256-CBC-CTS for names."""

_ADIANTUM = (9, 9, _PAD_32 | _DIRECT_KEY)
"""For processors without instructions for AES, such as a Raspberry Pi 4's."""

_STILL_OPEN = 0x00000001
"""In the answer to `_REMOVE_KEY`: files are in use, and stay readable until they are closed."""

_LET_GO_WITHIN = 5.0
"""Seconds in which files that were just closed are gone from the kernel's memory, too."""


class KeyStatus(IntEnum):
    """What the kernel has of a key."""

    ABSENT = 1
    PRESENT = 2
    INCOMPLETELY_REMOVED = 3
    """No new file can be opened with it, but some that were open are."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a folder is encrypted."""

    version: int
    identifier: bytes
    """Of the key, 16 bytes that tell nothing about it."""


def policy(folder: Path) -> Policy | None:
    """Return how a folder is encrypted, or `None` when it is not.

    Raises:
        VaultError: nothing on this file system can be; the message says why.
    """
    buffer = bytearray(struct.pack("=Q", _POLICY.size) + bytes(_POLICY.size))
    with _opened(folder) as descriptor:
        try:
            fcntl.ioctl(descriptor, _GET_POLICY_EX, buffer)
        except OSError as error:
            if error.errno == errno.ENODATA:
                return None
            raise VaultError(_why_not(error)) from error
    version, _, _, _, _, identifier = _POLICY.unpack_from(buffer, 8)
    return Policy(version, identifier)


def _why_not(error: OSError) -> str:
    if error.errno == errno.EOPNOTSUPP:
        return (
            "its file system was not made for it (for ext4, `tune2fs -O encrypt` on the device "
            "changes that), or this kernel leaves it out"
        )
    if error.errno in (errno.ENOTTY, errno.EINVAL):
        return "its file system cannot do it: ext4 and f2fs can"
    return error.strerror or type(error).__name__


def encrypt(folder: Path, *, identifier: bytes) -> None:
    """Have an empty folder encrypted from now on with a key that was added.

    Raises:
        VaultError: it is not empty, or it cannot be done here.
    """
    choices = (_AES,) if has_aes() else (_ADIANTUM, _AES)
    with _opened(folder) as descriptor:
        for number, (contents, names, flags) in enumerate(choices, 1):
            wanted = _POLICY.pack(_VERSION_2, contents, names, flags, 0, identifier)
            try:
                fcntl.ioctl(descriptor, _SET_POLICY, wanted)
            except OSError as error:
                if error.errno == errno.EINVAL and number < len(choices):
                    continue  # a kernel without Adiantum
                raise VaultError(f"{folder} cannot be encrypted ({error.strerror})") from error
            return


def add_key(folder: Path, key: bytes) -> bytes:
    """Give the kernel a key for the file system of a folder, and return its identifier.

    Raises:
        VaultError: it does not take it.
    """
    argument = bytearray(
        _SPECIFIER.pack(_IDENTIFIER, 0, bytes(16)) + struct.pack("=I36x", len(key)) + key
    )
    with _opened(folder) as descriptor:
        try:
            fcntl.ioctl(descriptor, _ADD_KEY, argument)
        except OSError as error:
            raise VaultError(f"The kernel does not take the key ({error.strerror})") from error
        finally:
            argument[80:] = bytes(len(key))
    identifier: bytes = _SPECIFIER.unpack_from(argument)[2]
    return identifier


def remove_key(folder: Path, identifier: bytes) -> None:
    """Have the kernel forget a key, and with it names and contents.

    Raises:
        VaultBusyError: files are open; the key is gone, and they are readable until closed.
        VaultError: it does not do that.
    """
    deadline = time.monotonic() + _LET_GO_WITHIN
    # By its parent: whoever has the folder itself open is one who still uses it.
    with _opened(folder.parent) as descriptor:
        while True:
            argument = bytearray(_SPECIFIER.pack(_IDENTIFIER, 0, identifier) + bytes(24))
            try:
                fcntl.ioctl(descriptor, _REMOVE_KEY, argument)
            except OSError as error:
                if error.errno == errno.ENOKEY:
                    return
                raise VaultError(f"The kernel keeps the key ({error.strerror})") from error
            (flags,) = struct.unpack_from("=I", argument, _SPECIFIER.size)
            if not flags & _STILL_OPEN:
                return
            if time.monotonic() > deadline:
                raise VaultBusyError("Some downloads are still open, and readable until closed")
            time.sleep(0.05)


def key_status(folder: Path, identifier: bytes) -> KeyStatus:
    """Return what the kernel has of a key.

    Raises:
        VaultError: it does not say.
    """
    argument = bytearray(_SPECIFIER.pack(_IDENTIFIER, 0, identifier) + bytes(88))
    with _opened(folder) as descriptor:
        try:
            fcntl.ioctl(descriptor, _GET_KEY_STATUS, argument)
        except OSError as error:
            raise VaultError(f"The kernel does not tell of keys ({error.strerror})") from error
    (status,) = struct.unpack_from("=I", argument, _SPECIFIER.size + 24)
    return KeyStatus(status)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise VaultError(f"{folder} cannot be opened ({error.strerror})") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Fscrypt:
    """A vault in the kernel's own hands."""

    name: BackendName = "fscrypt"
    key_size = KEY_SIZE

    def __init__(self, folder: Path) -> None:
        """Look after a folder; see `Backend`."""
        self._folder = folder

    def exists(self) -> bool:
        """See `Backend`."""
        try:
            return self._folder.is_dir() and policy(self._folder) is not None
        except VaultError:
            return False

    def obstacle(self) -> str | None:
        """See `Backend`."""
        try:
            found = policy(self._folder)
        except VaultError as error:
            return str(error)
        if found is not None and found.version != _VERSION_2:
            return "somebody else has encrypted the folder, in an older way"
        return None

    def is_open(self) -> bool:
        """See `Backend`."""
        found = policy(self._folder)
        return (
            found is not None and key_status(self._folder, found.identifier) is not KeyStatus.ABSENT
        )

    def prepare(self, owner: Owner | None) -> None:
        """See `Backend`; an ordinary user can do it all."""

    def unlock(self, key: bytes) -> None:
        """See `Backend`."""
        found = policy(self._folder)
        identifier = add_key(self._folder, key)
        if found is None:
            encrypt(self._folder, identifier=identifier)
        elif found.identifier != identifier:
            remove_key(self._folder, identifier)
            raise WrongVaultKeyError(self._folder)

    def lock(self) -> None:
        """See `Backend`."""
        found = policy(self._folder)
        if found is not None:
            remove_key(self._folder, found.identifier)

    async def watch(self) -> None:
        """See `Backend`; a kernel does not end before us."""
        await asyncio.Event().wait()
