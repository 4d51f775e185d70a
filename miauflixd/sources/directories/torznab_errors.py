"""What a Torznab server complains of."""

from collections.abc import Mapping

from miauflixd.runtime.http import Response
from miauflixd.sources import said
from miauflixd.sources.directories.directory import (
    DirectoryRefusedError,
    DirectoryUnavailableError,
    FunctionMissingError,
    NothingThereError,
)
from miauflixd.sources.directories.exchange import TOO_MANY_REST, retry_after
from miauflixd.sources.directories.feed_xml import Document, NotXmlError, read

_ACCOUNT = range(100, 200)
_PARAMETER = 200
_UNKNOWN = 900
_TOO_MANY = frozenset({429, 500, 501})
"""Of requests, and of downloads; the first is Prowlarr's."""
_SWITCHED_OFF = frozenset({410, 910})
_KINDS: Mapping[int, type[DirectoryUnavailableError]] = {
    _PARAMETER: FunctionMissingError,
    201: FunctionMissingError,  # a parameter that it does not like
    202: FunctionMissingError,  # no such function
    203: FunctionMissingError,  # not for us
    300: NothingThereError,
}

_LONGEST = 16 * 2**10
"""Bytes of an error; it is the whole answer, and a sentence long."""


def complaint(response: Response, host: str) -> DirectoryUnavailableError | None:
    """Return what the server complains of, if it does; which it may under any status.

    The description is not repeated: it may quote the request, and the key with it.
    """
    if (document := _error(response.body)) is None:
        return None
    code = said.number(document.attributes.get("code"), most=9999) or _UNKNOWN
    description = document.attributes.get("description", "").lower()
    if code in _TOO_MANY or "limit reached" in description:
        wanted = retry_after(response)
        return DirectoryUnavailableError(
            f"{host} says that it was asked too often",
            retry_after=TOO_MANY_REST if wanted is None else wanted,
        )
    if code in _ACCOUNT or (code == _PARAMETER and "missing" in description):
        # All that is ever missing of what we send is the key; Prowlarr says so in this way.
        return DirectoryRefusedError(f"{host} does not accept the API key, or wants one")
    if code in _SWITCHED_OFF:
        return DirectoryRefusedError(f"{host} says that this indexer is switched off")
    kind = _KINDS.get(code, DirectoryUnavailableError)
    return kind(f"{host} reports a problem (code {code})")


def _error(body: bytes) -> Document | None:
    if len(body) > _LONGEST or b"<error" not in body:
        return None
    try:
        document = read(body)
    except NotXmlError:
        return None
    return document if document.root == "error" else None
