"""The Internet Archive: films that are free for everybody, without a key.

Its search has habits of its own. An error comes with a status of 200. Under load it silently leaves
out most of what there is: so an answer that has become much shorter is not believed until it has
been given several times. And what is not sorted to the last key comes twice, or never.
"""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Self
from urllib.parse import urlencode

from miauflixd.catalogue.model import Facts, Kind, ListSlug, OutsideIds, ProviderName
from miauflixd.catalogue.providers import archive_reviewed, archive_rule
from miauflixd.catalogue.providers.archive_rule import IDENTIFIER, Item, may_be_shown
from miauflixd.catalogue.providers.archive_shapes import (
    FIELDS,
    Answer,
    Found,
    facts_of,
    found_items,
    item_of,
    metadata_of,
)
from miauflixd.catalogue.providers.pace import Pace
from miauflixd.catalogue.providers.polite import PoliteApi
from miauflixd.catalogue.providers.provider import (
    GoneError,
    Page,
    ProviderList,
    ProviderOffError,
    ProviderState,
    ProviderUnavailableError,
)
from miauflixd.catalogue.settings import ARCHIVE, CatalogueSettings
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.http import Http
from miauflixd.runtime.priority import Priority

WIDER = ListSlug("archive-wider")

_COMPANY = "The Internet Archive"

_PER_SECOND = 2.5
"""Requests that may begin in a second: the Archive's regulars keep 300 to 500 ms between them."""

_AT_ONCE = 5
"""Of fifty at once it was seen to close its door to an address."""

_CHUNK = 50
"""Identifiers in one question, some 2 kB of an address; and items on one page."""

_WIDER_PAGES = 4

_KEEP = 24 * 3600.0
"""Seconds for which a page is not asked for again: what is free does not become so by the hour."""

_SHORT = 0.75
"""Of what was there before: an answer with less than that is one that was cut off, as a rule."""

_BELIEVED = 3
"""Times that a short answer has to be given until it is true."""

_FOUND = 20
"""Films that a search returns; a person has typed their name."""

_OFF = ("The settings do not want it", "Nothing, until they do")


class Archive:
    """A `Provider` of films, and of no series."""

    name: Final[ProviderName] = "archive"

    def __init__(
        self,
        *,
        api: PoliteApi,
        wanted: bool,
        wider: bool,
        clock: Clock,
        monotonic: Callable[[], float] | None = None,
        rows: Sequence[archive_reviewed.Row] | None = None,
    ) -> None:
        """Read what comes with this version, which blocks for a moment.

        Args:
            api: the Archive's.
            wanted: whether the settings want it at all.
            wider: whether they want what nobody has looked at.
            clock: the time of day.
            monotonic: seconds, by which answers age; the running loop's by default.
            rows: what was looked at, if not what comes with this version.
        """
        self._api = api
        self._wanted = wanted
        self._wider = wider
        self._clock = clock
        self._monotonic = monotonic or asyncio.get_running_loop().time
        found = archive_reviewed.rows() if rows is None else rows
        self._rows = {row.slug: row for row in found}
        self._reviewed = archive_reviewed.by_identifier(found)
        self._kept: dict[tuple[ListSlug, int], tuple[float, Page[Facts]]] = {}
        self._known: dict[ListSlug, int] = {}
        self._short: dict[ListSlug, int] = {}
        if not wanted:
            api.health.off(*_OFF)

    def configure(self, settings: CatalogueSettings) -> None:
        """Be asked from now on as the settings want it."""
        if settings.archive and not self._wanted:
            self._api.health.wanted()
        elif self._wanted and not settings.archive:
            self._api.health.off(*_OFF)
        self._wanted = settings.archive
        self._wider = settings.archive_wider

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, http: Http, settings: CatalogueSettings, clock: Clock, **others: Any
    ) -> AsyncIterator[Self]:
        """Have the Archive for the length of the block, as the settings want it.

        Args:
            http: the client of the host's network.
            settings: of the catalogue.
            clock: the time of day.
            others: of `PoliteApi.open`, for tests.
        """
        usual: dict[str, Any] = {
            "pace": Pace(company=_COMPANY, per_second=_PER_SECOND, burst=1, at_once=_AT_ONCE)
        }
        async with PoliteApi.open(
            http=http,
            name="archive",
            company=_COMPANY,
            base=settings.archive_url,
            official=ARCHIVE,
            clock=clock,
            refusal="It asks for no key, so this is a problem of its own",
            **(usual | others),
        ) as api:
            yield cls(api=api, wanted=settings.archive, wider=settings.archive_wider, clock=clock)

    def state(self) -> ProviderState:
        """See `Provider`."""
        return self._api.health.state()

    async def check(self) -> ProviderState:
        """See `Provider`."""
        if self._wanted:
            with suppress(MiauflixdError):  # The state says so.
                await self._search("mediatype:movies", rows=1, priority=Priority.WAITED_FOR)
        return self.state()

    def lists(self) -> Sequence[ProviderList]:
        """See `Provider`."""
        if not self._wanted:
            return ()
        found = [
            ProviderList(slug=row.slug, title=row.title, kind="movie", pages=1)
            for row in self._rows.values()
        ]
        if self._wider:
            title = "Most watched at the Internet Archive"
            found.append(ProviderList(slug=WIDER, title=title, kind="movie", pages=_WIDER_PAGES))
        return found

    async def page(self, slug: ListSlug, number: int) -> Page[Facts]:
        """Return a part of a list; asked for again within a day, the same.

        Raises:
            GoneError: there is no such list.
            ProviderUnavailableError: no usable answer, or one so short that it is not believed:
                what was there before is better.
        """
        self._require_wanted()
        kept = self._kept.get((slug, number))
        if kept is not None and self._monotonic() < kept[0]:
            return kept[1]
        if slug in self._rows:
            page, whole = await self._reviewed_page(slug, number)
        elif slug == WIDER and self._wider:
            page, whole = await self._wider_page(number)
        else:
            raise GoneError("The Internet Archive has no such list")
        if whole:
            self._kept[slug, number] = (self._monotonic() + _KEEP, page)
        return page

    async def details(self, kind: Kind, ids: OutsideIds, *, priority: Priority) -> Facts:
        """Return what it knows of a film.

        Raises:
            GoneError: it has none of this identifier, or not for everybody.
        """
        self._require_wanted()
        identifier = ids.archive or ""
        if kind is not Kind.MOVIE or not IDENTIFIER.match(identifier):
            raise GoneError("The Internet Archive does not know this")
        raw = await self._api.get(
            f"/metadata/{identifier}", kind=object, priority=priority, cached=False
        )
        metadata = metadata_of(raw)
        item = None
        if metadata is not None:
            item = item_of(metadata.metadata, withheld=metadata.is_withheld)
        # An item may have been renamed; what its old name leads to is another one then.
        if item is None or item.identifier != identifier or not self._may_be_shown(item):
            raise GoneError("The Internet Archive does not have this, or not for everybody")
        return self._facts(item, full=True)

    async def search(self, text: str, *, kind: Kind | None = None) -> Sequence[Facts]:
        """Return what has these words in its title; see `Provider`."""
        self._require_wanted()
        if kind not in (None, Kind.MOVIE):
            return ()
        if self._wider:
            titled = archive_rule.titled(text)
            question = titled and f"{archive_rule.anything_free(self._free_until)} AND {titled}"
        else:
            # What may be found is known here, so nobody need be told what is looked for.
            named = self._named(text)
            question = archive_rule.these(named) if named else None
        if question is None:
            return ()
        found = await self._search(question, rows=_FOUND, priority=Priority.WAITED_FOR)
        return self._shown(found_items(found))

    async def _reviewed_page(self, slug: ListSlug, number: int) -> tuple[Page[Facts], bool]:
        identifiers = [item.identifier for item in self._rows[slug].items] if number == 1 else []
        items: list[Item] = []
        for start in range(0, len(identifiers), _CHUNK):
            found = await self._search(
                archive_rule.these(identifiers[start : start + _CHUNK]), rows=_CHUNK
            )
            items += found_items(found)
        if number == 1:
            self._require_whole(slug, len(items))
        items.sort(key=lambda item: (-item.downloads, item.identifier))
        return Page(items=self._shown(items), pages=1), len(items) >= _SHORT * len(identifiers)

    async def _wider_page(self, number: int) -> tuple[Page[Facts], bool]:
        if number > _WIDER_PAGES:
            return Page(items=(), pages=_WIDER_PAGES), False
        found = await self._search(
            archive_rule.anything_free(self._free_until), rows=_CHUNK, number=number
        )
        self._require_whole(WIDER, found.number)
        pages = min(-(-found.number // _CHUNK), _WIDER_PAGES)
        return Page(items=self._shown(found_items(found)), pages=pages), True

    def _require_whole(self, slug: ListSlug, number: int) -> None:
        """See to it that a list is about as long as it was.

        Raises:
            ProviderUnavailableError: it is not, and that is not certain yet.
        """
        known = self._known.get(slug, 1)
        if number >= _SHORT * known:
            self._short.pop(slug, None)
            self._known[slug] = max(number, known)
            return
        self._short[slug] = self._short.get(slug, 0) + 1
        if self._short[slug] < _BELIEVED or not number:
            raise ProviderUnavailableError(
                "The Internet Archive has left out most of what it had before, as it does under"
                " load"
            )
        del self._short[slug]
        self._known[slug] = number

    async def _search(
        self,
        question: str,
        *,
        rows: int,
        number: int = 1,
        priority: Priority = Priority.ROUTINE,
    ) -> Found:
        query = [
            ("q", question),
            *(("fl[]", name) for name in FIELDS),
            ("sort[]", "downloads desc"),
            ("sort[]", "identifier asc"),
            ("rows", rows),
            ("page", number),
            ("output", "json"),
        ]
        answer = await self._api.get(
            f"/advancedsearch.php?{urlencode(query)}", kind=Answer, priority=priority
        )
        if answer.response is None:
            reason = "The Internet Archive cannot search for this now"
            self._api.health.failed(reason)
            raise ProviderUnavailableError(reason)
        return answer.response

    def _named(self, text: str) -> list[str]:
        """Return what was looked at and has all of these words in its title, as far as typed."""
        wanted = _words(text)
        return [
            item.identifier
            for item in self._reviewed.values()
            if wanted
            and all(any(has.startswith(word) for has in _words(item.title)) for word in wanted)
        ][:_FOUND]

    def _shown(self, items: Sequence[Item]) -> tuple[Facts, ...]:
        return tuple(self._facts(item, full=False) for item in items if self._may_be_shown(item))

    def _may_be_shown(self, item: Item) -> bool:
        return may_be_shown(
            item, reviewed=self._reviewed, wider=self._wider, free_until=self._free_until
        )

    def _facts(self, item: Item, *, full: bool) -> Facts:
        return facts_of(item, seen=self._reviewed.get(item.identifier), full=full)

    @property
    def _free_until(self) -> int:
        return archive_rule.last_free_year(self._clock().year)

    def _require_wanted(self) -> None:
        if not self._wanted:
            raise ProviderOffError("The settings do not want the Internet Archive")


def _words(text: str) -> list[str]:
    """Return the words of a title, or of what somebody typed, however they are written."""
    plain = unicodedata.normalize("NFKD", text[:200]).casefold()
    letters = "".join(
        one for one in plain if not unicodedata.combining(one) and one not in "'\u2019"
    )
    return "".join(one if one.isalnum() else " " for one in letters).split()[:12]
