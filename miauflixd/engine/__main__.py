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
from miauflixd.runtime.services import running


async def _main(end: socket.socket) -> None:
    channel: Channel[Command, Event] = await Channel.open(end, decoder=COMMANDS)
    try:
        first = await channel.receive()
        if not isinstance(first, Configure):
            raise TypeError("the first command must be Configure")
        session = Session(configure=first, emit=channel.send)
        async with running("session", session.run):
            # One turn of the loop, so that the session is running before it is spoken to.
            await asyncio.sleep(0)
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
