"""Listings as rows. For use inside `Database.run`."""

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from miauflixd.catalogue.model import TitleId
from miauflixd.database.database import Database
from miauflixd.sources.belonging import settle
from miauflixd.sources.listing_model import (
    OWN,
    ChosenFile,
    Found,
    Listing,
    ListingId,
    NoListingError,
    Part,
    Saved,
)
from miauflixd.sources.merge import merge
from miauflixd.sources.offers import Offer
from miauflixd.torrents.magnet import parse_magnet
from miauflixd.torrents.model import SourceId
from miauflixd.vault.sealing import Sealer

_SCRAPED_COUNTS = timedelta(hours=24)
"""For how long what the swarm itself said is believed before what directories say."""

COLUMNS = (
    "l.number, l.id, l.about, l.state, l.broken, l.seeders, l.leechers, l.seeders_before,"
    " l.counted_at, l.source_id, l.added_at, l.seen_at"
)


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of a listing."""

    offer: Offer
    broken: str | None = None


class ListingRows:
    """Reads and writes the rows of listings, sealing and unsealing what is in them."""

    def __init__(self, *, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._abouts = msgspec.msgpack.Decoder(About)
        self._files = msgspec.msgpack.Decoder(ChosenFile)

    def save(self, found: Iterable[Found], at: datetime) -> Saved:
        """Keep what was found; see `ListingStore.save`."""
        ids: list[ListingId | None] = []
        gained: set[TitleId] = set()
        lost: set[TitleId] = set()
        for one in found:
            marks = self._marks_of(one.offer)
            owner = min(self.owners(marks), default=None)
            before = [] if owner is None else self.titles_of(owner)
            settled = settle(before, one.parts)
            if owner is not None and one.parts and not settled.kept:
                ids.append(None)
                continue
            if owner is None:
                number, listing_id = self._insert(one.offer, at)
            else:
                number, listing_id = self._update(owner, one.offer, at)
            self.mark(number, marks)
            for title in settled.given_up:
                self._database.execute(
                    "DELETE FROM listing_titles WHERE title = ? AND listing = ?",
                    (str(title), number),
                )
            for part in settled.kept:
                self.write_part(number, listing_id, part)
            ids.append(listing_id)
            known = {part.title_id for part in before}
            gained |= {part.title_id for part in settled.kept} - known
            lost |= {*settled.given_up}
        return Saved(ids=tuple(ids), gained=frozenset(gained), lost=frozenset(lost))

    def _insert(self, offer: Offer, at: datetime) -> tuple[int, ListingId]:
        listing_id = ListingId(secrets.token_hex(8))
        swarm = not offer.web_files
        moment = to_seconds(at)
        cursor = self._database.execute(
            "INSERT INTO listings (id, about, needs_swarm, state, seeders, leechers, counted_at,"
            " count_at, own, added_at, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                listing_id,
                self.seal(listing_id, About(offer=offer)),
                swarm,
                "magnet" if swarm else "ready",
                offer.seeders,
                offer.leechers,
                None if offer.seeders is None else moment,
                moment if swarm and (offer.info_hash or offer.magnet) else None,
                offer.directory == OWN,
                moment,
                moment,
            ),
        )
        return int(cursor.lastrowid or 0), listing_id

    def _update(self, number: int, offer: Offer, at: datetime) -> tuple[int, ListingId]:
        row = self._database.execute(
            f"SELECT {COLUMNS} FROM listings l WHERE l.number = ?",  # noqa: S608 -- our own words
            (number,),
        ).fetchone()
        listing_id = ListingId(row[1])
        about = self.about(listing_id, row[2])
        joined = _joined(about.offer, offer)
        if joined != about.offer:
            self._database.execute(
                "UPDATE listings SET about = ? WHERE number = ?",
                (self.seal(listing_id, msgspec.structs.replace(about, offer=joined)), number),
            )
        self._database.execute(
            "UPDATE listings SET seen_at = ?, own = own OR ? WHERE number = ?",
            (to_seconds(at), offer.directory == OWN, number),
        )
        if offer.seeders is not None:
            # Somebody has it again, if it is said to be dead.
            self._database.execute(
                "UPDATE listings SET seeders_before = iif(counted_at < ?, seeders, seeders_before),"
                " seeders = ?, leechers = ?, counted_at = ?, scraped = 0,"
                " state = iif(state = 'dead' AND ? > 0, 'magnet', state)"
                " WHERE number = ? AND (scraped = 0 OR counted_at < ?)",
                (
                    to_seconds(at - timedelta(hours=1)),
                    offer.seeders,
                    offer.leechers,
                    to_seconds(at),
                    offer.seeders,
                    number,
                    to_seconds(at - _SCRAPED_COUNTS),
                ),
            )
        return number, listing_id

    def join(self, one: int, other: int) -> tuple[int, ListingId]:
        """Let two listings of the same torrent be the older one, and return that."""
        kept, gone = min(one, other), max(one, other)
        rows = dict(
            self._database.execute(
                "SELECT number, id FROM listings WHERE number IN (?, ?)", (kept, gone)
            ).fetchall()
        )
        for part in self.titles_of(gone):
            # A file's name is sealed for its own listing.
            self.write_part(kept, ListingId(rows[kept]), part)
        self._database.execute(
            "UPDATE OR IGNORE listing_marks SET listing = ? WHERE listing = ?", (kept, gone)
        )
        self._database.execute("DELETE FROM listings WHERE number = ?", (gone,))
        return kept, ListingId(rows[kept])

    def write_part(self, number: int, listing_id: ListingId, part: Part) -> None:
        """Note what of a listing is a title; what is known for certain stays certain."""
        self._database.execute(
            "INSERT INTO listing_titles (title, listing, certain, pack, file)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " certain = max(certain, excluded.certain), pack = excluded.pack,"
            " file = coalesce(excluded.file, file)",
            (
                str(part.title_id),
                number,
                part.certain,
                part.pack,
                self.sealed_file(listing_id, part.title_id, part.file),
            ),
        )

    def titles_of(self, number: int) -> list[Part]:
        """Return what of a listing is which title."""
        rows = self._database.execute(
            "SELECT l.id, t.title, t.certain, t.pack, t.file FROM listing_titles t"
            " CROSS JOIN listings l ON l.number = t.listing WHERE t.listing = ?",
            (number,),
        ).fetchall()
        return [
            self.part(listing_id, TitleId.parse(title), certain, pack, file)
            for listing_id, title, certain, pack, file in rows
        ]

    def owners(self, marks: Collection[bytes]) -> set[int]:
        """Return the listings that have one of these marks."""
        owners = set()
        for mark in marks:
            row = self._database.execute(
                "SELECT listing FROM listing_marks WHERE fingerprint = ?", (mark,)
            ).fetchone()
            if row is not None:
                owners.add(int(row[0]))
        return owners

    def mark(self, number: int, marks: Iterable[bytes]) -> None:
        """Let a listing be known by these marks, as far as no other is."""
        for mark in marks:
            # A mark that is another's stays with it: nothing that somebody offers joins two.
            self._database.execute(
                "INSERT OR IGNORE INTO listing_marks (fingerprint, listing) VALUES (?, ?)",
                (mark, number),
            )

    def _marks_of(self, offer: Offer) -> list[bytes]:
        """Return by what an offer is known again: its hashes, else where it leads to."""
        hashes = [] if offer.info_hash is None else [bytes.fromhex(offer.info_hash)]
        if offer.magnet is not None:
            hashes += [each for each in parse_magnet(offer.magnet).hashes if each not in hashes]
        if hashes:
            return [self.fingerprint(each) for each in hashes]
        if offer.web_files:
            return [self.fingerprint(b"web " + offer.web_files[0].url.encode())]
        # Not by its address: those of proxies are other ones at every search.
        known = "\n".join((offer.directory, offer.name, str(offer.size)))
        return [self.fingerprint(b"name " + known.encode())]

    def fingerprint(self, value: bytes) -> bytes:
        """Return the mark of an info-hash, or of what else an offer is known by."""
        return self._sealer.fingerprint(value, purpose="listing")

    def find(self, listing_id: ListingId) -> Any:
        """Return the row of a listing, `COLUMNS`, or `None`."""
        return self._database.execute(
            f"SELECT {COLUMNS} FROM listings l WHERE l.id = ?",  # noqa: S608 -- our own words
            (listing_id,),
        ).fetchone()

    def row(self, listing_id: ListingId) -> Any:
        """Return the row of a listing.

        Raises:
            NoListingError: there is none.
        """
        if (row := self.find(listing_id)) is None:
            raise NoListingError("There is no such source")
        return row

    def listing(self, row: Sequence[Any]) -> Listing:
        """Return what a row says."""
        _, name, about, state, broken, seeders, leechers, before, counted, source, added, seen = row
        listing_id = ListingId(name)
        said = self.about(listing_id, about)
        return Listing(
            id=listing_id,
            offer=said.offer,
            state=state,
            seeders=seeders,
            leechers=leechers,
            seeders_before=before,
            counted_at=None if counted is None else from_seconds(counted),
            broken=(said.broken or "It does not play") if broken else None,
            source_id=None if source is None else SourceId(source),
            added_at=from_seconds(added),
            seen_at=from_seconds(seen),
        )

    def part(
        self, listing_id: str, title: TitleId, certain: int, pack: int, file: bytes | None
    ) -> Part:
        """Return what a row of a title and a listing says."""
        chosen = None
        if file is not None:
            purpose = f"listing_titles.file:{listing_id}:{title}"
            chosen = self._files.decode(self._sealer.unseal(file, purpose=purpose))
        return Part(title_id=title, certain=bool(certain), pack=bool(pack), file=chosen)

    def sealed_file(
        self, listing_id: ListingId, title: TitleId, file: ChosenFile | None
    ) -> bytes | None:
        """Return a file as it is stored beside its title."""
        if file is None:
            return None
        purpose = f"listing_titles.file:{listing_id}:{title}"
        return self._sealer.seal(msgspec.msgpack.encode(file), purpose=purpose)

    def about(self, listing_id: ListingId, sealed: bytes) -> About:
        """Unseal what is sealed of a listing."""
        return self._abouts.decode(
            self._sealer.unseal(sealed, purpose=f"listings.about:{listing_id}")
        )

    def seal(self, listing_id: ListingId, about: About) -> bytes:
        """Seal what tells which torrent a listing is."""
        return self._sealer.seal(
            msgspec.msgpack.encode(about), purpose=f"listings.about:{listing_id}"
        )


def _joined(known: Offer, offer: Offer) -> Offer:
    """Return what both say together, under the name that it was first known by."""
    joined, *others = merge((known, offer))
    if others:  # of two versions of one torrent the hashes need not be told by both
        return known
    names = dict.fromkeys((joined.name, *joined.other_names))
    names.pop(known.name, None)
    return replace(joined, name=known.name, other_names=tuple(names)[:8])


def to_seconds(moment: datetime) -> int:
    """Return a moment as the database has it: seconds since 1970."""
    return int(moment.timestamp())


def from_seconds(number: int) -> datetime:
    """Return the moment that a number stands for."""
    return datetime.fromtimestamp(number, UTC)
