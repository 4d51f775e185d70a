"""The ladder of VPN endpoints and accounts."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create its table; the model is a copy, frozen here."""

    class VpnRungs(peewee.Model):
        id = peewee.TextField(primary_key=True)
        fingerprint = peewee.BlobField(unique=True)
        endpoint = peewee.BlobField(null=True)
        account = peewee.BlobField(null=True)
        servers = peewee.BlobField(null=True)
        position = peewee.IntegerField()
        added_at = peewee.TextField()
        refreshed_at = peewee.TextField(null=True)

        class Meta:
            database = None
            legacy_table_names = False

    with database.bind_ctx([VpnRungs]):
        database.create_tables([VpnRungs])
