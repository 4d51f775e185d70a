"""Values that must not be seen by accident."""

import hmac
from typing import Never


class Secret:
    """A text that shows itself only when asked by name, never in a log, a traceback or a list."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; each call is a place to look at in a review."""
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # In constant time, so that comparing does not tell how much of a guess was right.
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __str__(self) -> str:
        return "(hidden)"

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError(
            "A secret is neither copied into a file nor sent to another process unasked"
        )


def revealed(value: object) -> str:
    """Encode a secret on its way into what is sealed, and nowhere else: msgspec's `enc_hook`."""
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value))  # what msgspec wants of a hook that does not know a type


def hidden(kind: type, value: object) -> Secret:
    """Decode what `revealed` made: msgspec's `dec_hook`."""
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(kind)
