"""What people at home read about the tunnel: why it is so, and what happens next."""

from collections.abc import Sequence
from typing import NamedTuple


class Words(NamedTuple):
    """One state in two sentences."""

    reason: str
    next: str


NO_ENDPOINT = Words("No VPN server is known yet", "Nothing leaves until one is set up")


def connecting(name: str, *, why: str = "") -> Words:
    """Return words for the first try of an endpoint."""
    return Words(why or "The tunnel is being set up", f"Trying {name}")


def adopting(name: str) -> Words:
    """Return words for a tunnel that an earlier run has left."""
    return Words(f"{name} was connected before a restart", f"Asking whether {name} still answers")


def up(name: str) -> Words:
    """Return words for a tunnel that works."""
    return Words(f"Connected to {name}", "Nothing to do")


def stayed(name: str, other: str) -> Words:
    """Return words for a planned change that came to nothing."""
    return Words(f"{other} does not answer, so it stays with {name}", "Nothing to do")


def doubted(name: str) -> Words:
    """Return words for the moment in which nothing comes."""
    return Words(f"{name} has not answered for a moment", "Asking it again, and a second server")


def dead(name: str) -> str:
    """Return why an endpoint was left."""
    return f"{name} does not answer any more"


def without_egress(name: str) -> str:
    """Return why an endpoint was left that answers, but leads nowhere."""
    return f"{name} answers, but nothing comes back from the internet"


def degraded(name: str, *, is_alone: bool) -> Words:
    """Return words for an endpoint that leads nowhere."""
    return Words(
        without_egress(name),
        "There is no better server; waiting for this one"
        if is_alone
        else "Changing to another server if that lasts",
    )


def mute(name: str) -> str:
    """Return why an endpoint was passed over."""
    return f"{name} does not answer"


def changing(*, is_fail_back: bool, to: str) -> str:
    """Return why an endpoint that works was left."""
    return f"{to} is reliable again" if is_fail_back else f"Changing to {to}, as asked"


def refused(provider: str) -> str:
    """Return why no endpoint of a provider may ever answer."""
    return (
        f"Several servers of {provider} do not answer although the internet is there: "
        "the keys or the account may be wrong"
    )


def waiting(seconds: float, *, refusing: str | None) -> Words:
    """Return words for the pause between two rounds."""
    reason = refused(refusing) if refusing else "No VPN server answers"
    return Words(reason, f"Knocking now and then, and trying all again in {seconds:.0f} s")


def all_silent(names: Sequence[str]) -> Words:
    """Return words for the moment in which everybody we know of falls silent."""
    return Words(
        "Neither " + " nor ".join(names) + " answers any more",
        "Knocking at all servers until one answers",
    )


CLOCK_WRONG = Words(
    "The clock of this machine is behind, and servers ignore whoever comes from the past",
    "Connecting as soon as the clock is set",
)

CLOCK_SET = "The clock of this machine was set"

UPLINK_DOWN = Words(
    "The internet connection of this house is down",
    "Going on with the same server as soon as it is back",
)

UPLINK_BACK = "The internet connection is back"

GAP = "This machine slept, or was very busy"


def quarantined(findings: Sequence[str]) -> Words:
    """Return words for a namespace that holds what it should not."""
    return Words(
        "Something is where only the tunnel may be: "
        + "; ".join(finding.rstrip(".") for finding in findings),
        "Nothing leaves until that is gone",
    )


CLEAN = "What should not have been there is gone"

REMOVED = "The server in use was taken off the list"
