"""Asking a server what a file is, and nothing else."""

from collections.abc import Collection

from miauflixd.torrents.reader import SourceFailedError
from miauflixd.web_files.answers import AnswerError, read_answer
from miauflixd.web_files.model import Facts, WebFile
from miauflixd.web_files.ports import Http

_WITHIN = 10.0
"""Seconds. Whoever is slower to say how long a file is, is no good to play from either."""


async def probe(file: WebFile, *, http: Http, allow: Collection[str] = ()) -> Facts:
    """Return what a server says of a file.

    It asks for the first byte, since there are servers that answer HEAD otherwise than GET.

    Raises:
        SourceFailedError: it does not give it.
        EgressError: there is no answer.
        TunnelDownError: there is no way out.
    """
    async with http.stream(
        "GET", file.url, headers={"Range": "bytes=0-0"}, timeout=_WITHIN, allow=allow
    ) as stream:
        try:
            return read_answer(stream.status, stream.headers, start=0, stop=1).facts
        except AnswerError as error:
            raise SourceFailedError(str(error)) from error
