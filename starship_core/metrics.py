"""What the server counts for Prometheus, in a registry of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One per process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "starship_http_requests",
            "Requests answered, by route template.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "starship_http_request_seconds",
            "From the first header to the last byte of the answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._orders = Counter(
            "starship_orders",
            "POST /orders, by what became of it.",
            ("outcome",),
            registry=self.registry,
        )
        self._refused = Counter(
            "starship_authentications_refused",
            "Requests that the gate did not let in, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self.pool_degraded = Gauge(
            "starship_pool_degraded",
            "1 while orders go without suggestions from Redis.",
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        # looking a child up by its labels costs more than counting
        self._answered = cache(self._requests.labels)
        self._timed = cache(self._seconds.labels)
        self._became = cache(self._orders.labels)

    def request(self, route: str, method: str, status: int, *, seconds: float) -> None:
        """Count one answer. `route` is a template, so that there are few of them."""
        self._answered(route, method, status).inc()
        self._timed(route).observe(seconds)

    def order(self, outcome: str) -> None:
        """`delivered`, `pending` or `replayed`; refusals are requests with their status."""
        self._became(outcome).inc()

    def refused(self, reason: str) -> None:
        """A request that was not let in."""
        self._refused.labels(reason).inc()

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes; with several workers, of all of them together."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]  # the library has no types here
        return generate_latest(everyone)


class Figures(Struct, frozen=True, kw_only=True):
    """The work of all workers, as the tables tell it: the same from whichever process is asked."""

    workers: int
    oldest_due: Mapping[str, float]
    runs: Mapping[str, int]
    failures: Mapping[str, int]
    deliveries_due: int
    deliveries_ended: Mapping[str, int]


def exposition_of_work(figures: Figures) -> bytes:
    """The text of these figures, to be added to a process' own."""
    registry = CollectorRegistry()
    registry.register(_Work(figures))
    return generate_latest(registry)


def work_metrics(figures: Figures) -> list[Metric]:
    """The same, not written yet."""
    return list(_Work(figures).collect())


class _Work(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        found = self._figures
        workers = "Workers that polled in the last half minute."
        yield GaugeMetricFamily("starship_workers_alive", workers, value=found.workers)
        due = GaugeMetricFamily(
            "starship_sweep_oldest_due_seconds",
            "Age of the oldest due work, by kind; 0 when nothing is due.",
            labels=["kind"],
        )
        for kind, age in found.oldest_due.items():
            due.add_metric([kind], age)
        yield due
        for name, about, counts in (
            ("runs", "Sweeps that did something, by kind.", found.runs),
            ("failures", "Sweeps that failed, by kind.", found.failures),
        ):
            counter = CounterMetricFamily(f"starship_sweep_{name}", about, labels=["kind"])
            for kind, count in counts.items():
                counter.add_metric([kind], count)
            yield counter
        yield from self._deliveries()

    def _deliveries(self) -> Iterator[Metric]:
        due = "Deliveries to webhooks whose time has come, and that nobody is at."
        yield GaugeMetricFamily("starship_deliveries_due", due, value=self._figures.deliveries_due)
        ended = CounterMetricFamily(
            "starship_deliveries",
            "Deliveries that ended: taken, or given up; a redelivery ends again.",
            labels=["outcome"],
        )
        for outcome, count in self._figures.deliveries_ended.items():
            ended.add_metric([outcome], count)
        yield ended
