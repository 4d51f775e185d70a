"""The engine's process: `python -m miauflixd.engine FD`, FD being one end of a socket pair.

It lives as long as the house keeps the other end open.
"""

import asyncio
import logging
import signal
import socket
import sys

from miauflixd.engine.messages import COMMANDS, Command, Configure, Event
from miauflixd.engine.session import Session
from miauflixd.runtime import logs
from miauflixd.runtime.messages import Channel, ChannelClosedError


async def _main(end: socket.socket) -> None:
    channel: Channel[Command, Event] = await Channel.open(end, decoder=COMMANDS)
    try:
        first = await channel.receive()
        if not isinstance(first, Configure):
            raise TypeError("the first command must be Configure")
        async with Session.open(configure=first, emit=channel.send) as session:
            while True:
                session.handle(await channel.receive())
    finally:
        await channel.aclose()


def main() -> None:
    """Run the engine on the socket whose number is the only argument."""
    logs.to_stderr("INFO")
    # Ctrl-C in a terminal reaches the whole process group; the house says when it is time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(_main(socket.socket(fileno=int(sys.argv[1]))))
    except* ChannelClosedError:
        logging.getLogger(__name__).debug("The house is done with us, or gone")


if __name__ == "__main__":
    main()
