"""What the house wants to know of swarms that it is not in: what they hold, how many are in them.

Either is asked by a guest (`guests`), or through a source that is here already and does not notice.
Whatever a question goes through may end at any moment, and then the question goes another way:

- a source comes for which a guest has to give way: what the swarm holds is the source's business
  from there on (`Displaced`), how many are in it is asked through the source;
- a source is removed, or the guest that wanted to know what the swarm holds knows it and leaves:
  how many are in it is asked by a guest of its own.
"""

from collections.abc import Callable

import libtorrent as lt

from miauflixd.engine import metainfo
from miauflixd.engine.description import metadata_of
from miauflixd.engine.guests import Guest, Guests, InfoHashes, Lost, Occupant, info_hashes
from miauflixd.engine.messages import Displaced, Drop, Event, FetchMetadata, Rejected, Scrape
from miauflixd.engine.scrapes import Question, ScrapeAlert, Scrapes
from miauflixd.engine.sockets import Emit

Errand = FetchMetadata | Scrape | Drop


class Errands:
    """What is being found out."""

    def __init__(
        self,
        *,
        session: lt.session,
        emit: Emit,
        source_of: Callable[[InfoHashes], Occupant | None],
        roads: Callable[[], int],
    ) -> None:
        """Begin with nothing.

        Args:
            session: libtorrent's.
            emit: tells the house.
            source_of: returns the source that has one of these info-hashes, if there is one.
            roads: see `Scrapes`.
        """
        self._emit = emit
        self._source_of = source_of
        self._guests = Guests(session, on_lost=self._on_lost)
        self._fetching: dict[str, Guest] = {}
        """Guests that ask what the swarm holds, by the id of the question."""
        self._scrapes = Scrapes(emit=emit, roads=roads)

    @property
    def handles(self) -> list[lt.torrent_handle]:
        """Torrents of ours that talk to peers."""
        return [guest.handle for guest in self._fetching.values() if guest.handle is not None]

    # --- commands ---------------------------------------------------------------------------------

    def handle(self, command: Errand) -> None:
        """Do what the house asks; the outcome arrives as events."""
        match command:
            case FetchMetadata():
                self._fetch(command)
            case Scrape():
                self._scrape(command)
            case Drop(torrent_id=torrent_id):
                if (fetching := self._fetching.pop(torrent_id, None)) is not None:
                    self._guests.let_go(fetching)
                    self._ask_otherwise(fetching)
                if (question := self._scrapes.end(torrent_id)) is not None:
                    self._leave_if_idle(question.host)

    def _fetch(self, command: FetchMetadata) -> None:
        if (parameters := self._read(command)) is None:
            return
        torrent_id = command.torrent_id
        if (known := self._fetching.get(torrent_id)) is not None:
            self._guests.add_trackers(known, parameters.trackers)
        elif self._source_of(info_hashes(parameters)) is not None:
            self._emit(Displaced(torrent_id=torrent_id))
        else:
            self._fetching[torrent_id] = self._guests.add(parameters, paused=False)

    def _scrape(self, command: Scrape, *, best: tuple[int, int] | None = None) -> None:
        if (parameters := self._read(command)) is None:
            return
        hashes = info_hashes(parameters)
        host = self._source_of(hashes) or self._guests.find(hashes)
        if host is None:
            # Paused, it announces nothing, and no peer hears of us.
            host = self._guests.add(parameters, paused=True)
        elif isinstance(host, Guest):
            self._guests.add_trackers(host, parameters.trackers)
        self._scrapes.ask(Question(command=command, host=host, best=best))
        self._leave_if_idle(host)  # it has no trackers

    def _read(self, command: FetchMetadata | Scrape) -> lt.add_torrent_params | None:
        try:
            parameters = lt.parse_magnet_uri(command.uri)
        except RuntimeError:
            self._emit(
                Rejected(torrent_id=command.torrent_id, detail="This magnet link cannot be read")
            )
            return None
        metainfo.ask_only_trackers(parameters)
        return parameters

    # --- sources come and go ----------------------------------------------------------------------

    def make_way(self, hashes: InfoHashes, then: Callable[[], None]) -> None:
        """Call `then`, which adds a source, as soon as nothing of ours is in its way."""
        self._guests.make_way(hashes, then)

    def on_source_ready(self, source: Occupant, handle: lt.torrent_handle) -> None:
        """Note that libtorrent has taken a source."""
        self._scrapes.on_ready(source, handle)

    def on_source_gone(self, source: Occupant) -> None:
        """Note that libtorrent has a source no more, or never had."""
        self._ask_otherwise(source)

    def on_source_scraped(self, source: Occupant, alert: ScrapeAlert) -> None:
        """Note what a tracker of a source says."""
        self._scrapes.on_alert(source, alert)

    # --- alerts -----------------------------------------------------------------------------------

    def take(self, alert: lt.alert) -> bool:
        """Return whether an alert was about a guest, after doing what follows from it."""
        if isinstance(alert, lt.add_torrent_alert):
            if not self._guests.has(alert):
                return False
            if (guest := self._guests.on_added(alert)) is not None:
                self._scrapes.on_ready(guest, alert.handle)
            return True
        if (
            not isinstance(alert, lt.torrent_alert)
            or (guest := self._guests.of(alert.handle)) is None
        ):
            return False
        match alert:
            case lt.metadata_received_alert():
                alert.handle.save_resume_data(lt.save_resume_flags_t.save_info_dict)
            case lt.save_resume_data_alert():
                self._on_metadata(guest, alert.params)
            case lt.scrape_reply_alert() | lt.scrape_failed_alert():
                self._scrapes.on_alert(guest, alert)
                self._leave_if_idle(guest)
            case _:
                pass
        return True

    def on_conflict(self, alert: lt.torrent_conflict_alert) -> None:
        """Have a guest give way that turns out to be the same torrent as a source.

        It has the v1 hash and the source the v2 hash, or the other way round, which shows only when
        one of them learns what it holds; then libtorrent stops both.
        """
        handles = (alert.handle, alert.conflicting_torrent)
        guests = [guest for handle in handles if (guest := self._guests.of(handle)) is not None]
        if not guests:
            return
        sources = [handle for handle in handles if self._guests.of(handle) is None]
        parameters = lt.add_torrent_params()
        parameters.ti = alert.metadata
        for guest in guests:
            for question in self._scrapes.through(guest):
                self._scrapes.give_up(question)
            if self._fetched_by(guest) is not None:
                self._on_metadata(guest, parameters)
            else:
                self._guests.let_go(guest)
        for source in sources:
            source.clear_error()
            source.set_metadata(alert.metadata.info_section())
            source.resume()

    def _on_metadata(self, guest: Guest, parameters: lt.add_torrent_params) -> None:
        """Check what peers sent as strictly as what a person brings, and leave."""
        torrent_id = self._fetched_by(guest)
        if torrent_id is None:
            return
        try:
            encoded = metainfo.from_peers(parameters)
            told: Event = metadata_of(torrent_id, metainfo.load(encoded), encoded)
        except metainfo.RefusedError as error:
            told = Rejected(torrent_id=torrent_id, detail=str(error))
        del self._fetching[torrent_id]
        self._emit(told)
        self._guests.let_go(guest)
        self._ask_otherwise(guest)

    def _on_lost(self, guest: Guest, why: Lost) -> None:
        if (torrent_id := self._fetched_by(guest)) is not None:
            del self._fetching[torrent_id]
            self._emit(Displaced(torrent_id=torrent_id))
        if why is Lost.GAVE_WAY:
            self._ask_otherwise(guest)
        for question in self._scrapes.through(guest):
            self._scrapes.give_up(question)

    def _fetched_by(self, guest: Guest) -> str | None:
        """Return the question that a guest has joined its swarm for."""
        return next((key for key, one in self._fetching.items() if one is guest), None)

    def _leave_if_idle(self, host: Occupant) -> None:
        if not isinstance(host, Guest) or host.removing:
            return
        if self._fetched_by(host) is None and not self._scrapes.through(host):
            self._guests.let_go(host)

    def _ask_otherwise(self, host: Occupant) -> None:
        """Have what went through a torrent go another way."""
        for question in self._scrapes.through(host):
            self._scrapes.end(question.command.torrent_id)
            self._scrape(question.command, best=question.best)
