"""What the house and the engine say to each other.

The house sends commands, the engine sends events. Neither waits for an answer: each event says by
itself what is true now, so nothing is lost that the next one would not repair.
"""

from typing import Literal

import msgspec
from msgspec import Struct


class Message(Struct, frozen=True, tag=True, kw_only=True):
    """Anything that crosses the socket pair."""


# --- commands -------------------------------------------------------------------------------------


class Configure(Message, frozen=True):
    """The first command, and later again whenever limits change."""

    listen: list[str]
    """`address:port` or `interface:port`, as libtorrent's `listen_interfaces`."""
    connections: int
    download_rate: int
    """Bytes per second, 0 for no limit."""
    upload_rate: int
    dht: bool


class SetNetwork(Message, frozen=True):
    """Say whether there is a way out, and whether it is still the same one.

    The session starts with none unless told so before: torrents can be added, their files can be
    read and hashed, and nothing is sent.
    """

    up: bool
    generation: int = 0
    """A new number: another server is behind the interface, so every connection is dead and is to
    be made anew at once."""


class OpenSocket(Message, frozen=True):
    """Make a socket here, where the tunnel is, and hand it over; answered by `SocketOpened`."""

    request: int
    family: Literal["inet", "inet6"]
    kind: Literal["stream", "datagram"]


class AddMagnet(Message, frozen=True):
    """Join a swarm of which only the info-hash is known."""

    torrent_id: str
    save_path: str
    uri: str


class Inspect(Message, frozen=True):
    """Read a `.torrent` file and say what it holds; answered by `Metadata` or `Rejected`."""

    torrent_id: str
    metainfo: bytes


class FetchMetadata(Message, frozen=True):
    """Join a swarm for what it holds and nothing else, and leave it once that is known.

    Answered by `Metadata`, `Rejected` or `Displaced`. Nothing is written to the disk. Given again
    with the same id, the trackers of the other link are asked as well.
    """

    torrent_id: str
    uri: str


class Scrape(Message, frozen=True):
    """Ask every tracker of a magnet link how many are in the swarm, without joining it.

    Through the torrent that is here already, if there is one. Answered by `Scraped`, again and
    again until nothing is pending; or until `Drop`.
    """

    torrent_id: str
    uri: str


class Drop(Message, frozen=True):
    """Forget a `FetchMetadata` or a `Scrape`: nobody waits any more. There is no answer."""

    torrent_id: str


class AddMetainfo(Message, frozen=True):
    """Join a swarm whose `.torrent` file is at hand."""

    torrent_id: str
    save_path: str
    metainfo: bytes
    resume_data: bytes | None = None
    """What `ResumeData` brought last. Pieces on the disk beyond it are found by their hash."""
    recheck: bool = False
    """Trust nothing of `resume_data`: the machine may have lost power since it was saved."""
    seed: bool = False
    """The content is there and whole: do not hash it first. For one's own films only."""


class Remove(Message, frozen=True):
    """Leave a swarm and let go of its files; answered by `Removed`."""

    torrent_id: str


class Prioritize(Message, frozen=True):
    """Change what is wanted.

    Pieces that are not named keep their priority: 0 unwanted, 1 when nothing else is to be done,
    7 at once.
    """

    torrent_id: str
    pieces: list[tuple[int, int]]


class LimitUpload(Message, frozen=True):
    """Give a torrent's peers no more than this."""

    torrent_id: str
    rate: int
    """Bytes per second, 0 for no limit but that of all together."""


class SetHunger(Message, frozen=True):
    """Say whether somebody has gaps close before them, or everybody has enough in hand."""

    hungry: bool


class ConnectPeer(Message, frozen=True):
    """Talk to this peer, wherever its address comes from."""

    torrent_id: str
    host: str
    port: int


class Reread(Message, frozen=True):
    """Send `Pieces` again; for a reader that waits suspiciously long."""

    torrent_id: str


class RetryStorage(Message, frozen=True):
    """Write to the disk again after `StorageFailed`."""

    torrent_id: str


class SaveResumeData(Message, frozen=True):
    """Send `ResumeData` of every torrent that changed since its last, then `Saved`."""


Command = (
    Configure
    | SetNetwork
    | OpenSocket
    | AddMagnet
    | Inspect
    | FetchMetadata
    | Scrape
    | Drop
    | AddMetainfo
    | Remove
    | Prioritize
    | LimitUpload
    | SetHunger
    | ConnectPeer
    | Reread
    | RetryStorage
    | SaveResumeData
)


# --- events ---------------------------------------------------------------------------------------


class Started(Message, frozen=True):
    """The session is up; sent once, after the first `Configure`."""

    libtorrent_version: str


class SocketOpened(Message, frozen=True):
    """The socket that was asked for travels with this message, or there is none."""

    request: int
    error: int = 0
    """The errno; 0: the socket is here."""


class ExternalAddress(Message, frozen=True):
    """The address under which the swarm sees us, as most peers and trackers say."""

    address: str | None
    """`None`: it is not known any more, for the road is another one, or closed."""


class Rejected(Message, frozen=True):
    """A torrent could not be added, or its metadata turned out to be unacceptable."""

    torrent_id: str
    detail: str
    """A sentence for a person."""


class File(Struct, frozen=True, kw_only=True):
    """One file of a torrent; padding is left out."""

    index: int
    """Its index in the engine; not consecutive, since padding counts."""
    path: str
    """As its maker named it, with `/`; for people only: on disk it is called `{index}`."""
    size: int
    offset: int
    """Where it starts in the torrent, in bytes from the start of piece 0."""


class Metadata(Message, frozen=True):
    """What a torrent holds; sent when peers have told it, and when it was asked for."""

    torrent_id: str
    name: str
    info_hash_v1: bytes | None
    info_hash_v2: bytes | None
    piece_length: int
    total_size: int
    files: list[File]
    metainfo: bytes
    """The `.torrent` file, bencoded."""


class Displaced(Message, frozen=True):
    """`FetchMetadata` has come to its end: a torrent with the same content is here to stay."""

    torrent_id: str


class Scraped(Message, frozen=True):
    """What the trackers have said so far: the whole truth, replacing any earlier."""

    torrent_id: str
    seeders: int | None
    """As many as the tracker knows that knows most; `None` as long as none has answered."""
    leechers: int | None
    """As the same tracker says."""
    pending: int
    """How many trackers have said nothing yet; 0: there will be no more."""


class Pieces(Message, frozen=True):
    """Every piece that is on the disk and right: the whole truth, replacing any earlier."""

    torrent_id: str
    have: bytes
    """A bit for each piece, the first in the highest bit of the first byte (as in BEP 3)."""


class PiecesFinished(Message, frozen=True):
    """These pieces have passed their hash and can be read from the file now."""

    torrent_id: str
    pieces: list[int]


class HashFailed(Message, frozen=True):
    """A piece came whole and was wrong; it is fetched again, and liars are banned."""

    torrent_id: str
    piece: int


class Progress(Struct, frozen=True, kw_only=True):
    """How one torrent is doing; rates in bytes per second."""

    torrent_id: str
    state: str
    """`checking`, `metadata`, `downloading`, `idle` (all that is wanted is there) or `seeding`."""
    download_rate: int
    upload_rate: int
    downloaded: int
    """Payload bytes received in this session, also those that failed their hash."""
    uploaded: int
    peers: int
    seeds: int
    known_peers: int
    """How many peers are known, connected or not."""


class ProgressReport(Message, frozen=True):
    """How those torrents are doing of which something changed; at most once a second."""

    torrents: list[Progress]


class StorageFailed(Message, frozen=True):
    """The disk refuses; the torrent stands still until `RetryStorage`."""

    torrent_id: str
    full: bool
    """There is no room. Otherwise the disk cannot be read or written."""
    detail: str


class ResumeData(Message, frozen=True):
    """What is on the disk and who was in the swarm, to go on after a restart."""

    torrent_id: str
    data: bytes


class Saved(Message, frozen=True):
    """Everything that changed before `SaveResumeData` has been sent."""


class Removed(Message, frozen=True):
    """The engine knows nothing of the torrent any more and has closed its files."""

    torrent_id: str


Event = (
    Started
    | SocketOpened
    | ExternalAddress
    | Rejected
    | Metadata
    | Displaced
    | Scraped
    | Pieces
    | PiecesFinished
    | HashFailed
    | ProgressReport
    | StorageFailed
    | ResumeData
    | Saved
    | Removed
)

COMMANDS: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
EVENTS: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
