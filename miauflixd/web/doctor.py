"""What is wrong with this machine, and what somebody can do about it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from miauflixd.cache.service import Cache
from miauflixd.catalogue.providers.provider import Condition, ProviderState
from miauflixd.sources.directory_book import DirectoryBook, DirectoryView
from miauflixd.sources.standing import Condition as DirectoryCondition
from miauflixd.tunnel.model import State as TunnelState
from miauflixd.web.ports import Disk, Library, Timetable, Tunnel
from miauflixd.web.storage_shapes import Encryption

Verdict = Literal["ok", "warning", "error"]
"""`warning`: it works, but not as it should. `error`: somebody has to do something."""

_VERDICTS: tuple[Verdict, ...] = ("ok", "warning", "error")

_OF_TUNNELS: Mapping[TunnelState, Verdict] = {
    "up": "ok",
    "off": "ok",  # somebody has decided so, and is told again what it means
    "connecting": "warning",
    "degraded": "warning",
    "uplink_down": "warning",
    "down": "error",
    "quarantine": "error",
}

_OF_PROVIDERS: Mapping[Condition, Verdict] = {
    "ok": "ok",
    "off": "ok",
    "unknown": "ok",
    "resting": "ok",
    "failing": "warning",
    "refused": "error",
}

_OF_DIRECTORIES: Mapping[DirectoryCondition, str] = {
    "ok": "",
    "unknown": "",
    "failing": "It is asked again by itself.",
    "refused": "Look at its key and address; `miauflixd sources directories` shows them.",
    "guarded": "Put an indexer manager in front of it, or take it away.",
}

_TIGHT = 5 * 2**30
"""Bytes above the minimum below which it is time to think about the disk: a film."""

_MIB = 2**20
_GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What was looked at, and what came of it."""

    id: str
    """`tunnel`, `disk`, `provider_tmdb`, `directory_archive`, `tasks`; stable."""
    state: Verdict
    message: str
    """A sentence."""
    suggestion: str = ""
    """What somebody can do, a sentence; empty when there is nothing to do."""


class Doctor:
    """Looks at everything; asks nobody outside, so it may be called as often as somebody likes."""

    def __init__(
        self,
        *,
        tunnel: Tunnel,
        library: Library,
        directories: DirectoryBook,
        disk: Disk,
        cache: Cache,
        encryption: Encryption,
        timetable: Timetable,
    ) -> None:
        self._tunnel = tunnel
        self._library = library
        self._directories = directories
        self._disk = disk
        self._cache = cache
        self._encryption = encryption
        self._timetable = timetable
        self._examinations: tuple[Callable[[], Awaitable[Sequence[Check]]], ...] = (
            self._of_the_tunnel,
            self._of_the_disk,
            self._of_the_downloads,
            self._of_the_encryption,
            self._of_the_providers,
            self._of_the_directories,
            self._of_the_tasks,
        )

    async def checks(self) -> Sequence[Check]:
        """Return what came of all."""
        return [check for examine in self._examinations for check in await examine()]

    async def _of_the_tunnel(self) -> Sequence[Check]:
        view = self._tunnel.view()
        verdict = _OF_TUNNELS[view.state]
        suggestion = "" if verdict == "ok" else f"{view.next} `miauflixd vpn status` tells more."
        return [Check(id="tunnel", state=verdict, message=view.reason, suggestion=suggestion)]

    async def _of_the_disk(self) -> Sequence[Check]:
        try:
            room = await self._disk.room()
        except OSError as error:
            message = f"The disk cannot be asked for its room: {error.strerror}."
            suggestion = "Look whether it is there: `df`, `dmesg`."
            return [Check(id="disk", state="error", message=message, suggestion=suggestion)]
        message = f"{_size(room.free)} of the disk are free."
        if room.free >= room.minimum + _TIGHT:
            return [Check(id="disk", state="ok", message=message)]
        if room.free >= room.minimum:
            suggestion = "Make room soon: remove what nobody watches any more."
            return [Check(id="disk", state="warning", message=message, suggestion=suggestion)]
        suggestion = f"Downloads stop below {_size(room.minimum)}; make room."
        return [Check(id="disk", state="error", message=message, suggestion=suggestion)]

    async def _of_the_downloads(self) -> Sequence[Check]:
        try:
            shelf = await self._cache.shelf()
        except OSError:
            return []  # the disk's own check says so
        message = f"Downloads take {_size(shelf.used)}"
        message += f" of the {_size(shelf.quota)} that they may." if shelf.quota else "."
        if not shelf.quota or shelf.used <= shelf.quota:
            return [Check(id="downloads", state="ok", message=message)]
        suggestion = (
            "All the rest is pinned, or was watched a moment ago: unpin something, or let them "
            "take more."
        )
        return [Check(id="downloads", state="warning", message=message, suggestion=suggestion)]

    async def _of_the_encryption(self) -> Sequence[Check]:
        message = (
            "Downloads are not encrypted, as the settings say: whoever has the disk sees them."
            if self._encryption == "off"
            else f"Downloads are encrypted ({self._encryption})."
        )
        return [Check(id="encryption", state="ok", message=message)]

    async def _of_the_providers(self) -> Sequence[Check]:
        return [_of_a_provider(state) for state in self._library.providers()]

    async def _of_the_directories(self) -> Sequence[Check]:
        return [_of_a_directory(view) for view in self._directories.all() if view.spec.enabled]

    async def _of_the_tasks(self) -> Sequence[Check]:
        failing = [
            task
            for task in self._timetable.tasks()
            if task.state == "resting" or (task.last is not None and task.last.error is not None)
        ]
        if not failing:
            return [Check(id="tasks", state="ok", message="All that goes on by itself works.")]
        by_reason: dict[str, list[str]] = {}
        for task in failing:
            by_reason.setdefault(_sentence(task.reason), []).append(task.name)
        return [
            Check(
                id="tasks",
                state="warning",
                message=" ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items()),
                suggestion="They are tried again by themselves; the log tells more.",
            )
        ]


def worst(checks: Sequence[Check]) -> Verdict:
    """Return how it is on the whole."""
    return max((check.state for check in checks), key=_VERDICTS.index, default="ok")


def _of_a_provider(state: ProviderState) -> Check:
    return Check(
        id=f"provider_{state.name}",
        state=_OF_PROVIDERS[state.condition],
        message=_sentence(state.reason),
        suggestion="" if state.condition == "ok" else _sentence(state.next),
    )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _size(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size // _MIB} MiB"


def _of_a_directory(view: DirectoryView) -> Check:
    name, standing = f"directory_{view.spec.id}", view.standing
    if view.capabilities is None:
        return Check(
            id=name,
            state="warning",
            message=f"{view.spec.title} cannot be asked as it is described.",
            suggestion="The log tells more: `journalctl -u miauflixd`.",
        )
    if standing.condition in ("ok", "unknown"):
        said = "answers" if standing.condition == "ok" else "has not been asked yet"
        return Check(id=name, state="ok", message=f"{view.spec.title} {said}.")
    # Never more: one that is away only means that less is found.
    message = f"{view.spec.title}: {standing.reason.rstrip('.')}."
    return Check(
        id=name, state="warning", message=message, suggestion=_OF_DIRECTORIES[standing.condition]
    )
