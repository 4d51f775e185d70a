"""Settings that were changed while the daemon ran."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create their table; the model is a copy, frozen here."""

    class Settings(peewee.Model):
        name = peewee.TextField(primary_key=True)
        value = peewee.BlobField()

        class Meta:
            database = None
            table_name = "settings"

    with database.bind_ctx([Settings]):
        database.create_tables([Settings])
