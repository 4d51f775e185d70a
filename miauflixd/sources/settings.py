"""How directories are described: by the operator, at run time. No I/O."""

from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from msgspec import Meta, Struct, structs

from miauflixd.errors import InvalidInputError
from miauflixd.runtime.secrets import Secret
from miauflixd.sources.directories.directory import DirectoryKind

ARCHIVE_URL = "https://archive.org"

Id = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z",
        description="lower-case letters, digits and `-`, at most 40",
    ),
]
Title = Annotated[str, Meta(min_length=1, max_length=80)]
Address = Annotated[str, Meta(max_length=1000)]
Category = Annotated[int, Meta(ge=1, le=10_000_000)]


class BadDirectoryError(InvalidInputError):
    """A directory is described in a way that cannot be meant."""

    code = "bad_directory"


class DirectorySpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One directory, as its operator wants it."""

    id: Id
    kind: DirectoryKind
    title: Title
    url: Address = ""
    """Where it is; of a folder, its path. A feed's may hold a key, and is to be kept as one."""

    api_key: Secret | None = None
    """For Torznab and Prowlarr."""

    via: Literal["tunnel", "host"] = "tunnel"
    """By which road. What is on one's own network can only be reached by the host's."""

    categories: Annotated[tuple[Category, ...], Meta(max_length=50)] = ()
    """Torznab's and Prowlarr's numbers of where to look; empty: what they call movies and TV."""

    enabled: bool = True

    trust: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """How far what it says is believed, for ranking."""

    def __repr__(self) -> str:
        # Without the address, which may hold a key.
        return f"DirectorySpec(id={self.id!r}, kind={self.kind!r}, via={self.via!r})"

    def check(self) -> None:
        """Find out whether this can be meant; asks nobody.

        Raises:
            BadDirectoryError: it cannot, and why.
        """
        if self.kind not in get_args(DirectoryKind):
            raise BadDirectoryError("There is no such kind of directory")
        if self.kind == "folder":
            if not self.url.startswith("/") or "\0" in self.url:
                raise BadDirectoryError("A folder is named by its whole path, beginning with /")
            return
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if parts.scheme not in ("http", "https") or not host or port == 0 or " " in self.url:
            raise BadDirectoryError("A directory's address begins with http:// or https://")
        if "@" in parts.netloc or parts.fragment:
            raise BadDirectoryError("An address holds no user, password or `#` part")
        if parts.query and self.kind != "feed":
            raise BadDirectoryError(
                "The address ends before the `?`; the key has a field of its own"
            )


ARCHIVE = DirectorySpec(
    id="archive",
    kind="archive",
    title="Internet Archive",
    url=ARCHIVE_URL,
    # As the catalogue asks it too: so a house without a tunnel has something to watch.
    via="host",
    trust=1.0,
)
"""What is there without anybody setting it."""

FOLDER_ID = "folder"

TAKEN = frozenset({ARCHIVE.id, FOLDER_ID, "own"})
"""Ids that no directory may have which is added at run time."""


class SourcesSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where titles are looked for, as far as the settings say; others are added at run time."""

    archive: bool = True
    """Look in the Internet Archive for what it has of a title."""

    folder: Path | None = None
    """A folder into which people put `.torrent` files and magnet links."""

    def directories(self, *, archive_url: str = ARCHIVE_URL) -> tuple[DirectorySpec, ...]:
        """Return the directories that these settings describe, in their order."""
        found = []
        if self.archive:
            found.append(structs.replace(ARCHIVE, url=archive_url))
        if self.folder is not None:
            found.append(
                DirectorySpec(
                    id=FOLDER_ID,
                    kind="folder",
                    title="Folder",
                    url=str(self.folder),
                    via="host",
                    # Somebody of the house has put it there.
                    trust=0.9,
                )
            )
        return tuple(found)
