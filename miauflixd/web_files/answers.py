"""What an answer to a request for a part of a file means. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from miauflixd.errors import UnavailableError
from miauflixd.runtime.http_headers import header, retry_after
from miauflixd.web_files.model import MAX_SIZE, Facts

_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,19})-([0-9]{1,19})|\*)/([0-9]{1,19}|\*)")

_LONGEST = 512
"""Characters of a validator. Longer ones are nobody's, and are kept for nobody."""


class AnswerError(UnavailableError):
    """An answer without the bytes that were asked for; a sentence for people, without an address.

    Nobody outside hears of it but by what becomes of it: a source that fails, or is slow.
    """

    code = "web_answer"

    def __init__(
        self,
        message: str,
        *,
        final: bool = False,
        busy: bool = False,
        retry_after: float | None = None,
    ) -> None:
        """Say whether to ask again.

        Args:
            message: a sentence.
            final: it will not be otherwise in a minute.
            busy: it probably will.
            retry_after: seconds for which the server wants to be left alone.
        """
        super().__init__(message)
        self.final = final
        self.busy = busy
        self.retry_after = retry_after


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Bytes of a file that come now."""

    facts: Facts
    start: int
    stop: int
    """Behind the last byte."""
    whole: bool = False
    """The server sends all of the file, from its start, whatever is asked of it."""


def read_answer(status: int, headers: Mapping[str, str], *, start: int, stop: int) -> Part:
    """Return what comes of the bytes from `start` up to but not with `stop` that were asked for.

    It may be less than that, or everything. Of an empty file nothing comes.

    Raises:
        AnswerError: none of it comes.
    """
    match status:
        case 206:
            return _partial(headers, start=start, stop=stop)
        case 200:
            return _whole(headers)
        case 416:
            return _nothing(headers, start=start)
        case 401 | 403 | 451:
            raise AnswerError(f"The server gives it to nobody now (status {status})", final=True)
        case 404 | 410:
            raise AnswerError(f"The server has it no longer (status {status})", final=True)
        case 408 | 425 | 429:
            raise AnswerError(
                "The server was asked too often, or is busy",
                busy=True,
                retry_after=retry_after(headers),
            )
        case _ if status >= 500:  # noqa: PLR2004 -- "the server's fault"
            raise AnswerError(
                f"The server has a problem of its own (status {status})",
                busy=True,
                retry_after=retry_after(headers),
            )
        case _:
            raise AnswerError(f"The server does not give it (status {status})", final=True)


def _partial(headers: Mapping[str, str], *, start: int, stop: int) -> Part:
    found = _CONTENT_RANGE.fullmatch((header(headers, "Content-Range") or "").strip())
    if found is None or found[1] is None:
        raise AnswerError("The server does not say which bytes it sends")
    if found[3] == "*":
        raise AnswerError("The server does not say how long the file is", final=True)
    first, last, size = int(found[1]), int(found[2]), int(found[3])
    if first != start or not first <= last < size:
        raise AnswerError("The server sends other bytes than those that were asked for")
    return Part(facts=_facts(headers, size), start=start, stop=min(last + 1, stop))


def _whole(headers: Mapping[str, str]) -> Part:
    length = (header(headers, "Content-Length") or "").strip()
    if not (length.isascii() and length.isdecimal()):
        raise AnswerError("The server does not say how long the file is", final=True)
    size = int(length[:20])
    return Part(facts=_facts(headers, size), start=0, stop=size, whole=True)


def _nothing(headers: Mapping[str, str], *, start: int) -> Part:
    """Read the answer that there are no such bytes: the file is shorter than it was, or empty."""
    found = _CONTENT_RANGE.fullmatch((header(headers, "Content-Range") or "").strip())
    if found is None or found[1] is not None or found[3] == "*":
        raise AnswerError("The server refuses to send these bytes")
    size = int(found[3])
    if start < size:
        raise AnswerError("The server refuses to send bytes that it says it has")
    return Part(facts=_facts(headers, size), start=size, stop=size)


def _facts(headers: Mapping[str, str], size: int) -> Facts:
    if size > MAX_SIZE:
        raise AnswerError("The server claims an impossible size", final=True)
    etag = header(headers, "ETag") or ""
    modified = header(headers, "Last-Modified") or ""
    return Facts(
        size=size,
        etag=etag if etag.startswith('"') and len(etag) <= _LONGEST else None,
        modified=modified if 0 < len(modified) <= _LONGEST else None,
    )
