"""Somebody's account with Trakt in JSON; no token is in any of it."""

from datetime import UTC

from msgspec import UNSET, Struct, UnsetType

from miauflixd.auth.device_login import qr_svg
from miauflixd.catalogue.trakt_model import LinkState, TraktLink
from miauflixd.web.shapes import Moment


class TraktShape(Struct, frozen=True, kw_only=True):
    """How one's account with Trakt is, and while it waits, what to type there."""

    state: LinkState
    since: Moment
    reason: str
    next: str
    user_code: str | UnsetType = UNSET
    verification_url: str | UnsetType = UNSET
    verification_url_complete: str | UnsetType = UNSET
    """With the code in it."""
    qr_svg: str | UnsetType = UNSET
    """The complete address as a picture, an SVG element."""
    expires_in: float | UnsetType = UNSET
    """Seconds for which the code holds."""
    interval: float | UnsetType = UNSET
    """Seconds after which it is worth looking again."""


def trakt_shape(link: TraktLink) -> TraktShape:
    """Return how somebody's account is, as they see it."""
    code = link.code
    return TraktShape(
        state=link.state,
        since=link.since.astimezone(UTC),
        reason=link.reason,
        next=link.next,
        user_code=UNSET if code is None else code.user_code,
        verification_url=UNSET if code is None else code.verification_url,
        verification_url_complete=UNSET if code is None else code.complete_url,
        qr_svg=UNSET if code is None else qr_svg(code.complete_url),
        expires_in=UNSET if code is None else code.expires_in,
        interval=UNSET if code is None else code.interval,
    )
