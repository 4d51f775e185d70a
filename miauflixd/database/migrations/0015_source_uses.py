"""When sources were last used, how far somebody is in them, and which are to stay."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create the table; the model is a copy, frozen here."""

    class SourceUses(peewee.Model):
        source_id = peewee.TextField(primary_key=True)
        # Seconds since 1970, in UTC.
        used_at = peewee.BigIntegerField(null=True)
        part = peewee.FloatField()
        pinned = peewee.BooleanField()

        class Meta:
            database = None
            legacy_table_names = False

    with database.bind_ctx([SourceUses]):
        database.create_tables([SourceUses])
