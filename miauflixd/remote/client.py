"""The daemon's API as another process on the same machine sees it: at its control socket.

The standard library's client, because it is imported in a tenth of the time that the other takes,
and a command asks two or three questions.
"""

import json
import secrets
import socket
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from miauflixd.errors import InvalidInputError, MiauflixdError, UnavailableError
from miauflixd.web.settings import CONTROL_SOCKET, WebSettings

_PATIENCE = 90.0
"""Seconds for an answer; a test of an endpoint may wait for another one before."""


class NotRunningError(UnavailableError):
    """Nobody listens where the daemon should."""

    code = "not_running"


class RefusedError(MiauflixdError):
    """The daemon answered that it will not, or cannot; the message is what it said."""

    code = "refused"


class Client:
    """Asks the daemon."""

    def __init__(self, settings: WebSettings) -> None:
        """Ask where the settings say that the control socket is, or else at the usual place.

        There nobody has to sign in: who may connect to it is the machine's administrator.
        """
        self._path = settings.control_socket or CONTROL_SOCKET

    def get(self, path: str) -> Any:
        """Return what is at this address.

        Raises:
            NotRunningError: the daemon does not answer.
            RefusedError: it answers with an error.
        """
        return self._ask("GET", path)

    def delete(self, path: str) -> None:
        """Remove what is at this address; raises like `get`."""
        self._ask("DELETE", path)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send JSON, or nothing, and return the answer; raises like `get`."""
        return self._send("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send changes and return the answer; raises like `get`."""
        return self._send("PATCH", path, body)

    def all(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        """Return all pages of a list in one; raises like `get`."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(f"{path}?{urlencode({'limit': '200', **parameters})}")
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            parameters["cursor"] = page["next_cursor"]

    def post_files(self, path: str, files: Sequence[Path]) -> Any:
        """Send files as a form and return the answer.

        Raises:
            InvalidInputError: a file cannot be read.
            NotRunningError: the daemon does not answer.
            RefusedError: it answers with an error.
        """
        boundary = secrets.token_hex(16)
        body = b"".join(_part(file, boundary) for file in files) + f"--{boundary}--\r\n".encode()
        return self._ask(
            "POST", path, body=body, content_type=f"multipart/form-data; boundary={boundary}"
        )

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        if body is None:
            return self._ask(method, path)
        return self._ask(
            method, path, body=json.dumps(body).encode(), content_type="application/json"
        )

    def _ask(self, method: str, path: str, *, body: bytes = b"", content_type: str = "") -> Any:
        headers = {"Host": "localhost", "Accept": "application/json"}
        if content_type:
            headers["Content-Type"] = content_type
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, path, body=body or None, headers=headers)
            response = connection.getresponse()
            content = response.read()
        except PermissionError as error:
            raise NotRunningError(
                f"This user may not talk to miauflixd at {self._path}. Be root, or the user that "
                "it runs as"
            ) from error
        except (OSError, HTTPException) as error:
            raise NotRunningError(
                f"miauflixd does not answer at {self._path} (web.control_socket). Is it running? "
                "`systemctl status miauflixd` tells"
            ) from error
        finally:
            connection.close()
        return _answer(response.status, content)


class _UnixConnection(HTTPConnection):
    """Over a unix socket; inherits because `http.client` offers no other way."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to it."""
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        end.settimeout(self.timeout)
        try:
            end.connect(str(self._path))
        except OSError:
            end.close()
            raise
        self.sock = end


def _part(file: Path, boundary: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{file} cannot be read: {error.strerror}") from error
    # Of the name only what cannot end the header; the daemon shows it to people and nothing else.
    name = "".join(char if char.isprintable() and char not in '"\\' else "_" for char in file.name)
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode("utf-8", "replace") + content + b"\r\n"


def _answer(status: int, content: bytes) -> Any:
    try:
        answer = json.loads(content) if content else None
    except ValueError as error:
        raise NotRunningError("What answers there is not miauflixd") from error
    if status < HTTPStatus.BAD_REQUEST:
        return answer
    raise RefusedError(_complaint(answer))


def _complaint(problem: Any) -> str:
    """Return what a problem document says, field by field where there are several."""
    match problem:
        case {"errors": [_, *_] as errors}:
            return "\n".join(
                f"{one['field']}: {one['message']}" if one["field"] else one["message"]
                for one in errors
            )
        case {"detail": str(detail)}:
            return detail
        case _:
            return "miauflixd refused, and did not say why"
