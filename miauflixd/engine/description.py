"""What the session tells the house of a torrent, out of what libtorrent says."""

import libtorrent as lt

from miauflixd.engine import metainfo
from miauflixd.engine.messages import Metadata, Progress
from miauflixd.engine.meter import Meter

_STATES = {
    lt.torrent_status.states.checking_files: "checking",
    lt.torrent_status.states.checking_resume_data: "checking",
    lt.torrent_status.states.downloading_metadata: "metadata",
    lt.torrent_status.states.downloading: "downloading",
    lt.torrent_status.states.finished: "idle",
    lt.torrent_status.states.seeding: "seeding",
}


def metadata_of(torrent_id: str, parameters: lt.add_torrent_params, encoded: bytes) -> Metadata:
    """Return what a torrent holds.

    Args:
        torrent_id: of the torrent, or of the question.
        parameters: what `metainfo.load` returned.
        encoded: what it was given.
    """
    torrent = information(parameters)
    name, piece_length, total_size, files = metainfo.describe(torrent)
    v1, v2 = metainfo.info_hashes(torrent)
    return Metadata(
        torrent_id=torrent_id,
        name=name,
        info_hash_v1=v1,
        info_hash_v2=v2,
        piece_length=piece_length,
        total_size=total_size,
        files=files,
        metainfo=encoded,
    )


def progress_of(torrent_id: str, status: lt.torrent_status, down: Meter, up: Meter) -> Progress:
    """Return how a torrent is doing, with its rates as the meters see them."""
    return Progress(
        torrent_id=torrent_id,
        state=_STATES.get(status.state, "checking"),
        download_rate=down.rate,
        upload_rate=up.rate,
        downloaded=down.total,
        uploaded=up.total,
        peers=status.num_peers,
        seeds=status.num_seeds,
        known_peers=status.list_peers,
    )


def information(parameters: lt.add_torrent_params) -> lt.torrent_info:
    """Return what `metainfo.load` always fills in, though its type cannot say so."""
    if parameters.ti is None:
        raise TypeError("parameters without metadata")
    return parameters.ti


def to_bits(pieces: list[bool]) -> bytes:
    """Return a bit for each piece, the first in the highest bit of the first byte."""
    if not pieces:
        return b""
    size = -(-len(pieces) // 8)
    digits = "".join("1" if piece else "0" for piece in pieces)
    return int(digits.ljust(size * 8, "0"), 2).to_bytes(size, "big")
