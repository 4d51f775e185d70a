"""Directories in the database, and how each was doing. All sealed: addresses may hold keys."""

from collections.abc import Mapping, Sequence

import msgspec

from miauflixd.database.database import Database
from miauflixd.runtime.secrets import hidden, revealed
from miauflixd.sources.offers import DirectoryId
from miauflixd.sources.settings import DirectorySpec
from miauflixd.sources.standing import Standing
from miauflixd.vault.sealing import Sealer


class DirectoryStore:
    """The directories that were added at run time, and the standings of all."""

    def __init__(self, *, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._specs = msgspec.msgpack.Decoder(DirectorySpec, dec_hook=hidden)
        self._standings = msgspec.msgpack.Decoder(Standing)

    async def specs(self) -> Sequence[DirectorySpec]:
        """Return their descriptions, in their order."""

        def read() -> list[DirectorySpec]:
            rows = self._database.execute("SELECT id, spec FROM directories ORDER BY position, id")
            return [
                self._specs.decode(self._sealer.unseal(sealed, purpose=f"directories:{name}"))
                for name, sealed in rows
            ]

        return await self._database.run(read)

    async def save(self, specs: Sequence[DirectorySpec]) -> None:
        """Let there be these and no others, in this order."""

        def write() -> None:
            self._database.execute("DELETE FROM directories")
            for position, spec in enumerate(specs):
                encoded = msgspec.msgpack.encode(spec, enc_hook=revealed)
                self._database.execute(
                    "INSERT INTO directories (id, position, spec) VALUES (?, ?, ?)",
                    (
                        spec.id,
                        position,
                        self._sealer.seal(encoded, purpose=f"directories:{spec.id}"),
                    ),
                )

        await self._database.run(write)

    async def standings(self) -> Mapping[DirectoryId, Standing]:
        """Return how each was doing when it was last written down."""

        def read() -> dict[DirectoryId, Standing]:
            rows = self._database.execute("SELECT id, standing FROM directory_standings")
            return {
                DirectoryId(name): self._standings.decode(
                    self._sealer.unseal(sealed, purpose=f"directory_standings:{name}")
                )
                for name, sealed in rows
            }

        return await self._database.run(read)

    async def save_standings(self, standings: Mapping[DirectoryId, Standing]) -> None:
        """Write down how all are doing; of others nothing is known any more."""

        def write() -> None:
            self._database.execute("DELETE FROM directory_standings")
            for name, standing in standings.items():
                self._database.execute(
                    "INSERT INTO directory_standings (id, standing) VALUES (?, ?)",
                    (
                        name,
                        self._sealer.seal(
                            msgspec.msgpack.encode(standing), purpose=f"directory_standings:{name}"
                        ),
                    ),
                )

        await self._database.run(write)
