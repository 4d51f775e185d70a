"""Listings in the database; rows never leave here.

Whatever tells which torrent a listing is, what it is called and what is in it, is sealed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from miauflixd.catalogue.model import TitleId
from miauflixd.database.database import Database
from miauflixd.sources.listing_model import (
    ChosenFile,
    Found,
    Listing,
    ListingId,
    ListingState,
    Part,
    Saved,
    Search,
)
from miauflixd.sources.listing_rows import COLUMNS, About, ListingRows, from_seconds, to_seconds
from miauflixd.sources.offers import Offer
from miauflixd.torrents.model import SourceId
from miauflixd.vault.sealing import Sealer

_AT_ONCE = 50
"""Offers that are saved in one transaction: 20 ms, for which everybody else waits."""


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
        self._rows = ListingRows(database=database, sealer=sealer)

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
            saved = await self._database.run(self._rows.save, found[start : start + _AT_ONCE], at)
            ids += saved.ids
            gained |= saved.gained
            lost |= saved.lost
        return Saved(ids=tuple(ids), gained=frozenset(gained), lost=frozenset(lost))

    async def note_search(self, title: TitleId, search: Search) -> None:
        """Remember the last search for a title."""
        values = (
            str(title),
            to_seconds(search.at),
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
                    at=from_seconds(at),
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
                f"SELECT t.certain, t.pack, t.file, {COLUMNS} FROM listing_titles t"  # noqa: S608 -- our own words
                " CROSS JOIN listings l ON l.number = t.listing WHERE t.title = ?"
                " ORDER BY l.number",
                (str(title),),
            ).fetchall()
            return [
                (self._rows.listing(row), self._rows.part(row[1], title, certain, pack, file))
                for certain, pack, file, *row in rows
            ]

        return await self._database.run(read)

    async def listing(self, listing_id: ListingId) -> Listing:
        """Return one listing.

        Raises:
            NoListingError: there is none.
        """
        return await self._database.run(lambda: self._rows.listing(self._rows.row(listing_id)))

    async def parts(self, listing_id: ListingId) -> Sequence[Part]:
        """Return of which titles a listing is, and what of it; none of one that is not there."""

        def read() -> list[Part]:
            rows = self._database.execute(
                "SELECT t.title, t.certain, t.pack, t.file FROM listings l"
                " JOIN listing_titles t ON t.listing = l.number WHERE l.id = ? ORDER BY t.title",
                (listing_id,),
            )
            return [
                self._rows.part(listing_id, TitleId.parse(title), certain, pack, file)
                for title, certain, pack, file in rows
            ]

        return await self._database.run(read)

    async def by_source(self, source_id: SourceId) -> Listing | None:
        """Return the listing that has become a source."""

        def read() -> Listing | None:
            row = self._database.execute(
                f"SELECT {COLUMNS} FROM listings l WHERE l.source_id = ?",  # noqa: S608 -- our own words
                (source_id,),
            ).fetchone()
            return None if row is None else self._rows.listing(row)

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
            row = self._rows.row(listing_id)
            about = self._rows.about(listing_id, row[2])
            self._database.execute(
                "UPDATE listings SET broken = ?, about = ? WHERE number = ?",
                (
                    reason is not None,
                    self._rows.seal(listing_id, About(offer=about.offer, broken=reason)),
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
            row = self._rows.find(listing_id)
            if row is not None:
                about = self._rows.about(listing_id, row[2])
                sized = replace(about.offer, size=size)
                about = msgspec.structs.replace(about, offer=sized)
                self._database.execute(
                    "UPDATE listings SET about = ? WHERE number = ?",
                    (self._rows.seal(listing_id, about), row[0]),
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
                (self._rows.sealed_file(listing_id, title, file), str(title), listing_id),
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
            row = self._rows.row(listing_id)
            number, kept = row[0], listing_id
            marks = [self._rows.fingerprint(each) for each in hashes]
            for other in self._rows.owners(marks) - {number}:
                number, kept = self._rows.join(number, other)
            self._rows.mark(number, marks)
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
            number = self._rows.row(listing_id)[0]
            self._database.execute("DELETE FROM listings WHERE number = ?", (number,))

        await self._database.run(remove)

    # --- counting seeders, and forgetting ---------------------------------------------------------

    async def due(self, now: datetime, *, limit: int) -> Sequence[Due]:
        """Return listings of swarms whose seeders are to be counted, the most overdue first."""

        def read() -> list[Due]:
            rows = self._database.execute(
                "SELECT id, about, seeders, leechers, count_every FROM listings"
                " WHERE count_at <= ? ORDER BY count_at LIMIT ?",
                (to_seconds(now), limit),
            ).fetchall()
            return [
                Due(
                    id=ListingId(listing_id),
                    offer=self._rows.about(ListingId(listing_id), about).offer,
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
            return None if at is None else from_seconds(at)

        return await self._database.run(read)

    async def save_counts(self, counts: Sequence[Count], *, at: datetime) -> None:
        """Write down what swarms say of themselves; what is gone is left out."""

        def save() -> None:
            for count in counts:
                every = int(count.every.total_seconds())
                self._database.execute(
                    "UPDATE listings SET count_every = ?, count_at = ? WHERE id = ?",
                    (every, to_seconds(at) + every, count.id),
                )
                if count.seeders is not None:
                    self._database.execute(
                        "UPDATE listings SET seeders_before = seeders, seeders = ?, leechers = ?,"
                        " counted_at = ?, scraped = 1 WHERE id = ?",
                        (count.seeders, count.leechers, to_seconds(at), count.id),
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
                (to_seconds(before), limit),
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


def _json(titles: Iterable[TitleId]) -> str:
    return msgspec.json.encode([str(title) for title in titles]).decode()
