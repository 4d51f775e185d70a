"""Writing bencoded values, BEP 3. Reading them is the engine's business."""

from collections.abc import Mapping, Sequence
from typing import Any

Bencodable = int | bytes | str | Sequence["Bencodable"] | Mapping[Any, "Bencodable"]
"""What can be written; `str` leaves as UTF-8. Keys are `str` or `bytes`: `Mapping` is invariant in
them, so that no type says both."""


def encode(value: Bencodable) -> bytes:
    """Return a value as bencode; keys are put in the order that the format demands."""
    match value:
        case int():
            return b"i%de" % value
        case str():
            return encode(value.encode())
        case bytes():
            return b"%d:%s" % (len(value), value)
        case Mapping():
            # By bytes: code points beyond the BMP sort differently as text in some languages, and a
            # reader that insists on the order computes another info-hash.
            ordered = sorted((_bytes(key), item) for key, item in value.items())
            return b"d" + b"".join(encode(key) + encode(item) for key, item in ordered) + b"e"
        case _:
            return b"l" + b"".join(encode(item) for item in value) + b"e"


def _bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key
