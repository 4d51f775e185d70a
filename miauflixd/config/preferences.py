"""Settings that may change while the daemon runs, over what the file says.

    file, environment, credentials  <  what was set at run time

What was set is checked as a whole, then saved, then handed to the parts that own it. Some settings
are in force at once, some at the next start, and those that say where and as whom the daemon runs
can only be changed where they are read before anything else: in the file.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from miauflixd.auth.audit import Audit
from miauflixd.auth.model import Actor, AuditType
from miauflixd.config.leaves import LEAVES, KeyPath, Leaf, dotted
from miauflixd.config.preferences_store import PreferenceStore
from miauflixd.config.settings import Config
from miauflixd.errors import InvalidInputError
from miauflixd.runtime.secrets import Secret
from miauflixd.web.ports import SettingProblem, SettingValue, SettingView

_log = logging.getLogger(__name__)

AT_ONCE = frozenset[KeyPath](
    {
        ("torrents", "connections"),
        ("torrents", "download_rate"),
        ("torrents", "upload_rate"),
        ("torrents", "minimum_free"),
        ("torrents", "quota"),
        ("torrents", "seed_ratio"),
        ("torrents", "seed_time"),
        ("vpn", "country"),
        ("vpn", "city"),
        ("auth", "access_lifetime"),
        ("auth", "refresh_lifetime"),
        ("auth", "chain_lifetime"),
        ("auth", "max_devices"),
        ("auth", "audit_days"),
        ("catalogue", "tmdb_token"),
        ("catalogue", "archive"),
        ("catalogue", "archive_wider"),
        ("catalogue", "artwork_quota"),
        ("sources", "archive"),
        ("log", "level"),
    }
)
AT_RESTART = frozenset[KeyPath](
    {
        ("torrents", "listen"),
        ("torrents", "dht"),
        ("torrents", "no_data_timeout"),
        ("vpn", "resolvers"),
        ("vpn", "port_forwarding"),
        ("vpn", "nordvpn_token"),
        ("vpn", "lan_endpoints"),
        ("catalogue", "language"),
        ("catalogue", "region"),
        ("catalogue", "trakt_client_id"),
        ("catalogue", "trakt_client_secret"),
        ("jobs", "background"),
        ("jobs", "night"),
        ("jobs", "backups_kept"),
    }
)

_BY_NAME: Mapping[str, Leaf] = {dotted(path): leaf for path, leaf in LEAVES.items()}

Apply = Callable[[Any], None]
"""Takes the settings of a table, as they are from now on."""


class Preferences:
    """The settings in force, and those that are wanted."""

    def __init__(
        self, *, file: Config, values: Mapping[str, SettingValue], store: PreferenceStore
    ) -> None:
        self._file = file
        self._values = dict(values)
        self._store = store
        self._at_start = self._config(self._values)
        self._owners: dict[str, Apply] = {}
        self._audit: Audit | None = None

    @classmethod
    async def open(cls, *, file: Config, store: PreferenceStore) -> Self:
        """Return what the file says with what was set over it.

        What is kept but makes no sense (any more) is left out, with a line in the log: a setting
        must not keep the daemon from starting in which it would be put right.
        """
        good: dict[str, SettingValue] = {}
        for name, value in (await store.all()).items():
            if _problem(name, value) is not None:
                _log.warning("What was set as %s does not fit any more and is left out", name)
                continue
            good[name] = value
        return cls(file=file, values=good, store=store)

    @property
    def config(self) -> Config:
        """The settings as they were when the daemon started."""
        return self._at_start

    def audited_by(self, audit: Audit) -> None:
        """Let changes be written down here."""
        self._audit = audit

    def on_change(self, table: str, apply: Apply) -> None:
        """Hand over a table of the settings whenever something in it has changed."""
        self._owners[table] = apply

    def settings(self) -> Sequence[SettingView]:
        """Return all settings there are."""
        wanted = self._config(self._values)
        return [self._view(leaf, wanted) for leaf in LEAVES.values()]

    def problems(self, values: Mapping[str, SettingValue]) -> Sequence[SettingProblem]:
        """Return what is wrong with these values, together with those that stay."""
        found = [
            SettingProblem(name=name, message=problem)
            for name, value in values.items()
            if (problem := _problem(name, value)) is not None
        ]
        return found or _contradictions(self._config(self._changed(values)), values)

    async def change(self, values: Mapping[str, SettingValue], *, actor: Actor) -> None:
        """Save and apply these values, in which there are no problems; `None` takes one back.

        Raises:
            InvalidInputError: there are problems; nothing was changed.
        """
        if found := self.problems(values):
            raise InvalidInputError("; ".join(f"{one.name} {one.message}" for one in found))
        before = self._config(self._values)
        await self._store.change(values)
        # From here on nothing waits: of two changes at once, the later one is applied later.
        self._values = self._changed(values)
        after = self._config(self._values)
        for table, apply in self._owners.items():
            if getattr(before, table) != getattr(after, table):
                apply(getattr(after, table))
        if self._audit is not None and values:
            self._audit.note(
                AuditType.SETTINGS_CHANGED,
                user_id=actor.user_id,
                address=actor.address,
                changed=", ".join(sorted(values)),
            )

    def _changed(self, values: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
        return {
            name: value for name, value in {**self._values, **values}.items() if value is not None
        }

    def _config(self, values: Mapping[str, SettingValue]) -> Config:
        config = self._file
        for name, value in values.items():
            leaf = _BY_NAME[name]
            table, field = leaf.path
            changed = msgspec.structs.replace(getattr(config, table), **{field: leaf.read(value)})
            config = msgspec.structs.replace(config, **{table: changed})
        return config

    def _view(self, leaf: Leaf, wanted: Config) -> SettingView:
        name = dotted(leaf.path)
        value = _value(wanted, leaf)
        source: Literal["default", "file", "run_time"] = "default"
        if name in self._values:
            source = "run_time"
        elif value != leaf.default:
            source = "file"
        return SettingView(
            name=name,
            value=None if leaf.is_secret else _as_json(value),
            default=None if leaf.is_secret else _as_json(leaf.default),
            has_value=value is not None,
            is_secret=leaf.is_secret,
            expected=leaf.expected,
            source=source,
            takes_effect=_takes_effect(leaf),
            needs_restart=leaf.path in AT_RESTART and value != _value(self._at_start, leaf),
        )


def _problem(name: str, value: SettingValue) -> str | None:
    """Return why a setting cannot have this value; never the value, which may be secret."""
    leaf = _BY_NAME.get(name)
    if leaf is None:
        return "is no setting that there is"
    if _takes_effect(leaf) == "in_file_only":
        return "can be changed in the settings file only"
    if value is None:
        return None
    try:
        leaf.read(value)
    except ValueError:
        return f"should be {leaf.expected}"
    return None


def _contradictions(config: Config, values: Mapping[str, SettingValue]) -> Sequence[SettingProblem]:
    """Return which settings do not go together, each blamed on one that was to be changed."""
    found: list[SettingProblem] = []

    def blame(names: Sequence[str], message: str) -> None:
        culprit = next((name for name in names if name in values), names[0])
        found.append(SettingProblem(name=culprit, message=message))

    if config.vpn.city is not None and config.vpn.country is None:
        blame(["vpn.city", "vpn.country"], "A city is looked for in its country: set both")
    auth = config.auth
    if auth.chain_lifetime < auth.refresh_lifetime:
        blame(
            ["auth.chain_lifetime", "auth.refresh_lifetime"],
            "auth.chain_lifetime should be at least as long as auth.refresh_lifetime",
        )
    return found


def _takes_effect(leaf: Leaf) -> Literal["at_once", "at_restart", "in_file_only"]:
    if leaf.path in AT_ONCE:
        return "at_once"
    return "at_restart" if leaf.path in AT_RESTART else "in_file_only"


def _value(config: Config, leaf: Leaf) -> object:
    return reduce(getattr, leaf.path, config)


def _as_json(value: object) -> SettingValue:
    match value:
        case Path():
            return str(value)
        case list() | tuple():
            return [str(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case Secret():
            raise TypeError("a secret is not shown")
        case _:
            raise TypeError(f"a setting of a kind that nobody expected: {type(value)}")
