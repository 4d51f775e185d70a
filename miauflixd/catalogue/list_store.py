"""Lists in the database; rows never leave here.

What is in a list is one value, since it is read in order, compared and written as one: a refresh
that brings 120 titles changes one row, and moving one to the top renumbers nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias, get_args

import peewee

from miauflixd.auth.model import UserId
from miauflixd.catalogue.list_model import ListInfo, ListKind, TitleList, TooManyListsError
from miauflixd.catalogue.model import ListSlug, NoListError, ProviderName, TitleId
from miauflixd.database.database import Database

Change: TypeAlias = Callable[[TitleList], TitleList]
"""What is to become of a list; what it raises leaves everything as it was."""

_NOBODY = ""
"""Owner of what is built in."""

_LONGEST_ID = len(f"movie:{10**15 - 1} ")
"""Characters that an id takes with the blank behind it; none is longer than `TitleId` reads."""

_KINDS: Mapping[str, ListKind] = {kind: kind for kind in get_args(ListKind)}
_PROVIDERS: Mapping[str, ProviderName] = {name: name for name in get_args(ProviderName)}


class _ListRow(peewee.Model):
    slug = peewee.TextField()
    owner = peewee.TextField()
    title = peewee.TextField()
    kind = peewee.TextField()
    provider = peewee.TextField(null=True)
    shared = peewee.BooleanField()
    count = peewee.IntegerField()
    created_at = peewee.TextField()
    refreshed_at = peewee.TextField(null=True)
    items = peewee.TextField()

    class Meta:
        table_name = "lists"
        primary_key = peewee.CompositeKey("slug", "owner")


_INFO = (
    _ListRow.slug,
    _ListRow.owner,
    _ListRow.title,
    _ListRow.kind,
    _ListRow.provider,
    _ListRow.shared,
    _ListRow.count,
    _ListRow.created_at,
    _ListRow.refreshed_at,
)


class ListStore:
    """All lists, of the house and of everybody in it."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        database.bind(_ListRow)

    async def visible(self, user_id: UserId) -> list[ListInfo]:
        """Return what a user sees: what is built in, their own, and what others share."""

        def read() -> list[ListInfo]:
            return [_info(row) for row in _ListRow.select(*_INFO).where(_seen_by(user_id))]

        return await self._database.run(read)

    async def beginnings(self, user_id: UserId, count: int) -> list[TitleList]:
        """Return what a user sees, each with as many of its titles as are wanted."""

        def read() -> list[TitleList]:
            rows = _ListRow.select(*_INFO, _beginning(count)).where(_seen_by(user_id))
            return [
                TitleList(info=_info(row), ids=_ids(row.items.split(" ")[:count])) for row in rows
            ]

        return await self._database.run(read)

    async def all_beginnings(self, count: int) -> list[tuple[TitleId, ...]]:
        """Return as many titles as are wanted of each list that there is."""

        def read() -> list[tuple[TitleId, ...]]:
            rows = _ListRow.select(_beginning(count))
            return [_ids(row.items.split(" ")[:count]) for row in rows]

        return await self._database.run(read)

    async def get(self, slug: ListSlug, user_id: UserId) -> TitleList:
        """Return a list that a user sees.

        Raises:
            NoListError: they see none of this name.
        """
        return await self._database.run(lambda: _title_list(_visible_row(slug, user_id)))

    async def add(self, info: ListInfo, *, most: int) -> None:
        """Add an empty list of somebody's own.

        Raises:
            TooManyListsError: they have made `most` already.
        """

        def add() -> None:
            made = _ListRow.select().where(
                _ListRow.owner == info.owner, _ListRow.provider.is_null()
            )
            if made.count() >= most:
                raise TooManyListsError(f"One may have {most} lists; remove one of yours first")
            _write(TitleList(info=info, ids=()))

        await self._database.run(add)

    async def change(self, slug: ListSlug, user_id: UserId, change: Change) -> bool:
        """Change a list that a user sees, and return whether it was otherwise before.

        Raises:
            NoListError: they see none of this name.
        """

        def read_and_write() -> bool:
            known = _title_list(_visible_row(slug, user_id))
            changed = _counted(change(known))
            if changed == known:
                return False
            _write(changed)
            return True

        return await self._database.run(read_and_write)

    async def fill(self, wanted: TitleList, *, is_old: Callable[[datetime], bool]) -> bool:
        """Let a list that a provider fills be as it says, and return whether that is news.

        Args:
            wanted: with all that is to be in it; when it was created is taken from what is there.
            is_old: whether a list that has not changed was refreshed so long ago that it has to be
                written down again.
        """

        def read_and_write() -> bool:
            row = _row_of(wanted.info)
            if row is None:
                _write(_counted(wanted))
                return True
            known = _title_list(row)
            info = replace(wanted.info, created_at=known.info.created_at)
            changed = _counted(TitleList(info=info, ids=wanted.ids))
            is_news = _undated(changed) != _undated(known)
            if is_news or known.info.refreshed_at is None or is_old(known.info.refreshed_at):
                _write(changed)
            return is_news

        return await self._database.run(read_and_write)

    async def remove(
        self, slug: ListSlug, user_id: UserId, check: Callable[[ListInfo], None]
    ) -> None:
        """Remove a list that a user sees, unless the check raises something.

        Raises:
            NoListError: they see none of this name.
        """

        def remove() -> None:
            row = _visible_row(slug, user_id)
            check(_info(row))
            row.delete_instance()

        await self._database.run(remove)

    async def retain(
        self, provider: ProviderName, owner: UserId | None, slugs: Collection[ListSlug]
    ) -> list[ListSlug]:
        """Remove what a provider fills for somebody but for these, and return what that was."""
        return await self._remove(
            (_ListRow.owner == (owner or _NOBODY))
            & (_ListRow.provider == provider)
            & _ListRow.slug.not_in(list(slugs))
        )

    async def titles(self) -> set[TitleId]:
        """Return all that is in any list."""

        def read() -> set[TitleId]:
            return {
                one for row in _ListRow.select(_ListRow.items) for one in _ids(row.items.split(" "))
            }

        return await self._database.run(read)

    async def forget_user(self, user_id: UserId) -> list[ListSlug]:
        """Remove all that is a user's, and return what that was."""
        return await self._remove(_ListRow.owner == user_id)

    async def _remove(self, condition: peewee.Expression) -> list[ListSlug]:
        def remove() -> list[ListSlug]:
            slugs = [ListSlug(row.slug) for row in _ListRow.select(_ListRow.slug).where(condition)]
            if slugs:
                _ListRow.delete().where(condition).execute()
            return slugs

        return await self._database.run(remove)


def _beginning(count: int) -> Any:
    # As many characters as so many ids may take: of a long list the rest is not even read.
    return peewee.fn.SUBSTR(_ListRow.items, 1, count * _LONGEST_ID).alias("items")


def _seen_by(user_id: UserId) -> peewee.Expression:
    return _ListRow.owner.in_([_NOBODY, user_id]) | _ListRow.shared


def _visible_row(slug: ListSlug, user_id: UserId) -> _ListRow:
    # What somebody keeps elsewhere may be called as somebody else's is, or as one of the house's.
    row = (
        _ListRow.select()
        .where(_ListRow.slug == slug, _seen_by(user_id))
        .order_by(_ListRow.owner != user_id, _ListRow.owner)
        .first()
    )
    if not isinstance(row, _ListRow):
        raise NoListError("There is no such list")
    return row


def _row_of(info: ListInfo) -> _ListRow | None:
    return _ListRow.get_or_none(
        (_ListRow.slug == info.slug) & (_ListRow.owner == (info.owner or _NOBODY))
    )


def _write(wanted: TitleList) -> None:
    info = wanted.info
    _ListRow.insert(
        slug=info.slug,
        owner=info.owner or _NOBODY,
        title=info.title,
        kind=info.kind,
        provider=info.provider,
        shared=info.shared,
        count=info.count,
        created_at=info.created_at.isoformat(),
        refreshed_at=None if info.refreshed_at is None else info.refreshed_at.isoformat(),
        items=" ".join(map(str, wanted.ids)),
    ).on_conflict_replace().execute()


def _counted(wanted: TitleList) -> TitleList:
    return replace(wanted, info=replace(wanted.info, count=len(wanted.ids)))


def _undated(known: TitleList) -> TitleList:
    return replace(known, info=replace(known.info, refreshed_at=None))


def _title_list(row: _ListRow) -> TitleList:
    return TitleList(info=_info(row), ids=_ids(row.items.split(" ")))


def _ids(texts: Sequence[str]) -> tuple[TitleId, ...]:
    return tuple(TitleId.parse(text) for text in texts if text)


def _info(row: _ListRow) -> ListInfo:
    return ListInfo(
        slug=ListSlug(row.slug),
        title=row.title,
        kind=_KINDS[row.kind],
        provider=None if row.provider is None else _PROVIDERS[row.provider],
        owner=UserId(row.owner) if row.owner else None,
        shared=row.shared,
        count=row.count,
        created_at=datetime.fromisoformat(row.created_at),
        refreshed_at=None if row.refreshed_at is None else datetime.fromisoformat(row.refreshed_at),
    )
