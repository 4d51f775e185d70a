"""Who may use this machine, and what was done by whom."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create the tables; the models are copies, frozen here."""

    class Table(peewee.Model):
        class Meta:
            database = None
            legacy_table_names = False

    class Users(Table):
        id = peewee.TextField(primary_key=True)
        email = peewee.TextField()
        email_key = peewee.TextField(unique=True)
        display_name = peewee.TextField()
        role = peewee.TextField()
        disabled = peewee.BooleanField()
        max_rating = peewee.TextField(null=True)
        profile = peewee.TextField()
        password_hash = peewee.TextField()
        version = peewee.IntegerField()
        created_at = peewee.TextField()

    class Audit(Table):
        # Given in order, so that a page of the list can begin behind one.
        id = peewee.AutoField()
        at = peewee.BigIntegerField(index=True)
        type = peewee.TextField()
        # No foreign key: what somebody did stays written when they are gone.
        user = peewee.TextField(null=True, column_name="user_id")
        address = peewee.TextField(null=True)
        details = peewee.TextField()

        class Meta:
            indexes = ((("type", "id"), False), (("user", "id"), False))

    models = [Users, Audit]
    with database.bind_ctx(models):
        database.create_tables(models)
