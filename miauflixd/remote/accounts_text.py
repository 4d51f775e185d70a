"""The household in words. No I/O."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

Answer = Mapping[str, Any]


def setup_code(answer: Answer) -> str:
    """Return the code, and what to do with it."""
    return (
        f"Setup code  {answer['setup_code']}\n\n"
        "Open miauflix in a browser and make the first account with it. It belongs to an\n"
        "administrator, and the code opens nothing any more once there is one."
    )


def already_set_up(_answer: Answer) -> str:
    """Return that there is nothing to set up."""
    return (
        "There are users already: nothing to set up. `miauflixd user list` names them, "
        "`miauflixd user password` helps who has forgotten theirs"
    )


def people(found: Sequence[Answer]) -> str:
    """Return everybody."""
    if not found:
        return "Nobody has an account yet. `miauflixd setup` shows how to make the first"
    return "\n".join(map(_person, found))


def keys(found: Sequence[Answer], names: Mapping[str, str]) -> str:
    """Return all keys; `names` says whose."""
    if not found:
        return "There are no keys. `miauflixd keys create` makes one"
    return "\n".join(_key(one, names) for one in found)


def created_key(one: Answer) -> str:
    """Return a new key: the only time that it is seen."""
    return f"Key  {one['key']}\n\nIt is shown this once. Its id is {one['id']}."


def diary(entries: Sequence[Answer], names: Mapping[str, str]) -> str:
    """Return what was done by whom; `names` says who it was."""
    if not entries:
        return "Nothing of that kind is written down"
    return "\n".join(_entry(one, names) for one in entries)


def _person(one: Answer) -> str:
    marks = [one["role"]]
    if one["max_rating"] is not None:
        marks.append(f"up to {one['max_rating']}")
    if one["disabled"]:
        marks.append("disabled")
    return f"{one['email']}  {one['display_name']} ({', '.join(marks)})  [{one['id']}]"


def _key(one: Answer, names: Mapping[str, str]) -> str:
    used = "never used"
    if one["last_used_at"] is not None:
        used = f"last used {_when(one, 'last_used_at')}"
    owner = _name(one["user_id"], names)
    return f"{one['id']}  {one['purpose']:8}  {owner}: {one['name']}, {used}"


def _entry(one: Answer, names: Mapping[str, str]) -> str:
    details = dict(one["details"])
    if (user := details.pop("user", None)) is not None:
        details = {"user": _name(user, names), **details}
    words = [_when(one, "at"), one["type"].replace("_", " ")]
    if one["user_id"] is not None:
        words.append(f"by {_name(one['user_id'], names)}")
    if one["address"] is not None:
        words.append(f"from {one['address']}")
    said = ", ".join(f"{name} {value}" for name, value in details.items())
    return "  ".join(words) + (f"  ({said})" if said else "")


def _name(user_id: str, names: Mapping[str, str]) -> str:
    return names.get(user_id, f"somebody who is gone [{user_id}]")


def _when(one: Answer, field: str) -> str:
    return datetime.fromisoformat(one[field]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
