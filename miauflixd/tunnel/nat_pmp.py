"""NAT-PMP on the wire (RFC 6886): asking a gateway to let a port through."""

import struct
from dataclasses import dataclass
from enum import IntEnum

PORT = 5351
"""Where a gateway listens, UDP."""

_REQUEST = struct.Struct(">BBHHHI")
_HEAD = struct.Struct(">BBHI")
_MAPPING = struct.Struct(">HHI")

_ANSWER = 128
"""An answer has the operation of its request, and this bit."""


class Transport(IntEnum):
    """What is let through; the number is the operation's."""

    UDP = 1
    TCP = 2


class Result(IntEnum):
    """What became of a request."""

    SUCCESS = 0
    UNSUPPORTED_VERSION = 1
    NOT_AUTHORISED = 2
    NETWORK_FAILURE = 3
    OUT_OF_RESOURCES = 4
    UNSUPPORTED_OPERATION = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a gateway says to a request."""

    transport: Transport
    result: Result | None
    """`None`: a number that the standard does not know."""
    epoch: int
    """Seconds since the gateway began to keep its table; less than before: it lost the table."""
    internal: int = 0
    """The port of ours, if it was granted."""
    external: int = 0
    """The port at the gateway, if it was granted."""
    lifetime: int = 0
    """Seconds for which it was granted."""


def request(transport: Transport, *, internal: int, external: int, lifetime: int) -> bytes:
    """Return a request to let a port through.

    Args:
        transport: for which packets.
        internal: the port here.
        external: the one that we would like at the gateway; 0: any.
        lifetime: for how many seconds; 0: not any more.
    """
    return _REQUEST.pack(0, transport, 0, internal, external, lifetime)


def parse(datagram: bytes) -> Answer | None:
    """Return the answer that a datagram is; `None`: it is no answer to `request`."""
    if len(datagram) < _HEAD.size:
        return None
    version, operation, number, epoch = _HEAD.unpack_from(datagram)
    if version != 0 or operation - _ANSWER not in Transport.__members__.values():
        return None
    transport = Transport(operation - _ANSWER)
    try:
        result = Result(number)
    except ValueError:
        result = None
    if result is not Result.SUCCESS:
        # What follows means nothing, and some gateways leave it out.
        return Answer(transport=transport, result=result, epoch=epoch)
    if len(datagram) < _HEAD.size + _MAPPING.size:
        return None
    internal, external, lifetime = _MAPPING.unpack_from(datagram, _HEAD.size)
    return Answer(
        transport=transport,
        result=result,
        epoch=epoch,
        internal=internal,
        external=external,
        lifetime=lifetime,
    )
