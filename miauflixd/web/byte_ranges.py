"""Which bytes a request asks for: `Range`, `If-Range`, `If-None-Match` (RFC 9110, 13 and 14).

One range is the answer to any request, also to one for several. A 206 describes itself, so a client
can tell that it got a part of what it wanted (section 15.3.7 allows a subset expressly); the other
way out, to ignore the header, would send the whole film to somebody who wanted two kilobytes.
"""

import re
from dataclasses import dataclass

from miauflixd.errors import RangeNotSatisfiableError

_HEADER_LIMIT = 4096
"""Characters of a header that are looked at; players send fewer than 50.

Also keeps every number below the 4300 digits that `int` accepts.
"""

_RANGES_LIMIT = 32
"""Ranges of one request at most. More is no player, but somebody who tries to make us work."""

_RANGE = re.compile(r"(?P<first>[0-9]+)-(?P<last>[0-9]*)|-(?P<suffix>[0-9]+)")

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_OPAQUE = re.compile(r'"[^"]*"')


class UnsatisfiableRangeError(RangeNotSatisfiableError):
    """No byte of the requested range exists; carries how many do."""

    def __init__(self, size: int) -> None:
        super().__init__(f"The file ends before this range: it has {size} bytes")
        self.size = size


@dataclass(frozen=True, kw_only=True, slots=True)
class ByteRange:
    """Bytes from `start` up to but not with `stop`; never empty."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """Return the `Content-Range` that says so, of a file of `size` bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def requested_range(header: str | None, size: int) -> ByteRange | None:
    """Return the bytes that a `Range` header asks for, or `None` to answer 200 with all of them.

    `None` is also the answer to a header that is malformed, has another unit than bytes, or is
    unreasonably long: the RFC wants the first two ignored. Several ranges that leave no gap are
    one; of others the first that exists is taken.

    Raises:
        UnsatisfiableRangeError: it is well-formed, and none of its bytes exist.
    """
    if header is None or len(header) > _HEADER_LIMIT:
        return None
    unit, _, wanted = header.strip(" \t").partition("=")
    if unit.lower() != "bytes":
        return None
    # An empty element is no range, and no mistake either (section 5.6.1.2).
    elements = [element for part in wanted.split(",") if (element := part.strip(" \t"))]
    matches = [_RANGE.fullmatch(element) for element in elements[: _RANGES_LIMIT + 1]]
    if not 0 < len(matches) <= _RANGES_LIMIT:
        return None
    ranges: list[ByteRange] = []
    for match in matches:
        if match is None or _is_backwards(match):
            return None
        if (found := _existing(match, size)) is not None:
            ranges.append(found)
    if not ranges:
        # The last bytes of an empty file are all here, but a 206 cannot say "none".
        if size == 0 and any(match and int(match["suffix"] or 0) for match in matches):
            return None
        raise UnsatisfiableRangeError(size)
    return _without_gaps(ranges) or ranges[0]


def if_range_holds(header: str | None, etag: str) -> bool:
    """Return whether `Range` is to be honoured, in view of `If-Range` and the file's strong ETag.

    A date never matches: no `Last-Modified` is ever sent that it could stem from.
    """
    return header is None or header.strip(" \t") == etag


def if_none_match_matches(header: str | None, etag: str) -> bool:
    """Return whether the client has this version already, which makes the answer a 304."""
    if header is None or len(header) > _HEADER_LIMIT:
        return False
    if header.strip(" \t") == "*":
        return True
    if _TAGS.fullmatch(header) is None:
        return False
    return etag.removeprefix("W/") in _OPAQUE.findall(header)


def _is_backwards(match: re.Match[str]) -> bool:
    return bool(match["last"]) and int(match["last"]) < int(match["first"])


def _existing(match: re.Match[str], size: int) -> ByteRange | None:
    if match["suffix"] is not None:
        start, stop = max(size - int(match["suffix"]), 0), size
    else:
        start = int(match["first"])
        stop = min(int(match["last"]) + 1, size) if match["last"] else size
    return ByteRange(start=start, stop=stop) if start < stop else None


def _without_gaps(ranges: list[ByteRange]) -> ByteRange | None:
    in_order = sorted(ranges, key=lambda one: one.start)
    stop = in_order[0].stop
    for following in in_order[1:]:
        if following.start > stop:
            return None
        stop = max(stop, following.stop)
    return ByteRange(start=in_order[0].start, stop=stop)
