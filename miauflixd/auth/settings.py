"""Settings of accounts and sessions."""

from typing import Annotated

from msgspec import Meta, Struct

_DAY = 86400


class AuthSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long people stay signed in, and for how long is remembered what they did."""

    access_lifetime: Annotated[int, Meta(ge=60, le=3600)] = 900
    """Seconds that an access token is good for. It is looked up with every use all the same."""

    refresh_lifetime: Annotated[int, Meta(ge=3600, le=90 * _DAY)] = 7 * _DAY
    """Seconds after which a device that was not used has to sign in again."""

    chain_lifetime: Annotated[int, Meta(ge=3600, le=365 * _DAY)] = 30 * _DAY
    """Seconds after which a device has to sign in again, however much it was used."""

    max_devices: Annotated[int, Meta(ge=1, le=1000)] = 20
    """Devices of one user at most; one more ends the session of the least recently used."""

    audit_days: Annotated[int, Meta(ge=1, le=3650)] = 180
    """Days for which is kept who did what."""
