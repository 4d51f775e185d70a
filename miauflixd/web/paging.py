"""Lists, a page at a time."""

import base64
import binascii
import bisect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from miauflixd.web.bodies import FieldProblem, InvalidFieldsError

T = TypeVar("T")
Item = TypeVar("Item")


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which page somebody wants."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=512)] | None = None


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None
    total: int


def page_of(
    everything: Sequence[Item],
    wanted: PageQuery,
    *,
    key: Callable[[Item], tuple[float, str]],
    show: Callable[[Item], T],
) -> Page[T]:
    """Return a page of a list sorted by `key`, which must be unique.

    A cursor says behind which key its page starts, so it survives additions and removals.

    Raises:
        InvalidFieldsError: the cursor is none of ours.
    """
    return page_of_sorted(sorted(everything, key=key), wanted, key=key, show=show)


def page_of_sorted(
    everything: Sequence[Item],
    wanted: PageQuery,
    *,
    key: Callable[[Item], tuple[float, str]],
    show: Callable[[Item], T],
) -> Page[T]:
    """Return a page of a list that is sorted by `key` already, as `page_of` does.

    Only what is on the page is looked at, however long the list is.

    Raises:
        InvalidFieldsError: the cursor is none of ours.
    """
    start = 0
    if wanted.cursor is not None:
        start = bisect.bisect_right(everything, key_in(wanted.cursor), key=key)
    items = everything[start : start + wanted.limit]
    is_last = start + len(items) >= len(everything)
    return Page(
        items=[show(item) for item in items],
        next_cursor=None if is_last else cursor_for(key(items[-1])),
        total=len(everything),
    )


def cursor_for(key: tuple[float | str, ...]) -> str:
    """Return a cursor that says: behind this."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def key_in(cursor: str) -> tuple[float, str]:
    """Return what a cursor was made from.

    Raises:
        InvalidFieldsError: it is none of ours.
    """
    found: tuple[float, str] = _read(cursor, tuple[float, str])
    return found


def place_in(cursor: str, order: str) -> tuple[float | str, int]:
    """Return the value and the number that a cursor was made from, behind the name of an order.

    Raises:
        InvalidFieldsError: it is none of ours, or was given out for another order.
    """
    found: tuple[str, float | str, int] = _read(cursor, tuple[str, float | str, int])
    if found[0] != order:
        raise _foreign()
    return found[1:]


def _read(cursor: str, kind: Any) -> Any:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=kind)
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError) as error:
        raise _foreign() from error


def _foreign() -> InvalidFieldsError:
    return InvalidFieldsError(FieldProblem("cursor", "This is no cursor of this list"))
