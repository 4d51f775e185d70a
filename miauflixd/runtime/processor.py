"""What the processor can do."""

import functools
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


@functools.cache
def has_aes(cpuinfo: Path = _CPUINFO) -> bool:
    """Return whether it has instructions for AES; a Raspberry Pi up to the fourth has none."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True  # as nearly all have
    # "flags" on x86, "Features" on ARM.
    return any("aes" in line.split() for line in lines if line.startswith(("flags", "Features")))
