"""What has been fetched before anybody has pressed play."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create the table; the model is a copy, frozen here."""

    class Preloads(peewee.Model):
        source_id = peewee.TextField(primary_key=True)
        # Bytes that may be on the disk.
        size = peewee.BigIntegerField()
        # Seconds since 1970, in UTC.
        at = peewee.BigIntegerField()

        class Meta:
            database = None
            legacy_table_names = False

    with database.bind_ctx([Preloads]):
        database.create_tables([Preloads])
