"""Where titles can be had, and who is asked, in words. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

Answer = Mapping[str, Any]

_ROADS = {"tunnel": "through the tunnel", "host": "by this machine's own network"}


def sources(found: Answer) -> str:
    """Return where a title can be had, the best first."""
    return "\n".join(_sources(found))


def directories(found: Sequence[Answer]) -> str:
    """Return all directories, and how each is doing."""
    if not found:
        return "Nobody is asked. `miauflixd sources add-directory` adds a directory"
    return "\n".join(directory(one) for one in found)


def directory(one: Answer) -> str:
    """Return a directory, and how it is doing."""
    built_in = ", of the settings" if one["built_in"] else ""
    key = ", with a key" if one["has_api_key"] else ""
    road = "" if one["kind"] == "folder" else f" {_ROADS[one['via']]}"
    lines = [
        f"{one['id']}  {one['title']}: {_state(one)}",
        f"    {one['kind']} at {one['url']}{road}{key}{built_in}",
    ]
    return "\n".join(lines)


def added(one: Answer) -> str:
    """Return that a directory is asked from now on."""
    return f"{directory(one)}\n`miauflixd sources check {one['id']}` tells whether it answers"


def _sources(found: Answer) -> Iterator[str]:
    for one in found["items"]:
        yield f"{one['score']:6.1f}  {one['id']}  {one['name']}"
        yield f"        {', '.join(_about(one))}"
        if one["reasons"]:
            yield f"        {'' if one['usable'] else 'NOT PLAYED: '}{'; '.join(one['reasons'])}"
    reports = found.get("directories", ())
    if not found["items"]:
        yield "Nothing is known that this can be played from"
        if not reports and not found["searching"]:
            yield "`miauflixd sources directories` shows who is asked"
    for reason, count in found.get("refused", {}).items():
        yield f"Left out {count}: {reason}"
    for report in reports:
        if report["outcome"] in ("failed", "no_way_out"):
            yield f"Nothing from {report['directory']}: {report['reason']}"
    if found["searching"]:
        yield "Still searching"
    elif found["checked_at"] is not None:
        yield f"Searched {_moment(found['checked_at'])}"


def _about(one: Answer) -> Iterator[str]:
    yield one["provider"]
    yield one["state"]
    if one["size"] is not None:
        yield f"{one['size'] / 2**30:.2f} GiB"
    if one["seeders"] is not None:
        yield f"{one['seeders']} seeders"
    yield f"plays {one['plays']}"


def _state(one: Answer) -> str:
    words = {
        "unknown": "not asked yet",
        "ok": "answers",
        "off": "switched off",
        "failing": "does not answer",
        "refused": "does not let us in",
        "guarded": "lets no program in",
    }[one["state"]]
    reason = f" ({one['reason']})" if one["reason"] else ""
    # The first failure costs nothing: then it is since when it failed that it is asked again.
    rests = one["until"] is not None and one["until"] != one["since"]
    until = f", left alone until {_moment(one['until'])}" if rests else ""
    return f"{words}{reason}{until}"


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
