"""Which bytes of a file the kernel has in memory, mincore(2)."""

import ctypes
import mmap
import os

_PROT_READ = 1
_MAP_SHARED = 1
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
    ctypes.c_int64,
)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


def resident(descriptor: int, offset: int, length: int) -> int:
    """Return how many bytes from an offset on are in memory, up to so many.

    Nothing is read, and of other people's files nothing is told: then it is 0.

    Raises:
        OSError: it cannot be found out.
    """
    start = offset - offset % mmap.PAGESIZE
    size = offset + length - start
    # By hand: Python's own mapping hides its address when it is only for reading.
    address = _libc.mmap(None, size, _PROT_READ, _MAP_SHARED, descriptor, start)
    if address == _FAILED:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        pages = (ctypes.c_ubyte * (-(-size // mmap.PAGESIZE)))()
        if _libc.mincore(address, size, pages):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        _libc.munmap(address, size)
    missing = bytes(pages).find(0)
    if missing < 0:
        return length
    return max(0, start + missing * mmap.PAGESIZE - offset)
