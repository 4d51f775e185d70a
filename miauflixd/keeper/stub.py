"""The stub resolver's process: `python -m miauflixd.keeper.stub CONTROL LISTENER`.

It runs confined like the engine, answers on the namespace's loopback, and asks all upstreams at
once. CONTROL is one end of a socket pair over which the keeper says whom to ask; LISTENER is the
socket with the questions. Why it is ours: docs/decisions/0008-stub-resolver.md.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from miauflixd.keeper import dns_messages as dns
from miauflixd.keeper.dns_messages import MalformedError, Query, Reply
from miauflixd.runtime import logs
from miauflixd.runtime.messages import Channel, ChannelClosedError

logger = logging.getLogger(__name__)

_PORT = 53

_TRIES = (0.3, 0.6, 1.2, 2.4, 5.5)
"""Seconds to wait for each upstream before asking it again; in all longer than a client waits for
the answer to one question (resolv.conf in `keeper.namespace`)."""

_GRACE = 2.0
"""Seconds that the others have left once one upstream has failed to answer the question.

libtorrent remembers a failure for 150 s, so it must not be one upstream's mood; but it also asks
one name after the other, so a name that is really broken must not hold up the rest for long."""

_CONCURRENT = 256
"""Questions under way at most; what is beyond goes unanswered, and is asked again."""

_CACHED = 2048
_KEPT_AT_MOST = 3600.0
_DENIALS_KEPT_AT_MOST = 60.0
_DATAGRAM = 65535

_SOMEWHERE = "2001:500:2::c"
"""The c root server: what is meant is any address of the internet."""

_NOT_THE_INTERNETS = frozenset({b"local", b"localhost", b"onion", b"internal"})
"""Names that mean something only elsewhere; plain ones without any dot are treated like them."""


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask from now on; everything that was answered so far is forgotten."""

    upstreams: list[str]


@dataclass(slots=True, eq=False)
class _Pending:
    """A question under way, and everybody who has asked it."""

    query: Query
    task: asyncio.Task[None] | None = None
    askers: dict[tuple[bytes, Any], Query] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Kept:
    reply: Reply
    until: float


class Stub(asyncio.DatagramProtocol):
    """Answers questions, each by the fastest upstream that has an answer.

    - The first upstream that says "these" or "none" wins. An error, or an address that is not on
      the internet, is only believed when no other upstream has said better within `_GRACE`.
    - When nobody answers, nobody is answered: a client then waits and asks again, whereas it would
      remember a failure. Having no way out at all counts as nobody answering.
    """

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._use = Use(upstreams=[])
        self._pending: dict[bytes, _Pending] = {}
        self._cache: dict[bytes, _Kept] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def use(self, use: Use) -> None:
        """Ask these from now on, also what is under way."""
        self._use = use
        self._cache.clear()
        for pending in self._pending.values():
            self._begin(pending)

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the listening socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer a question, now or later."""
        try:
            query = dns.read_query(data)
        except MalformedError:
            return
        if answer := self._at_hand(query):
            self._send(answer, addr)
            return
        pending = self._pending.get(query.key)
        if pending is None:
            if len(self._pending) >= _CONCURRENT:
                return
            pending = self._pending[query.key] = _Pending(query)
            self._begin(pending)
        # A client that asks again while we are at it gets one answer.
        pending.askers[query.id, addr] = query

    def error_received(self, exc: Exception) -> None:
        """Ignore that a client did not wait for its answer."""

    # --- answers ---

    def _at_hand(self, query: Query) -> bytes | None:
        """Return the answer if nobody needs to be asked for it."""
        if query.labels and (len(query.labels) == 1 or query.labels[-1] in _NOT_THE_INTERNETS):
            return dns.empty_reply(query, dns.NO_SUCH_NAME)
        if query.type == dns.AAAA and not _has_ipv6():
            return dns.empty_reply(query, dns.NO_ERROR)
        kept = self._cache.get(query.key)
        left = kept.until - asyncio.get_running_loop().time() if kept else 0
        if kept is None or left <= 0:
            return None
        return dns.addressed(kept.reply, query, lifetime=int(left))

    def _begin(self, pending: _Pending) -> None:
        """Ask the upstreams of this moment."""
        if pending.task is not None:
            pending.task.cancel()
        pending.task = self._group.create_task(self._settle(pending), name="question")

    async def _settle(self, pending: _Pending) -> None:
        reply = await self._race(pending.query)
        # No await from here on: nobody can join a question that is settled already.
        del self._pending[pending.query.key]
        if reply is None:
            return
        private = not all(map(dns.is_public, reply.addresses))
        if reply.definite and not private:
            self._keep(pending.query, reply)
        for (_, asker), query in pending.askers.items():
            if private:
                self._send(dns.empty_reply(query, dns.NO_SUCH_NAME), asker)
            elif reply.definite:
                self._send(dns.addressed(reply, query), asker)
            else:
                self._send(dns.empty_reply(query, dns.SERVER_FAILURE), asker)

    def _keep(self, query: Query, reply: Reply) -> None:
        seconds = min(reply.lifetime, _KEPT_AT_MOST if reply.addresses else _DENIALS_KEPT_AT_MOST)
        if seconds <= 0:
            return
        if len(self._cache) >= _CACHED:
            del self._cache[next(iter(self._cache))]  # the one that was learnt first
        until = asyncio.get_running_loop().time() + seconds
        self._cache[query.key] = _Kept(reply=reply, until=until)

    def _send(self, message: bytes, asker: Any) -> None:
        # However long: what glibc limits to 512 bytes is what it tells servers, not what it reads,
        # and nothing on a loopback needs to be fetched again over TCP.
        if self._transport is not None:
            self._transport.sendto(message, asker)

    # --- the race ---

    async def _race(self, query: Query) -> Reply | None:
        """Return the best that the upstreams say; `None`: nothing."""
        replies: asyncio.Queue[Reply] = asyncio.Queue()
        async with asyncio.TaskGroup() as racing:
            racers = [
                racing.create_task(_ask(upstream, query, replies), name="upstream")
                for upstream in self._use.upstreams
            ]
            try:
                return await _best(replies, len(racers))
            finally:
                for racer in racers:
                    racer.cancel()


async def _best(replies: asyncio.Queue[Reply], upstreams: int) -> Reply | None:
    worst: Reply | None = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(sum(_TRIES)) as limit:
            failures = 0
            while failures < upstreams or not upstreams:
                reply = await replies.get()
                if reply.definite and all(map(dns.is_public, reply.addresses)):
                    return reply
                failures += 1
                if worst is None:
                    worst = reply
                    now = asyncio.get_running_loop().time()
                    limit.reschedule(min(now + _GRACE, limit.when() or now))
    return worst


async def _ask(upstream: str, query: Query, replies: asyncio.Queue[Reply]) -> None:
    """Ask until an answer has come, from a port and by a number that nobody can guess."""
    asked = dns.read_query(os.urandom(2) + query.message[2:])
    for seconds in _TRIES:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                try:
                    reply = await _exchange(upstream, asked)
                except OSError:  # no way out just now
                    await asyncio.Event().wait()
                else:
                    replies.put_nowait(reply)
                    return


async def _exchange(upstream: str, query: Query) -> Reply:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in upstream else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)  # noqa: FBT003 -- its only argument
        await loop.sock_connect(connection, (upstream, _PORT))
        await loop.sock_sendall(connection, query.message)
        while True:
            datagram = await loop.sock_recv(connection, _DATAGRAM)
            with contextlib.suppress(MalformedError):
                reply = dns.read_reply(datagram, query)
                return await _whole(upstream, query) if reply.truncated else reply


async def _whole(upstream: str, query: Query) -> Reply:
    """Ask again where there is room for the answer.

    Raises:
        OSError: there is no connection to be had, or it breaks.
        MalformedError: the answer is none.
    """
    reader, writer = await asyncio.open_connection(upstream, _PORT)
    try:
        writer.write(len(query.message).to_bytes(2) + query.message)
        length = int.from_bytes(await reader.readexactly(2))
        return dns.read_reply(await reader.readexactly(length), query)
    except EOFError as error:
        raise ConnectionError("the upstream hung up") from error
    finally:
        writer.close()


def _has_ipv6() -> bool:
    """Return whether there is a way to the IPv6 internet; asking the kernel sends nothing."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as connection:
        try:
            connection.connect((_SOMEWHERE, _PORT))
        except OSError:
            return False
    return True


async def _main(control: socket.socket, listener: socket.socket) -> None:
    channel: Channel[Use, Use] = await Channel.open(control, decoder=msgspec.msgpack.Decoder(Use))
    try:
        async with asyncio.TaskGroup() as questions:
            stub = Stub(questions)
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: stub, sock=listener)
            while True:
                stub.use(await channel.receive())
    finally:
        await channel.aclose()


def main() -> None:
    """Answer questions for as long as the keeper keeps its end open."""
    logs.to_stderr("INFO")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keeper says when it is time
    control, listener = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    try:
        asyncio.run(_main(control, listener))
    except* ChannelClosedError:
        logger.debug("The keeper is done with us, or gone")


if __name__ == "__main__":
    main()
