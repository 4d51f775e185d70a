"""A client that only measures: one request a connection, blocking, no copy it could avoid."""

import json
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_BUFFER = 2**20


class BenchError(Exception):
    """The answer is not what a measurement can be taken of."""


@dataclass(frozen=True)
class Transfer:
    """One answer; times are seconds from just before the connection was opened."""

    first_byte: float
    first_4_mib: float | None
    total: float
    size: int


def get(url: str, *, start: int = 0, length: int | None = None) -> Transfer:
    """Fetch a range and throw it away."""
    began = time.monotonic()
    end = "" if length is None else str(start + length - 1)
    with _connect(url) as connection:
        connection.sendall(_request("GET", url, f"Range: bytes={start}-{end}\r\n"))
        head, body = _head(connection)
        if not head.startswith(b"HTTP/1.1 206"):
            raise BenchError(head.decode(errors="replace"))
        expected = _content_length(head)
        while not body:
            body = connection.recv(_BUFFER)
        first_byte = time.monotonic() - began
        received, first_4_mib = len(body), None
        buffer = bytearray(_BUFFER)
        while received < expected:
            count = connection.recv_into(buffer)
            if not count:
                raise BenchError(f"closed after {received} of {expected} bytes")
            received += count
            if first_4_mib is None and received >= 4 * 2**20:
                first_4_mib = time.monotonic() - began
        return Transfer(first_byte, first_4_mib, time.monotonic() - began, received)


def add(url: str, *, token: str, metainfo: bytes | None = None, magnet: str | None = None) -> str:
    """Add a source and return the address of its main file, with a key in it."""
    if metainfo is not None:
        body, kind = metainfo, "application/x-bittorrent"
    else:
        body, kind = json.dumps({"magnet": magnet}).encode(), "application/json"
    added = post(f"{url}/api/torrents", body, kind=kind, token=token)
    return play(url, {"source_id": added["source_id"]}, token=token)


def play(url: str, wanted: object, *, token: str) -> str:
    """Press play, and return the address of what is to be played, with a key in it."""
    playback = post(f"{url}/api/playback", json.dumps(wanted).encode(), token=token)
    return f"{url}{playback['stream_url']}"


def post(url: str, body: bytes, *, token: str, kind: str = "application/json") -> Any:
    """Send something, and return what is said to it: `None` if nothing is."""
    headers = (
        f"Authorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n"
    )
    with _connect(url) as connection:
        connection.sendall(_request("POST", url, headers) + body)
        head, answer = _head(connection)
        while len(answer) < _content_length(head):
            answer += connection.recv(_BUFFER)
    if not head.startswith(b"HTTP/1.1 2"):
        raise BenchError(answer.decode(errors="replace"))
    return json.loads(answer) if answer else None


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=120)


def _request(method: str, url: str, headers: str) -> bytes:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n{headers}\r\n".encode()


def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (data := connection.recv(_BUFFER)):
            raise BenchError("closed before the headers")
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise BenchError("no Content-Length")
