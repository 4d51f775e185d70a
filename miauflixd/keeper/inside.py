"""Doing something in a namespace without going there oneself.

A thread that lives only for that enters it, so that nothing which runs later can find itself on
the wrong side: a thread of a pool would stay inside for ever, and the loop's thread must never go.
It costs 0.15 ms.
"""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import TypeVar

from pyroute2 import netns

T = TypeVar("T")


def inside(namespace: int, function: Callable[[], T]) -> T:
    """Call a function, which must not wait for anybody, in the namespace of this descriptor.

    Raises:
        OSError: the namespace cannot be entered.
        Exception: what the function raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def enter_and_call() -> None:
        try:
            # Without `flags=0` pyroute2 would make a namespace that is not there.
            netns.setns(namespace, flags=0)
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = Thread(target=enter_and_call, name="inside")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def socket_inside(namespace: int, family: int, kind: int, protocol: int = 0) -> socket.socket:
    """Make a socket that belongs to the namespace, whoever uses it."""
    return inside(namespace, lambda: socket.socket(family, kind, protocol))


def set_sysctls(namespace: int, values: Mapping[str, str]) -> None:
    """Write these files below /proc/sys/net; the kernel shows each thread those of its namespace.

    Raises:
        FileNotFoundError: this kernel has no such setting.
    """

    def write() -> None:
        for name, value in values.items():
            Path("/proc/sys/net", name).write_text(value)

    inside(namespace, write)
