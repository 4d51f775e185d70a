"""What is being played, so that a player goes on after the daemon was started anew."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create the table; the model is a copy, frozen here."""

    class Playbacks(peewee.Model):
        id = peewee.TextField(primary_key=True)
        # A sealed `playback.playback_store.Record` in MessagePack.
        record = peewee.BlobField()
        # Seconds since 1970, in UTC.
        used_at = peewee.BigIntegerField(index=True)

        class Meta:
            database = None
            legacy_table_names = False

    with database.bind_ctx([Playbacks]):
        database.create_tables([Playbacks])
