"""`python -m tests.bench NAME ...`, which `scripts/bench` calls."""

import sys

from tests.bench import api, catalogue, playback, shelf, sources, stream, vault

_BENCHES = {
    "api": api.main,
    "catalogue": catalogue.main,
    "playback": playback.main,
    "shelf": shelf.main,
    "sources": sources.main,
    "stream": stream.main,
    "vault": vault.main,
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in _BENCHES:
        sys.exit(f"usage: scripts/bench {{{','.join(_BENCHES)}}} [options]")
    _BENCHES[sys.argv[1]](sys.argv[2:])
