"""What is mounted where, and mounting of FUSE file systems, fuse(4)."""

import ctypes
import os
import re
from pathlib import Path

from miauflixd.vault.backend import Owner
from miauflixd.vault.errors import VaultError

_MOUNTINFO = Path("/proc/self/mountinfo")

_OCTAL = re.compile(r"\\([0-7]{3})")

# linux/mount.h
_NOSUID = 2
_NODEV = 4
_NOEXEC = 8

DEVICE = Path("/dev/fuse")

MAX_READ = 131072
"""Bytes that the kernel asks for at once; what go-fuse and fusermount3 agree on, too."""


def kind_at(folder: Path) -> str | None:
    """Return the type of file system that is mounted just here, or `None` when none is.

    Without touching it: a FUSE file system whose program hangs would hang us, too.
    """
    wanted = os.path.realpath(folder.parent) + "/" + folder.name
    found = None
    for line in _MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields, _, rest = line.partition(" - ")
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields.split()[4])
        if point == wanted:
            found = rest.split()[0]  # the last one lies on top
    return found


def mount_fuse(folder: Path, *, kind: str, owner: Owner) -> int:
    """Mount a FUSE file system, and return the descriptor that its program serves it by.

    Others than the owner meet the permissions of its files. Needs `CAP_SYS_ADMIN`. Until the
    program answers, whoever looks into the folder waits.

    Raises:
        VaultError: it did not work.
    """
    try:
        descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise VaultError(f"{DEVICE} cannot be opened ({error.strerror})") from error
    options = (
        f"fd={descriptor},rootmode=40000,user_id={owner.uid},group_id={owner.gid},"
        f"default_permissions,allow_other,max_read={MAX_READ}"
    )
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.mount(
        *(kind.encode(), os.fsencode(folder), f"fuse.{kind}".encode()),
        *(ctypes.c_ulong(_NOSUID | _NODEV | _NOEXEC), options.encode()),
    )
    if failed:
        os.close(descriptor)
        raise VaultError(f"{folder} cannot be mounted ({os.strerror(ctypes.get_errno())})")
    return descriptor
