"""Numbers for Prometheus, made when they are asked for."""

from collections import Counter
from collections.abc import Iterator
from typing import get_args

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from miauflixd.cache.service import Cache
from miauflixd.catalogue.providers.provider import Condition
from miauflixd.keeper.messages import StateName
from miauflixd.torrents.model import Activity
from miauflixd.tunnel.model import Switched
from miauflixd.web.keys import METRICS
from miauflixd.web.ports import Images, Library, Timetable, Torrents, Tunnel
from miauflixd.web.routes import Policy, Route

_STATES: tuple[str, ...] = (*get_args(StateName), "off")
_CONDITIONS: tuple[str, ...] = get_args(Condition)
_SWITCHED: tuple[Switched, ...] = get_args(Switched)


async def metrics(request: web.Request) -> web.Response:
    return web.Response(
        body=generate_latest(request.app[METRICS]),
        headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"},
    )


def registry(
    *,
    torrents: Torrents,
    tunnel: Tunnel,
    timetable: Timetable,
    library: Library,
    images: Images,
    cache: Cache,
    version: str,
) -> CollectorRegistry:
    """Return a registry of our own: the library's global one tells of Python and the process."""
    own = CollectorRegistry()
    own.register(_House(torrents=torrents, tunnel=tunnel, timetable=timetable, version=version))
    own.register(_Shelf(library=library, images=images))
    own.register(_Kept(cache))
    return own


class _House(Collector):
    """Looks at the house at each scrape; nothing is counted twice."""

    def __init__(
        self, *, torrents: Torrents, tunnel: Tunnel, timetable: Timetable, version: str
    ) -> None:
        self._torrents = torrents
        self._tunnel = tunnel
        self._timetable = timetable
        self._version = version

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("miauflixd", "The program.", {"version": self._version})
        yield from self._of_the_tunnel()
        yield from self._of_the_torrents()
        yield from self._of_the_tasks()

    def _of_the_tunnel(self) -> Iterator[Metric]:
        view = self._tunnel.view()
        states = StateSetMetricFamily("miauflixd_tunnel_state", "How the tunnel is.")
        states.add_metric([], {state: state == view.state for state in _STATES})
        yield states
        yield GaugeMetricFamily(
            "miauflixd_tunnel_state_since_seconds",
            "When this state began, seconds since the epoch.",
            view.since.timestamp(),
        )
        if view.handshake_age is not None:
            yield GaugeMetricFamily(
                "miauflixd_tunnel_handshake_age_seconds",
                "Time since the last handshake.",
                view.handshake_age,
            )
        yield CounterMetricFamily(
            "miauflixd_tunnel_received_bytes", "Bytes received through WireGuard.", view.rx
        )
        yield CounterMetricFamily(
            "miauflixd_tunnel_sent_bytes", "Bytes sent through WireGuard.", view.tx
        )
        switches = CounterMetricFamily(
            "miauflixd_tunnel_switches", "Changes to another server, by reason.", labels=["reason"]
        )
        counted = self._tunnel.statistics().switches
        for reason in _SWITCHED:
            switches.add_metric([reason], counted.get(reason, 0))
        yield switches

    def _of_the_torrents(self) -> Iterator[Metric]:
        sources = self._torrents.sources()
        found = Counter(source.condition.activity for source in sources)
        family = GaugeMetricFamily(
            "miauflixd_sources", "Sources, by what they do.", labels=["activity"]
        )
        for activity in Activity:
            family.add_metric([activity.value], found[activity])
        yield family
        yield GaugeMetricFamily(
            "miauflixd_streams",
            "Clients that read a file now.",
            sum(source.readers for source in sources),
        )

    def _of_the_tasks(self) -> Iterator[Metric]:
        runs = CounterMetricFamily("miauflixd_task_runs", "Runs, by task.", labels=["task"])
        failures = CounterMetricFamily(
            "miauflixd_task_failures", "Runs that failed, by task.", labels=["task"]
        )
        running = GaugeMetricFamily(
            "miauflixd_task_running", "Whether it runs now, by task.", labels=["task"]
        )
        took = GaugeMetricFamily(
            "miauflixd_task_last_duration_seconds",
            "What the last run took, by task.",
            labels=["task"],
        )
        queue = GaugeMetricFamily(
            "miauflixd_task_queue_length", "Items that wait, by task.", labels=["task"]
        )
        for task in self._timetable.tasks():
            runs.add_metric([task.name], task.runs)
            failures.add_metric([task.name], task.failed)
            running.add_metric([task.name], task.state == "running")
            if task.last is not None:
                took.add_metric([task.name], task.last.took.total_seconds())
            if task.queue is not None:
                queue.add_metric([task.name], task.queue)
        yield from (runs, failures, running, took, queue)


class _Shelf(Collector):
    """Looks at what there is to watch, likewise."""

    def __init__(self, *, library: Library, images: Images) -> None:
        self._library = library
        self._images = images

    def collect(self) -> Iterator[Metric]:
        conditions = StateSetMetricFamily(
            "miauflixd_provider_condition",
            "How those are doing who know what there is to watch.",
            labels=["provider"],
        )
        for state in self._library.providers():
            values = {one: one == state.condition for one in _CONDITIONS}
            conditions.add_metric([state.name], values)
        yield conditions
        yield from self._of_the_artwork()

    def _of_the_artwork(self) -> Iterator[Metric]:
        figures = self._images.figures()
        for name, words, count in (
            ("hits", "Images that were on the disk.", figures.hits),
            ("fetches", "Images that were fetched.", figures.fetched),
            ("failures", "Fetches that gave no image.", figures.failed),
            ("received_bytes", "Bytes of what was fetched.", figures.received),
        ):
            yield CounterMetricFamily(f"miauflixd_artwork_{name}", words, count)
        yield GaugeMetricFamily("miauflixd_artwork_images", "Images on the disk.", figures.images)
        yield GaugeMetricFamily(
            "miauflixd_artwork_bytes", "Bytes that they take there.", figures.used
        )


class _Kept(Collector):
    """Looks at what is kept of downloads, as it was found last."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        if (shelf := self._cache.latest) is not None:
            yield GaugeMetricFamily(
                "miauflixd_downloads_bytes", "Bytes that downloads take on the disk.", shelf.used
            )
            yield GaugeMetricFamily(
                "miauflixd_disk_free_bytes", "Bytes of the disk that are free.", shelf.free
            )
        yield GaugeMetricFamily(
            "miauflixd_downloads_quota_bytes",
            "Bytes that downloads may take; 0: as many as there is room for.",
            self._cache.quota,
        )
        yield CounterMetricFamily(
            "miauflixd_evictions",
            "Downloads that were deleted to make room.",
            self._cache.evictions,
        )


ROUTES = (
    Route(
        method="GET",
        path="/metrics",
        handler=metrics,
        policy=Policy.METRICS,
        summary="Send figures to Prometheus",
        response_media="text/plain",
    ),
)
