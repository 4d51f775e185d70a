"""What is done by itself, in words. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

Answer = Mapping[str, Any]


def timetable(tasks: Sequence[Answer], *, now: datetime | None = None) -> str:
    """Return all tasks: how each is, how its last run went, and when the next is."""
    if not tasks:
        return "There is nothing that is done by itself"
    now = now or datetime.now(UTC)
    return "\n".join(line for task in tasks for line in _task(task, now))


def started(task: Answer) -> str:
    """Return that a run has begun."""
    return f"Asked for. `miauflixd tasks` tells how {task['name']} goes on"


def _task(task: Answer, now: datetime) -> Iterator[str]:
    queue = "" if not task["queue"] else f", {task['queue']} waiting"
    yield f"{task['name']}  {_state(task, now)}{queue}"
    yield f"    {task['summary']}, {_beat(task)}"
    if (last := task["last_run"]) is not None:
        when = _moment(last["started"])
        yield f"    last  {when}, took {_duration(last['took'])}: {_outcome(last)}"
    if task["state"] != "running":
        yield f"    next  {_next(task, now)}"


def _state(task: Answer, now: datetime) -> str:
    length = _duration((now - datetime.fromisoformat(task["since"])).total_seconds())
    match task["state"]:
        case "running":
            return f"running for {length}"
        case "resting":
            # What the last run came to stands below.
            last = (task["last_run"] or {}).get("result") or ""
            return f"resting for {length}" + (
                "" if task["reason"] in last else f": {task['reason']}"
            )
        case state:
            return str(state)


def _beat(task: Answer) -> str:
    if task["at"] is not None:
        return f"nightly at {task['at']}"
    if task["every"] is None:
        return "when there is something to do"
    return f"every {_duration(task['every'])}"


def _outcome(last: Answer) -> str:
    if last["error"] is None:
        return last["result"] or "nothing new"
    return f"failed ({last['error']}). {last['result'] or ''}".rstrip()


def _next(task: Answer, now: datetime) -> str:
    if task["next"] is not None:
        left = (datetime.fromisoformat(task["next"]) - now).total_seconds()
        return f"{_moment(task['next'])}, in {_duration(left)}"
    return "when somebody asks" if task["state"] == "off" else "when there is something to do"


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{max(seconds, 0):.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min"
    if seconds < _DAY:
        minutes = seconds % _HOUR // _MINUTE
        return f"{seconds // _HOUR:.0f} h" + (f" {minutes:.0f} min" if minutes else "")
    hours = seconds % _DAY // _HOUR
    return f"{seconds // _DAY:.0f} d" + (f" {hours:.0f} h" if hours else "")
