"""What is done by itself, and what waits to be done."""

import peewee
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, database: peewee.Database) -> None:
    """Create the tables; the models are copies, frozen here."""

    class Table(peewee.Model):
        class Meta:
            database = None
            legacy_table_names = False

    class Tasks(Table):
        name = peewee.TextField(primary_key=True)
        # Moments are microseconds since 1970, in UTC.
        started = peewee.BigIntegerField(null=True)
        finished = peewee.BigIntegerField(null=True)
        took = peewee.BigIntegerField()
        result = peewee.TextField(null=True)
        error = peewee.TextField(null=True)
        runs = peewee.IntegerField()
        failed = peewee.IntegerField()
        failures = peewee.IntegerField()
        rests = peewee.IntegerField()
        rests_until = peewee.BigIntegerField(null=True)

    class TaskCursors(Table):
        # Not in `tasks`: a cursor is written in the middle of a run, and is not the run's result.
        task = peewee.TextField(primary_key=True)
        cursor = peewee.BlobField()

    class Work(Table):
        # In the order in which they came.
        id = peewee.AutoField()
        queue = peewee.TextField()
        item = peewee.TextField()
        # 0: waits until `not_before`; 1: ready; 2: in the works.
        stage = peewee.IntegerField()
        priority = peewee.IntegerField()
        weight = peewee.FloatField()
        not_before = peewee.BigIntegerField()
        # Put again while it was in the works: to be done once more, from then on.
        again_at = peewee.BigIntegerField(null=True)
        attempts = peewee.IntegerField()
        error = peewee.TextField(null=True)

    Work.add_index(Work.queue, Work.item, unique=True)
    # Read from its front for what goes next, and from its back for what is dropped first.
    Work.add_index(Work.index(Work.queue, Work.stage, Work.priority, Work.weight.desc()))
    Work.add_index(Work.index(Work.queue, Work.not_before, where=(Work.stage == 0)))
    models = [Tasks, TaskCursors, Work]
    with database.bind_ctx(models):
        database.create_tables(models)
