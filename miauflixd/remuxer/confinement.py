"""A process that takes a stranger's file apart shuts itself in first.

What it keeps is what it was given: one end of a socket pair and, through that, one file to read.
"""

import ctypes
import os
import re
import resource
import signal
import struct
from pathlib import Path

_SET_PDEATHSIG = 1
_SET_NO_NEW_PRIVS = 38
"""Options of prctl(2)."""

_CREATE_RULESET = 444
_ADD_RULE = 445
_RESTRICT_SELF = 446
"""Numbers of Landlock's system calls on every architecture (landlock(7))."""

_CREATE_RULESET_VERSION = 1

_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights over files each version of Landlock knows, where it brought new ones."""

_NET_SINCE = 4
_NET_RIGHTS = 0b11
"""To bind and to connect TCP."""

_MEMORY = 4 * 2**30
"""Bytes of addresses; a film with 4K pictures takes a quarter of them, FFmpeg's libraries most."""

_NICE = 5
"""Behind the house itself, which has others to serve."""


def settle() -> None:
    """Take only what is needed: memory within reason, and an end with the house's."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)


_PATH_BENEATH = 1
"""The type of a rule, linux/landlock.h."""

_WRITE_FILE, _READ_FILE, _READ_DIR, _IOCTL_DEVICE = 1 << 1, 1 << 2, 1 << 3, 1 << 15

_DEVICES = "/dev"
_ENCODERS = re.compile(r"video[0-9]+")
"""Devices that encode video, Video4Linux' memory-to-memory ones among them."""


def shut_in() -> bool:
    """Give up every file and TCP for good, and return whether this kernel can (Linux 5.13).

    But for what encodes pictures in hardware, where this machine has it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)
    if version < 1:
        return False
    rights = max(count for since, count in _FILE_RIGHTS.items() if since <= version)
    attributes = struct.pack("=Q", (1 << rights) - 1)
    if version >= _NET_SINCE:
        attributes += struct.pack("=Q", _NET_RIGHTS)
    rules = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        return False
    try:
        _keep_devices(libc, rules, handled=(1 << rights) - 1)
        return bool(libc.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _keep_devices(libc: ctypes.CDLL, rules: int, *, handled: int) -> None:
    try:
        names = [one.name for one in Path(_DEVICES).iterdir() if _ENCODERS.fullmatch(one.name)]
    except OSError:
        return
    if not names:
        return
    # FFmpeg looks for them by listing the folder.
    _allow(libc, rules, _DEVICES, _READ_DIR & handled)
    for name in names:
        rights = (_WRITE_FILE | _READ_FILE | _IOCTL_DEVICE) & handled
        _allow(libc, rules, f"{_DEVICES}/{name}", rights)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, descriptor)
        libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
