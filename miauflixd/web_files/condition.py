"""What a web source does, as a person wants to read it. No I/O."""

from dataclasses import dataclass

from miauflixd.torrents.model import Activity


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """All that decides what a web source is said to be doing."""

    active: bool = False
    """Somebody reads it, or did a moment ago."""
    known: bool = False
    """The sizes of its files are known."""
    complete: bool = False
    wanting: bool = False
    """Somebody wants bytes that are not here."""
    no_road: str | None = None
    """Why there is no way to the server, a sentence."""
    trouble: str | None = None
    """Why nothing comes at the moment, a sentence."""
    again_in: float = 0.0
    """Seconds after which it is tried again."""
    no_room: bool = False
    failure: str | None = None


def activity_of(now: Circumstances) -> Activity:  # noqa: PLR0911 - a table, in order of weight
    """Return what it does."""
    if now.failure is not None:
        return Activity.FAILED
    if now.no_room:
        return Activity.DISK_FULL
    if now.complete:
        return Activity.COMPLETE
    if not now.active:
        return Activity.DORMANT
    if now.no_road is not None and now.wanting:
        return Activity.TUNNEL_DOWN
    if not now.known:
        return Activity.METADATA
    return Activity.DOWNLOADING if now.wanting else Activity.IDLE


def explain(  # noqa: PLR0911 - a table
    activity: Activity, now: Circumstances
) -> tuple[str, str]:
    """Return why that is, and what happens next; a sentence each."""
    if now.trouble is not None and activity in {Activity.METADATA, Activity.DOWNLOADING}:
        return f"{now.trouble.rstrip('.')}.", f"It is tried again in {now.again_in:.0f} s."
    match activity:
        case Activity.FAILED:
            return (
                f"{(now.failure or 'Something went wrong').rstrip('.')}.",
                "It is tried again when somebody presses play.",
            )
        case Activity.DISK_FULL:
            return (
                "There is too little room on the disk.",
                "It goes on by itself once there is more.",
            )
        case Activity.TUNNEL_DOWN:
            return (
                now.no_road or "There is no way to its server.",
                "It goes on by itself when the tunnel is back.",
            )
        case Activity.COMPLETE:
            return "Everything is here.", "It plays without its server."
        case Activity.METADATA:
            return "Asking its server how long it is.", "It can be played right after."
        case Activity.DOWNLOADING:
            return (
                "Somebody is watching, or was a moment ago.",
                "What lies ahead of those who watch is fetched.",
            )
        case Activity.IDLE:
            return "Nothing of it is wanted now.", "It goes on when somebody watches on."
        case _:
            return "Nobody has asked for it lately.", "It wakes when somebody presses play."
