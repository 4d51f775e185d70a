"""What a directory is, whichever kind."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from miauflixd.errors import UnavailableError
from miauflixd.runtime.priority import Priority
from miauflixd.sources.offers import DirectoryId, Offer, Query
from miauflixd.torrents.magnet import Magnet

DirectoryKind = Literal["archive", "torznab", "prowlarr", "yts", "therarbg", "folder", "feed"]

Kinds = frozenset[Literal["movie", "episode", "season"]]

EVERYTHING: Kinds = frozenset({"movie", "episode", "season"})


class DirectoryUnavailableError(UnavailableError):
    """A directory does not answer, or with something that cannot be used."""

    code = "directory_unavailable"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        """Say what happened.

        Args:
            message: a sentence for a person, without titles, keys and addresses.
            retry_after: seconds after which the directory itself wants to be asked again.
        """
        super().__init__(message)
        self.retry_after = retry_after


class DirectoryUnreachableError(DirectoryUnavailableError):
    """Nobody is at a directory's address; or it is our own network that leads nowhere."""

    code = "directory_unreachable"


class DirectoryRefusedError(DirectoryUnavailableError):
    """A directory serves us only once somebody has changed something: a key, or a switch there."""

    code = "directory_refused"


class DirectoryGuardedError(DirectoryUnavailableError):
    """Instead of the directory a check for browsers answers, which we do not try to pass."""

    code = "directory_guarded"


class NothingThereError(DirectoryUnavailableError):
    """A directory is well, but has not, or not any more, what it offered."""

    code = "nothing_there"


class FunctionMissingError(DirectoryUnavailableError):
    """A directory is well, but cannot be asked in this way."""

    code = "directory_function_missing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """What a directory can be asked for."""

    kinds: Kinds = EVERYTHING
    ids: frozenset[str] = frozenset()
    """The ids that it finds things by: `imdb`, `tmdb`, `tvdb`, `archive`."""
    words: bool = True
    """Whether it finds things by their names."""

    def can_find(self, query: Query) -> bool:
        """Whether it can be asked for this at all; whoever is not asked has not answered either."""
        known = {
            "imdb": query.imdb_id,
            "tmdb": query.tmdb_id,
            "tvdb": query.tvdb_id,
            "archive": query.archive_id,
        }
        return query.kind in self.kinds and (
            self.words or any(known[name] is not None for name in self.ids)
        )


@dataclass(frozen=True, slots=True)
class TorrentBytes:
    """A `.torrent` file as a stranger gave it; it looks like one, and that is all."""

    data: bytes = field(repr=False)


class Directory(Protocol):
    """Somebody who says where a title can be had.

    How it is doing, and whether it is left alone for a while, `Asking` keeps for all of them.
    """

    @property
    def id(self) -> DirectoryId:
        """Which one it is."""
        ...

    @property
    def title(self) -> str:
        """What its operator calls it."""
        ...

    @property
    def kind(self) -> DirectoryKind:
        """What it speaks."""
        ...

    def capabilities(self) -> Capabilities:
        """Return what it can be asked for, as far as is known yet; asks nobody."""
        ...

    async def search(self, query: Query, *, priority: Priority) -> Sequence[Offer]:
        """Return what it has, or might have, for this; nothing if it cannot be asked for such.

        What comes need not fit: names are compared by whoever asked.

        Raises:
            DirectoryUnavailableError: it gave no usable answer.
            TunnelDownError: there is no way out, which is not its fault.
        """
        ...

    async def check(self) -> None:
        """Ask it something small, for somebody who waits.

        Raises:
            DirectoryUnavailableError: it gave no usable answer.
            TunnelDownError: there is no way out.
        """
        ...

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        """Return what an offer of its own leads to.

        Whether that is the torrent that was promised is for whoever reads it to check.

        Raises:
            NothingThereError: it leads nowhere any more.
            DirectoryUnavailableError: it gave no usable answer.
            TunnelDownError: there is no way out.
        """
        ...
