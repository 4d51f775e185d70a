"""Sealing: what is written to the disk is unreadable, and unforgeable, without the key."""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from miauflixd.errors import MiauflixdError

KEY_SIZE = 32
"""Bytes of a master key: AES-256."""

_VERSION = b"\x01"
"""The first byte of everything sealed, by which a later way of sealing can tell this one."""

_NONCE_SIZE = 12
"""Bytes. Random ones are safe up to 2**32 sealings under one key (NIST SP 800-38D, 8.3): saving
four values a second, that is thirty years."""

_TAG_SIZE = 16


class UnsealError(MiauflixdError):
    """Something sealed was changed, cut, moved, or sealed with another key."""

    code = "unseal_failed"


class Sealer:
    """Seals values with one master key. It may be used from any thread."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a master key has {KEY_SIZE} bytes")
        # One key for each use: what is learnt about one of them tells nothing of the other.
        self._cipher = AESGCM(_derived(key, b"miauflixd sealing 1"))
        self._fingerprint_key = _derived(key, b"miauflixd fingerprint 1")

    def seal(self, plaintext: bytes, *, purpose: str) -> bytes:
        """Return the value, sealed; the same value gives different bytes each time.

        `purpose` says what it is and where it belongs, and is needed again to unseal: a sealed
        value that was moved to another place does not open there.
        """
        nonce = os.urandom(_NONCE_SIZE)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, _context(purpose))

    def unseal(self, sealed: bytes, *, purpose: str) -> bytes:
        """Return what was sealed for this purpose with this key.

        Raises:
            UnsealError: that is not what this is.
        """
        if len(sealed) < len(_VERSION) + _NONCE_SIZE + _TAG_SIZE:
            raise UnsealError("A sealed value is cut short")
        if not sealed.startswith(_VERSION):
            raise UnsealError("A sealed value is of a kind that this version does not know")
        nonce, ciphertext = sealed[1 : 1 + _NONCE_SIZE], sealed[1 + _NONCE_SIZE :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, _context(purpose))
        except InvalidTag as error:
            raise UnsealError(
                "A sealed value was changed, or was sealed with another key or for another purpose"
            ) from error

    def fingerprint(self, value: bytes, *, purpose: str) -> bytes:
        """Return 32 bytes by which a value is found again, and that tell nothing without the key.

        The same value has the same fingerprint for the same purpose, and another for any other.
        """
        # The length keeps purpose and value apart: no other pair gives the same message.
        name = purpose.encode()
        message = len(name).to_bytes(4, "big") + name + value
        return hmac.digest(self._fingerprint_key, message, "sha256")


def derived_key(key: bytes, *, use: str, size: int = KEY_SIZE) -> bytes:
    """Return bytes to encrypt with for one use; they tell nothing of the key, nor of others."""
    return _derived(key, b"miauflixd " + use.encode(), size)


def signing_key(key: bytes, *, purpose: str, key_id: str) -> bytes:
    """Return 32 bytes with which to sign for one purpose, under one name.

    They tell nothing of the master key, nor of what is derived under another purpose or name: a new
    name is a new key.
    """
    name = purpose.encode()
    return _derived(key, b"miauflixd signing 1" + len(name).to_bytes(4) + name + key_id.encode())


def _derived(key: bytes, use: bytes, size: int = KEY_SIZE) -> bytes:
    # No salt: the master key is random already, and there is nowhere to keep one beside it.
    return HKDF(algorithm=SHA256(), length=size, salt=None, info=use).derive(key)


def _context(purpose: str) -> bytes:
    return _VERSION + purpose.encode()
