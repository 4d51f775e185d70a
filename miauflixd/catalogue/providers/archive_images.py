"""The Internet Archive's images, one for each item: keys and addresses. No I/O."""

from miauflixd.catalogue.model import ImageKey
from miauflixd.catalogue.providers.archive_rule import IDENTIFIER

PREFIX = "archive-"


def image_key(identifier: str) -> ImageKey | None:
    """Return the key of an item's image; nothing when that is no identifier."""
    return ImageKey(PREFIX + identifier) if IDENTIFIER.match(identifier) else None


def image_url(base: str, key: ImageKey) -> str | None:
    """Return where an image is; nothing when the key is none of the Archive's.

    Args:
        base: where the Archive is.
        key: any key.
    """
    identifier = key.removeprefix(PREFIX)
    if identifier == key or not IDENTIFIER.match(identifier):
        return None
    return f"{base.rstrip('/')}/services/img/{identifier}"
