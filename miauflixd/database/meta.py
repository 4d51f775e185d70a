"""Facts about the database itself; for use inside `Database.run`."""

import peewee


class MetaRow(peewee.Model):
    """A named value."""

    name = peewee.TextField(primary_key=True)
    value = peewee.BlobField()

    class Meta:
        """Where peewee finds it."""

        table_name = "meta"


def read(name: str) -> bytes | None:
    """Return a fact, or nothing when it was never written."""
    row = MetaRow.get_or_none(MetaRow.name == name)
    return None if row is None else bytes(row.value)


def write(name: str, value: bytes) -> None:
    """Write a fact, over an earlier one."""
    MetaRow.insert(name=name, value=value).on_conflict_replace().execute()
