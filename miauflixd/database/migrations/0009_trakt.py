"""Accounts with Trakt."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create their table; the model is a copy, frozen here."""

    class TraktLinks(peewee.Model):
        user_id = peewee.TextField(primary_key=True)
        tokens = peewee.BlobField(null=True)
        since = peewee.TextField()
        reason = peewee.TextField()

        class Meta:
            database = None
            table_name = "trakt_links"

    with database.bind_ctx([TraktLinks]):
        database.create_tables([TraktLinks])
