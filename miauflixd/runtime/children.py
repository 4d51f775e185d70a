"""What a child process of ours gets to know."""

import os

_INHERITED = (
    "COVERAGE_PROCESS_CONFIG",  # set only by a run of the tests that measures its children too
    "JOURNAL_STREAM",
    "LANG",
    "LC_ALL",
    "PATH",
    "PYTHONDEVMODE",
    "PYTHONPATH",
    "TMPDIR",
)


def environment() -> dict[str, str]:
    """Return what a child needs of our environment: nothing of settings, credentials, systemd."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}
