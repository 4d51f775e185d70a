"""Lists of titles: the house's own, and everybody's."""

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from msgspec import UNSET, UnsetType

from miauflixd.auth.model import UserId, Viewer
from miauflixd.catalogue import list_model
from miauflixd.catalogue.list_model import ListInfo, ListSpec, TitleList
from miauflixd.catalogue.list_store import Change, ListStore
from miauflixd.catalogue.model import ListSlug, NoListError, ProviderName, TitleId
from miauflixd.runtime.clock import Clock

_STAMPED = timedelta(hours=6)
"""How long ago an unchanged list may be said to have been refreshed: lists are asked for every
hour, and an SD card should not be written to in order to note that nothing has happened."""


class Lists:
    """What stands on the shelves of this house.

    Movies and shows alone are in lists, each once. Whatever has changed is told as `list:<slug>`,
    or `list:<slug>:<user id>` where it is nobody else's business.
    """

    def __init__(self, *, store: ListStore, clock: Clock, changed: Callable[[str], None]) -> None:
        self._store = store
        self._clock = clock
        self._changed = changed

    # --- to look at -------------------------------------------------------------------------------

    async def visible(self, user_id: UserId) -> Sequence[ListInfo]:
        """Return the lists that a user sees: built-in ones, their own, what others share."""
        found = await self._store.visible(user_id)
        return sorted(found, key=lambda info: list_model.place(info, user_id))

    async def beginnings(self, user_id: UserId, count: int) -> Sequence[TitleList]:
        """Return the same with the first `count` titles of each, in one go."""
        found = await self._store.beginnings(user_id, count)
        return sorted(found, key=lambda one: list_model.place(one.info, user_id))

    async def all_beginnings(self, count: int) -> Sequence[Sequence[TitleId]]:
        """Return the first `count` titles of every list, whoever sees it; for what nobody sees."""
        return await self._store.all_beginnings(count)

    async def get(self, slug: ListSlug, user_id: UserId) -> TitleList:
        """Return a list with all that is in it.

        Raises:
            NoListError: the user sees none of this name.
        """
        return await self._store.get(slug, user_id)

    # --- filled by others -------------------------------------------------------------------------

    async def replace(
        self, spec: ListSpec, ids: Sequence[TitleId], *, at: datetime | None = None
    ) -> bool:
        """Let a built-in list hold these, in this order, and return whether that is news.

        Args:
            spec: which list.
            ids: what is in it; what comes twice, and episodes, are left out.
            at: when its provider said so; now if `None`.
        """
        return await self._fill(
            spec.slug,
            owner=None,
            title=list_model.foreign_title(spec.title, otherwise=spec.slug),
            kind=spec.kind,
            provider=spec.provider,
            ids=ids,
            at=at,
        )

    async def retain(self, provider: ProviderName, slugs: Collection[ListSlug]) -> None:
        """Remove a provider's built-in lists, but for these."""
        self._tell(await self._store.retain(provider, None, slugs))

    async def replace_for(
        self, user_id: UserId, *, slug: ListSlug, title: str, ids: Sequence[TitleId]
    ) -> bool:
        """Let a list that a user keeps at Trakt hold these; it is theirs alone, see `replace`."""
        return await self._fill(
            slug,
            owner=user_id,
            title=list_model.foreign_title(title, otherwise="Trakt"),
            kind="mixed",
            provider="trakt",
            ids=ids,
            at=None,
        )

    async def retain_for(self, user_id: UserId, slugs: Collection[ListSlug]) -> None:
        """Remove what a user keeps at Trakt, but for these lists."""
        self._tell(await self._store.retain("trakt", user_id, slugs), to=user_id)

    # --- made by people ---------------------------------------------------------------------------

    async def create(self, user_id: UserId, *, title: str, shared: bool = False) -> ListInfo:
        """Make an empty list.

        Raises:
            BadListError: it cannot be called so.
            TooManyListsError: the user has as many as one may have.
        """
        info = ListInfo(
            slug=ListSlug(f"own-{secrets.token_hex(6)}"),
            title=list_model.checked_title(title),
            kind="mixed",
            provider=None,
            owner=user_id,
            shared=shared,
            count=0,
            created_at=self._clock(),
            refreshed_at=None,
        )
        await self._store.add(info, most=list_model.MOST_LISTS)
        self._tell([info.slug], to=None if shared else user_id)
        return info

    async def change(
        self,
        slug: ListSlug,
        *,
        viewer: Viewer,
        title: str | UnsetType = UNSET,
        shared: bool | UnsetType = UNSET,
        order: Sequence[TitleId] | UnsetType = UNSET,
    ) -> None:
        """Call a list otherwise, share it or not, put these of its titles first; all or nothing.

        Raises:
            BadListError: it cannot be called so, or does not hold that.
            NoListError: whoever wants it sees none of this name.
            BuiltInListError: others fill it.
            NotYourListError: it is somebody else's.
        """

        def change(known: TitleList) -> TitleList:
            info, ids = known.info, known.ids
            if title is not UNSET:
                info = replace(info, title=list_model.checked_title(title))
            if shared is not UNSET:
                info = replace(info, shared=shared)
            if order is not UNSET:
                ids = list_model.reordered(ids, order)
            return TitleList(info=info, ids=ids)

        await self._change(slug, viewer, change)

    async def put(
        self, slug: ListSlug, title_id: TitleId, *, viewer: Viewer, position: int | None = None
    ) -> None:
        """Put a title into a list; one that is there stays where it is, or goes to `position`.

        Args:
            slug: which list.
            title_id: a movie or show.
            viewer: who wants it.
            position: how many titles are to come before it; at the end if `None`.

        Raises:
            BadListError: it is an episode.
            ListFullError: there is no room.
            NoListError: whoever wants it sees none of this name.
            BuiltInListError: others fill it.
            NotYourListError: it is somebody else's.
        """

        def put(known: TitleList) -> TitleList:
            return replace(known, ids=list_model.placed(known.ids, title_id, position=position))

        await self._change(slug, viewer, put)

    async def remove(self, slug: ListSlug, title_id: TitleId, *, viewer: Viewer) -> None:
        """Take a title out of a list; nothing happens when it is not there.

        Raises:
            NoListError: whoever wants it sees none of this name.
            BuiltInListError: others fill it.
            NotYourListError: it is somebody else's.
        """

        def remove(known: TitleList) -> TitleList:
            return replace(known, ids=tuple(one for one in known.ids if one != title_id))

        await self._change(slug, viewer, remove)

    async def delete(self, slug: ListSlug, *, viewer: Viewer) -> None:
        """Do away with a list.

        Raises:
            NoListError: whoever wants it sees none of this name.
            BuiltInListError: others fill it.
            NotYourListError: it is somebody else's.
        """
        owners: list[UserId | None] = []

        def check(info: ListInfo) -> None:
            list_model.require_change(info, viewer)
            owners.append(None if info.shared else info.owner)

        await self._store.remove(slug, _user(viewer), check)
        self._tell([slug], to=owners[0])

    async def titles(self) -> Collection[TitleId]:
        """Return all that is in any list, of whomever."""
        return await self._store.titles()

    async def forget_user(self, user_id: UserId) -> None:
        """Do away with all lists of somebody who is gone, shared ones too."""
        self._tell(await self._store.forget_user(user_id))

    # ----------------------------------------------------------------------------------------------

    async def _fill(
        self,
        slug: ListSlug,
        *,
        owner: UserId | None,
        title: str,
        kind: list_model.ListKind,
        provider: ProviderName,
        ids: Sequence[TitleId],
        at: datetime | None,
    ) -> bool:
        at = at or self._clock()
        info = ListInfo(
            slug=slug,
            title=title,
            kind=kind,
            provider=provider,
            owner=owner,
            shared=False,
            count=0,
            created_at=at,
            refreshed_at=at,
        )
        is_news = await self._store.fill(
            TitleList(info=info, ids=list_model.fitting(ids)),
            # Also when the clock was set back: that must not last until it has caught up.
            is_old=lambda refreshed_at: abs(at - refreshed_at) >= _STAMPED,
        )
        if is_news:
            self._tell([slug], to=owner)
        return is_news

    async def _change(self, slug: ListSlug, viewer: Viewer, change: Change) -> None:
        shared: list[bool] = []

        def checked(known: TitleList) -> TitleList:
            list_model.require_change(known.info, viewer)
            changed = change(known)
            shared.append(known.info.shared or changed.info.shared)
            return changed

        if await self._store.change(slug, _user(viewer), checked):
            self._tell([slug], to=None if any(shared) else viewer.user_id)

    def _tell(self, slugs: Iterable[ListSlug], *, to: UserId | None = None) -> None:
        """Tell everybody, or the one whose lists they are alone."""
        for slug in slugs:
            self._changed(f"list:{slug}" if to is None else f"list:{slug}:{to}")


def _user(viewer: Viewer) -> UserId:
    """Return who it is; the machine's own administrator has no lists and sees none."""
    if viewer.user_id is None:
        raise NoListError("There is no such list")
    return viewer.user_id
