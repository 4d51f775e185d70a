"""Lists of titles: whose they are, what they are called, and who may do what with them. No I/O."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from miauflixd.auth.model import Role, UserId, Viewer
from miauflixd.catalogue.model import (
    BadListError,
    BuiltInListError,
    Kind,
    ListSlug,
    ProviderName,
    TitleId,
)
from miauflixd.errors import ConflictError, ForbiddenError

ListKind = Literal["movie", "show", "mixed"]

MOST_LISTS = 200
"""Made by one user: more than anybody looks through, and little enough to be shown at once."""

MOST_ITEMS = 5_000
"""In one list: 60 KB of ids, which are read and written as one."""

LONGEST_TITLE = 100
"""Characters; what a television shows of it is some 40."""

# They turn around or hide what is written next to them: U+061C, U+200B, U+200E, U+200F, U+2028 to
# U+202E, U+2060, U+2066 to U+2069, U+FEFF. What joins letters and families (U+200C, U+200D) stays.
_MISLEADING = frozenset(
    map(
        chr,
        (0x61C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A)),
    )
) | {"\ufeff"}

_PROVIDERS: tuple[ProviderName | None, ...] = ("tmdb", "trakt", "archive")
"""Who knows best what people watch now comes first."""

_TOPICS = ("trending", "now-playing", "popular", "anticipated", "top-rated")
"""From what changes every day to what never does; others come last."""

_KINDS: tuple[ListKind, ...] = ("movie", "show", "mixed")


class NotYourListError(ForbiddenError):
    """It is shared by somebody else, to be looked at."""

    code = "not_your_list"


class TooManyListsError(ConflictError):
    """One has as many lists as one may have."""

    code = "too_many_lists"


class ListFullError(ConflictError):
    """There is no room for more in this list."""

    code = "list_full"


@dataclass(frozen=True, kw_only=True, slots=True)
class ListSpec:
    """A list that a provider fills, for everybody."""

    slug: ListSlug
    title: str
    kind: ListKind
    provider: ProviderName


@dataclass(frozen=True, kw_only=True, slots=True)
class ListInfo:
    """A list, without what is in it.

    There are three sorts: built-in ones belong to nobody and have a provider; those that people
    make belong to them and have none; those that they keep elsewhere have both.
    """

    slug: ListSlug
    title: str
    kind: ListKind
    provider: ProviderName | None
    """Who fills it; `None`: its owner does."""
    owner: UserId | None
    """`None`: it is built in."""
    shared: bool
    """Whether the household sees somebody's own list; a built-in one is seen by all anyway."""
    count: int
    """How many titles are in it."""
    created_at: datetime
    refreshed_at: datetime | None
    """When its provider last said what is in it, or up to six hours before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TitleList:
    """A list with what is in it, or with the first of that."""

    info: ListInfo
    ids: tuple[TitleId, ...]


# --- who may do what ------------------------------------------------------------------------------


def may_change(info: ListInfo, viewer: Viewer) -> bool:
    """Return whether somebody who sees a list may change it."""
    return info.provider is None and (viewer.role is Role.ADMIN or viewer.user_id == info.owner)


def require_change(info: ListInfo, viewer: Viewer) -> None:
    """Let pass who may change a list, of those who see it.

    Raises:
        BuiltInListError: nobody may: others fill it.
        NotYourListError: it is somebody else's.
    """
    if info.provider is not None:
        raise BuiltInListError("This list is filled by others and cannot be changed here")
    if not may_change(info, viewer):
        raise NotYourListError("This list is somebody else's; make one of your own")


# --- what it is called ----------------------------------------------------------------------------


def checked_title(text: str) -> str:
    """Return what a list is to be called, without what nobody can see.

    Raises:
        BadListError: that leaves nothing, or too much.
    """
    title = _cleaned(text)
    if not 0 < len(title) <= LONGEST_TITLE:
        raise BadListError(f"The title of a list has 1 to {LONGEST_TITLE} characters")
    return title


def foreign_title(text: str, *, otherwise: str) -> str:
    """Return what a list is called elsewhere, as far as there is room, or else something else."""
    return _cleaned(text)[:LONGEST_TITLE].rstrip() or otherwise


def _cleaned(text: str) -> str:
    seen = "".join(one for one in unicodedata.normalize("NFC", text) if _is_seen(one))
    kept = " ".join(seen.split())
    # Letters, digits and signs can be seen by themselves; joiners and accents cannot.
    return kept if any(unicodedata.category(one)[0] in "LNPS" for one in kept) else ""


def _is_seen(one: str) -> bool:
    # Line ends and tabs are blanks here, though they are control characters too.
    hidden = one in _MISLEADING or unicodedata.category(one) in {"Cc", "Cs", "Cn", "Co"}
    return one.isspace() or not hidden


# --- what is in it --------------------------------------------------------------------------------


def fitting(ids: Sequence[TitleId]) -> tuple[TitleId, ...]:
    """Return what a list can hold of these, each once, in their order.

    Lists of others are paged through while they change, so that some titles come twice.
    """
    whole = (one for one in dict.fromkeys(ids) if one.kind is not Kind.EPISODE)
    return tuple(whole)[:MOST_ITEMS]


def placed(
    ids: Sequence[TitleId], title_id: TitleId, *, position: int | None
) -> tuple[TitleId, ...]:
    """Return these with a title among them; one that is there stays, unless it is to move.

    Args:
        ids: what there is.
        title_id: a movie or show.
        position: how many are to come before it; at the end if `None` or more than there are.

    Raises:
        BadListError: it is an episode.
        ListFullError: there is no room.
    """
    if title_id.kind is Kind.EPISODE:
        raise BadListError("A list holds movies and shows, not episodes")
    if title_id in ids and position is None:
        return tuple(ids)
    rest = [one for one in ids if one != title_id]
    if len(rest) >= MOST_ITEMS:
        raise ListFullError(f"A list has room for {MOST_ITEMS} titles")
    rest.insert(len(rest) if position is None else max(position, 0), title_id)
    return tuple(rest)


def reordered(ids: Sequence[TitleId], first: Sequence[TitleId]) -> tuple[TitleId, ...]:
    """Return these with some of them first; the rest follows as it stood.

    Raises:
        BadListError: one of them is not there.
    """
    if not set(first) <= set(ids):
        raise BadListError("Only what is in the list can be put in order")
    return tuple(dict.fromkeys([*first, *ids]))


# --- in which order lists are shown ---------------------------------------------------------------

_OWN = 1e11
_OTHERS = 2e11
"""More than there are seconds since 1970, so that each sort of list is behind the one before."""


def place(info: ListInfo, user_id: UserId) -> tuple[float, str]:
    """Return where a list stands among all that somebody sees: a key to sort by.

    First what is built in, then one's own, then what others share; each in the order in which they
    were made, but the built-in ones, which somebody has thought about.
    """
    made = info.created_at.timestamp()
    if info.owner is None:
        return float(_rank(info)), info.slug
    return (_OWN if info.owner == user_id else _OTHERS) + made, f"{info.slug} {info.owner}"


def _rank(info: ListInfo) -> int:
    topic = next((at for at, word in enumerate(_TOPICS) if word in info.slug), len(_TOPICS))
    provider = _PROVIDERS.index(info.provider)
    return (provider * (len(_TOPICS) + 1) + topic) * len(_KINDS) + _KINDS.index(info.kind)
