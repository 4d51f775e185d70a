"""Log lines as the journal wants them."""

import logging
import os
import sys

_PRIORITIES = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.DEBUG: 7,
}
"""syslog priorities, sd-daemon(3): a line that starts with `<n>` is filed under that priority."""


class JournalFormatter(logging.Formatter):
    """One record, every line of it with its priority, no time: the journal has a better one."""

    def __init__(self) -> None:
        super().__init__("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with `<n>` before each of its lines."""
        level = min(
            (known for known in _PRIORITIES if known >= record.levelno), default=logging.CRITICAL
        )
        prefix = f"<{_PRIORITIES[level]}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def to_stderr(level: str) -> None:
    """Send the log to standard error: for the journal when that is where it leads, else for people.

    The journal is recognised by `JOURNAL_STREAM`, systemd.exec(5).
    """
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(JournalFormatter())
    else:
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
        )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def set_level(level: str) -> None:
    """Write lines of this level and above from now on."""
    logging.getLogger().setLevel(level.upper())
