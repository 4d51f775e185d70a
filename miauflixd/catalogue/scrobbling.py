"""Taking note of what somebody watches, here and at Trakt."""

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import Kind, OutsideIds, TitleId
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.catalogue.trakt_accounts import TraktAccounts
from miauflixd.catalogue.trakt_model import Action, Watched
from miauflixd.catalogue.watched import Noted, Watching
from miauflixd.catalogue.watching import State, Turn

_ACTIONS: dict[Turn, Action] = {"started": "start", "paused": "pause", "stopped": "stop"}


class Scrobbling:
    """Tells both."""

    def __init__(self, *, titles: TitleStore, watching: Watching, trakt: TraktAccounts) -> None:
        self._titles = titles
        self._watching = watching
        self._trakt = trakt

    async def note(
        self, user_id: UserId, title_id: TitleId, *, position: float, duration: float, state: State
    ) -> Noted:
        """Take note of how far somebody is, as `Watching.note`, and tell Trakt what is news to it.

        Raises:
            MiauflixdError: as `Watching.note`; what goes wrong at Trakt is no trouble of a player.
        """
        noted = await self._watching.note(
            user_id, title_id, position=position, duration=duration, state=state
        )
        if noted.turn is not None and self._trakt.is_linked(user_id):
            watched = await self._as_trakt_finds(title_id)
            if watched is not None:
                self._trakt.scrobble(user_id, _ACTIONS[noted.turn], watched, progress=noted.percent)
        return noted

    async def _as_trakt_finds(self, title_id: TitleId) -> Watched | None:
        if title_id.kind is Kind.MOVIE:
            ids = (await self._titles.outside([title_id])).get(title_id, OutsideIds())
            return Watched(kind=Kind.MOVIE, ids=ids)
        show = (await self._titles.shows_of([title_id])).get(title_id)
        if show is None:
            return None
        ids = (await self._titles.outside([show])).get(show, OutsideIds())
        for step in await self._titles.outline(show):
            if step.id == title_id:
                return Watched(kind=Kind.EPISODE, ids=ids, season=step.season, number=step.number)
        return None
