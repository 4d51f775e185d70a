"""One daemon for one data directory."""

import fcntl
import os
from pathlib import Path

from miauflixd.errors import ConflictError


class OccupiedError(ConflictError):
    """Another process of ours uses the directory."""

    code = "occupied"


def occupy(folder: Path) -> int:
    """Take a directory for this process, and for those that inherit the descriptor; return that.

    It is free again when all of them have ended, however they end.

    Raises:
        OccupiedError: it is taken.
        OSError: it is not there.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OccupiedError(f"Another miauflixd is using {folder}") from None
    except OSError:
        pass  # a file system without locks, such as some of the network
    return descriptor
