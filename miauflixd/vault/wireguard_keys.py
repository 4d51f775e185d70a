"""Key pairs for WireGuard: Curve25519, written as base64."""

import base64

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

_KEY_SIZE = 32


def new_private_key() -> str:
    """Return a new private key, 44 characters of base64."""
    # The bits that Curve25519 fixes are fixed here, as `wg genkey` does; some providers look.
    drawn = bytearray(X25519PrivateKey.generate().private_bytes_raw())
    drawn[0] &= 0b11111000
    drawn[31] = drawn[31] & 0b01111111 | 0b01000000
    return base64.b64encode(drawn).decode()


def public_key(private_key: str) -> str:
    """Return the public key that belongs to a private one.

    Raises:
        ValueError: that is no private key; the message does not quote it.
    """
    try:
        raw = base64.b64decode(private_key, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != _KEY_SIZE:
        raise ValueError("a private key is base64 of 32 bytes") from None
    public = X25519PrivateKey.from_private_bytes(raw).public_key()
    return base64.b64encode(public.public_bytes_raw()).decode()
