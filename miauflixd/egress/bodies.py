"""The body of an answer, unpacked and never longer than was asked for."""

import zlib

from miauflixd.egress.errors import EgressError

_GZIP = zlib.MAX_WBITS | 16

_OVERHEAD = 2**10
"""Bytes by which packing may make a small body longer."""

PLAIN = frozenset({"", "identity"})
PACKED = frozenset({"gzip", "x-gzip"})


class Body:
    """Collects an answer piece by piece; what a small piece unpacks to is bounded too."""

    def __init__(self, *, encoding: str, limit: int, host: str) -> None:
        if encoding not in PLAIN | PACKED:
            raise EgressError(
                f"{host} answers in an encoding that was not asked for", reason="protocol"
            )
        self._unpacking = zlib.decompressobj(_GZIP) if encoding in PACKED else None
        self._limit = limit
        self._host = host
        self._fed = 0
        self._complete = True
        self._collected = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            EgressError: it is more than the limit, or not packed as it says.
        """
        self._fed += len(piece)
        if self._fed > self._limit + _OVERHEAD:  # thousands of empty parts, say
            raise too_large(self._host, self._limit)
        if self._unpacking is None:
            self._collect(piece)
            return
        try:
            while piece:
                room = self._limit + 1 - len(self._collected)
                self._collect(self._unpacking.decompress(piece, room))
                piece = self._unpacking.unconsumed_tail
                self._complete = self._unpacking.eof
                if self._complete:  # it may be several, one after the other
                    piece = self._unpacking.unused_data
                    self._unpacking = zlib.decompressobj(_GZIP)
        except zlib.error:
            raise self._broken() from None

    def whole(self) -> bytes:
        """Return all of it, at the end of the answer.

        Raises:
            EgressError: a packed one has no end.
        """
        if not self._complete:
            raise self._broken()
        return bytes(self._collected)

    def _collect(self, data: bytes) -> None:
        self._collected += data
        if len(self._collected) > self._limit:
            raise too_large(self._host, self._limit)

    def _broken(self) -> EgressError:
        return EgressError(f"The answer of {self._host} cannot be unpacked", reason="protocol")


def too_large(host: str, limit: int) -> EgressError:
    """Return the error for an answer beyond the limit, in bytes."""
    return EgressError(
        f"The answer of {host} is larger than the {limit} bytes expected", reason="too_large"
    )
