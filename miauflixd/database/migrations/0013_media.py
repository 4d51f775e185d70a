"""What media files hold, so that nobody has to find it out twice."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create the table; the model is a copy, frozen here."""

    class Media(peewee.Model):
        source_id = peewee.TextField()
        file_index = peewee.IntegerField()
        # A sealed `remuxer.media.Media` in MessagePack; empty: it is no media file.
        media = peewee.BlobField()
        # Of the way in which it was found out: what an older one found is found anew.
        version = peewee.IntegerField()

        class Meta:
            database = None
            legacy_table_names = False
            primary_key = peewee.CompositeKey("source_id", "file_index")

    with database.bind_ctx([Media]):
        database.create_tables([Media])
