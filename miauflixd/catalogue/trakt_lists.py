"""What people keep at Trakt, among their lists here."""

from collections.abc import Sequence

from miauflixd.auth.model import UserId
from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.model import ListSlug, TitleId
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.catalogue.trakt_accounts import TraktAccounts
from miauflixd.runtime.clock import Clock


class TraktLists:
    """Brings lists of those who are linked up to date."""

    def __init__(
        self, *, titles: TitleStore, lists: Lists, trakt: TraktAccounts, clock: Clock
    ) -> None:
        self._titles = titles
        self._lists = lists
        self._trakt = trakt
        self._clock = clock

    async def refresh(self, user_id: UserId) -> Sequence[TitleId]:
        """Refresh somebody's, and return all titles that are in them.

        Raises:
            NotLinkedError: they are not linked.
            ProviderUnavailableError: Trakt does not answer; their lists stay as they are.
        """
        slugs: list[ListSlug] = []
        titles: dict[TitleId, None] = {}
        for found in await self._trakt.lists(user_id):
            slug = ListSlug(f"my-trakt-{found.id}")
            ids = await self._titles.save(found.items, at=self._clock())
            await self._lists.replace_for(user_id, slug=slug, title=found.title, ids=ids)
            slugs.append(slug)
            titles |= dict.fromkeys(ids)
        await self._lists.retain_for(user_id, slugs)
        return list(titles)
