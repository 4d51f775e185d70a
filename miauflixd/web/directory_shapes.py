"""Directories in JSON. Keys go in and never come out."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import UNSET, Meta, Struct, UnsetType

from miauflixd.runtime.secrets import Secret
from miauflixd.sources.directories.directory import DirectoryKind
from miauflixd.sources.directory_book import DirectoryView
from miauflixd.sources.settings import Address, Category, DirectorySpec, Id, Title
from miauflixd.sources.standing import Condition
from miauflixd.web.shapes import Moment

Key = Annotated[str, Meta(max_length=500)]
Categories = Annotated[tuple[Category, ...], Meta(max_length=50)]
Trust = Annotated[float, Meta(ge=0, le=1)]
Via = Literal["tunnel", "host"]


class NewDirectory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A directory as somebody wants it."""

    kind: DirectoryKind
    title: Title
    url: Address
    """Where it is; of a folder, its path."""
    id: Id | None = None
    """What it is called in addresses; by default something like its title."""
    api_key: Key | None = None
    via: Via = "tunnel"
    categories: Categories = ()
    enabled: bool = True
    trust: Trust = 0.5


class DirectoryChanges(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different about a directory."""

    title: Title | UnsetType = UNSET
    url: Address | UnsetType = UNSET
    api_key: Key | UnsetType | None = UNSET
    """`null` or empty takes it away."""
    via: Via | UnsetType = UNSET
    categories: Categories | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    trust: Trust | UnsetType = UNSET


class DirectoryOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Directories as somebody wants them."""

    ids: Annotated[list[str], Meta(max_length=200)]


class DirectoryShape(Struct, frozen=True, kw_only=True):
    """A directory: what it is, how it is doing, since when and why."""

    id: str
    kind: DirectoryKind
    title: str
    url: str
    """Of a feed only its server, for the rest may be a key."""
    has_api_key: bool
    via: Via
    categories: list[int]
    enabled: bool
    trust: float
    built_in: bool
    """Whether it comes from the settings, and is changed there."""
    state: Condition | Literal["off"]
    since: Moment | None
    reason: str
    until: Moment | None
    """When it is asked again, where it is left alone."""
    kinds: list[str]
    """What it can be asked for, as far as is known yet."""
    ids: list[str]
    """By which ids."""


class DirectoriesShape(Struct, frozen=True, kw_only=True):
    """All of them."""

    items: list[DirectoryShape]
    total: int


def directory_shape(view: DirectoryView) -> DirectoryShape:
    """Return a directory as an administrator sees it."""
    spec, standing, able = view.spec, view.standing, view.capabilities
    return DirectoryShape(
        id=spec.id,
        kind=spec.kind,
        title=spec.title,
        url=_shown(spec),
        has_api_key=spec.api_key is not None,
        via=spec.via,
        categories=[*spec.categories],
        enabled=spec.enabled,
        trust=spec.trust,
        built_in=view.built_in,
        state=standing.condition if spec.enabled else "off",
        since=standing.since,
        reason=standing.reason,
        until=standing.until,
        kinds=[] if able is None else sorted(able.kinds),
        ids=[] if able is None else sorted(able.ids),
    )


def new_spec(wanted: NewDirectory) -> DirectorySpec:
    """Return a description of what somebody wants."""
    return DirectorySpec(
        id=wanted.id or "",
        kind=wanted.kind,
        title=wanted.title,
        url=wanted.url.strip(),
        api_key=_key(wanted.api_key),
        via=wanted.via,
        categories=wanted.categories,
        enabled=wanted.enabled,
        trust=wanted.trust,
    )


def changes_of(wanted: DirectoryChanges) -> dict[str, object]:
    """Return the fields of a description that are to be others."""
    names = ("title", "url", "via", "categories", "enabled", "trust")
    changes = {name: value for name in names if (value := getattr(wanted, name)) is not UNSET}
    if wanted.api_key is not UNSET:
        changes["api_key"] = _key(wanted.api_key)
    return changes


def _key(text: str | None) -> Secret | None:
    text = (text or "").strip()
    return Secret(text) if text else None


def _shown(spec: DirectorySpec) -> str:
    if spec.kind != "feed":
        return spec.url
    parts = urlsplit(spec.url)
    return f"{parts.scheme}://{parts.netloc}"
