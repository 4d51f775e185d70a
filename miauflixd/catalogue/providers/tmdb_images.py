"""TMDB's images: the key by which this house knows one, and where it is. No I/O."""

import re
from collections.abc import Mapping
from typing import Literal

from miauflixd.catalogue.model import ImageKey, ImageRole

Size = Literal["small", "medium", "large", "original"]

_PATH = re.compile(r"/([A-Za-z0-9]{1,64}\.(?:jpg|png|svg))")
_KEY = re.compile(r"tmdb-(poster|backdrop|still|logo|profile)-([A-Za-z0-9]{1,64}\.(?:jpg|png|svg))")

_WIDTHS: Mapping[str, Mapping[Size, str]] = {
    "poster": {"small": "w185", "medium": "w342", "large": "w780"},
    "backdrop": {"small": "w300", "medium": "w780", "large": "w1280"},
    "still": {"small": "w185", "medium": "w300"},
    "logo": {"small": "w185", "medium": "w300", "large": "w500"},
    "profile": {"small": "w45", "medium": "w185", "large": "h632"},
}
"""Those of the widths that TMDB has for each role which come nearest to ours."""

_ORIGINAL = "original"


def image_key(role: ImageRole, path: object) -> ImageKey | None:
    """Return the key of an image of which TMDB says this path; `None` if it is no such path."""
    found = _PATH.fullmatch(path) if isinstance(path, str) else None
    return None if found is None else ImageKey(f"tmdb-{role}-{found[1]}")


def image_url(base: str, key: str, size: Size) -> str | None:
    """Return where an image is.

    Args:
        base: where TMDB's images are, by the settings; nobody else is believed about that.
        key: what `image_key` returned; or anything.
        size: how large it should be. The real one may be larger, for TMDB has not all of them.

    Returns:
        The address; `None` if the key is none of TMDB's.
    """
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    role, file = found.groups()
    # Drawings have no width, and are there in one size only.
    width = _ORIGINAL if file.endswith(".svg") else _WIDTHS[role].get(size, _ORIGINAL)
    return f"{base.rstrip('/')}/{width}/{file}"
