"""Listings in the database; rows never leave here.

Whatever tells which torrent a listing is, what it is called and what is in it, is sealed.
"""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    ListingState,
    NoListingError,
    Part,
    Saved,
    Search,
)
from miauflixd.sources.merge import merge
from miauflixd.sources.offers import Offer
from miauflixd.torrents.magnet import parse_magnet
from miauflixd.torrents.model import SourceId
from miauflixd.vault.sealing import Sealer

_AT_ONCE = 100
"""Offers that are saved in one transaction: 20 ms, for which everybody else waits."""

_SCRAPED_COUNTS = timedelta(hours=24)
"""For how long what the swarm itself said is believed before what directories say."""

_COLUMNS = (
    "l.number, l.id, l.about, l.state, l.broken, l.seeders, l.leechers, l.seeders_before,"
    " l.counted_at, l.source_id, l.added_at, l.seen_at"
)


class _About(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of a listing."""

    offer: Offer
    broken: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A listing whose seeders are to be counted again."""

    id: ListingId
    offer: Offer
    seeders: int | None
    leechers: int | None
    every: timedelta | None
    """How long it was left alone before; `None`: never counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """What the swarm itself says, and when to ask again."""

    id: ListingId
    seeders: int | None
    """`None`: nobody answered, so what was known stays."""
    leechers: int | None
    every: timedelta
    """How long it is left alone."""


class ListingStore:
    """The listings that this house knows."""

    def __init__(self, *, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._abouts = msgspec.msgpack.Decoder(_About)
        self._files = msgspec.msgpack.Decoder(ChosenFile)

    # --- what searches bring ----------------------------------------------------------------------

    async def save(self, found: Sequence[Found], *, at: datetime) -> Saved:
        """Keep what was found; what is known already learns what is new about it.

        A torrent that is known to be of another title stays there unless it holds several, or
        fits both for certain; else the surer title has it. See `belonging`.
        """
        ids: list[ListingId | None] = []
        gained: set[TitleId] = set()
        lost: set[TitleId] = set()
        for start in range(0, len(found), _AT_ONCE):
            saved = await self._database.run(self._save, found[start : start + _AT_ONCE], at)
            ids += saved.ids
            gained |= saved.gained
            lost |= saved.lost
        return Saved(ids=tuple(ids), gained=frozenset(gained), lost=frozenset(lost))

    async def note_search(self, title: TitleId, search: Search) -> None:
        """Remember the last search for a title."""
        values = (
            str(title),
            _number(search.at),
            search.found,
            search.in_vain,
            search.complete,
            msgspec.json.encode(search.refused).decode(),
        )
        await self._database.run(
            self._database.execute,
            "INSERT OR REPLACE INTO title_searches (title, at, found, in_vain, complete, refused)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            values,
        )

    async def search_of(self, title: TitleId) -> Search | None:
        """Return the last search for a title."""
        return (await self.searches([title])).get(title)

    async def searches(self, titles: Collection[TitleId]) -> Mapping[TitleId, Search]:
        """Return the last search for each of these titles that was searched for."""

        def read() -> dict[TitleId, Search]:
            rows = self._database.execute(
                "SELECT s.title, s.at, s.found, s.in_vain, s.complete, s.refused"
                " FROM json_each(?) AS asked CROSS JOIN title_searches s ON s.title = asked.value",
                (_json(titles),),
            )
            return {
                TitleId.parse(title): Search(
                    at=_moment(at),
                    found=found,
                    in_vain=in_vain,
                    complete=bool(complete),
                    refused=msgspec.json.decode(refused, type=dict[str, int]),
                )
                for title, at, found, in_vain, complete, refused in rows
            }

        return await self._database.run(read)

    # --- what there is ----------------------------------------------------------------------------

    async def of_title(self, title: TitleId) -> Sequence[tuple[Listing, Part]]:
        """Return all listings of a title, and what of each it is, in the order of their finding."""

        def read() -> list[tuple[Listing, Part]]:
            rows = self._database.execute(
                f"SELECT t.certain, t.pack, t.file, {_COLUMNS} FROM listing_titles t"  # noqa: S608 -- our own words
                " CROSS JOIN listings l ON l.number = t.listing WHERE t.title = ?"
                " ORDER BY l.number",
                (str(title),),
            ).fetchall()
            return [
                (self._listing(row), self._part(row[1], title, certain, pack, file))
                for certain, pack, file, *row in rows
            ]

        return await self._database.run(read)

    async def listing(self, listing_id: ListingId) -> Listing:
        """Return one listing.

        Raises:
            NoListingError: there is none.
        """
        return await self._database.run(lambda: self._listing(self._row(listing_id)))

    async def parts(self, listing_id: ListingId) -> Sequence[Part]:
        """Return of which titles a listing is, and what of it; none of one that is not there."""

        def read() -> list[Part]:
            rows = self._database.execute(
                "SELECT t.title, t.certain, t.pack, t.file FROM listings l"
                " JOIN listing_titles t ON t.listing = l.number WHERE l.id = ? ORDER BY t.title",
                (listing_id,),
            )
            return [
                self._part(listing_id, TitleId.parse(title), certain, pack, file)
                for title, certain, pack, file in rows
            ]

        return await self._database.run(read)

    async def by_source(self, source_id: SourceId) -> Listing | None:
        """Return the listing that has become a source."""

        def read() -> Listing | None:
            row = self._database.execute(
                f"SELECT {_COLUMNS} FROM listings l WHERE l.source_id = ?",  # noqa: S608 -- our own words
                (source_id,),
            ).fetchone()
            return None if row is None else self._listing(row)

        return await self._database.run(read)

    async def playable(self, titles: Collection[TitleId]) -> Collection[TitleId]:
        """Return those of these titles that have a listing which is neither broken nor dead."""

        def read() -> set[TitleId]:
            rows = self._database.execute(
                "SELECT asked.value FROM json_each(?) AS asked WHERE EXISTS ("
                "SELECT 1 FROM listing_titles t CROSS JOIN listings l ON l.number = t.listing"
                " WHERE t.title = asked.value AND l.broken = 0 AND l.state <> 'dead')",
                (_json(titles),),
            )
            return {TitleId.parse(title) for (title,) in rows}

        return await self._database.run(read)

    async def count(self) -> int:
        """Return how many listings there are."""

        def read() -> int:
            ((count,),) = self._database.execute("SELECT count(*) FROM listings").fetchall()
            return int(count)

        return await self._database.run(read)

    # --- what becomes of a listing ----------------------------------------------------------------

    async def mark_broken(self, listing_id: ListingId, reason: str | None) -> None:
        """Note why one is not to be played, or with `None` that it may be after all.

        Raises:
            NoListingError: there is none.
        """

        def mark() -> None:
            row = self._row(listing_id)
            about = self._about(listing_id, row[2])
            self._database.execute(
                "UPDATE listings SET broken = ?, about = ? WHERE number = ?",
                (
                    reason is not None,
                    self._seal(listing_id, _About(offer=about.offer, broken=reason)),
                    row[0],
                ),
            )

        await self._database.run(mark)

    async def set_state(self, listing_id: ListingId, state: ListingState) -> None:
        """Note how far one is from being played; nothing happens when it is gone."""
        await self._database.run(
            self._database.execute,
            "UPDATE listings SET state = ? WHERE id = ? AND state <> ?",
            (state, listing_id, state),
        )

    async def set_source(self, listing_id: ListingId, source_id: SourceId | None) -> None:
        """Note which source a listing has become; nothing happens when it is gone."""
        await self._database.run(
            self._database.execute,
            "UPDATE listings SET source_id = ? WHERE id = ?",
            (source_id, listing_id),
        )

    async def set_size(self, listing_id: ListingId, size: int) -> None:
        """Note how big a listing turned out to be; nothing happens when it is gone."""

        def write() -> None:
            row = self._find(listing_id)
            if row is not None:
                about = self._about(listing_id, row[2])
                offer = msgspec.structs.replace(about, offer=_sized(about.offer, size))
                self._database.execute(
                    "UPDATE listings SET about = ? WHERE number = ?",
                    (self._seal(listing_id, offer), row[0]),
                )

        await self._database.run(write)

    async def choose_file(
        self, listing_id: ListingId, title: TitleId, file: ChosenFile | None
    ) -> None:
        """Note which file of a listing is a title; nothing happens where it is not its."""

        def write() -> None:
            self._database.execute(
                "UPDATE listing_titles SET file = ? WHERE title = ?"
                " AND listing = (SELECT number FROM listings WHERE id = ?)",
                (self._sealed_file(listing_id, title, file), str(title), listing_id),
            )

        await self._database.run(write)

    async def remove_part(self, listing_id: ListingId, title: TitleId) -> None:
        """Note that a title is not in a listing; nothing happens where it is not its."""
        await self._database.run(
            self._database.execute,
            "DELETE FROM listing_titles WHERE title = ?"
            " AND listing = (SELECT number FROM listings WHERE id = ?)",
            (str(title), listing_id),
        )

    async def save_torrent(
        self, listing_id: ListingId, metainfo: bytes, *, hashes: Sequence[bytes]
    ) -> ListingId:
        """Keep the `.torrent` file of a listing, which is then ready, and its info-hashes.

        Returns:
            The listing that has it from now on: where another one had one of these hashes already,
            the two were the same, and the older one remains with the titles of both.

        Raises:
            NoListingError: there is no such listing.
        """

        def save() -> ListingId:
            row = self._row(listing_id)
            number, kept = row[0], listing_id
            marks = [self._fingerprint(each) for each in hashes]
            for other in self._owners(marks) - {number}:
                number, kept = self._join(number, other)
            self._mark(number, marks)
            self._database.execute(
                "INSERT OR REPLACE INTO listing_torrents (listing, metainfo) VALUES (?, ?)",
                (number, self._sealer.seal(metainfo, purpose=f"listing_torrents:{kept}")),
            )
            self._database.execute(
                "UPDATE listings SET state = 'ready' WHERE number = ?", (number,)
            )
            return kept

        return await self._database.run(save)

    async def torrent(self, listing_id: ListingId) -> bytes | None:
        """Return the `.torrent` file of a listing, if it is here."""

        def read() -> bytes | None:
            row = self._database.execute(
                "SELECT t.metainfo FROM listings l JOIN listing_torrents t ON t.listing = l.number"
                " WHERE l.id = ?",
                (listing_id,),
            ).fetchone()
            if row is None:
                return None
            return self._sealer.unseal(row[0], purpose=f"listing_torrents:{listing_id}")

        return await self._database.run(read)

    async def remove(self, listing_id: ListingId) -> None:
        """Forget a listing.

        Raises:
            NoListingError: there is none.
        """

        def remove() -> None:
            number = self._row(listing_id)[0]
            self._database.execute("DELETE FROM listings WHERE number = ?", (number,))

        await self._database.run(remove)

    # --- counting seeders, and forgetting ---------------------------------------------------------

    async def due(self, now: datetime, *, limit: int) -> Sequence[Due]:
        """Return listings of swarms whose seeders are to be counted, the most overdue first."""

        def read() -> list[Due]:
            rows = self._database.execute(
                "SELECT id, about, seeders, leechers, count_every FROM listings"
                " WHERE count_at <= ? ORDER BY count_at LIMIT ?",
                (_number(now), limit),
            ).fetchall()
            return [
                Due(
                    id=ListingId(listing_id),
                    offer=self._about(ListingId(listing_id), about).offer,
                    seeders=seeders,
                    leechers=leechers,
                    every=None if every is None else timedelta(seconds=every),
                )
                for listing_id, about, seeders, leechers, every in rows
            ]

        return await self._database.run(read)

    async def next_due(self) -> datetime | None:
        """Return when the next one is to be counted, in the past if it is overdue."""

        def read() -> datetime | None:
            ((at,),) = self._database.execute(
                "SELECT min(count_at) FROM listings WHERE count_at IS NOT NULL"
            ).fetchall()
            return None if at is None else _moment(at)

        return await self._database.run(read)

    async def save_counts(self, counts: Sequence[Count], *, at: datetime) -> None:
        """Write down what swarms say of themselves; what is gone is left out."""

        def save() -> None:
            for count in counts:
                every = int(count.every.total_seconds())
                self._database.execute(
                    "UPDATE listings SET count_every = ?, count_at = ? WHERE id = ?",
                    (every, _number(at) + every, count.id),
                )
                if count.seeders is not None:
                    self._database.execute(
                        "UPDATE listings SET seeders_before = seeders, seeders = ?, leechers = ?,"
                        " counted_at = ?, scraped = 1 WHERE id = ?",
                        (count.seeders, count.leechers, _number(at), count.id),
                    )

        await self._database.run(save)

    async def unseen(self, *, before: datetime, limit: int) -> Sequence[ListingId]:
        """Return listings that nobody has offered since, and nobody has, the longest gone first.

        Those that have become sources are not among them, nor what people have added themselves.
        """

        def read() -> list[ListingId]:
            rows = self._database.execute(
                "SELECT id FROM listings WHERE seen_at < ? AND source_id IS NULL AND own = 0"
                " AND (state = 'dead' OR coalesce(seeders, 0) = 0)"
                " ORDER BY seen_at LIMIT ?",
                (_number(before), limit),
            )
            return [ListingId(listing_id) for (listing_id,) in rows]

        return await self._database.run(read)

    async def unopened(
        self, *, after: int, limit: int
    ) -> tuple[Sequence[tuple[ListingId, TitleId]], int | None]:
        """Return listings of which nobody knows what they hold, with a title of each.

        Args:
            after: where the part before has ended; 0 is the beginning.
            limit: rows to look at, whatever is found in them.

        Returns:
            What was found, and where to go on; `None`: that was the last part.
        """

        def read() -> tuple[list[tuple[ListingId, TitleId]], int | None]:
            rows = self._database.execute(
                "SELECT l.number, l.id, l.state, l.broken,"
                " (SELECT min(t.title) FROM listing_titles t WHERE t.listing = l.number)"
                " FROM listings l WHERE l.number > ? ORDER BY l.number LIMIT ?",
                (after, limit),
            ).fetchall()
            found = [
                (ListingId(listing_id), TitleId.parse(title))
                for _, listing_id, state, broken, title in rows
                if state == "magnet" and not broken and title is not None
            ]
            return found, rows[-1][0] if len(rows) == limit else None

        return await self._database.run(read)

    # --- inside a transaction ---------------------------------------------------------------------

    def _save(self, found: Iterable[Found], at: datetime) -> Saved:
        ids: list[ListingId | None] = []
        gained: set[TitleId] = set()
        lost: set[TitleId] = set()
        for one in found:
            marks = self._marks_of(one.offer)
            owner = min(self._owners(marks), default=None)
            before = [] if owner is None else self._titles_of(owner)
            settled = settle(before, one.parts)
            if owner is not None and one.parts and not settled.kept:
                ids.append(None)
                continue
            if owner is None:
                number, listing_id = self._insert(one.offer, at)
            else:
                number, listing_id = self._update(owner, one.offer, at)
            self._mark(number, marks)
            for title in settled.given_up:
                self._database.execute(
                    "DELETE FROM listing_titles WHERE title = ? AND listing = ?",
                    (str(title), number),
                )
            for part in settled.kept:
                self._write_part(number, listing_id, part)
            ids.append(listing_id)
            known = {part.title_id for part in before}
            gained |= {part.title_id for part in settled.kept} - known
            lost |= {*settled.given_up}
        return Saved(ids=tuple(ids), gained=frozenset(gained), lost=frozenset(lost))

    def _insert(self, offer: Offer, at: datetime) -> tuple[int, ListingId]:
        listing_id = ListingId(secrets.token_hex(8))
        swarm = not offer.web_files
        moment = _number(at)
        cursor = self._database.execute(
            "INSERT INTO listings (id, about, needs_swarm, state, seeders, leechers, counted_at,"
            " count_at, own, added_at, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                listing_id,
                self._seal(listing_id, _About(offer=offer)),
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
            f"SELECT {_COLUMNS} FROM listings l WHERE l.number = ?",  # noqa: S608 -- our own words
            (number,),
        ).fetchone()
        listing_id = ListingId(row[1])
        about = self._about(listing_id, row[2])
        joined = _joined(about.offer, offer)
        if joined != about.offer:
            self._database.execute(
                "UPDATE listings SET about = ? WHERE number = ?",
                (self._seal(listing_id, msgspec.structs.replace(about, offer=joined)), number),
            )
        self._database.execute(
            "UPDATE listings SET seen_at = ?, own = own OR ? WHERE number = ?",
            (_number(at), offer.directory == OWN, number),
        )
        if offer.seeders is not None:
            # Somebody has it again, if it is said to be dead.
            self._database.execute(
                "UPDATE listings SET seeders_before = iif(counted_at < ?, seeders, seeders_before),"
                " seeders = ?, leechers = ?, counted_at = ?, scraped = 0,"
                " state = iif(state = 'dead' AND ? > 0, 'magnet', state)"
                " WHERE number = ? AND (scraped = 0 OR counted_at < ?)",
                (
                    _number(at - timedelta(hours=1)),
                    offer.seeders,
                    offer.leechers,
                    _number(at),
                    offer.seeders,
                    number,
                    _number(at - _SCRAPED_COUNTS),
                ),
            )
        return number, listing_id

    def _join(self, one: int, other: int) -> tuple[int, ListingId]:
        """Let two listings of the same torrent be the older one, and return that."""
        kept, gone = min(one, other), max(one, other)
        rows = dict(
            self._database.execute(
                "SELECT number, id FROM listings WHERE number IN (?, ?)", (kept, gone)
            ).fetchall()
        )
        for part in self._titles_of(gone):
            # A file's name is sealed for its own listing.
            self._write_part(kept, ListingId(rows[kept]), part)
        self._database.execute(
            "UPDATE OR IGNORE listing_marks SET listing = ? WHERE listing = ?", (kept, gone)
        )
        self._database.execute("DELETE FROM listings WHERE number = ?", (gone,))
        return kept, ListingId(rows[kept])

    def _write_part(self, number: int, listing_id: ListingId, part: Part) -> None:
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
                self._sealed_file(listing_id, part.title_id, part.file),
            ),
        )

    def _titles_of(self, number: int) -> list[Part]:
        rows = self._database.execute(
            "SELECT l.id, t.title, t.certain, t.pack, t.file FROM listing_titles t"
            " CROSS JOIN listings l ON l.number = t.listing WHERE t.listing = ?",
            (number,),
        ).fetchall()
        return [
            self._part(listing_id, TitleId.parse(title), certain, pack, file)
            for listing_id, title, certain, pack, file in rows
        ]

    def _owners(self, marks: Collection[bytes]) -> set[int]:
        owners = set()
        for mark in marks:
            row = self._database.execute(
                "SELECT listing FROM listing_marks WHERE fingerprint = ?", (mark,)
            ).fetchone()
            if row is not None:
                owners.add(int(row[0]))
        return owners

    def _mark(self, number: int, marks: Iterable[bytes]) -> None:
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
            return [self._fingerprint(each) for each in hashes]
        if offer.web_files:
            return [self._fingerprint(b"web " + offer.web_files[0].url.encode())]
        # Not by its address: those of proxies are other ones at every search.
        known = "\n".join((offer.directory, offer.name, str(offer.size)))
        return [self._fingerprint(b"name " + known.encode())]

    def _fingerprint(self, value: bytes) -> bytes:
        return self._sealer.fingerprint(value, purpose="listing")

    def _find(self, listing_id: ListingId) -> Any:
        return self._database.execute(
            f"SELECT {_COLUMNS} FROM listings l WHERE l.id = ?",  # noqa: S608 -- our own words
            (listing_id,),
        ).fetchone()

    def _row(self, listing_id: ListingId) -> Any:
        if (row := self._find(listing_id)) is None:
            raise NoListingError("There is no such source")
        return row

    def _listing(self, row: Sequence[Any]) -> Listing:
        _, name, about, state, broken, seeders, leechers, before, counted, source, added, seen = row
        listing_id = ListingId(name)
        said = self._about(listing_id, about)
        return Listing(
            id=listing_id,
            offer=said.offer,
            state=state,
            seeders=seeders,
            leechers=leechers,
            seeders_before=before,
            counted_at=None if counted is None else _moment(counted),
            broken=(said.broken or "It does not play") if broken else None,
            source_id=None if source is None else SourceId(source),
            added_at=_moment(added),
            seen_at=_moment(seen),
        )

    def _part(
        self, listing_id: str, title: TitleId, certain: int, pack: int, file: bytes | None
    ) -> Part:
        chosen = None
        if file is not None:
            purpose = f"listing_titles.file:{listing_id}:{title}"
            chosen = self._files.decode(self._sealer.unseal(file, purpose=purpose))
        return Part(title_id=title, certain=bool(certain), pack=bool(pack), file=chosen)

    def _sealed_file(
        self, listing_id: ListingId, title: TitleId, file: ChosenFile | None
    ) -> bytes | None:
        if file is None:
            return None
        purpose = f"listing_titles.file:{listing_id}:{title}"
        return self._sealer.seal(msgspec.msgpack.encode(file), purpose=purpose)

    def _about(self, listing_id: ListingId, sealed: bytes) -> _About:
        return self._abouts.decode(
            self._sealer.unseal(sealed, purpose=f"listings.about:{listing_id}")
        )

    def _seal(self, listing_id: ListingId, about: _About) -> bytes:
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


def _sized(offer: Offer, size: int) -> Offer:
    return replace(offer, size=size)


def _json(titles: Iterable[TitleId]) -> str:
    return msgspec.json.encode([str(title) for title in titles]).decode()


def _number(moment: datetime) -> int:
    return int(moment.timestamp())


def _moment(number: int) -> datetime:
    return datetime.fromtimestamp(number, UTC)
