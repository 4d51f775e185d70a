"""Where the master key comes from: a secret that was handed over, or a file of our own."""

import base64
import os
import re
import secrets
import stat
from pathlib import Path

from miauflixd.errors import SettingsError
from miauflixd.runtime.secrets import Secret
from miauflixd.vault.sealing import KEY_SIZE

_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_BASE64 = re.compile(r"[0-9A-Za-z+/_-]{43}=?")

_FILE_NAME = "sealing.key"

_FILE_LIMIT = 1024
"""Bytes to read of a key file at most; a key in it takes 45."""


class WrongKeyError(SettingsError):
    """The database was sealed with another key than the one at hand."""

    code = "wrong_sealing_key"


def master_key(secret: Secret | None, *, folder: Path) -> bytes:
    """Return the key of this house: the secret, or else that in the folder's `sealing.key`.

    The file is made when there is none.

    Raises:
        SettingsError: the secret is no key, or the file holds none or is not kept to ourselves.
    """
    if secret is not None:
        key = _parsed(secret.reveal())
        if key is None:
            raise SettingsError(
                "storage.sealing_key must be 32 bytes as base64 (44 characters) or as hexadecimal "
                "digits (64); `openssl rand -base64 32` makes one"
            )
        return key
    file = folder / _FILE_NAME
    try:
        if not file.exists():
            _create(file)
        return _read(file)
    except OSError as error:
        raise SettingsError(
            f"The key file {file} cannot be read or written ({error.strerror})"
        ) from error


def _parsed(text: str) -> bytes | None:
    text = text.strip()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if _BASE64.fullmatch(text):
        # Both alphabets: 62 and 63 are "-_" in a URL and "+/" elsewhere.
        urlsafe = text.rstrip("=").translate(str.maketrans("+/", "-_")) + "="
        return base64.urlsafe_b64decode(urlsafe)
    return None


def _read(file: Path) -> bytes:
    # Without waiting, should it be a pipe.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        # Of what was opened, not of the name: nobody can exchange it in between.
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise SettingsError(f"The key file {file} is not a file")
        if mode & 0o077:
            raise SettingsError(
                f"The key file {file} is open to others (mode {stat.S_IMODE(mode):04o}). "
                f"Make it yours alone: chmod 600 {file}"
            )
        content = opened.read(_FILE_LIMIT)
    key = _parsed(content.decode("ascii", "replace"))
    if key is None:
        raise SettingsError(
            f"The key file {file} does not hold a key of {KEY_SIZE} bytes. Put back the one that "
            "was there: without it nothing in the database can be unsealed"
        )
    return key


def _create(file: Path) -> None:
    # Text, so that a person can copy it into a safe place or a systemd credential.
    content = base64.b64encode(secrets.token_bytes(KEY_SIZE)) + b"\n"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written and synced under another name first: a key file is whole or absent, and a database
    # is never sealed with a key that a power failure can take away.
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
        try:
            # A link never replaces: of two processes that start at once, the second uses the first
            # one's.
            os.link(draft, file)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
