"""A keeper without privileges: as a program it says what a keeper says, and has no tunnel."""

import asyncio
import os
import socket
import sys
from pathlib import Path

from miauflixd.keeper.messages import (
    COMMANDS,
    Command,
    Configure,
    EngineEnded,
    EngineStarted,
    Event,
    KillEngine,
    Ready,
    Refused,
    StartEngine,
    Stop,
)
from miauflixd.runtime.messages import Channel, ChannelClosedError
from miauflixd.torrents.launching import EngineChild, PlainLauncher

SECRET_NAME = "CREDENTIALS_DIRECTORY"


async def main(mode: str, diary: Path, descriptor: int) -> int:
    """Behave as `mode` says, and write down how it ended."""
    channel: Channel[Command, Event] = await Channel.open(
        socket.socket(fileno=descriptor), decoder=COMMANDS
    )
    if SECRET_NAME in os.environ:
        diary.write_text("it knows more than it should")
        return 4
    async with asyncio.TaskGroup() as group:
        return await converse(mode, diary, channel, group)


async def converse(  # noqa: C901, PLR0912 - a script, a line for each command and mode
    mode: str, diary: Path, channel: Channel[Command, Event], group: asyncio.TaskGroup
) -> int:
    """Do as one is told; return the exit status."""
    try:
        while True:
            command, received = await channel.receive_with_descriptors()
            match command:
                case Configure() if mode == "dies at once":
                    return 3
                case Configure(namespace=namespace) if mode == "refuses":
                    channel.send(Refused(problems=["There is no TUN.", f"Nor a {namespace}."]))
                case Configure():
                    channel.send(Ready(backend="wireguard-go", adopted=False))
                    if mode == "dies":
                        return 3
                case StartEngine() if mode == "starts no engine":
                    channel.send(EngineEnded(status=1))
                case StartEngine() if mode == "has an engine":
                    with socket.socket(fileno=received[0]) as end:
                        engine = await PlainLauncher().launch(end)
                    channel.send(EngineStarted(pid=engine.pid))
                    group.create_task(tell_of_end(engine, channel))
                case StartEngine():
                    with socket.socket(fileno=received[0]) as end:
                        end.sendall(b"hello from inside")
                    channel.send(EngineStarted(pid=4242))
                    if mode == "dies with the engine":
                        return 3
                case KillEngine():
                    channel.send(EngineEnded(status=-9))
                case Stop() if mode != "does not stop":
                    diary.write_text("stopped")
                    return 0
                case _:
                    pass
    except ChannelClosedError:
        diary.write_text("left alone")
        return 0


async def tell_of_end(engine: EngineChild, channel: Channel[Command, Event]) -> None:
    channel.send(EngineEnded(status=await engine.wait()))


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
