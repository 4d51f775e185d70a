"""What must be on the machine before the keeper can do anything, and what to do about the rest."""

import os
import pwd
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from miauflixd.keeper import programs, raw_netlink
from miauflixd.keeper.firewall import rules_generation
from miauflixd.keeper.messages import Configure
from miauflixd.keeper.namespace import NETLINK_NETFILTER

CAPABILITIES: Final = {
    # Numbers from linux/capability.h.
    "CAP_DAC_OVERRIDE": (1, "write /run/netns and /etc/netns"),
    "CAP_KILL": (5, "end the engine"),
    "CAP_SETGID": (6, "start the engine as its own user"),
    "CAP_SETUID": (7, "start the engine as its own user"),
    "CAP_SETPCAP": (8, "start the engine without privileges"),
    "CAP_NET_ADMIN": (12, "set up interfaces, routes and rules"),
    "CAP_SYS_PTRACE": (19, "see in which namespace the engine's threads are"),
    "CAP_SYS_ADMIN": (21, "make namespaces"),
}

PROGRAMS: Final = {
    # Each with the package that brings it, on Debian and its descendants.
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ss": "iproute2",
    "unshare": "util-linux",
    "wg": "wireguard-tools",
}

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,11}")
"""Interfaces are named after it, with a digit; the kernel takes 15 characters."""


def problems(configure: Configure) -> list[str]:
    """Return what is missing, one sentence each with what to do about it; it takes 10 ms."""
    return [
        *_bad_name(configure.namespace),
        *_unknown_user(configure.user),
        *_missing_capabilities(),
        *_missing_programs(),
        *_missing_kernel_parts(),
    ]


def _bad_name(namespace: str) -> Iterator[str]:
    if not NAME.fullmatch(namespace):
        yield (
            f"{namespace!r} cannot be a namespace's name: use 1 to 12 letters, digits, "
            "hyphens or underscores, a letter first."
        )


def _unknown_user(user: str) -> Iterator[str]:
    try:
        pwd.getpwnam(user)
    except KeyError:
        yield (
            f"There is no user {user!r} for the engine to run as: make it with "
            f"`useradd --system --no-create-home {user}`."
        )


def _missing_capabilities() -> Iterator[str]:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    missing = {
        name: purpose
        for name, (number, purpose) in CAPABILITIES.items()
        if not effective >> number & 1
    }
    if missing and os.geteuid():
        yield (
            "The tunnel can only be set up by root: start miauflixd by its systemd unit or "
            'with sudo, or set vpn.mode = "off" if there is to be no tunnel.'
        )
        return
    for name, purpose in missing.items():
        yield (
            f"The right to {purpose} is missing ({name}): add it to CapabilityBoundingSet= of "
            "the systemd unit, or to the container's capabilities (--cap-add)."
        )


def _missing_programs() -> Iterator[str]:
    for name, package in PROGRAMS.items():
        if programs.find(name) is None:
            yield f"The program {name} is missing: install the package {package}."


def _missing_kernel_parts() -> Iterator[str]:
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
            rules_generation(raw_netlink.opened(kernel))
    except OSError as error:
        yield (
            f"The kernel has no nftables ({error}): load it with `modprobe nf_tables`, or use a "
            "kernel that has it."
        )
    if _has_wireguard():
        return
    if programs.find("wireguard-go") is None:
        yield (
            "There is no WireGuard: load it with `modprobe wireguard`, or install the package "
            "wireguard-go for kernels without it."
        )
    tun = Path("/dev/net/tun")
    try:
        os.close(os.open(tun, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        yield (
            f"{tun} cannot be used ({error.strerror}), and wireguard-go needs it: load it with "
            "`modprobe tun`, or hand it to the container (--device /dev/net/tun)."
        )


def _has_wireguard() -> bool:
    """Return whether the kernel makes WireGuard interfaces; the question loads its module."""
    ip = programs.find("ip")
    if ip is None:
        return False
    name = f"miauflix{os.getpid() % 100000}"
    made = subprocess.run(  # noqa: S603 - our own words, and no shell
        [ip, "link", "add", "name", name, "type", "wireguard"], capture_output=True, check=False
    )
    if made.returncode:
        return False
    subprocess.run(  # noqa: S603 - our own words, and no shell
        [ip, "link", "delete", "dev", name], capture_output=True, check=False
    )
    return True
