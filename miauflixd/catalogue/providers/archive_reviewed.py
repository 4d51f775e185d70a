"""The items of the Internet Archive that are on the list which comes with this version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from miauflixd.catalogue.model import ListSlug
from miauflixd.catalogue.providers.archive_rule import Reviewed

ITEMS = Path(__file__).with_name("archive_items.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Some of them that stand together."""

    slug: ListSlug
    title: str
    items: tuple[Reviewed, ...]


def rows(path: Path = ITEMS) -> Sequence[Row]:
    """Return all of them; blocks for the moment that it takes to read a small file."""
    return msgspec.json.decode(path.read_bytes(), type=tuple[Row, ...])


def by_identifier(found: Sequence[Row]) -> Mapping[str, Reviewed]:
    """Return the items of all rows."""
    return {item.identifier: item for row in found for item in row.items}
