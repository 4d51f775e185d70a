"""The tunnel in words. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_HISTORY = 10
"""Changes that are shown."""

_KIB = 1024
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

Answer = Mapping[str, Any]


def status(view: Answer, *, now: datetime | None = None) -> str:
    """Return how the tunnel is: what, since when, why, what next, and the last changes."""
    now = now or datetime.now(UTC)
    since = _time(view["since"])
    lines = [
        f"Tunnel    {_state(view['state'])}, for {_duration((now - since).total_seconds())}",
        f"Why       {view['reason']}",
        f"Next      {view['next']}",
    ]
    if view["endpoint"] is not None:
        lines.append(f"Endpoint  {_name(view['endpoint'])}{_details(view)}")
    if (standby := view["standby"]) is not None:
        answers = "answers" if standby["answers"] else "does not answer"
        lines.append(f"Standby   {_name(standby['endpoint'])}, {answers}")
    if view["mode"] != "off":
        lines.append(f"Traffic   {_size(view['rx'])} received, {_size(view['tx'])} sent")
    if view["history"]:
        lines += ["", "Last changes"]
        lines += map(_change, view["history"][-_HISTORY:])
    return "\n".join(lines)


def switching(view: Answer) -> str:
    """Return that a switch has begun."""
    name = "none" if view["endpoint"] is None else _name(view["endpoint"])
    return (
        f"Asked for. The tunnel was {_state(view['state'])} (endpoint: {name}); "
        "`miauflixd vpn status` tells how it goes on"
    )


def tested(result: Answer) -> str:
    """Return what became of a test."""
    took = result["handshake"]
    return "\n".join(
        [
            f"Endpoint   {_name(result['endpoint'])}",
            f"Handshake  {'none' if took is None else f'after {took * 1000:.0f} ms'}",
            f"Internet   {'answers' if result['egress'] else 'does not answer'}",
            f"Names      {'resolve' if result['names'] else 'do not resolve'}",
            f"Verdict    {result['detail']}",
        ]
    )


def ladder(rungs: Sequence[Answer]) -> str:
    """Return all endpoints in order, and what is wrong with them."""
    if not rungs:
        return (
            "There is no endpoint yet. `miauflixd vpn import FILE` adds WireGuard files, "
            "`miauflixd vpn import --nordvpn` an account"
        )
    return "\n".join(line for number, rung in enumerate(rungs, 1) for line in _rung(number, rung))


def preview(answer: Answer) -> str:
    """Return what would come of importing files."""
    return "\n".join(line for one in answer["items"] for line in _previewed(one))


def _rung(number: int, rung: Answer) -> Iterator[str]:
    servers = rung["servers"]
    if rung["kind"] == "account":
        count = "1 server" if len(servers) == 1 else f"{len(servers)} servers"
        yield f"{number:3}. {rung['name']}, {count}  [{rung['id']}]"
        for server in servers:
            yield f"       {_server(server)}"
    elif servers:
        yield f"{number:3}. {_server(servers[0])}"
    else:
        yield f"{number:3}. {rung['name']}"
    if rung["problem"]:
        yield f"     ! {rung['problem']}"
    for server in servers:
        if server["problem"]:
            yield f"     ! {server['name']}: {server['problem']}"


def _server(server: Answer) -> str:
    marks = []
    if server["in_use"]:
        marks.append("in use")
    if server["port_forwarding"]:
        marks.append("forwards ports")
    if server["penalty"] >= 0.1:  # noqa: PLR2004 - less has no effect worth a word
        marks.append("has failed lately")
    host = f"[{server['host']}]" if ":" in server["host"] else server["host"]
    words = ", ".join([_name(server), f"{host}:{server['port']}", *marks])
    return f"{words}  [{server['id']}]"


def _previewed(one: Answer) -> Iterator[str]:
    if one["refused"]:
        place = one["file"] if one["line"] is None else f"{one['file']}:{one['line']}"
        yield f"{place}: refused. {one['refused']}"
        return
    if one["duplicate_of"]:
        yield f"{one['file']}: left out. It is the same server as {one['duplicate_of']}"
        return
    yield f"{one['file']}: {_name(one)}"
    for used in one["used"]:
        yield f"    uses     {used}"
    for ignored in one["ignored"]:
        yield f"    ignores  {ignored['key']} (line {ignored['line']}): {ignored['why']}"


def _details(view: Answer) -> str:
    parts = []
    if view["handshake_age"] is not None:
        parts.append(f"handshake {_duration(view['handshake_age'])} ago")
    if view["exit_ip"]:
        parts.append(f"seen as {view['exit_ip']}")
    if view["port"]:
        parts.append(f"port {view['port']} forwarded")
    return "".join(f", {part}" for part in parts)


def _change(one: Answer) -> str:
    at = _time(one["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"  {at}  {_state(one['from'])} -> {_state(one['to'])}: {one['reason']}"


def _name(endpoint: Answer) -> str:
    country = f" ({endpoint['country']})" if endpoint["country"] else ""
    return f"{endpoint['name']}{country}"


def _state(state: str) -> str:
    return state.replace("_", " ")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _size(size: float) -> str:
    for unit in _UNITS:
        if size < _KIB or unit == _UNITS[-1]:
            break
        size /= _KIB
    return f"{size:.0f} {unit}" if unit == _UNITS[0] else f"{size:.1f} {unit}"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{max(seconds, 0):.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"
    return f"{seconds // _DAY:.0f} d {seconds % _DAY // _HOUR:.0f} h"
