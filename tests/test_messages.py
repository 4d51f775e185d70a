"""Messages and descriptors between two ends of a socket pair."""

import array
import asyncio
import fcntl
import io
import os
import resource
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.runtime import messages
from miauflixd.runtime.messages import Channel, ChannelClosedError

MIB = 2**20


class Word(msgspec.Struct, frozen=True, tag=True):
    text: str


class Blob(msgspec.Struct, frozen=True, tag=True):
    data: bytes


Message = Word | Blob
DECODER: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
End = Channel[Message, Message]


@asynccontextmanager
async def channels() -> AsyncIterator[tuple[End, End]]:
    left, right = socket.socketpair()
    one: End = await Channel.open(left, decoder=DECODER)
    other: End = await Channel.open(right, decoder=DECODER)
    try:
        yield one, other
    finally:
        await other.aclose()
        await one.aclose()


@asynccontextmanager
async def channel_and_socket() -> AsyncIterator[tuple[End, socket.socket]]:
    """Give an end, and the bare socket at the other: for those who do not keep to the rules."""
    ours, theirs = socket.socketpair()
    with theirs:
        channel: End = await Channel.open(ours, decoder=DECODER)
        yield channel, theirs
        await channel.aclose()


def frame(body: bytes, descriptors: int = 0) -> bytes:
    return struct.pack(">IB", len(body), descriptors) + body


def words(*texts: str) -> bytes:
    return b"".join(frame(msgspec.msgpack.encode(Word(text))) for text in texts)


def rights(*descriptors: int) -> list[tuple[int, int, Any]]:
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


# --- messages -------------------------------------------------------------------------------------


async def test_messages_arrive_whole_and_in_order():
    sent: list[Message] = [
        Word("a"),
        Blob(os.urandom(3 * MIB)),
        Word(""),
        Blob(b""),
        Word("z" * 70_000),
    ]
    async with channels() as (one, other):
        for message in sent:
            one.send(message)
        assert [await other.receive() for _ in sent] == sent


async def test_both_may_talk_at_once_however_much():
    async with channels() as (one, other):
        for number in range(200):
            one.send(Blob(bytes([number]) * 50_000))
            other.send(Blob(bytes([number]) * 60_000))
        for number in range(200):
            assert await other.receive() == Blob(bytes([number]) * 50_000)
            assert await one.receive() == Blob(bytes([number]) * 60_000)


@given(cuts=st.lists(st.integers(0, 60), max_size=12))
def test_messages_may_arrive_in_any_pieces(cuts):
    stream = words("one", "", "three", "x" * 20)

    async def main() -> list[Message]:
        async with channel_and_socket() as (channel, theirs):
            edges = sorted({0, *(min(cut, len(stream)) for cut in cuts), len(stream)})
            for start, stop in pairwise(edges):
                theirs.send(stream[start:stop])
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            return [await channel.receive() for _ in range(4)]

    assert asyncio.run(main()) == [Word("one"), Word(""), Word("three"), Word("x" * 20)]


async def test_a_message_that_was_not_agreed_on_is_refused_and_the_next_one_is_not():
    async with channel_and_socket() as (channel, theirs):
        theirs.send(frame(b"\x93\x01\x02\x03") + words("fine"))
        with pytest.raises(msgspec.DecodeError):
            await channel.receive()
        assert await channel.receive() == Word("fine")


async def test_behind_a_frame_of_a_senseless_length_nothing_is_believed():
    async with channel_and_socket() as (channel, theirs):
        theirs.send(words("fine") + b"\xff\xff\xff\xff\x00" + words("never read"))
        assert await channel.receive() == Word("fine")
        for _ in range(2):
            with pytest.raises(msgspec.DecodeError, match="4294967295 bytes"):
                await channel.receive()


async def test_a_cancelled_receiver_loses_nothing():
    async with channels() as (one, other):
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await other.receive()
        one.send(Word("still here"))
        assert await other.receive() == Word("still here")


async def test_what_nobody_receives_is_not_read_without_end():
    async with channels() as (one, other):
        for number in range(64):
            one.send(Blob(bytes([number]) * (MIB // 4)))
        while one._unsent and other._reading:
            await asyncio.sleep(0.001)
        # All that is left to do would be to read what nobody wants.
        assert one._unsent
        assert other._waiting_bytes < 2 * MIB
        for number in range(64):
            assert await other.receive() == Blob(bytes([number]) * (MIB // 4))


# --- the end --------------------------------------------------------------------------------------


async def test_what_was_sent_before_the_close_arrives_and_then_it_is_over():
    ours, theirs = socket.socketpair()
    one: End = await Channel.open(ours, decoder=DECODER)
    other: End = await Channel.open(theirs, decoder=DECODER)
    one.send(Blob(bytes(3 * MIB)))
    one.send(Word("goodbye"))
    async with asyncio.TaskGroup() as group:
        group.create_task(one.aclose())
        assert await other.receive() == Blob(bytes(3 * MIB))
        assert await other.receive() == Word("goodbye")
        with pytest.raises(ChannelClosedError):
            await other.receive()
    one.send(Word("nobody hears this"))
    other.send(Word("nor this"))
    with pytest.raises(ChannelClosedError):
        await one.receive()
    await other.aclose()
    await other.aclose()


async def test_whoever_receives_is_told_when_the_own_end_is_closed():
    async with channels() as (one, _):
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(outcome(one))
            await asyncio.sleep(0)
            await one.aclose()
        assert isinstance(receiving.result(), ChannelClosedError)


async def outcome(channel: End) -> Exception | None:
    try:
        await channel.receive()
    except ChannelClosedError as error:
        return error
    return None


async def test_what_the_dead_said_last_is_still_heard():
    async with channel_and_socket() as (channel, theirs):
        theirs.send(words("help"))
        theirs.close()
        channel.send(Word("are you there?"))
        channel.send(Word("hello?"))
        assert await channel.receive() == Word("help")
        with pytest.raises(ChannelClosedError):
            await channel.receive()


async def test_closing_does_not_wait_for_somebody_who_is_stuck(monkeypatch):
    monkeypatch.setattr(messages, "_FLUSH_WITHIN", 0.05)
    async with channel_and_socket() as (channel, _):
        channel.send(Blob(bytes(3 * MIB)))
        await channel.aclose()


# --- descriptors ----------------------------------------------------------------------------------


async def test_a_descriptor_arrives_as_the_same_open_file_and_no_child_inherits_it():
    async with channels() as (one, other):
        reading, writing = os.pipe()
        one.send(Word("before"))
        one.send(Word("a pipe"), [writing])
        one.send(Word("after"))
        os.close(writing)
        assert await other.receive_with_descriptors() == (Word("before"), [])
        message, (received,) = await other.receive_with_descriptors()
        assert message == Word("a pipe")
        assert await other.receive_with_descriptors() == (Word("after"), [])
        assert fcntl.fcntl(received, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        os.write(received, b"through it")
        assert os.read(reading, 20) == b"through it"
        os.close(received)
        os.close(reading)


async def test_each_message_gets_its_own_descriptors_also_when_they_have_to_wait():
    async with channels() as (one, other):
        one.send(Blob(bytes(MIB)))  # more than the socket takes at once
        for number in range(20):
            with io.FileIO(os.memfd_create(str(number)), "w") as file:
                file.write(b"%d" % number)
                one.send(Word(str(number)), [file.fileno()])
            one.send(Word("between"))
        await other.receive()
        for number in range(20):
            message, (descriptor,) = await other.receive_with_descriptors()
            assert message == Word(str(number))
            assert os.pread(descriptor, 9, 0) == b"%d" % number
            os.close(descriptor)
            assert await other.receive() == Word("between")


async def test_descriptors_that_nobody_takes_are_closed():
    before = open_descriptors()
    async with channels() as (one, other):
        with Path(os.devnull).open() as file:
            for text in ("received without", "never received", "also never"):
                one.send(Word(text), [file.fileno()] * 3)
            one.send(Blob(bytes(3 * MIB)))
            one.send(Word("never even sent"), [file.fileno()])
        assert await other.receive() == Word("received without")
    assert open_descriptors() == before


async def test_descriptors_of_a_message_that_cannot_be_read_are_closed():
    before = open_descriptors()
    async with channel_and_socket() as (channel, theirs):
        theirs.sendmsg([frame(b"\xc1", 1)], rights(theirs.fileno()))
        with pytest.raises(msgspec.DecodeError):
            await channel.receive_with_descriptors()
    assert open_descriptors() == before


async def test_descriptors_that_belong_to_no_message_are_closed_and_the_sender_is_not_believed():
    before = open_descriptors()
    async with channel_and_socket() as (channel, theirs):
        theirs.sendmsg([words("smuggler")], rights(*[theirs.fileno()] * 200))
        assert await channel.receive_with_descriptors() == (Word("smuggler"), [])
        with pytest.raises(msgspec.DecodeError, match="belong to no message"):
            await channel.receive()
        assert len(open_descriptors() - before) == 2  # the socket pair
    assert open_descriptors() == before


async def test_a_message_without_the_descriptors_it_speaks_of_arrives_without_any():
    async with channel_and_socket() as (channel, theirs):
        theirs.send(frame(msgspec.msgpack.encode(Word("a promise")), 1) + words("next"))
        assert await channel.receive_with_descriptors() == (Word("a promise"), [])
        assert await channel.receive_with_descriptors() == (Word("next"), [])


async def test_a_process_that_can_open_nothing_more_gets_the_message_alone():
    async with channels() as (one, other):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(map(int, open_descriptors()))
        one.send(Word("take this"), [0])
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
            held = as_many_as_possible()
            received = await other.receive_with_descriptors()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)
        assert received == (Word("take this"), [])
        one.send(Word("and now"), [0])
        message, (descriptor,) = await other.receive_with_descriptors()
        assert message == Word("and now")
        os.close(descriptor)


def as_many_as_possible() -> list[int]:
    held = []
    with suppress(OSError):
        while True:
            held.append(os.dup(0))
    return held


async def test_thousands_of_descriptors_do_not_pile_up_at_somebody_who_does_not_receive():
    async with channels() as (one, other):
        before = open_descriptors()
        for _ in range(500):
            one.send(Word("another"), [0])
        while other._reading:
            await asyncio.sleep(0.001)
        assert other._waiting_descriptors < 200
        for _ in range(500):
            assert await other.receive() == Word("another")
        assert open_descriptors() == before


async def test_too_many_descriptors_for_one_message_are_a_mistake_of_the_sender():
    async with channels() as (one, _):
        with pytest.raises(ValueError, match="9 descriptors"):
            one.send(Word("too much"), [0] * 9)
