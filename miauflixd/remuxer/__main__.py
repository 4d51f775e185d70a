"""A worker's process: `python -m miauflixd.remuxer FD`, FD being one end of a socket pair.

It lives as long as the house keeps the other end open.
"""

import importlib
import pkgutil
import signal
import socket
import sys

import av

from miauflixd.remuxer import confinement
from miauflixd.remuxer.conversation import Conversation
from miauflixd.remuxer.errands import Errands
from miauflixd.remuxer.messages import Ready


def _fetch_what_is_imported_late() -> None:
    """Import what PyAV would when a file has it; a shut-in process finds nothing any more."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in ("av.__main__", "av.datasets"):
            importlib.import_module(module.name)


def main() -> None:
    """Run the worker on the socket whose number is the only argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What FFmpeg says of a file names what is in it.
    av.logging.set_level(av.logging.PANIC)
    house = Conversation(socket.socket(fileno=int(sys.argv[1])))
    _fetch_what_is_imported_late()
    confinement.settle()
    house.say(Ready(shut_in=confinement.shut_in()))
    Errands(house).run()


if __name__ == "__main__":
    main()
