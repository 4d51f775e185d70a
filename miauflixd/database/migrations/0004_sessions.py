"""Sessions with their refresh tokens, and keys."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create their tables; the models are copies, frozen here."""

    class Table(peewee.Model):
        class Meta:
            database = None
            legacy_table_names = False

    class Sessions(Table):
        id = peewee.TextField(primary_key=True)
        user_id = peewee.TextField(index=True)
        version = peewee.IntegerField()
        name = peewee.TextField()
        device_id = peewee.TextField(null=True)
        address = peewee.TextField()
        created_at = peewee.TextField()
        used_at = peewee.TextField()
        expires_at = peewee.TextField()
        ended_at = peewee.TextField(null=True)
        ending = peewee.TextField(null=True)

    class RefreshTokens(Table):
        mark = peewee.BlobField(primary_key=True)
        session = peewee.ForeignKeyField(Sessions, on_delete="CASCADE")
        expires_at = peewee.TextField()
        rotated_at = peewee.TextField(null=True)

    class PurposeKeys(Table):
        id = peewee.TextField(primary_key=True)
        mark = peewee.BlobField(unique=True)
        user_id = peewee.TextField()
        purpose = peewee.TextField()
        name = peewee.TextField()
        created_at = peewee.TextField()
        used_at = peewee.TextField(null=True)

    class StreamKeys(Table):
        mark = peewee.BlobField(primary_key=True)
        user_id = peewee.TextField()
        session_id = peewee.TextField(null=True)
        source_id = peewee.TextField()
        file = peewee.IntegerField(null=True)
        playback_id = peewee.TextField(null=True)
        expires_at = peewee.TextField()

    models = [Sessions, RefreshTokens, PurposeKeys, StreamKeys]
    with database.bind_ctx(models):
        database.create_tables(models)
