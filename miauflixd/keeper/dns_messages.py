"""As much of the DNS's wire format as a stub resolver needs (RFC 1035, section 4).

Pure: bytes in, values out. Replies are what strangers wrote; whatever is wrong with one ends as
`MalformedError`, and every loop in here ends with the message.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network

_HEADER = struct.Struct(">HHHHHH")
_ENTRY = struct.Struct(">HHIH")
"""What follows a record's name: type, class, time to live, length of the data."""

A, NS, SOA, AAAA, OPT = 1, 2, 6, 28, 41
_IN = 1

NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3

_IS_REPLY = 0x8000
_OPCODE = 0x7800
_TRUNCATED = 0x0200
_RECURSION_DESIRED = 0x0100
_RECURSION_AVAILABLE = 0x0080
_RCODE = 0x000F

_LONGEST_NAME = 255
_LONGEST_LABEL = 63
_POINTER = 0xC0

_GLOBAL_UNICAST = IPv6Network("2000::/3")


class MalformedError(ValueError):
    """These bytes are no DNS message, or none of the kind that was expected."""


@dataclass(frozen=True, slots=True)
class Query:
    """A message that asks one question."""

    message: bytes
    labels: tuple[bytes, ...]
    """The name, in lower case; the root has none."""
    type: int
    end: int
    """Where in the message the question ends."""

    @property
    def id(self) -> bytes:
        """The two bytes by which the asker knows the reply."""
        return self.message[:2]

    @property
    def question(self) -> bytes:
        """Name, type and class as they were written, capitals too."""
        return self.message[_HEADER.size : self.end]

    @property
    def key(self) -> bytes:
        """The same for queries that have the same answer: all but the id, whatever the case."""
        return self.message[2 : _HEADER.size] + self.question.lower() + self.message[self.end :]


@dataclass(frozen=True, slots=True)
class Reply:
    """A well-formed answer to a query."""

    message: bytes
    rcode: int
    truncated: bool
    addresses: tuple[IPv4Address | IPv6Address, ...]
    """Of all A and AAAA records, wherever in the message they stand."""
    lifetime: int
    """Seconds for which it may be kept; 0: not at all."""
    lifetimes: tuple[int, ...]
    """Where in the message the records' times to live stand."""

    @property
    def definite(self) -> bool:
        """Whether the question is settled: there are such records, or there are none."""
        return self.rcode in (NO_ERROR, NO_SUCH_NAME)


def query(*labels: bytes, type_: int, identity: bytes) -> bytes:
    """Return a message that asks a recursive resolver; without labels it asks about the root."""
    header = _HEADER.pack(int.from_bytes(identity), _RECURSION_DESIRED, 1, 0, 0, 0)
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return header + name + struct.pack(">HH", type_, _IN)


def read_query(message: bytes) -> Query:
    """Return what a client asks.

    Raises:
        MalformedError: it is not one plain question.
    """
    if len(message) < _HEADER.size:
        raise MalformedError("shorter than a header")
    _, flags, questions, *_ = _HEADER.unpack_from(message)
    if flags & (_IS_REPLY | _OPCODE) or questions != 1:
        raise MalformedError("not one question")
    labels = []
    at = _HEADER.size
    while length := _byte(message, at):
        if length > _LONGEST_LABEL:
            raise MalformedError("a pointer or an overlong label in a question")
        labels.append(message[at + 1 : at + 1 + length].lower())
        at += 1 + length
    end = at + 1 + 4
    if end > len(message) or end - 4 - _HEADER.size > _LONGEST_NAME:
        raise MalformedError("the question does not end")
    type_, class_ = struct.unpack_from(">HH", message, end - 4)
    if class_ != _IN:
        raise MalformedError("not of the internet class")
    return Query(message=message, labels=tuple(labels), type=type_, end=end)


def read_reply(message: bytes, to: Query) -> Reply:
    """Return the reply to a query.

    Raises:
        MalformedError: it is broken, or the reply to something else.
    """
    if len(message) < _HEADER.size:
        raise MalformedError("shorter than a header")
    identity, flags, questions, *counts = _HEADER.unpack_from(message)
    if identity != int.from_bytes(to.id) or not flags & _IS_REPLY or flags & _OPCODE:
        raise MalformedError("not the reply to this query")
    end = _HEADER.size
    if questions == 1 and message[end : to.end].lower() == to.question.lower():
        end = to.end
    elif questions != 0 or flags & _RCODE in (NO_ERROR, NO_SUCH_NAME):
        # Only a server that cannot read the question may leave it out.
        raise MalformedError("the reply to another question")
    truncated = bool(flags & _TRUNCATED)
    addresses: list[IPv4Address | IPv6Address] = []
    lifetimes: list[tuple[int, int]] = []
    # A truncated message may end within a record, and is good for nothing but asking again.
    for record in () if truncated else _records(message, end, sum(counts)):
        if record.type == OPT:  # its "time to live" are flags
            continue
        lifetimes.append((record.lifetime_at, _lifetime(record)))
        addresses.extend(_address(record))
    return Reply(
        message=message,
        rcode=flags & _RCODE,
        truncated=truncated,
        addresses=tuple(addresses),
        lifetime=min((seconds for _, seconds in lifetimes), default=0),
        lifetimes=tuple(at for at, _ in lifetimes),
    )


def addressed(reply: Reply, to: Query, *, lifetime: int | None = None) -> bytes:
    """Return a reply as the asker of `to` expects it: its id, and its question letter by letter.

    Args:
        reply: what was answered to the same question, perhaps with other capitals.
        to: the query that is answered.
        lifetime: seconds to write into every record; `None`: as they are.
    """
    message = bytearray(reply.message)
    message[:2] = to.id
    if int.from_bytes(message[4:6]):
        message[_HEADER.size : to.end] = to.question
    if lifetime is not None:
        for at in reply.lifetimes:
            struct.pack_into(">I", message, at, lifetime)
    return bytes(message)


def empty_reply(to: Query, rcode: int) -> bytes:
    """Return a reply without any record."""
    flags = _IS_REPLY | _RECURSION_DESIRED | _RECURSION_AVAILABLE | rcode
    return to.id + struct.pack(">HHHHH", flags, 1, 0, 0, 0) + to.question


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address can be one of a host on the internet.

    No name that a stranger owns may lead to this machine, to a home network, or to the provider's
    own one.
    """
    if isinstance(address, IPv6Address):
        return address in _GLOBAL_UNICAST and address.is_global
    return address.is_global and not address.is_multicast


# --- records --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Record:
    type: int
    class_: int
    lifetime: int
    lifetime_at: int
    data: bytes


def _records(message: bytes, at: int, count: int) -> Iterator[_Record]:
    for _ in range(count):
        at = _after_name(message, at)
        data_at = at + _ENTRY.size
        if data_at > len(message):
            raise MalformedError("a record does not end")
        type_, class_, lifetime, length = _ENTRY.unpack_from(message, at)
        end = data_at + length
        if end > len(message):
            raise MalformedError("a record's data does not end")
        yield _Record(type_, class_, lifetime, at + 4, message[data_at:end])
        at = end


def _after_name(message: bytes, at: int) -> int:
    """Return where a name ends. Pointers are stepped over, never followed: no loop can be made."""
    while length := _byte(message, at):
        if length & _POINTER == _POINTER:
            return at + 2
        if length > _LONGEST_LABEL:
            raise MalformedError("a label of a kind that nobody uses")
        at += 1 + length
    return at + 1


def _byte(message: bytes, at: int) -> int:
    if at >= len(message):
        raise MalformedError("a name does not end")
    return message[at]


def _lifetime(record: _Record) -> int:
    """Return the seconds a record may be kept.

    An SOA says for how long "there is none" holds: its own time or its last field, whichever is
    less (RFC 2308, section 5).
    """
    # Times with the highest bit set count as 0 (RFC 2181, section 8).
    lifetime = record.lifetime if record.lifetime < 2**31 else 0
    if record.type == SOA and len(record.data) >= 4:  # noqa: PLR2004 -- the length of that field
        return min(lifetime, int.from_bytes(record.data[-4:]))
    return lifetime


def _address(record: _Record) -> Iterator[IPv4Address | IPv6Address]:
    if record.class_ != _IN:
        return
    try:
        if record.type == A:
            yield IPv4Address(record.data)
        elif record.type == AAAA:
            yield IPv6Address(record.data)
    except ValueError as error:
        raise MalformedError("an address of a wrong length") from error
