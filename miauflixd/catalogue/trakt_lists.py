"""What people keep at Trakt, among their lists here."""

import logging

from miauflixd.auth.model import UserId
from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.model import ListSlug
from miauflixd.catalogue.ports import Clock
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.catalogue.trakt_accounts import TraktAccounts
from miauflixd.errors import MiauflixdError

_log = logging.getLogger(__name__)


class TraktLists:
    """Brings lists of those who are linked up to date; one who fails is no trouble of others."""

    def __init__(
        self, *, titles: TitleStore, lists: Lists, trakt: TraktAccounts, clock: Clock
    ) -> None:
        self._titles = titles
        self._lists = lists
        self._trakt = trakt
        self._clock = clock

    async def refresh_all(self) -> str | None:
        """Refresh everybody's, and say in words what came of it.

        Raises:
            MiauflixdError: that of the last one who failed, when all did.
        """
        users = self._trakt.linked()
        failure: MiauflixdError | None = None
        failed = 0
        for user_id in users:
            try:
                await self.refresh(user_id)
            except MiauflixdError as error:
                failure = error
                failed += 1
        if failure is not None and failed == len(users):
            raise failure
        if not users:
            return None
        return f"{len(users) - failed} of {len(users)} accounts"

    async def refresh(self, user_id: UserId) -> None:
        """Refresh somebody's.

        Raises:
            NotLinkedError: they are not linked.
            ProviderUnavailableError: Trakt does not answer; their lists stay as they are.
        """
        slugs: list[ListSlug] = []
        for found in await self._trakt.lists(user_id):
            slug = ListSlug(f"my-trakt-{found.id}")
            ids = await self._titles.save(found.items, at=self._clock())
            await self._lists.replace_for(user_id, slug=slug, title=found.title, ids=ids)
            slugs.append(slug)
        await self._lists.retain_for(user_id, slugs)
