"""What a file of the web is, and what its server says of it. No I/O."""

from dataclasses import dataclass, field
from typing import Literal

from miauflixd.errors import InvalidInputError

Via = Literal["tunnel", "host"]
"""By which road a server is asked."""

BLOCK = 256 * 2**10
"""Bytes of a block: nothing is sent to anybody before all of its block is on the disk.

Of a server that gives 10 Mbit/s a block takes 0.2 s, and of 1 MiB it would take 0.8 s. A film of
4 GB has 15,000 of them, of which 2 kB say which are here.
"""

MAX_SIZE = 2**38
"""Bytes of a file at most. Films have a tenth of that; a server may claim anything."""

MAX_FILES = 500
"""Of one source."""


class BadWebSourceError(InvalidInputError):
    """There is nothing in it that could be fetched."""

    code = "bad_web_source"


@dataclass(frozen=True, kw_only=True, slots=True)
class WebFile:
    """A file that can be had without a swarm."""

    name: str
    """For people, and for its ending; never part of a path."""
    size: int | None
    """Bytes, as a directory says; its server knows better."""
    url: str = field(repr=False)
    """https, but for a server that the operator has set otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WebContent:
    """What becomes a source: some files, the most important first."""

    name: str
    files: tuple[WebFile, ...]
    via: Via = "tunnel"
    own: tuple[str, ...] = field(default=(), repr=False)
    """Origins that the owner of this house has set, which may be on a private network."""

    def check(self) -> None:
        """Pass if it can become one.

        Raises:
            BadWebSourceError: it cannot.
        """
        if not 0 < len(self.files) <= MAX_FILES:
            raise BadWebSourceError(f"A web source has 1 to {MAX_FILES} files")
        if not all(self._is_safe(file.url) for file in self.files):
            raise BadWebSourceError("A file of the web has an address that begins with https://")

    def _is_safe(self, url: str) -> bool:
        """Whether nobody on the way can tell what it is, nor change it; or it is one's own."""
        own = tuple(f"{origin.rstrip('/')}/" for origin in self.own)
        return url.startswith("https://") or (url.startswith("http://") and url.startswith(own))


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a server says of a file, by which another version of it is told from this one."""

    size: int
    """Bytes."""
    etag: str | None = None
    """A strong one; a weak one promises nothing of bytes."""
    modified: str | None = None
    """`Last-Modified`, as it was written."""

    def fit(self, later: "Facts") -> bool:
        """Whether what is said later may still be said of the same bytes."""
        if self.size != later.size:
            return False
        if self.etag and later.etag:
            return self.etag == later.etag
        # Some servers of one site say it and others do not: what only one says tells nothing.
        return not (self.modified and later.modified) or self.modified == later.modified
