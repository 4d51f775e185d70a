"""What people keep elsewhere, person by person: one who fails is no trouble of others."""

import logging
from collections.abc import Mapping

import msgspec

from miauflixd.auth.model import UserId
from miauflixd.catalogue.library import Library
from miauflixd.catalogue.model import Kind, TitleId
from miauflixd.catalogue.trakt_history import HistoryPlace
from miauflixd.errors import MiauflixdError
from miauflixd.jobs.job import Run
from miauflixd.jobs.model import Wanted
from miauflixd.jobs.queue import WorkQueue

_log = logging.getLogger(__name__)

_OF_A_LIST = 0.5
"""How much a title of somebody's list is wanted: as the middle of one that everybody has."""


class TraktWork:
    """Brings lists and histories of all who are linked up to date."""

    def __init__(self, *, library: Library, queues: Mapping[Kind, WorkQueue]) -> None:
        """Take where it is done, and the queues of what is to be looked up, by kind."""
        self._trakt = library.trakt
        self._lists = library.trakt_lists
        self._history = library.trakt_history
        self._syncing = library.syncing
        self._queues = queues

    async def run(self, run: Run) -> str | None:
        """Do so, and say what came of it.

        Raises:
            MiauflixdError: that of the last one who failed, when all did.
        """
        users = self._trakt.linked()
        known = _places(run.cursor)
        # Whoever is not linked any more begins anew when they are again.
        places = {user_id: known[user_id] for user_id in users if user_id in known}
        if places != known:
            await run.checkpoint(msgspec.json.encode(places))
        failures: list[MiauflixdError] = []
        for user_id in users:
            failed = [
                error
                for error in (
                    await self._refresh_lists(user_id),
                    await self._take_history(user_id, places, run),
                )
                if error is not None
            ]
            failures += failed[-1:]
        if failures and len(failures) == len(users):
            raise failures[-1]
        if not users:
            return None
        return f"{len(users) - len(failures)} of {len(users)} accounts"

    async def _refresh_lists(self, user_id: UserId) -> MiauflixdError | None:
        try:
            ids = await self._lists.refresh(user_id)
        except MiauflixdError as error:
            _log.debug("Somebody's lists at Trakt could not be read (%s)", error.code)
            return error
        incomplete = await self._syncing.incomplete(ids)
        await self._put(dict.fromkeys(incomplete, _OF_A_LIST))
        return None

    async def _take_history(
        self,
        user_id: UserId,
        places: dict[UserId, HistoryPlace],
        run: Run,
    ) -> MiauflixdError | None:
        before = places.get(user_id, HistoryPlace())
        try:
            taken = await self._history.take_over(user_id, before)
        except MiauflixdError as error:
            _log.debug("Somebody's history at Trakt could not be read (%s)", error.code)
            return error
        await self._put(taken.wanted)
        if taken.place != before:
            places[user_id] = taken.place
            await run.checkpoint(msgspec.json.encode(places))
        return None

    async def _put(self, wanted: Mapping[TitleId, float]) -> None:
        for kind, queue in self._queues.items():
            await queue.put(
                Wanted(item=str(title), weight=weight)
                for title, weight in wanted.items()
                if title.kind is kind
            )


def _places(cursor: bytes | None) -> dict[UserId, HistoryPlace]:
    return msgspec.json.decode(cursor or b"{}", type=dict[UserId, HistoryPlace])
