"""Forms with files, read by hand: aiohttp's `post()` puts files on the disk, in the clear."""

from collections.abc import AsyncIterator

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from miauflixd.web.bodies import (
    FieldProblem,
    InvalidFieldsError,
    arriving,
    limited,
    refuse_announced_excess,
)

_FORM_OVERHEAD = 2**16
"""Bytes that a form may need around its files."""

_FILES = 2000
"""Files of one form; the largest provider has a thousand servers."""


async def files_of_form(request: web.Request, *, limit: int) -> list[tuple[str, bytes]]:
    """Return name and content of each file, which are all that the form may have.

    Raises:
        InvalidFieldsError: it is no form, or holds something else.
        TooLargeError: the files are more than `limit` bytes together.
    """
    refuse_announced_excess(request, limit=limit + _FORM_OVERHEAD)
    files: list[tuple[str, bytes]] = []
    left = limit
    async with arriving(request):
        try:
            form = await request.multipart()
            while (part := await form.next()) is not None:
                if not isinstance(part, BodyPartReader) or part.filename is None:
                    raise InvalidFieldsError(FieldProblem("", "The form may hold files only"))
                if len(files) == _FILES:
                    raise InvalidFieldsError(
                        FieldProblem("", f"The form holds more than {_FILES} files")
                    )
                content = await limited(_chunks(part), limit=left)
                left -= len(content)
                files.append((part.filename, content))
        except (ValueError, RuntimeError, AssertionError, HttpProcessingError) as error:
            # What aiohttp raises for the many ways in which a form can be broken.
            raise InvalidFieldsError(FieldProblem("", "This is not a readable form")) from error
    return files


async def file_of_form(request: web.Request, *, limit: int) -> bytes:
    """Return the one file of a form, which is all that it may have.

    Raises:
        InvalidFieldsError: it holds another number of files, or something else.
        TooLargeError: the file is more than `limit` bytes.
    """
    files = await files_of_form(request, limit=limit)
    if len(files) != 1:
        raise InvalidFieldsError(
            FieldProblem("", "The form must hold one .torrent file, nothing else")
        )
    return files[0][1]


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk():
        yield chunk
