"""Giving up privileges for good, and proof that they are gone.

Credentials and capabilities belong to a thread, capabilities(7), and what is done here is done to
the calling one. So it has to be the only one: those that it starts later have no more than it has.
"""

import ctypes
import os
import pwd
from collections.abc import Collection, Mapping
from pathlib import Path

from miauflixd.errors import MiauflixdError, SettingsError

_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""In the order of their numbers, linux/capability.h."""

# linux/prctl.h
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_CAPABILITY_VERSION_3 = 0x20080522
"""Two words of 32 bits for each set, linux/capability.h."""

_MOST_CAPABILITIES = 64

_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
"""A thread's capabilities, in the words of proc_pid_status(5)."""


class PrivilegesError(MiauflixdError):
    """Privileges could not be given up as they must be, or some that are needed are missing."""

    code = "privileges"


def drop(user: str) -> None:
    """Become an ordinary user, with no way back for this process and all that it starts.

    Afterwards it has no capabilities, not even a bound within which a program could give it some,
    no program that it executes brings any (no_new_privs), and other processes of the same user can
    neither trace it nor read its memory.

    Args:
        user: the name; not one of root's.

    Raises:
        SettingsError: there is no such user, or it is root.
        PrivilegesError: the process is not root, has threads, or did not become what it should.
    """
    owner = account(user)
    _require_one_thread()
    if os.geteuid() != 0:
        raise PrivilegesError(f"Only root can become the user {user!r}")
    groups = os.getgrouplist(user, owner.pw_gid)
    try:
        _bound(())  # first of all: it needs CAP_SETPCAP
        os.setgroups(groups)
        os.setresgid(owner.pw_gid, owner.pw_gid, owner.pw_gid)
        os.setresuid(owner.pw_uid, owner.pw_uid, owner.pw_uid)
        # A change of user clears all sets but the inheritable one.
        _set_capabilities(0)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        # Last: a change of user sets it anew.
        _prctl(_PR_SET_DUMPABLE, 0)
    except OSError as error:
        raise PrivilegesError(f"Privileges cannot be given up: {error.strerror}") from error
    expected = {name: _hexadecimal(0) for name in _SETS} | {
        "NoNewPrivs": "1",
        "Uid": "\t".join([str(owner.pw_uid)] * 4),
        "Gid": "\t".join([str(owner.pw_gid)] * 4),
        "Groups": " ".join(map(str, sorted(set(groups)))),
    }
    _require(expected)


def keep_only(capabilities: Collection[str]) -> None:
    """Give up all capabilities but these, also for programs that are executed later.

    A program that root executes gets all that the bounding set has: so what is named here is what
    children of this process can have, too.

    Args:
        capabilities: names such as `CAP_NET_ADMIN`.

    Raises:
        PrivilegesError: some of these are missing, the process has threads, or it did not work.
        ValueError: there is no capability of such a name.
    """
    if unknown := sorted(set(capabilities).difference(_CAPABILITIES)):
        raise ValueError(f"no capabilities: {', '.join(unknown)}")
    numbers = {name: _CAPABILITIES.index(name) for name in capabilities}
    _require_one_thread()
    permitted = int(_status()["CapPrm"], 16) & int(_status()["CapBnd"], 16)
    if missing := sorted(name for name, number in numbers.items() if not permitted >> number & 1):
        raise PrivilegesError(f"This process lacks {', '.join(missing)}; root has them as a rule")
    kept = sum(1 << number for number in numbers.values())
    try:
        _bound(numbers.values())
        _set_capabilities(kept)
    except OSError as error:
        raise PrivilegesError(f"Capabilities cannot be given up: {error.strerror}") from error
    held = _hexadecimal(kept)
    none = _hexadecimal(0)
    _require({"CapInh": none, "CapPrm": held, "CapEff": held, "CapBnd": held, "CapAmb": none})


def account(user: str) -> pwd.struct_passwd:
    """Return what is known of the user that a daemon of root's is to run as.

    Raises:
        SettingsError: there is none of this name, or it is root.
    """
    try:
        found = pwd.getpwnam(user)
    except (KeyError, ValueError):
        raise SettingsError(
            f"There is no user {user!r} to run as\n"
            f"  hint: useradd --system --no-create-home --shell /usr/sbin/nologin {user}"
        ) from None
    if found.pw_uid == 0 or found.pw_gid == 0:
        raise SettingsError(f"The user {user!r} to run as has root's privileges; name another one")
    return found


def _require_one_thread() -> None:
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    if threads != 1:
        raise PrivilegesError(
            f"This process has {threads} threads; the others would keep their privileges"
        )


def _bound(kept: Collection[int]) -> None:
    """Empty the bounding set but for these."""
    for number in range(_MOST_CAPABILITIES):
        try:
            has = _prctl(_PR_CAPBSET_READ, number)
        except OSError:  # the kernel knows no more: it says EINVAL
            return
        if has and number not in kept:
            _prctl(_PR_CAPBSET_DROP, number)


def _set_capabilities(kept: int) -> None:
    """Have just these effective and permitted, and pass none on."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    # Effective, permitted and inheritable: of the lower numbers, then of the higher ones.
    sets = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    _call("capset", ctypes.byref(header), ctypes.byref(sets))


def _prctl(option: int, argument: int) -> int:
    # Variadic in C: without the type an int would leave half of its register undefined.
    return _call("prctl", option, *map(ctypes.c_ulong, (argument, 0, 0, 0)))


def _call(name: str, *arguments: object) -> int:
    result: int = ctypes.CDLL(None, use_errno=True)[name](*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _status() -> Mapping[str, str]:
    """Return what the kernel says of this thread."""
    text = Path("/proc/thread-self/status").read_text(encoding="utf-8", errors="replace")
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in lines}


def _require(expected: Mapping[str, str]) -> None:
    """Believe nothing that the kernel does not say itself."""
    status = _status()
    wrong = [
        f"{name} is {status.get(name)!r} and not {value!r}"
        for name, value in expected.items()
        if status.get(name) != value
    ]
    if wrong:
        raise PrivilegesError(f"Privileges were not given up: {', '.join(wrong)}")


def _hexadecimal(capabilities: int) -> str:
    return f"{capabilities:016x}"
