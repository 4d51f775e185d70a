"""Lists of titles, and what people have watched."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create their tables; the models are copies, frozen here.

    No foreign keys: titles are another part's, and whoever removes a user says so here.
    """

    class Table(peewee.Model):
        class Meta:
            database = None
            legacy_table_names = False

    class Lists(Table):
        slug = peewee.TextField()
        # Empty: nobody's. Not null, since two nulls are never the same.
        owner = peewee.TextField()
        title = peewee.TextField()
        kind = peewee.TextField()
        provider = peewee.TextField(null=True)
        shared = peewee.BooleanField()
        count = peewee.IntegerField()
        created_at = peewee.TextField()
        refreshed_at = peewee.TextField(null=True)
        # Last: whoever only wants to know what lists there are does not read so far.
        items = peewee.TextField()

        class Meta:
            primary_key = peewee.CompositeKey("slug", "owner")

    class Progress(Table):
        user_id = peewee.TextField()
        title_id = peewee.TextField()
        show = peewee.BigIntegerField(null=True)
        position = peewee.FloatField()
        duration = peewee.FloatField()
        watched_at = peewee.BigIntegerField(null=True)
        plays = peewee.IntegerField()
        updated_at = peewee.BigIntegerField()

        class Meta:
            primary_key = peewee.CompositeKey("user_id", "title_id")
            without_rowid = True
            indexes = ((("user_id", "updated_at"), False), (("user_id", "show"), False))

    # The few that somebody is in the middle of, among the thousands that they have seen.
    Progress.add_index(
        Progress.user_id, Progress.updated_at, where=Progress.position > 0, name="progress_started"
    )
    models = [Lists, Progress]
    with database.bind_ctx(models):
        database.create_tables(models)
