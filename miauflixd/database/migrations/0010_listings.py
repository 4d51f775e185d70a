"""Where titles can be had, and who says so.

Whatever tells which torrent it is, is sealed. What is in clear is to be looked up, sorted and
counted by. Moments are whole seconds since 1970.
"""

import peewee
from playhouse.migrate import SchemaMigrator

_STATEMENTS = (
    """
    CREATE TABLE listings (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        about BLOB NOT NULL,
        needs_swarm INTEGER NOT NULL,
        state TEXT NOT NULL,
        broken INTEGER NOT NULL DEFAULT 0,
        seeders INTEGER, leechers INTEGER, seeders_before INTEGER,
        counted_at INTEGER,
        scraped INTEGER NOT NULL DEFAULT 0,
        count_every INTEGER,
        count_at INTEGER,
        source_id TEXT,
        own INTEGER NOT NULL,
        added_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL
    )
    """,
    # A torrent may have two hashes, and one of which only the address is known gets them later.
    """
    CREATE TABLE listing_marks (
        fingerprint BLOB PRIMARY KEY,
        listing INTEGER NOT NULL REFERENCES listings (number) ON DELETE CASCADE
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE listing_titles (
        title TEXT NOT NULL,
        listing INTEGER NOT NULL REFERENCES listings (number) ON DELETE CASCADE,
        certain INTEGER NOT NULL,
        pack INTEGER NOT NULL,
        file BLOB,
        PRIMARY KEY (title, listing)
    ) WITHOUT ROWID
    """,
    # Apart from the listings: a `.torrent` file has 50 kB, and reading a row must not read it.
    """
    CREATE TABLE listing_torrents (
        listing INTEGER PRIMARY KEY REFERENCES listings (number) ON DELETE CASCADE,
        metainfo BLOB NOT NULL
    )
    """,
    """
    CREATE TABLE title_searches (
        title TEXT PRIMARY KEY,
        at INTEGER NOT NULL,
        found INTEGER NOT NULL,
        in_vain INTEGER NOT NULL,
        complete INTEGER NOT NULL,
        refused TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE directories (
        id TEXT PRIMARY KEY,
        position INTEGER NOT NULL,
        spec BLOB NOT NULL
    ) WITHOUT ROWID
    """,
    # Of all that are asked, those of the settings too.
    """
    CREATE TABLE directory_standings (
        id TEXT PRIMARY KEY,
        standing BLOB NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX listing_marks_of ON listing_marks (listing)",
    "CREATE INDEX listing_titles_of ON listing_titles (listing)",
    "CREATE INDEX listings_source ON listings (source_id) WHERE source_id IS NOT NULL",
    "CREATE INDEX listings_count ON listings (count_at) WHERE count_at IS NOT NULL",
    "CREATE INDEX listings_seen ON listings (seen_at)",
    "CREATE INDEX title_searches_at ON title_searches (at)",
)


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create the tables."""
    for statement in _STATEMENTS:
        database.execute_sql(statement)  # type: ignore[no-untyped-call] # peewee has no types for it
