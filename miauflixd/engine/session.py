"""The libtorrent session: commands in, alerts out as events.

Nothing here waits for libtorrent. Calls that would (`status()`, `torrent_file()`, `have_piece()`
and their like block until the network thread answers) are left to their `post_*` forms, whose
answers arrive as alerts. libtorrent tells of new alerts by a byte in a socket, so nothing polls.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self, assert_never

import libtorrent as lt

from miauflixd.engine import metainfo, recovery, sockets, tuning
from miauflixd.engine.description import information, metadata_of, progress_of, to_bits
from miauflixd.engine.errands import Errands
from miauflixd.engine.guests import InfoHashes, Occupant, info_hashes
from miauflixd.engine.messages import (
    AddMagnet,
    AddMetainfo,
    Command,
    Configure,
    ConnectPeer,
    Drop,
    FetchMetadata,
    HashFailed,
    Inspect,
    LimitUpload,
    OpenSocket,
    Pieces,
    PiecesFinished,
    Prioritize,
    ProgressReport,
    Rejected,
    Remove,
    Removed,
    Reread,
    ResumeData,
    RetryStorage,
    Saved,
    SaveResumeData,
    Scrape,
    SetHunger,
    SetNetwork,
    Started,
    StorageFailed,
)
from miauflixd.engine.meter import Meter
from miauflixd.engine.network import Network
from miauflixd.engine.sockets import Emit

logger = logging.getLogger(__name__)

_PROGRESS_EVERY = 1.0
"""Seconds between reports of rates and peers; pieces are told at once."""

_SAVE_EVERY = 3.0
"""Seconds between saves of what changed.

What a `kill -9` loses of it is found again by hashing (`recovery`), so this bounds that work.
"""

_NO_FLAGS = 0
_METADATA_PRIORITIES = 2**16
"""Pieces of a magnet link that are unwanted from the start, before their number is known.

Without it libtorrent asks for random pieces in the milliseconds until the house says what it wants.
"""

TorrentCommand = Prioritize | LimitUpload | ConnectPeer | Reread | RetryStorage | Remove
"""Commands to a torrent that is there."""


_UNLIMITED = -1
"""What `set_upload_limit` takes for that."""


@dataclass(kw_only=True, eq=False)
class _Torrent(Occupant):
    """What the session knows about one torrent."""

    has_metadata: bool = False
    changed: bool = False
    """There is something to save."""
    pending: list[TorrentCommand] = field(default_factory=list)
    """Commands that came before the handle."""
    downloading: Meter = field(default_factory=Meter)
    uploading: Meter = field(default_factory=Meter)


class Session:
    """One libtorrent session and its torrents."""

    def __init__(
        self,
        *,
        configure: Configure,
        emit: Emit,
        group: asyncio.TaskGroup,
    ) -> None:
        self._emit = emit
        self._torrents: dict[str, _Torrent] = {}
        self._by_handle: dict[lt.torrent_handle, _Torrent] = {}
        self._saving = 0
        self._save_requested = False
        self._group = group
        parameters = lt.session_params()
        parameters.settings = tuning.session_settings(configure)
        parameters.disk_io_constructor = tuning.DISK_IO
        self._session = lt.session(parameters)
        self._session.set_peer_class_filter(tuning.everybody_is_limited())
        self._network = Network(session=self._session, configure=configure, emit=emit)
        self._errands = Errands(
            session=self._session,
            emit=emit,
            source_of=self._torrent_of,
            roads=lambda: self._network.sockets,
        )
        emit(Started(libtorrent_version=lt.__version__))

    @classmethod
    @asynccontextmanager
    async def open(cls, *, configure: Configure, emit: Emit) -> AsyncIterator[Self]:
        """Turn commands into what libtorrent does, and alerts into events, for the block's length.

        Raises:
            ExceptionGroup: what the block raised.
        """
        loop = asyncio.get_running_loop()
        bell, rope = socket.socketpair()
        with bell, rope:
            bell.setblocking(False)  # noqa: FBT003 - the standard library's signature
            rope.setblocking(False)  # noqa: FBT003 - as above
            async with asyncio.TaskGroup() as group:
                session = cls(configure=configure, emit=emit, group=group)
                loop.add_reader(bell, session._on_bell, bell)
                session._session.set_alert_fd(rope.fileno())
                regularly = [
                    group.create_task(session._report_progress(), name="progress"),
                    group.create_task(session._save_regularly(), name="save"),
                ]
                try:
                    yield session
                finally:
                    session._network.close()
                    session._session.set_alert_fd(-1)
                    loop.remove_reader(bell)
                    for task in regularly:
                        task.cancel()

    # --- commands ---------------------------------------------------------------------------------

    def handle(self, command: Command) -> None:  # noqa: C901 - a table of commands, nothing else
        """Do what the house asks; the outcome arrives as events."""
        match command:
            case Configure():
                self._network.configure(command, self._talking())
            case SetNetwork():
                self._network.set(command, self._talking())
            case OpenSocket():
                sockets.hand_over(command, self._emit)
            case SetHunger(hungry=hungry):
                self._session.apply_settings(tuning.request_queue(hungry=hungry))
            case SaveResumeData():
                self._save_requested = True
                self._save_changed()
                self._tell_when_saved()
            case Inspect():
                if (parameters := self._load(command)) is not None:
                    self._emit(metadata_of(command.torrent_id, parameters, command.metainfo))
            case FetchMetadata() | Scrape() | Drop():
                self._errands.handle(command)
            case AddMagnet():
                self._add_magnet(command)
            case AddMetainfo():
                self._add_metainfo(command)
            case _:
                self._handle_later_or_now(command)

    def _handle_later_or_now(self, command: TorrentCommand) -> None:
        torrent = self._torrents.get(command.torrent_id)
        if torrent is None:
            if isinstance(command, Remove):
                self._emit(Removed(torrent_id=command.torrent_id))
        elif torrent.removing:
            pass  # it is answered by `Removed` anyway, and its handle may end any moment
        elif torrent.handle is None:
            torrent.removing = isinstance(command, Remove)
            torrent.pending.append(command)
        else:
            self._handle_for(torrent, torrent.handle, command)

    def _handle_for(
        self, torrent: _Torrent, handle: lt.torrent_handle, command: TorrentCommand
    ) -> None:
        match command:
            case Prioritize():
                # Priorities only. The first deadline that is set cancels every request under way,
                # and Transmission 3.00 never answers a cancel: its slots are lost for good.
                handle.prioritize_pieces(command.pieces)
            case ConnectPeer(host=host, port=port):
                handle.connect_peer((host, port))
            case LimitUpload(rate=rate):
                handle.set_upload_limit(rate or _UNLIMITED)
            case Reread():
                handle.post_status(lt.torrent_handle.query_pieces)
            case RetryStorage():
                handle.clear_error()
                handle.unset_flags(lt.torrent_flags.upload_mode)
                handle.resume()
            case Remove():
                if torrent.changed:
                    self._save(torrent, handle)
                torrent.removing = True
                self._session.remove_torrent(handle)
            case _:
                assert_never(command)

    def _load(self, command: Inspect | AddMetainfo) -> lt.add_torrent_params | None:
        try:
            return metainfo.load(command.metainfo)
        except metainfo.RefusedError as error:
            self._emit(Rejected(torrent_id=command.torrent_id, detail=str(error)))
            return None

    def _add_magnet(self, command: AddMagnet) -> None:
        try:
            parameters = lt.parse_magnet_uri(command.uri)
        except RuntimeError:
            self._emit(
                Rejected(torrent_id=command.torrent_id, detail="This magnet link cannot be read")
            )
            return
        metainfo.ask_only_trackers(parameters)
        parameters.renamed_files = metainfo.opaque_names_ahead()
        parameters.piece_priorities = [0] * _METADATA_PRIORITIES
        torrent = _torrent(command.torrent_id, parameters, has_metadata=False)
        self._add(torrent, parameters, command.save_path)

    def _add_metainfo(self, command: AddMetainfo) -> None:
        if (parameters := self._load(command)) is None:
            return
        torrent_info = information(parameters)
        torrent = _torrent(command.torrent_id, parameters, has_metadata=True)
        self._torrents[command.torrent_id] = torrent
        parameters.renamed_files = metainfo.opaque_names(torrent_info)
        if command.seed:
            # No priorities: a torrent that does not want all of itself leaves seed mode.
            parameters.flags |= lt.torrent_flags.seed_mode
            self._add(torrent, parameters, command.save_path)
            return
        parameters.piece_priorities = [0] * torrent_info.num_pieces()
        have = [False] * torrent_info.num_pieces()
        if command.resume_data is not None:
            resumed = recovery.read_resume_data(command.resume_data)
            if resumed is not None:
                parameters.peers = resumed.peers
                parameters.total_uploaded = resumed.total_uploaded
                parameters.total_downloaded = resumed.total_downloaded
                torrent.uploading.inherited = resumed.total_uploaded
                torrent.downloading.inherited = resumed.total_downloaded
                if not command.recheck and len(resumed.have_pieces) == len(have):
                    have = resumed.have_pieces
                    parameters.unfinished_pieces = resumed.unfinished_pieces
        self._group.create_task(
            self._recover_and_add(torrent, parameters, command, have),
            name=f"recover {command.torrent_id}",
        )

    async def _recover_and_add(
        self,
        torrent: _Torrent,
        parameters: lt.add_torrent_params,
        command: AddMetainfo,
        have: list[bool],
    ) -> None:
        """Add a torrent with all its pieces that are on the disk, whether noted or not."""
        found = await asyncio.to_thread(
            recovery.missing_but_present, command.metainfo, have, Path(command.save_path)
        )
        if torrent.removing:
            self._forget(torrent)
            return
        for piece in found:
            have[piece] = True
        unfinished = parameters.unfinished_pieces
        parameters.unfinished_pieces = {
            piece: blocks for piece, blocks in unfinished.items() if not have[piece]
        }
        parameters.have_pieces = have
        torrent.changed = bool(found)
        self._add(torrent, parameters, command.save_path)

    def _add(self, torrent: _Torrent, parameters: lt.add_torrent_params, save_path: str) -> None:
        # The house never adds what it has already, so a duplicate is a mistake worth hearing of.
        # Not auto_managed: see `tuning`.
        flags = (
            lt.torrent_flags.update_subscribe  # changes of state are reported
            | lt.torrent_flags.duplicate_is_error
            | lt.torrent_flags.apply_ip_filter  # how `network` disconnects
        )
        parameters.flags = flags | (parameters.flags & lt.torrent_flags.seed_mode)
        # The last component is our id: it is how the answering alert is recognised.
        parameters.save_path = save_path
        self._torrents[torrent.torrent_id] = torrent
        self._errands.make_way(torrent.hashes, partial(self._session.async_add_torrent, parameters))

    # --- alerts -----------------------------------------------------------------------------------

    def _on_bell(self, bell: socket.socket) -> None:
        try:
            while bell.recv(4096):
                pass
        except BlockingIOError:
            pass
        finished: dict[str, list[int]] = {}
        for alert in self._session.pop_alerts():
            if isinstance(alert, lt.piece_finished_alert):
                # By far the most frequent one: told in one message for the whole batch.
                torrent = self._by_handle.get(alert.handle)
                if torrent is not None:
                    torrent.changed = True
                    finished.setdefault(torrent.torrent_id, []).append(alert.piece_index)
                continue
            self._flush(finished)
            self._on_alert(alert)
        self._flush(finished)

    def _flush(self, finished: dict[str, list[int]]) -> None:
        for torrent_id, pieces in finished.items():
            self._emit(PiecesFinished(torrent_id=torrent_id, pieces=pieces))
        finished.clear()

    def _on_alert(self, alert: lt.alert) -> None:  # noqa: C901, PLR0911, PLR0912 - a table of alerts, nothing else
        if isinstance(alert, lt.alerts_dropped_alert):
            logger.warning("libtorrent dropped alerts; reading the state of every torrent again")
            self._reread_all()
            return
        if isinstance(alert, lt.state_update_alert):
            self._on_state_update(alert)
            return
        if isinstance(alert, lt.torrent_conflict_alert):
            self._errands.on_conflict(alert)
            return
        if self._errands.take(alert):
            return
        if isinstance(alert, lt.add_torrent_alert):
            self._on_added(alert)
            return
        if isinstance(alert, lt.external_ip_alert):
            self._network.on_external_address(alert.external_address)
            return
        if isinstance(alert, lt.listen_succeeded_alert):
            self._network.on_listening(alert)
            return
        if isinstance(alert, lt.listen_failed_alert):
            logger.warning("Peers cannot reach us: %s", alert.message())
            return
        if not isinstance(alert, lt.torrent_alert):
            return
        torrent = self._by_handle.get(alert.handle)
        if torrent is None:
            return
        match alert:
            case lt.metadata_received_alert() if not torrent.removing:
                alert.handle.save_resume_data(lt.save_resume_flags_t.save_info_dict)
                self._saving += 1
            case lt.torrent_checked_alert() if not torrent.removing:
                alert.handle.post_status(lt.torrent_handle.query_pieces)
            case lt.save_resume_data_alert():
                self._on_resume_data(torrent, alert.params)
            case lt.save_resume_data_failed_alert():
                self._saving -= 1
                self._tell_when_saved()
            case lt.hash_failed_alert():
                self._emit(HashFailed(torrent_id=torrent.torrent_id, piece=alert.piece_index))
            case lt.file_error_alert():
                self._on_storage_failed(torrent, alert)
            case lt.scrape_reply_alert() | lt.scrape_failed_alert():
                self._errands.on_source_scraped(torrent, alert)
            case lt.torrent_removed_alert():
                self._forget(torrent)
            case _:
                pass

    def _on_added(self, alert: lt.add_torrent_alert) -> None:
        torrent_id = Path(alert.params.save_path).name
        torrent = self._torrents.get(torrent_id)
        if torrent is None:
            return
        if alert.error.value():
            del self._torrents[torrent_id]
            self._errands.on_source_gone(torrent)
            self._emit(Rejected(torrent_id=torrent_id, detail=alert.error.message()))
            return
        torrent.handle = alert.handle
        self._by_handle[alert.handle] = torrent
        pending, torrent.pending = torrent.pending, []
        for command in pending:
            self._handle_for(torrent, alert.handle, command)
        self._errands.on_source_ready(torrent, alert.handle)

    def _on_resume_data(self, torrent: _Torrent, parameters: lt.add_torrent_params) -> None:
        self._saving -= 1
        if not torrent.has_metadata and parameters.ti is not None:
            self._on_metadata(torrent, parameters)
        elif torrent.has_metadata:
            parameters.ti = None  # the house keeps the .torrent file
            self._emit(
                ResumeData(torrent_id=torrent.torrent_id, data=lt.write_resume_data_buf(parameters))
            )
        self._tell_when_saved()

    def _on_metadata(self, torrent: _Torrent, parameters: lt.add_torrent_params) -> None:
        """Check what peers sent as strictly as what a person brings."""
        handle = torrent.handle
        if handle is None or torrent.removing:
            return
        try:
            encoded = metainfo.from_peers(parameters)
            checked = metainfo.load(encoded)
        except metainfo.RefusedError as error:
            torrent.removing = True
            self._session.remove_torrent(handle)
            self._emit(Rejected(torrent_id=torrent.torrent_id, detail=str(error)))
            return
        torrent.has_metadata = True
        torrent.hashes = info_hashes(checked)
        for index, name in metainfo.opaque_names(information(checked)).items():
            handle.rename_file(index, name)
        self._emit(metadata_of(torrent.torrent_id, checked, encoded))

    def _on_storage_failed(self, torrent: _Torrent, alert: lt.file_error_alert) -> None:
        full = alert.error.value() in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        self._emit(
            StorageFailed(torrent_id=torrent.torrent_id, full=full, detail=alert.error.message())
        )

    def _on_state_update(self, alert: lt.state_update_alert) -> None:
        report = []
        now = asyncio.get_running_loop().time()
        for status in alert.status:
            torrent = self._by_handle.get(status.handle)
            if torrent is None:
                continue
            if status.pieces:
                self._emit(Pieces(torrent_id=torrent.torrent_id, have=to_bits(status.pieces)))
            down, up = torrent.downloading, torrent.uploading
            down.look(status.total_payload_download, status.all_time_download, now)
            up.look(status.total_payload_upload, status.all_time_upload, now)
            report.append(progress_of(torrent.torrent_id, status, down, up))
        if report:
            self._emit(ProgressReport(torrents=report))

    def _forget(self, torrent: _Torrent) -> None:
        self._torrents.pop(torrent.torrent_id, None)
        if torrent.handle is not None:
            self._by_handle.pop(torrent.handle, None)
        self._errands.on_source_gone(torrent)
        self._emit(Removed(torrent_id=torrent.torrent_id))

    def _reread_all(self) -> None:
        for handle in self._handles():
            handle.post_status(lt.torrent_handle.query_pieces)

    def _handles(self) -> list[lt.torrent_handle]:
        """Return the handles that are good: one of a torrent that is removed ends any moment."""
        return [handle for handle, torrent in self._by_handle.items() if not torrent.removing]

    def _talking(self) -> list[lt.torrent_handle]:
        """Return the same, and those that are here only to ask peers something."""
        return self._handles() + self._errands.handles

    def _torrent_of(self, hashes: InfoHashes) -> _Torrent | None:
        """Return the torrent that has one of these info-hashes, unless it is just going."""
        return next(
            (one for one in self._torrents.values() if one.hashes & hashes and not one.removing),
            None,
        )

    # --- what time brings -------------------------------------------------------------------------

    async def _report_progress(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_EVERY)
            if self._by_handle:
                self._session.post_torrent_updates(_NO_FLAGS)

    async def _save_regularly(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY)
            self._save_changed()

    def _save_changed(self) -> None:
        for torrent in self._torrents.values():
            if torrent.changed and torrent.handle is not None and not torrent.removing:
                self._save(torrent, torrent.handle)

    def _save(self, torrent: _Torrent, handle: lt.torrent_handle) -> None:
        torrent.changed = False
        handle.save_resume_data(_NO_FLAGS)
        self._saving += 1

    def _tell_when_saved(self) -> None:
        if self._save_requested and self._saving == 0:
            self._save_requested = False
            self._emit(Saved())


def _torrent(torrent_id: str, parameters: lt.add_torrent_params, *, has_metadata: bool) -> _Torrent:
    return _Torrent(
        torrent_id=torrent_id,
        hashes=info_hashes(parameters),
        trackers=set(parameters.trackers),
        has_metadata=has_metadata,
    )
