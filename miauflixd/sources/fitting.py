"""Which titles an offer is of. No I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from miauflixd.catalogue.model import Kind, Particulars
from miauflixd.sources.listing_model import Found, Part
from miauflixd.sources.matching import Fit, Refusal, Wanted, fit
from miauflixd.sources.offered_release import read
from miauflixd.sources.offers import Offer, Query

_TITLES = 6
"""Titles that directories are asked for by name: the house's, the original, and a few more. Each
may be a request of its own; the others are only compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sought:
    """A title that is searched for, and the episodes that come in the same packs."""

    title: Particulars
    mates: tuple[Particulars, ...] = ()
    """All episodes of the season; none of a movie."""

    def queries(self) -> Sequence[Query]:
        """Return what to ask directories: for an episode, for its whole season too."""
        title = self.title
        if title.id.kind is Kind.MOVIE:
            return (_query(title),)
        episode = replace(
            _query(title),
            kind="episode",
            season=title.season,
            episode=title.episode,
            aired=title.aired,
            daily=title.daily,
        )
        if title.daily:
            return (episode,)  # nobody packs a year of the news
        return (episode, replace(episode, kind="season", episode=None, aired=None))


def match(offer: Offer, sought: Sought) -> Found | Refusal:
    """Return of which titles an offer is, or why not of the one that is searched for."""
    found = _fit(offer, sought.title)
    if isinstance(found, Refusal):
        return found
    name, fitting = found
    parts = [Part(title_id=sought.title.id, certain=fitting.certain, pack=fitting.pack)]
    if fitting.pack:
        for mate in sought.mates:
            other = fit(read(name), wanted_of(mate)) if mate.id != sought.title.id else None
            if isinstance(other, Fit):
                parts.append(Part(title_id=mate.id, certain=other.certain, pack=other.pack))
    return Found(offer=_called(offer, name), parts=tuple(parts))


def promising_first(offers: Iterable[Offer]) -> Sequence[Offer]:
    """Return offers in the order in which to look at them: from a server, then what many have."""
    return sorted(
        offers, key=lambda offer: (bool(offer.web_files), offer.seeders or 0), reverse=True
    )


def _fit(offer: Offer, title: Particulars) -> tuple[str, Fit] | Refusal:
    """Return under which of its names an offer fits, and how well."""
    if offer.archive_id is not None and offer.archive_id == title.ids.archive:
        # The item is the title: it is where we have it from.
        return offer.name, Fit(certain=True)
    if _contradicts(offer, title):
        return Refusal("Its directory says that it is another film")
    wanted = wanted_of(title)
    first: Refusal | None = None
    for name in (offer.name, *offer.other_names):
        found = fit(read(name), wanted)
        if isinstance(found, Fit):
            return name, found
        first = first or found
    return first or Refusal("It has no name")


def _contradicts(offer: Offer, title: Particulars) -> bool:
    """Whether an offer is said to be another film.

    Of episodes some tell the show's id, some the episode's own, so those say nothing.
    """
    if title.id.kind is not Kind.MOVIE:
        return False
    ids = ((offer.imdb_id, title.ids.imdb), (offer.tmdb_id, title.ids.tmdb))
    told = [said == known for said, known in ids if said is not None and known is not None]
    return bool(told) and not any(told)


def _called(offer: Offer, name: str) -> Offer:
    if name == offer.name:
        return offer
    others = [other for other in (offer.name, *offer.other_names) if other != name]
    return replace(offer, name=name, other_names=tuple(others))


def _query(title: Particulars) -> Query:
    return Query(
        kind="movie",
        titles=title.titles[:_TITLES],
        year=title.year,
        imdb_id=title.ids.imdb,
        tmdb_id=title.ids.tmdb,
        tvdb_id=title.ids.tvdb,
        archive_id=title.ids.archive,
    )


@lru_cache(maxsize=256)  # one season against some hundred offers
def wanted_of(title: Particulars) -> Wanted:
    """Return what a release of a title has to say."""
    return Wanted(
        kind=Kind.MOVIE if title.id.kind is Kind.MOVIE else Kind.EPISODE,
        titles=title.titles,
        year=title.year,
        season=title.season,
        episode=title.episode,
        absolute=title.absolute,
        aired=title.aired,
    )
