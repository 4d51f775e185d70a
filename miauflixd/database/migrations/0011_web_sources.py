"""Sources that need no swarm."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create the tables; the models are copies, frozen here."""

    class Table(peewee.Model):
        class Meta:
            database = None
            legacy_table_names = False

    class WebSources(Table):
        id = peewee.TextField(primary_key=True)
        # Of the addresses, by which the same content is found again.
        fingerprint = peewee.BlobField(unique=True)
        content = peewee.BlobField()
        added_at = peewee.TextField()

    class WebFiles(Table):
        source = peewee.ForeignKeyField(WebSources, on_delete="CASCADE")
        # `index` is a word of SQL.
        number = peewee.IntegerField()
        # Which version of the file it is, and a bit for each block of it that is on the disk.
        facts = peewee.BlobField()
        have = peewee.BlobField()

        class Meta:
            primary_key = peewee.CompositeKey("source", "number")

    models = [WebSources, WebFiles]
    with database.bind_ctx(models):
        database.create_tables(models)
