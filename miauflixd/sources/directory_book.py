"""The directories that this house asks: those of the settings, and those that were added since."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from miauflixd.errors import ConflictError, MiauflixdError
from miauflixd.sources.asking import Asking, NoDirectoryError
from miauflixd.sources.directories.directory import Capabilities, Directory
from miauflixd.sources.directory_store import DirectoryStore
from miauflixd.sources.offers import DirectoryId
from miauflixd.sources.settings import TAKEN, BadDirectoryError, DirectorySpec
from miauflixd.sources.standing import Standing

_log = logging.getLogger(__name__)

Build = Callable[[DirectorySpec], Directory]
"""Returns the directory that is described; raises `BadDirectoryError`."""

_MOST = 50
"""Directories; each is asked at every search."""

_UNKNOWN_TRUST = 0.3
"""In what a directory says that has been taken away since."""

_APART = re.compile(r"[^a-z0-9]+")


class BuiltInDirectoryError(ConflictError):
    """A directory of the settings is changed there."""

    code = "built_in_directory"


class DirectoryOffError(ConflictError):
    """A directory that is switched off is not asked anything."""

    code = "directory_off"


class DirectoryExistsError(ConflictError):
    """There is a directory of this id already."""

    code = "directory_exists"


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectoryView:
    """A directory, and how it is doing."""

    spec: DirectorySpec
    built_in: bool
    """Whether it comes from the settings."""
    standing: Standing
    capabilities: Capabilities | None
    """`None`: it is switched off."""


class DirectoryBook:
    """Knows all directories, and has `Asking` ask those that are on."""

    def __init__(
        self,
        *,
        asking: Asking,
        store: DirectoryStore,
        build: Build,
        built_in: Sequence[DirectorySpec],
        added: Sequence[DirectorySpec],
    ) -> None:
        self._asking = asking
        self._store = store
        self._build = build
        self._built_in = tuple(built_in)
        self._added = tuple(added)
        self._directories: dict[str, tuple[DirectorySpec, Directory]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._stirred = asyncio.Event()
        self._use()

    async def run(self) -> None:
        """Write down how directories do, whenever that has changed, until cancelled."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            try:
                await self._store.save_standings(self._asking.standings())
            except MiauflixdError as error:
                # They are in memory, and written with the next change.
                _log.warning("How directories do could not be written down: %s", error)

    def stir(self) -> None:
        """Have standings written down; does not block."""
        self._stirred.set()

    def all(self) -> Sequence[DirectoryView]:
        """Return all directories, those of the settings first."""
        return [self._view(spec) for spec in (*self._built_in, *self._added)]

    def directory(self, name: DirectoryId) -> DirectoryView:
        """Return one directory.

        Raises:
            NoDirectoryError: there is none of this id.
        """
        return self._view(self._spec(name))

    def titles(self) -> Mapping[DirectoryId, str]:
        """Return what each is called."""
        return {DirectoryId(spec.id): spec.title for spec in (*self._built_in, *self._added)}

    def trust(self, name: DirectoryId) -> float:
        """Return how far what a directory says is believed, from 0 to 1."""
        for spec in (*self._built_in, *self._added):
            if spec.id == name:
                return spec.trust
        return _UNKNOWN_TRUST

    async def add(self, spec: DirectorySpec) -> DirectoryView:
        """Ask one more directory from now on. Without an id it gets one out of its title.

        Raises:
            BadDirectoryError: it cannot be meant so.
            DirectoryExistsError: there is one of this id.
        """
        async with self._one_at_a_time:
            if len(self._added) >= _MOST:
                raise BadDirectoryError(f"There are {_MOST} directories, which is enough")
            if not spec.id:
                spec = structs.replace(spec, id=self._free_id(spec))
            if spec.id in TAKEN or any(spec.id == each.id for each in self._added):
                raise DirectoryExistsError("There is a directory of this id already")
            spec.check()
            await self._settle((*self._added, spec))
        return self._view(spec)

    async def change(
        self, name: DirectoryId, changed: Callable[[DirectorySpec], DirectorySpec]
    ) -> DirectoryView:
        """Let a directory be described otherwise from now on; its id and kind stay.

        Args:
            name: which.
            changed: returns the new description for the old one.

        Raises:
            NoDirectoryError: there is none of this id.
            BuiltInDirectoryError: it is one of the settings.
            BadDirectoryError: it cannot be meant so.
        """
        async with self._one_at_a_time:
            before = self._own(name)
            spec = changed(before)
            spec.check()
            await self._settle(tuple(spec if each is before else each for each in self._added))
        return self._view(spec)

    async def remove(self, name: DirectoryId) -> None:
        """Ask a directory no more; what it has offered stays.

        Raises:
            NoDirectoryError: there is none of this id.
            BuiltInDirectoryError: it is one of the settings.
        """
        async with self._one_at_a_time:
            gone = self._own(name)
            await self._settle(tuple(each for each in self._added if each is not gone))

    async def reorder(self, names: Sequence[DirectoryId]) -> None:
        """Put these first of those that were added, in this order.

        Raises:
            NoDirectoryError: one of them is not there.
            BuiltInDirectoryError: one of them is of the settings, which come before all.
        """
        async with self._one_at_a_time:
            first = [self._own(name) for name in dict.fromkeys(names)]
            rest = [each for each in self._added if each not in first]
            await self._settle((*first, *rest))

    async def check(self, name: DirectoryId) -> Standing:
        """Ask a directory something small, even if it is left alone.

        Raises:
            NoDirectoryError: there is none of this id.
            DirectoryOffError: it is switched off.
            TunnelDownError: there is no way out, so nothing is known.
        """
        if not self._spec(name).enabled:
            raise DirectoryOffError("This directory is switched off; switch it on first")
        return await self._asking.check(name)

    def configure(self, built_in: Sequence[DirectorySpec]) -> None:
        """Ask others of those that the settings describe."""
        self._built_in = tuple(built_in)
        self._use()

    async def _settle(self, added: tuple[DirectorySpec, ...]) -> None:
        for spec in added:
            if spec.enabled and self._known(spec) is None:
                self._build(spec)  # what cannot be built is refused before anything is written
        await self._store.save(added)
        for spec in self._added:
            if spec not in added:
                self._asking.forget(DirectoryId(spec.id))
        self._added = added
        self._use()
        self.stir()

    def _use(self) -> None:
        """Have those asked that are on; one that has not changed is the same as before."""
        directories: dict[str, tuple[DirectorySpec, Directory]] = {}
        for spec in (*self._built_in, *self._added):
            if not spec.enabled:
                continue
            try:
                directories[spec.id] = (spec, self._known(spec) or self._build(spec))
            except BadDirectoryError as error:
                # Of the settings, or of an earlier version: the others are asked all the same.
                _log.warning("Directory %s cannot be asked: %s", spec.id, error)
        self._directories = directories
        self._asking.use([directory for _, directory in directories.values()])

    def _known(self, spec: DirectorySpec) -> Directory | None:
        known = self._directories.get(spec.id)
        return known[1] if known is not None and known[0] == spec else None

    def _view(self, spec: DirectorySpec) -> DirectoryView:
        known = self._directories.get(spec.id)
        return DirectoryView(
            spec=spec,
            built_in=spec in self._built_in,
            standing=self._asking.standing(DirectoryId(spec.id)),
            capabilities=None if known is None else known[1].capabilities(),
        )

    def _spec(self, name: DirectoryId) -> DirectorySpec:
        for spec in (*self._built_in, *self._added):
            if spec.id == name:
                return spec
        raise NoDirectoryError("There is no such directory")

    def _own(self, name: DirectoryId) -> DirectorySpec:
        spec = self._spec(name)
        if spec in self._built_in:
            raise BuiltInDirectoryError(
                "The settings say whether this directory is asked: `sources.archive`,"
                " `sources.folder`"
            )
        return spec

    def _free_id(self, spec: DirectorySpec) -> str:
        stem = _APART.sub("-", spec.title.lower()).strip("-")[:30].strip("-") or spec.kind
        taken = TAKEN | {each.id for each in self._added}
        names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, _MOST + 9))
        return next(name for name in names if name not in taken)
