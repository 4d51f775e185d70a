"""A torrent client as people set one up: libtorrent's defaults, bound to the VPN's interface."""

import sys
import time
from pathlib import Path

import libtorrent as lt

_REPORT_EVERY = 0.5


def run(folder: Path, metainfo: Path, magnet: str, interface: str) -> None:
    """Download a film until killed, from its `.torrent` and from another one's magnet."""
    session = lt.session(
        {"listen_interfaces": f"{interface}:6881", "outgoing_interfaces": interface}
    )
    file = lt.add_torrent_params()
    file.ti = lt.torrent_info(metainfo.read_bytes())
    file.save_path = str(folder)
    handle = session.add_torrent(file)
    link = lt.parse_magnet_uri(magnet)
    link.save_path = str(folder)
    session.add_torrent(link)
    while True:
        status = handle.status()
        print(f"{status.total_payload_download} {status.num_peers}", flush=True)
        time.sleep(_REPORT_EVERY)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
