"""Asking trackers how many are in a swarm, through whatever torrent of it is at hand."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import libtorrent as lt

from miauflixd.engine.guests import Occupant
from miauflixd.engine.messages import Scrape, Scraped
from miauflixd.engine.sockets import Emit

MOST_PEERS = 10_000_000
"""Peers of one swarm beyond which a tracker tells tales.

The largest swarms ever seen had some hundred thousand.
"""

ScrapeAlert = lt.scrape_reply_alert | lt.scrape_failed_alert


@dataclass(kw_only=True, eq=False)
class Question:
    """One swarm, and what its trackers have said so far."""

    command: Scrape
    host: Occupant
    """Through which torrent they are asked."""
    best: tuple[int, int] | None = None
    """Seeders and leechers, of the answer with most seeders."""
    done: set[str] = field(default_factory=set)
    """Trackers of which no more is to be expected."""
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def pending(self) -> int:
        """How many trackers have said nothing yet."""
        return len(self.host.trackers - self.done)


class Scrapes:
    """Questions that are under way; nothing is pending of none of them."""

    def __init__(self, *, emit: Emit, roads: Callable[[], int]) -> None:
        """Begin with none.

        Args:
            emit: tells the house.
            roads: how many sockets libtorrent asks each tracker by: one for each address that it
                listens on. Most cannot reach most trackers (IPv4 or IPv6, the loopback), and each
                says so by itself.
        """
        self._emit = emit
        self._roads = roads
        self._questions: dict[str, Question] = {}

    def ask(self, question: Question) -> None:
        """Ask all trackers of a torrent; those of one that is only coming are asked when it is."""
        self._questions[question.command.torrent_id] = question
        if question.pending == 0:
            self._tell(question, pending=question.pending)
        elif question.host.handle is not None:
            _send(question, question.host.handle)

    def end(self, torrent_id: str) -> Question | None:
        """Forget a question; return it if it was under way."""
        return self._questions.pop(torrent_id, None)

    def through(self, host: Occupant) -> list[Question]:
        """Return the questions that go through a torrent."""
        return [question for question in self._questions.values() if question.host is host]

    def on_ready(self, host: Occupant, handle: lt.torrent_handle) -> None:
        """Ask what has waited for a torrent."""
        for question in self.through(host):
            _send(question, handle)

    def on_alert(self, host: Occupant, alert: ScrapeAlert) -> None:
        """Note what a tracker says, or that it cannot be asked."""
        url = alert.tracker_url()
        told = _believable(alert) if isinstance(alert, lt.scrape_reply_alert) else None
        for question in self.through(host):
            if told is not None:
                question.best = told if question.best is None else max(question.best, told)
                question.done.add(url)
            else:
                question.failures[url] += 1
                # libtorrent asks for each version of the info-hash by itself.
                if question.failures[url] >= max(1, self._roads()) * len(host.hashes):
                    question.done.add(url)
            self._tell(question, pending=question.pending)

    def give_up(self, question: Question) -> None:
        """Say what is known, and that it is all there will be."""
        self._tell(question, pending=0)

    def _tell(self, question: Question, *, pending: int) -> None:
        torrent_id = question.command.torrent_id
        if pending == 0:
            self.end(torrent_id)
        seeders, leechers = question.best or (None, None)
        self._emit(
            Scraped(torrent_id=torrent_id, seeders=seeders, leechers=leechers, pending=pending)
        )


def _send(question: Question, handle: lt.torrent_handle) -> None:
    for index in range(len(question.host.trackers)):
        handle.scrape_tracker(index)


def _believable(reply: lt.scrape_reply_alert) -> tuple[int, int] | None:
    """Return seeders and leechers, if both can be true; -1 is how libtorrent says "not told"."""
    told = (reply.complete, reply.incomplete)
    return told if all(0 <= count <= MOST_PEERS for count in told) else None
