"""The sources, and facts about the database itself."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create the first tables.

    The models are copies, frozen here: those of the stores go on to change.
    """

    class Table(peewee.Model):
        class Meta:
            database = None
            legacy_table_names = False

    class Meta(Table):
        name = peewee.TextField(primary_key=True)
        value = peewee.BlobField()

    class Sources(Table):
        id = peewee.TextField(primary_key=True)
        magnet = peewee.BlobField(null=True)
        metainfo = peewee.BlobField(null=True)
        name = peewee.BlobField(null=True)
        layout = peewee.BlobField(null=True)
        resume_data = peewee.BlobField(null=True)
        resume_boot_id = peewee.TextField(null=True)
        resume_settled = peewee.BooleanField()
        added_at = peewee.TextField()

    class SourceHashes(Table):
        fingerprint = peewee.BlobField(primary_key=True)
        source = peewee.ForeignKeyField(Sources, on_delete="CASCADE")

    models = [Meta, Sources, SourceHashes]
    with database.bind_ctx(models):
        database.create_tables(models)
