"""The keeper's process: `python -m miauflixd.keeper FD`, FD being one end of a socket pair.

Everything is built here, by hand and in reading order; each part is undone where it is made. The
house says when it is time to end. If it is gone without a word the engine ends, and tunnel and
namespace stay as they are for the next keeper to adopt.
"""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from miauflixd.keeper import prerequisites
from miauflixd.keeper.audit import NamespaceAuditor
from miauflixd.keeper.confinement import Confinement, EngineLauncher, User
from miauflixd.keeper.engine_room import EngineRoom
from miauflixd.keeper.line import Line
from miauflixd.keeper.messages import COMMANDS, Command, Configure, Event, Ready, Refused
from miauflixd.keeper.namespace import CONFIGURATION, Namespace
from miauflixd.keeper.netlink import Netlink
from miauflixd.keeper.probes import NamespaceProber
from miauflixd.keeper.resolver import StubResolver
from miauflixd.keeper.service import Ending, Service
from miauflixd.keeper.uplink import HostUplink
from miauflixd.keeper.wall_clock import WallClock
from miauflixd.keeper.watch import watching
from miauflixd.keeper.wireguard import Backend, WireGuardTunnel, usable_backend
from miauflixd.runtime import logs, privileges
from miauflixd.runtime.messages import Channel, ChannelClosedError

logger = logging.getLogger(__name__)

_TARGETS = (
    *("1.1.1.1", "9.9.9.9", "8.8.8.8"),
    *("2606:4700:4700::1111", "2620:fe::fe", "2001:4860:4860::8888"),
)
"""Addresses that are everywhere and answer echoes, where the settings name none of a family."""


class _Fate:
    """What becomes of tunnel and namespace when the keeper ends."""

    is_left: bool = False

    def keep(self) -> bool:
        """Return whether they are left to the next keeper."""
        return self.is_left


async def _main(end: socket.socket, *, obstacle: str | None) -> None:
    channel: Channel[Command, Event] = await Channel.open(end, decoder=COMMANDS)
    try:
        configure = await channel.receive()
        if not isinstance(configure, Configure):
            raise TypeError("the first command must be Configure")
        problems = prerequisites.problems(configure) or ([obstacle] if obstacle else [])
        if problems:
            channel.send(Refused(problems=problems))
            return
        await _keep(configure, channel)
    finally:
        await channel.aclose()


async def _keep(configure: Configure, channel: Channel[Command, Event]) -> None:
    fate = _Fate()
    async with AsyncExitStack() as stack:
        try:
            service = await _build(configure, channel, fate, stack)
        except OSError as error:
            logger.exception("The namespace cannot be set up")
            channel.send(Refused(problems=[f"The tunnel's namespace cannot be set up: {error}."]))
            return
        # From now on something may run in there that must not find itself outside.
        fate.is_left = True
        ending = await service.run()
        fate.is_left = ending is not Ending.STOPPED


async def _build(
    configure: Configure, channel: Channel[Command, Event], fate: _Fate, stack: AsyncExitStack
) -> Service:
    """Build everything; the stack takes it down again.

    Raises:
        OSError: the machine refuses.
    """
    name = configure.namespace
    disturbance = asyncio.Event()
    host = await stack.enter_async_context(
        Netlink.open(socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM))
    )
    backend = await usable_backend(host, f"{name}2")

    namespace, active_tunnel = await _tunnel(
        stack, name, f"{name}0", host=host, backend=backend, changed=disturbance, fate=fate
    )
    standby_namespace, standby_tunnel = await _tunnel(
        stack,
        f"{name}-standby",
        f"{name}1",
        host=host,
        backend=backend,
        changed=disturbance,
        fate=fate,
    )
    if standby_tunnel.adopted:
        # It may well be connected to the server that the active one is to use.
        await standby_tunnel.disconnect()

    confinement = Confinement(
        network=namespace.path,
        configuration=CONFIGURATION / name,
        user=User.named(configure.user),
        hidden=Path(configure.hidden) if configure.hidden else None,
        shown=Path(configure.shown) if configure.shown else None,
    )
    resolver = await stack.enter_async_context(
        StubResolver.open(socket_inside=namespace.socket, confinement=confinement)
    )
    engine_room = await stack.enter_async_context(
        EngineRoom.open(launcher=EngineLauncher(confinement), send=channel.send)
    )
    channel.send(Ready(backend=backend, adopted=active_tunnel.adopted))
    return Service(
        channel=channel,
        active=_line(stack, active_tunnel, namespace),
        standby=_line(stack, standby_tunnel, standby_namespace),
        uplink=HostUplink(host=host),
        resolver=resolver,
        auditor=NamespaceAuditor(namespace=namespace, engine=lambda: engine_room.pid),
        engine_room=engine_room,
        disturbance=disturbance,
        targets=_targets(configure.resolvers),
        resolvers=configure.resolvers,
        wall=WallClock(not_before=_certainly_past(configure)),
    )


async def _tunnel(
    stack: AsyncExitStack,
    name: str,
    interface: str,
    *,
    host: Netlink,
    backend: Backend,
    changed: asyncio.Event,
    fate: _Fate,
) -> tuple[Namespace, WireGuardTunnel]:
    """Build a namespace with its tunnel, and watch over both."""
    namespace = await stack.enter_async_context(
        Namespace.open(name, interface=interface, keep=fate.keep)
    )
    tunnel = await stack.enter_async_context(
        WireGuardTunnel.open(
            host=host,
            namespace=namespace,
            backend=backend,
            changed=changed.set,
            keep=fate.keep,
        )
    )
    stack.enter_context(watching(namespace, changed.set))
    return namespace, tunnel


def _line(stack: AsyncExitStack, tunnel: WireGuardTunnel, namespace: Namespace) -> Line:
    beyond, gateway = NamespaceProber(namespace.socket), NamespaceProber(namespace.socket)
    stack.callback(beyond.close)
    stack.callback(gateway.close)
    return Line(tunnel=tunnel, beyond=beyond, gateway=gateway)


def _targets(resolvers: Sequence[str]) -> tuple[str, ...]:
    """Return whom to send echoes: the resolvers, and others in a family that has none."""
    families = {":" in each for each in resolvers}
    return (*resolvers, *(each for each in _TARGETS if (":" in each) not in families))


def _certainly_past(configure: Configure) -> float:
    """Return when something was last written here, seconds since the epoch."""
    written = [Path(__file__), *map(Path, filter(None, [configure.hidden, configure.shown]))]
    return max(path.stat().st_mtime for path in written if path.exists())


def main() -> None:
    """Run the keeper on the socket whose number is the only argument."""
    logs.to_stderr("INFO")
    obstacle = None
    try:
        # Before anything else: it needs a process with a single thread.
        privileges.keep_only(prerequisites.CAPABILITIES)
    except privileges.PrivilegesError as error:
        obstacle = f"{error}."
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # The house says when it is time. Handled and not ignored: what is ignored stays so in
            # the programs that are started from here.
            loop.add_signal_handler(number, logger.debug, "Leaving signal %d to the house", number)
        end = socket.socket(fileno=int(sys.argv[1]))
        # It is the sign of our life, and a wireguard-go that outlives us must not show it.
        end.set_inheritable(False)
        try:
            runner.run(_main(end, obstacle=obstacle))
        except* ChannelClosedError:
            logger.debug("The house is gone before it has said what to do")


if __name__ == "__main__":
    main()
