"""What the web layer wants of others."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from miauflixd.auth.model import Actor, AuditType, KeyPurpose, User, UserId, Viewer
from miauflixd.catalogue.artwork import ArtworkFigures, Found
from miauflixd.catalogue.browsing import Place, Query
from miauflixd.catalogue.model import (
    Audience,
    Card,
    EpisodeCard,
    Kind,
    OutsideIds,
    Row,
    Title,
    TitleId,
)
from miauflixd.catalogue.providers.provider import ProviderState
from miauflixd.catalogue.searching import Found as SearchFound
from miauflixd.catalogue.service import EpisodeView, SeasonView
from miauflixd.catalogue.title_store import CardPage, Counts, GenreCount
from miauflixd.catalogue.trakt_model import DeviceCode, TraktLink
from miauflixd.catalogue.watched import Noted
from miauflixd.catalogue.watching import State
from miauflixd.jobs.model import TaskView
from miauflixd.runtime.disk import Room
from miauflixd.sources.playing import Ready
from miauflixd.sources.preload_plan import Nearness, Onlooker
from miauflixd.sources.ranking import Preference
from miauflixd.torrents.model import Source, SourceFile, SourceId
from miauflixd.torrents.reader import Span
from miauflixd.tunnel.importing import File, Preview
from miauflixd.tunnel.model import (
    Credentials,
    EndpointId,
    ProviderName,
    RungId,
    RungView,
    Statistics,
    TestResult,
    TunnelView,
)


class Reader(Protocol):
    """One client's way through one file."""

    @property
    def file(self) -> SourceFile:
        """The file that is read."""
        ...

    @property
    def etag(self) -> str:
        """A strong validator, in its quotes."""
        ...

    def spans(self, start: int, stop: int) -> AsyncGenerator[Span, None]:
        """Yield the file's bytes from `start` up to but not with `stop`, as they arrive.

        Raises:
            MiauflixdError: there will be no further one.
        """
        ...


class Torrents(Protocol):
    """The sources, as far as handlers use them."""

    async def add_magnet(self, uri: str) -> SourceId:
        """Add what a magnet link names; what it holds becomes known later.

        Adding it again is the same source.

        Raises:
            BadTorrentError: it is no usable magnet link.
        """
        ...

    async def add_info_hash(self, text: str) -> SourceId:
        """Add the torrent with this info-hash; see `add_magnet`.

        Raises:
            BadTorrentError: it is no info-hash.
        """
        ...

    async def add_metainfo(self, metainfo: bytes) -> SourceId:
        """Add a `.torrent` file; its layout is known on return.

        Raises:
            BadTorrentError: it cannot be used.
        """
        ...

    def sources(self) -> Sequence[Source]:
        """Return every source as it is now."""
        ...

    def newest_first(self) -> Sequence[tuple[float, SourceId]]:
        """Return the place and the id of each source, in ascending order."""
        ...

    def source(self, source_id: SourceId) -> Source:
        """Return one source as it is now.

        Raises:
            NoSourceError: there is none.
        """
        ...

    def reader(self, source_id: SourceId, file: int | None) -> AbstractAsyncContextManager[Reader]:
        """Read a file of a source, or its main file, for the length of the block.

        Raises:
            NoSourceError: there is no such source or file.
            MiauflixdError: it cannot be read.
        """
        ...

    @property
    def readers(self) -> int:
        """How many read a file of any source now."""
        ...

    @property
    def downloads(self) -> int:
        """How many sources want something from the swarm now."""
        ...

    async def remove(self, source_id: SourceId) -> None:
        """Forget a source and what was downloaded of it.

        Raises:
            NoSourceError: there is none.
        """
        ...

    async def discard(self, source_id: SourceId) -> None:
        """Delete what was downloaded of a source, and go on knowing it.

        Raises:
            NoSourceError: there is none.
            SourceInUseError: somebody reads of it.
        """
        ...

    async def pause(self, source_id: SourceId) -> None:
        """Fetch and give nothing more of a source until it is played or resumed.

        Raises:
            As `discard`.
        """
        ...

    async def resume(self, source_id: SourceId) -> None:
        """Fetch all of a source's main file.

        Raises:
            NoSourceError: there is none.
            MiauflixdError: nobody tells what it holds.
        """
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[SourceId]]:
        """Follow the sources: an id whenever that source changed, was added or removed.

        Changes that come faster than they are taken are one.
        """
        ...


class Tunnel(Protocol):
    """The tunnel, as far as handlers use it."""

    def view(self) -> TunnelView:
        """Return it as it is now."""
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[TunnelView]]:
        """Follow it: the view whenever it has changed; what comes too fast is one."""
        ...

    def statistics(self) -> Statistics:
        """Return what is counted."""
        ...

    async def switch(self, endpoint_id: EndpointId | None = None) -> None:
        """Change to an endpoint, or to the next best one.

        Raises:
            NoEndpointError: there is none of this id.
            NoLadderError: there is none at all.
            TunnelOffError: there is no tunnel.
        """
        ...

    async def test(self, endpoint_id: EndpointId | None = None) -> TestResult:
        """Try an endpoint beside the one in use; `None`: the one in use, or else the first.

        Raises:
            NoEndpointError: there is none of this id.
            NoLadderError: there is none at all.
            TunnelOffError: there is no tunnel.
            UntestedError: nothing was heard of it.
        """
        ...


class Endpoints(Protocol):
    """The ladder of endpoints and accounts, as far as handlers use it."""

    def rungs(self) -> Sequence[RungView]:
        """Return all of it, the most preferred first."""
        ...

    async def preview(self, files: Sequence[File]) -> Sequence[Preview]:
        """Say what would come of importing these files."""
        ...

    async def add_files(self, files: Sequence[File]) -> Sequence[Preview]:
        """Import what can be used of these files, and say what came of each."""
        ...

    async def add_account(self, provider: ProviderName, credentials: Credentials) -> RungView:
        """Add an account and the servers that its provider names for it.

        Raises:
            InvalidInputError: these are no credentials, or the provider does not accept them.
            NotFoundError: it has no servers where the settings want them.
            UnavailableError: it does not answer.
        """
        ...

    async def remove(self, rung: RungId) -> None:
        """Forget an endpoint or an account.

        Raises:
            NoEndpointError: there is none of this id.
            FolderEndpointError: it is not ours to remove.
        """
        ...

    async def reorder(self, rungs: Sequence[RungId]) -> None:
        """Let these be the most preferred, in this order.

        Raises:
            NoEndpointError: one of them is not there.
            FolderEndpointError: one of them is not ours to move.
        """
        ...


class Library(Protocol):
    """What there is to watch, as far as the state of the machine and events go."""

    async def counts(self) -> Counts:
        """Return how much that is."""
        ...

    def providers(self) -> Sequence[ProviderState]:
        """Return how each provider is doing, also those that are off; asks nobody."""
        ...

    async def check(self, name: str) -> ProviderState:
        """Ask a provider something small, and return how it is doing.

        Raises:
            NoProviderError: there is none of this name.
        """
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, ...]]]:
        """Follow it: whenever something has changed, all that has since the last time.

        `title:movie:7`, `sources:movie:7`, `list:tmdb-movies-popular`, `list:<slug>:<user id>` of
        somebody's own; `home` for everybody's first page, `home:<user id>` for somebody's;
        `progress:<user id>:movie:7`.
        """
        ...


class Images(Protocol):
    """Artwork."""

    async def image(self, key: str, size: str) -> Found:
        """Return an image, from wherever it is.

        Raises:
            NoImageError: there is none.
            ImageUnavailableError: it is not here, and cannot be fetched now.
        """
        ...

    def figures(self) -> ArtworkFigures:
        """Return what is counted."""
        ...


class Disk(Protocol):
    """Where downloads and artwork are."""

    async def room(self) -> Room:
        """Return what is left.

        Raises:
            OSError: the disk does not say.
        """
        ...


class Timetable(Protocol):
    """What is done by itself, as far as handlers use it."""

    def tasks(self) -> Sequence[TaskView]:
        """Return all tasks as they are now."""
        ...

    def task(self, name: str) -> TaskView:
        """Return one task as it is now.

        Raises:
            NoTaskError: there is none of this name.
        """
        ...

    def trigger(self, name: str) -> TaskView:
        """Have a task run now, and return it.

        Raises:
            NoTaskError: there is none of this name.
            AlreadyRunningError: it runs.
        """
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Follow the tasks: a name whenever that task has changed; what comes too fast is one."""
        ...


class Catalogue(Protocol):
    """What there is to watch, as far as handlers use it."""

    def audience(self, user: User | None) -> Audience:
        """Return for whom answers to somebody are; `None`: the machine's own administrator."""
        ...

    def limit_of(self, rating: str) -> int:
        """Return the highest age that a certification lets through where this house is."""
        ...

    async def next_episode(self, title_id: TitleId) -> TitleId | None:
        """Return the episode that comes next, or `None`: there is none that is on the air."""
        ...

    async def cards(
        self, ids: Collection[TitleId], audience: Audience
    ) -> Mapping[TitleId, Card | EpisodeCard]:
        """Return these titles as they stand in rows.

        What there is not, and what is not for them, is left out.
        """
        ...

    async def outside(self, ids: Collection[TitleId]) -> Mapping[TitleId, OutsideIds]:
        """Return what others call titles."""
        ...

    async def home(self, audience: Audience) -> Sequence[Row]:
        """Return the rows of the home page."""
        ...

    async def title(self, title_id: TitleId, audience: Audience) -> Title:
        """Return a movie or show in full, as far as it is known.

        Raises:
            NoTitleError: there is none, or not for them.
        """
        ...

    async def episode(self, episode_id: TitleId, audience: Audience) -> EpisodeView:
        """Return an episode.

        Raises:
            NoTitleError: there is none, or not for them.
        """
        ...

    async def season(self, show_id: TitleId, number: int, audience: Audience) -> SeasonView:
        """Return a season of a show with its episodes, as far as they are known.

        Raises:
            NoTitleError: there is no such show or season, or not for them.
        """
        ...

    async def find(self, ids: OutsideIds, kind: Kind | None, audience: Audience) -> Card | None:
        """Return the title that others call this, if it is for them."""
        ...

    async def browse(
        self, query: Query, audience: Audience, *, after: Place | None, count: int
    ) -> CardPage:
        """Return a page of all titles that there are for them."""
        ...

    async def search(
        self, text: str, *, kind: Kind | None, audience: Audience, count: int
    ) -> SearchFound:
        """Return what fits these words, the best first; never fails for any words."""
        ...

    async def genres(self, audience: Audience) -> Sequence[GenreCount]:
        """Return the genres that titles have, by their names."""
        ...


class Scrobbling(Protocol):
    """Where players report to."""

    async def note(
        self, user_id: UserId, title_id: TitleId, *, position: float, duration: float, state: State
    ) -> Noted:
        """Take note of how far somebody is with something, here and elsewhere.

        Raises:
            BadProgressError: it cannot be so far or so long, or is a whole show.
            NoTitleError: there is no such episode.
            MiauflixdError: it could not be written now; it will be later.
        """
        ...


class Trakt(Protocol):
    """People's accounts with Trakt, as far as handlers use them."""

    def state(self, user_id: UserId) -> TraktLink:
        """Return how somebody's account is."""
        ...

    async def begin(self, user_id: UserId) -> DeviceCode:
        """Return a code for somebody to type at Trakt; the same one while it waits already.

        Raises:
            TraktOffError: the settings have no application at Trakt.
            AlreadyLinkedError: they are linked.
            ProviderUnavailableError: Trakt does not answer.
        """
        ...

    async def unlink(self, user_id: UserId) -> None:
        """Forget somebody's account, if there is one."""
        ...


SettingValue = bool | int | float | str | list[str] | None
"""A setting as JSON has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingView:
    """One setting, as an administrator sees it."""

    name: str
    """As in the file: `torrents.download_rate`."""
    value: SettingValue
    """As it is wanted now; never that of a secret."""
    default: SettingValue
    has_value: bool
    is_secret: bool
    expected: str
    """What it accepts, to be read after "should be"."""
    source: Literal["default", "file", "run_time"]
    """Where the value comes from; what is set at run time wins."""
    takes_effect: Literal["at_once", "at_restart", "in_file_only"]
    """When a change does; some can be made in the settings file only."""
    needs_restart: bool
    """Whether the value is not in force yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingProblem:
    """Why a setting cannot have a value."""

    name: str
    message: str


class Preferences(Protocol):
    """The settings that may change while it runs."""

    def settings(self) -> Sequence[SettingView]:
        """Return all settings there are."""
        ...

    def problems(self, values: Mapping[str, SettingValue]) -> Sequence[SettingProblem]:
        """Return what is wrong with these values, together with those that stay."""
        ...

    async def change(self, values: Mapping[str, SettingValue], *, actor: Actor) -> None:
        """Save and apply these values, in which there are no problems; `None` takes one back.

        Raises:
            InvalidInputError: there are problems; nothing was changed.
        """
        ...


class AccessTokens(Protocol):
    """The tokens of those who are signed in, as far as the way in uses them."""

    async def authenticate(self, access_token: str, *, address: str | None = None) -> Viewer:
        """Return who shows an access token.

        Raises:
            UnauthenticatedError: it is none, has expired, or its session is over; the code says.
        """
        ...


class StreamKeys(Protocol):
    """The keys to streams, as far as the way in uses them."""

    async def check(self, text: str, *, source_id: str, file: int | None) -> Viewer:
        """Return who streams a file with a key.

        Raises:
            UnauthenticatedError: this is no key to this file, or not any more.
        """
        ...

    async def check_playback(self, text: str, playback_id: str) -> Viewer:
        """Return who plays something with a key.

        Raises:
            UnauthenticatedError: this is no key of this playback, or not any more.
        """
        ...


class PurposeKeys(Protocol):
    """The keys of programs, as far as the way in uses them."""

    async def check(self, text: str, purpose: KeyPurpose) -> Viewer:
        """Return whose key this is.

        Raises:
            InvalidTokenError: it is no key, or not for this.
        """
        ...


class Audit(Protocol):
    """Where is written down who was refused."""

    def note(
        self, what: AuditType, *, user_id: UserId | None, address: str | None, **details: str
    ) -> None:
        """Write down what happened; no token, title or e-mail address."""
        ...


class Playing(Protocol):
    """From titles to what they are read from."""

    async def ready(self, title_id: TitleId, preference: Preference) -> Ready:
        """Return what to play a movie or an episode from, waiting for it if need be.

        Raises:
            NoTitleError: there is no such title.
            NotPlayableError: it is a show.
            NothingToPlayError: there is nothing; the message says why.
            MiauflixdError: there is no way to what there is.
        """
        ...

    async def chosen(self, source_id: SourceId) -> None:
        """Note that somebody plays a source that they have chosen themselves."""
        ...

    async def gave_nothing(self, source_id: SourceId) -> None:
        """Note that a source could not be played, so that another is taken for a while."""
        ...


class Preloading(Protocol):
    """What is got ready before anybody presses play."""

    def see(self, client: str, viewer: Onlooker, items: Mapping[TitleId, Nearness]) -> None:
        """Take what a client shows from now on, in place of what it showed before."""
        ...
