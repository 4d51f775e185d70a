"""Whether two descriptions are of one title. No I/O.

A provider's own number is beyond doubt, and so is IMDb's, unless another one contradicts it. Where
there is none in common, the same name in the same year is enough if just one title has it: films of
one name are common (and remakes are of another year), two of them in one year are not.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import get_args

from miauflixd.catalogue.model import OutsideIds, ProviderName
from miauflixd.catalogue.words import folded

_YEAR = re.compile(r"\s*[(\[][0-9]{4}[)\]]\s*\Z")
# Not `die` and `la`, which begin too many names that are something else without (Die Hard).
_ARTICLE = re.compile(r"(?:the|an?|der|das|les?|el|los|las|il) (?=.)")
_LAST_ARTICLE = re.compile(r", (?:the|an?)\Z", re.IGNORECASE)

_EVERYBODY = tuple(field.name for field in fields(OutsideIds))
_PROVIDERS: tuple[str, ...] = get_args(ProviderName)


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What a title can be recognised by. Movies and shows are never compared."""

    ids: OutsideIds
    names: frozenset[str]
    """As `comparable` has them."""
    year: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A title of ours that something might be."""

    number: int
    identity: Identity


def comparable(title: str) -> str:
    """Return a title without case, accents, punctuation and articles; it sorts by this, too.

    `The Matrix`, `Matrix, The` and `the matrix (1999)` are one. Empty when nothing is left.
    """
    name = folded(_LAST_ARTICLE.sub("", _YEAR.sub("", title)) or title)
    return _ARTICLE.sub("", name, count=1) if _ARTICLE.match(name) else name


def names_of(titles: Collection[str]) -> frozenset[str]:
    """Return what a title of these names is compared by."""
    return frozenset(name for title in titles if (name := comparable(title)))


def recognised(
    said: Identity, provider: ProviderName, candidates: Sequence[Candidate]
) -> int | None:
    """Return the number of the title that is described, if it is one of these.

    Args:
        said: what the provider says.
        provider: who says it, and whose own id is beyond doubt.
        candidates: those that share an id or a name with it, all of its kind.
    """
    own = getattr(said.ids, provider)
    for candidate in candidates:
        if own is not None and getattr(candidate.identity.ids, provider) == own:
            return candidate.number
    # The numbers of a provider's own first: it corrects what it says of IMDb's.
    for kinds in (_PROVIDERS, _EVERYBODY):
        for candidate in candidates:
            ids = candidate.identity.ids
            if _share(said.ids, ids, kinds) and not _contradict(said.ids, ids, kinds):
                return candidate.number
    if said.year is None:
        return None
    namesakes = [
        candidate
        for candidate in candidates
        if candidate.identity.year == said.year
        and candidate.identity.names & said.names
        and not _contradict(said.ids, candidate.identity.ids, _EVERYBODY)
    ]
    return namesakes[0].number if len(namesakes) == 1 else None


def contradict(one: OutsideIds, other: OutsideIds) -> bool:
    """Return whether any of their ids says that they are two."""
    return _contradict(one, other, _EVERYBODY)


def _share(one: OutsideIds, other: OutsideIds, kinds: tuple[str, ...]) -> bool:
    return any(
        getattr(one, kind) is not None and getattr(one, kind) == getattr(other, kind)
        for kind in kinds
    )


def _contradict(one: OutsideIds, other: OutsideIds, kinds: tuple[str, ...]) -> bool:
    return any(
        None not in (getattr(one, kind), getattr(other, kind))
        and getattr(one, kind) != getattr(other, kind)
        for kind in kinds
    )
