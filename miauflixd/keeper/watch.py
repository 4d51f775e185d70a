"""Being told at once when something changes in a namespace.

The kernel says so by multicast: links, addresses and routes on one socket, rules on another. What
changed is not read: whoever is told looks at all of it, which costs 2 ms, and misses nothing when
the kernel had more to say than the socket could hold.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from miauflixd.keeper.namespace import NETLINK_NETFILTER, Namespace

LINKS_AND_ROUTES: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR and _IPV6_ROUTE (linux/rtnetlink.h)."""

RULES: Final = 1 << (7 - 1)
"""NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h)."""


@contextmanager
def watching(namespace: Namespace, changed: Callable[[], None]) -> Iterator[None]:
    """Call `changed` for the length of the block, some time after each change.

    Our own changes are told of like those of others, and several may come as one.
    """
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        for protocol, groups in (
            (socket.NETLINK_ROUTE, LINKS_AND_ROUTES),
            (NETLINK_NETFILTER, RULES),
        ):
            notices = stack.enter_context(
                namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
            )
            notices.settimeout(0)
            notices.bind((0, groups))
            loop.add_reader(notices, _told, notices, changed)
            stack.callback(loop.remove_reader, notices)
        yield


def _told(notices: socket.socket, changed: Callable[[], None]) -> None:
    while True:
        try:
            notices.recv(1)  # the rest of each message is thrown away
        except BlockingIOError:
            break
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # which says that more happened than can be told
                raise
    changed()
