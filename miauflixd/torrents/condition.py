"""What a source does, as a person wants to read it. No I/O."""

from dataclasses import dataclass

from miauflixd.torrents.model import Activity


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """All that decides what a source is said to be doing."""

    active: bool = False
    """The engine has it."""
    known: bool
    """Its metadata is here."""
    checked: bool = False
    """What is on the disk is known."""
    complete: bool = False
    wanting: bool = False
    """Somebody wants pieces that are not here."""
    peers: int = 0
    no_road: str | None = None
    """Why there is no way to the swarm, a sentence."""
    no_room: bool = False
    failure: str | None = None


def activity_of(now: Circumstances) -> Activity:  # noqa: PLR0911 - a table, in order of weight
    """Return what the source does."""
    if now.failure is not None:
        return Activity.FAILED
    if now.no_room:
        return Activity.DISK_FULL
    if not now.active:
        return Activity.DORMANT
    if now.known and not now.checked:
        return Activity.CHECKING
    if now.complete:
        return Activity.COMPLETE
    if now.no_road is not None and (now.wanting or not now.known):
        return Activity.TUNNEL_DOWN
    if not now.known:
        return Activity.METADATA
    return Activity.DOWNLOADING if now.wanting else Activity.IDLE


def explain(  # noqa: PLR0911 - a table
    activity: Activity, now: Circumstances
) -> tuple[str, str]:
    """Return why that is, and what happens next; a sentence each."""
    no_peers = "No peer has been found yet." if now.peers == 0 else None
    match activity:
        case Activity.FAILED:
            return (
                now.failure or "Something went wrong.",
                "It is tried again when somebody presses play.",
            )
        case Activity.DISK_FULL:
            return (
                "There is too little room on the disk.",
                "It goes on by itself once there is more.",
            )
        case Activity.TUNNEL_DOWN:
            return (
                now.no_road or "There is no way to its peers.",
                "It goes on by itself when the tunnel is back.",
            )
        case Activity.DORMANT:
            return "Nobody has asked for it lately.", "It wakes when somebody presses play."
        case Activity.METADATA:
            return (
                no_peers or "Asking peers what it holds.",
                "Its files are listed as soon as one peer has answered.",
            )
        case Activity.CHECKING:
            return "Reading what is on the disk already.", "It can be played right after."
        case Activity.COMPLETE:
            return "Everything is here.", "It plays without the swarm."
        case Activity.DOWNLOADING:
            return (
                no_peers or "Somebody is watching, or was a moment ago.",
                "What is watched comes first, then the rest of the file.",
            )
        case Activity.IDLE:
            return "Nothing of it is wanted now.", "It goes on when somebody presses play."
