"""What an image is called, how large it may be wanted, and what it has to be. No I/O."""

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeGuard, get_args

from miauflixd.catalogue.model import ImageKey

ImageSize = Literal["small", "medium", "large", "original"]
"""How large somebody wants an image; how many pixels that is depends on who has it."""

_SIZES: Final[frozenset[str]] = frozenset(get_args(ImageSize))

_KEY = re.compile(
    r"tmdb-(poster|backdrop|still|logo|profile)-[A-Za-z0-9]{1,64}\.(jpg|png)"
    r"|archive-[A-Za-z0-9._-]{1,100}"
)

MediaType = Literal["image/jpeg", "image/png", "image/webp", "image/avif"]

SUFFIXES: Final[Mapping[MediaType, str]] = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/avif": "avif",
}
"""What is accepted. No SVG, which is a program, and no GIF, which nobody sends as artwork."""

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_AVIF = frozenset({b"avif", b"avis"})
_BRANDS_LIMIT = 128
"""Bytes of an `ftyp` box that are looked at; real ones have 32."""


def is_image_key(text: str) -> TypeGuard[ImageKey]:
    """Return whether an image can be called so."""
    return _KEY.fullmatch(text) is not None


def is_image_size(text: str) -> TypeGuard[ImageSize]:
    """Return whether this is one of the sizes."""
    return text in _SIZES


def media_type(content: bytes) -> MediaType | None:
    """Return what these bytes begin as; `None` unless it is an image that browsers only show.

    Whatever a server calls its answer, this is what it is served as, and nothing else.
    """
    if content.startswith(_JPEG):
        return "image/jpeg"
    if content.startswith(_PNG):
        return "image/png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:8] == b"ftyp" and _AVIF & _brands(content):
        return "image/avif"
    return None


def _brands(content: bytes) -> set[bytes]:
    """Return what the first box of an ISO media file says that it is (ISO 14496-12, 4.3)."""
    end = min(int.from_bytes(content[:4], "big"), _BRANDS_LIMIT, len(content))
    # Behind the major brand stands its version, which is no brand.
    starts = [8, *range(16, end - 3, 4)]
    return {content[at : at + 4] for at in starts}
