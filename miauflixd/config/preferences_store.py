"""What was set at run time, kept: sealed, since some of it is secret."""

from collections.abc import Mapping

import msgspec
import peewee

from miauflixd.database.database import Database
from miauflixd.vault.sealing import Sealer
from miauflixd.web.ports import SettingValue


class _SettingRow(peewee.Model):
    name = peewee.TextField(primary_key=True)
    value = peewee.BlobField()

    class Meta:
        table_name = "settings"


class PreferenceStore:
    """Values by the names of their settings."""

    def __init__(self, *, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        database.bind(_SettingRow)

    async def all(self) -> dict[str, SettingValue]:
        """Return every value that was set."""

        def read() -> dict[str, bytes]:
            return {row.name: bytes(row.value) for row in _SettingRow.select()}

        return {
            name: msgspec.json.decode(self._sealer.unseal(value, purpose=_purpose(name)))
            for name, value in (await self._database.run(read)).items()
        }

    async def change(self, values: Mapping[str, SettingValue]) -> None:
        """Keep these values, all or none of them; `None` is not kept any more."""
        rows = [
            {
                "name": name,
                "value": self._sealer.seal(msgspec.json.encode(value), purpose=_purpose(name)),
            }
            for name, value in values.items()
            if value is not None
        ]
        removed = [name for name, value in values.items() if value is None]

        def write() -> None:
            for row in rows:
                _SettingRow.insert(**row).on_conflict_replace().execute()
            _SettingRow.delete().where(_SettingRow.name.in_(removed)).execute()

        await self._database.run(write)


def _purpose(name: str) -> str:
    return f"settings.value of {name}"
