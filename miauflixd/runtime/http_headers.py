"""What headers of an answer say, whoever sent it and in whatever case."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_RETRY_AFTER_LIMIT = 24 * 3600.0
"""Seconds for which we let ourselves be sent away at most."""

_AGE_LIMIT = 24 * 3600.0
"""Seconds for which we call an answer up to date at most, whatever its server says."""

_NOT_KEPT = re.compile(r"(?:^|[,\s])no-store(?:$|[,\s])")
_NOT_TRUSTED = re.compile(r"(?:^|[,\s])no-cache(?:$|[,=\s])")
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,9})")


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header, in whatever case it was sent."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), None)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds the server asks to be left alone, if it does."""
    text = (header(headers, "Retry-After") or "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), _RETRY_AFTER_LIMIT)
    try:
        # Against the server's clock: ours may be years behind before it has been set.
        until = parsedate_to_datetime(text)
        now = parsedate_to_datetime(header(headers, "Date") or "")
        return min(max((until - now).total_seconds(), 0.0), _RETRY_AFTER_LIMIT)
    except (TypeError, ValueError, OverflowError):
        return None


def fresh_for(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds an answer may be used unasked; `None`: it must not be kept."""
    control = (header(headers, "Cache-Control") or "").lower()
    if _NOT_KEPT.search(control):
        return None
    found = _MAX_AGE.search(control)
    if found is None or _NOT_TRUSTED.search(control):
        return 0.0
    # What lay in a cache on the way has aged there.
    age = (header(headers, "Age") or "").strip()
    spent = float(age[:9]) if age.isascii() and age.isdecimal() else 0.0
    return min(max(float(found[1]) - spent, 0.0), _AGE_LIMIT)
