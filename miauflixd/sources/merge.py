"""The same torrent from several directories is one offer. No I/O."""

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import TypeVar

from miauflixd.sources.offers import MAX_TRACKERS, Hints, Offer
from miauflixd.torrents.magnet import parse_magnet

T = TypeVar("T")

_NAMES = 8
"""Names that are kept besides the first; a torrent may stand under a hundred in one directory."""


def merge(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """Return each torrent once, in the order in which they came first.

    Merging again what was merged, together with more, gives the same as merging all at once, but
    for the order of equals.
    """
    groups: dict[object, list[Offer]] = {}
    for offer in offers:
        groups.setdefault(_identity(offer), []).append(offer)
    return tuple(_joined(group) if len(group) > 1 else group[0] for group in groups.values())


def _identity(offer: Offer) -> object:
    """What tells whether two offers are the same."""
    if offer.info_hash:
        return offer.info_hash
    if offer.magnet:
        return parse_magnet(offer.magnet).hashes
    if offer.torrent_url:
        return offer.torrent_url
    return offer.archive_id, offer.directory, offer.name, offer.web_files


def _joined(group: list[Offer]) -> Offer:
    # Whoever counts most seeders has looked most recently, or asked the right trackers.
    ordered = sorted(group, key=lambda offer: _or(offer.seeders, -1), reverse=True)
    name = max((offer.name for offer in ordered), key=len)
    names = dict.fromkeys(
        each for offer in ordered for each in (offer.name, *offer.other_names) if each != name
    )
    # The one who has the file must be the one who is asked for it.
    holder = next((offer for offer in ordered if offer.torrent_url), ordered[0])
    directories = dict.fromkeys(
        each for offer in ordered for each in (offer.directory, *offer.also)
    )
    directories.pop(holder.directory)
    trackers = dict.fromkeys(each for offer in ordered for each in offer.trackers)

    def first(pick: Callable[[Offer], T | None]) -> T | None:
        return next((value for offer in ordered if (value := pick(offer)) is not None), None)

    def agreed(pick: Callable[[Offer], T | None]) -> T | None:
        """What nobody contradicts: of two who say different things none is believed."""
        values = {value for offer in ordered if (value := pick(offer)) is not None}
        return values.pop() if len(values) == 1 else None

    return Offer(
        directory=holder.directory,
        name=name,
        info_hash=ordered[0].info_hash,
        magnet=first(lambda offer: offer.magnet),
        torrent_url=holder.torrent_url,
        web_files=next((offer.web_files for offer in ordered if offer.web_files), ()),
        size=first(lambda offer: offer.size),
        seeders=first(lambda offer: offer.seeders),
        leechers=first(lambda offer: offer.leechers),
        published=min((o.published for o in ordered if o.published), default=None),
        trackers=tuple(trackers)[:MAX_TRACKERS],
        imdb_id=agreed(lambda offer: offer.imdb_id),
        tmdb_id=agreed(lambda offer: offer.tmdb_id),
        tvdb_id=agreed(lambda offer: offer.tvdb_id),
        archive_id=agreed(lambda offer: offer.archive_id),
        season=agreed(lambda offer: offer.season),
        episode=agreed(lambda offer: offer.episode),
        runtime=first(lambda offer: offer.runtime),
        hints=_hints([offer.hints for offer in ordered]),
        files=max((offer.files for offer in ordered), key=len),
        other_names=tuple(names)[:_NAMES],
        also=tuple(directories),
    )


def _hints(all_of_them: list[Hints]) -> Hints:
    joined = all_of_them[0]
    for hints in all_of_them[1:]:
        more = {
            field.name: getattr(hints, field.name)
            for field in fields(Hints)
            if not getattr(joined, field.name)
        }
        joined = replace(joined, **more)
    languages = dict.fromkeys(each for hints in all_of_them for each in hints.languages)
    return replace(joined, languages=tuple(languages))


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value
