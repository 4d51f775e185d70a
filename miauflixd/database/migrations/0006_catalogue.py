"""What there is to watch.

`documents` hold what each provider said of a title, whole; everything else of a title is drawn from
them, and is here to be looked up, sorted and searched. Said in SQL, since peewee has no words for
half of it.
"""

import peewee
from playhouse.migrate import SchemaMigrator

_TABLES = (
    # Of the kind `moved` is what turned out to be another title: lists and people may still know it
    # by this number, but nothing that looks for a movie or a show comes upon it.
    """
    CREATE TABLE titles (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        tmdb INTEGER, imdb TEXT, archive TEXT, trakt INTEGER, tvdb INTEGER,
        locale TEXT, name TEXT NOT NULL, key TEXT NOT NULL,
        original_title TEXT NOT NULL, original_key TEXT NOT NULL, original_language TEXT NOT NULL,
        year INTEGER, appeared TEXT NOT NULL,
        rating REAL, merit REAL NOT NULL, renown REAL NOT NULL,
        poster TEXT, backdrop TEXT,
        age INTEGER,
        available INTEGER NOT NULL DEFAULT 0,
        same_as INTEGER REFERENCES titles (id)
    )
    """,
    """
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY,
        title_id INTEGER NOT NULL REFERENCES titles (id) ON DELETE CASCADE,
        provider TEXT NOT NULL,
        facts BLOB NOT NULL,
        UNIQUE (title_id, provider)
    )
    """,
    # Apart from the documents, so that to have asked again is a small thing to write.
    """
    CREATE TABLE tellings (
        title_id INTEGER NOT NULL REFERENCES titles (id) ON DELETE CASCADE,
        provider TEXT NOT NULL,
        "full" INTEGER NOT NULL,
        mark BLOB NOT NULL,
        checked_at TEXT NOT NULL,
        gone INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (title_id, provider)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE title_names (
        title_id INTEGER NOT NULL REFERENCES titles (id) ON DELETE CASCADE,
        locale TEXT NOT NULL,
        title TEXT NOT NULL,
        PRIMARY KEY (title_id, locale)
    ) WITHOUT ROWID
    """,
    # The columns in the order of the key: SQLite 3.40's quick check finds damage where there is
    # none in a table without rowids that is ordered otherwise.
    """
    CREATE TABLE title_genres (
        kind TEXT NOT NULL,
        genre TEXT NOT NULL,
        title_id INTEGER NOT NULL REFERENCES titles (id) ON DELETE CASCADE,
        PRIMARY KEY (kind, genre, title_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE title_certifications (
        title_id INTEGER NOT NULL REFERENCES titles (id) ON DELETE CASCADE,
        region TEXT NOT NULL,
        certification TEXT NOT NULL,
        PRIMARY KEY (title_id, region)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE genre_names (
        genre TEXT NOT NULL,
        locale TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (genre, locale)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE seasons (
        title_id INTEGER NOT NULL REFERENCES titles (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        tmdb INTEGER,
        aired TEXT,
        poster TEXT,
        episode_count INTEGER NOT NULL,
        synced_at TEXT,
        PRIMARY KEY (title_id, number)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE season_texts (
        title_id INTEGER NOT NULL REFERENCES titles (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        locale TEXT NOT NULL,
        title TEXT NOT NULL,
        overview TEXT NOT NULL,
        PRIMARY KEY (title_id, number, locale)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE episodes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title_id INTEGER NOT NULL REFERENCES titles (id) ON DELETE CASCADE,
        season INTEGER NOT NULL,
        number INTEGER NOT NULL,
        tmdb INTEGER,
        aired TEXT,
        runtime INTEGER,
        still TEXT,
        rating REAL,
        available INTEGER NOT NULL DEFAULT 0,
        gone INTEGER NOT NULL DEFAULT 0,
        UNIQUE (title_id, season, number)
    )
    """,
    """
    CREATE TABLE episode_texts (
        episode_id INTEGER NOT NULL REFERENCES episodes (id) ON DELETE CASCADE,
        locale TEXT NOT NULL,
        title TEXT NOT NULL,
        overview TEXT NOT NULL,
        PRIMARY KEY (episode_id, locale)
    ) WITHOUT ROWID
    """,
    # What is written into it has been folded already: the tokenizer has nothing left to decide.
    """
    CREATE VIRTUAL TABLE title_search USING fts5 (
        main, other, tokenize = 'unicode61 remove_diacritics 0', prefix = '1 2 3'
    )
    """,
)

_INDEXES = (
    "CREATE UNIQUE INDEX titles_tmdb ON titles (kind, tmdb) WHERE tmdb IS NOT NULL",
    "CREATE UNIQUE INDEX titles_archive ON titles (kind, archive) WHERE archive IS NOT NULL",
    "CREATE UNIQUE INDEX titles_trakt ON titles (kind, trakt) WHERE trakt IS NOT NULL",
    "CREATE INDEX titles_imdb ON titles (kind, imdb) WHERE imdb IS NOT NULL",
    "CREATE INDEX titles_tvdb ON titles (kind, tvdb) WHERE tvdb IS NOT NULL",
    # The orders to browse in; the number, which breaks a tie, is in every index.
    "CREATE INDEX titles_key ON titles (kind, key)",
    "CREATE INDEX titles_original_key ON titles (kind, original_key)",
    "CREATE INDEX titles_renown ON titles (kind, renown)",
    "CREATE INDEX titles_merit ON titles (kind, merit)",
    "CREATE INDEX titles_appeared ON titles (kind, appeared)",
    # Whatever titles can be narrowed down by, so that to count them reads no title.
    "CREATE INDEX titles_filters ON titles (kind, year, age, rating, original_language)",
    "CREATE INDEX title_genres_of ON title_genres (title_id)",
    # Whether anything points at a title is asked for each that is forgotten.
    "CREATE INDEX titles_same_as ON titles (same_as) WHERE same_as IS NOT NULL",
    'CREATE INDEX tellings_by ON tellings (provider, "full", gone, checked_at)',
    # To count those that are not, as one count less another.
    "CREATE INDEX episodes_gone ON episodes (id) WHERE gone",
    "CREATE INDEX seasons_unsynced ON seasons (title_id, number) WHERE synced_at IS NULL",
)


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create the tables."""
    for statement in (*_TABLES, *_INDEXES):
        database.execute_sql(statement)  # type: ignore[no-untyped-call] # peewee has no types for it
