"""Metrics under the existing operator's names, read from the status when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from bao_backup.core.checking import CONDITION
from bao_backup.core.duration import parse_go_duration
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.status import BackupStatus

LABELS = ("namespace", "name")


class RestoreFigures(NamedTuple):
    """What is known of the restores of one cluster."""

    succeeded: int
    #: Those that are unknown and sealed are among them.
    failed: int
    unknown: int
    sealed: int
    #: Of the last one that succeeded.
    last_duration: timedelta | None = None


class ClusterFigures(NamedTuple):
    """What the metrics of one cluster are made from."""

    namespace: str
    name: str
    status: BackupStatus
    succeeded: int
    failed: int
    dropped: int
    #: None: the manager hears of no restores.
    restores: RestoreFigures | None = None

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self.status.attempt is not None and self.status.attempt.under_way


#: name -> help, value of a cluster (None: not known yet)
GAUGES: dict[str, tuple[str, Callable[[ClusterFigures], float | None]]] = {
    "openbao_backup_last_success_timestamp": (
        "When the last good backup was finished, in seconds since 1970.",
        lambda c: c.status.last_backup_time.timestamp() if c.status.last_backup_time else None,
    ),
    "openbao_backup_last_attempt_timestamp": (
        "When the last attempt began, in seconds since 1970.",
        lambda c: c.status.last_attempt_time.timestamp() if c.status.last_attempt_time else None,
    ),
    "openbao_backup_last_duration_seconds": (
        "How long the last good backup took.",
        lambda c: _seconds_of(c.status.last_backup_duration),
    ),
    "openbao_backup_last_size_bytes": (
        "Size of the last good backup.",
        lambda c: c.status.last_backup_size if c.status.last_backup_time else None,
    ),
    "openbao_backup_consecutive_failures": (
        "Slots that failed since the last good backup.",
        lambda c: c.status.consecutive_failures,
    ),
    "openbao_backup_in_progress": ("1 while a run is under way.", lambda c: float(c.running)),
    "openbao_backup_next_scheduled_timestamp": (
        "The next slot, in seconds since 1970.",
        lambda c: c.status.next_scheduled_backup.timestamp() if c.status.next_scheduled_backup else None,
    ),
    "openbao_backup_state": (
        "0 none yet, 1 the last one is good, 2 the last one failed, 3 one is under way.",
        lambda c: state_of(c),  # noqa: PLW0108 - defined below
    ),
    "openbao_backup_configuration_proven": (
        "1 when the last check of the configuration found it good, 0 when it did not.",
        lambda c: proven(c.status),
    ),
    "openbao_restore_duration_seconds": (
        "How long the last restore of the cluster took that succeeded.",
        lambda c: (
            c.restores.last_duration.total_seconds() if c.restores and c.restores.last_duration else None
        ),
    ),
}

#: name -> help, value of a cluster (None: nobody counts that here)
COUNTERS: dict[str, tuple[str, Callable[[ClusterFigures], int | None]]] = {
    "openbao_backup_success_total": ("Runs that ended in a proven backup.", lambda c: c.succeeded),
    "openbao_backup_failure_total": ("Runs that failed.", lambda c: c.failed),
    "openbao_backup_retention_deleted_total": ("Backups that retention dropped.", lambda c: c.dropped),
    "openbao_restore_total": (
        "Restores of the cluster that ended, in whatever way.",
        lambda c: c.restores.succeeded + c.restores.failed if c.restores else None,
    ),
    "openbao_restore_success_total": (
        "Restores that succeeded.",
        lambda c: c.restores.succeeded if c.restores else None,
    ),
    "openbao_restore_failure_total": (
        "Restores that failed, those that are unknown or sealed among them.",
        lambda c: c.restores.failed if c.restores else None,
    ),
    "openbao_restore_unknown_total": (
        "Restores of which nobody knows what the server took.",
        lambda c: c.restores.unknown if c.restores else None,
    ),
    "openbao_restore_sealed_total": (
        "Restores after which the server is sealed: somebody has to unseal it.",
        lambda c: c.restores.sealed if c.restores else None,
    ),
}


def _seconds_of(duration: str) -> float | None:
    """None for one that cannot be read: others may have written it, and others' metrics count on."""
    try:
        return parse_go_duration(duration).total_seconds() if duration else None
    except ConfigurationError:
        return None


def proven(status: BackupStatus) -> float | None:
    """The number of `openbao_backup_configuration_proven`; None while no check says anything."""
    condition = status.condition(CONDITION)
    return {"True": 1.0, "False": 0.0}.get(condition.status) if condition is not None else None


def state_of(cluster: ClusterFigures) -> float:
    """The number of `openbao_backup_state`."""
    if cluster.running:
        return 3.0
    if cluster.status.consecutive_failures:
        return 2.0
    return 1.0 if cluster.status.last_backup_time else 0.0


class StatusCollector(Collector):
    """Makes every metric from the figures at the moment of the question."""

    def __init__(self, figures: Callable[[], Iterable[ClusterFigures]]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        clusters = list(self._figures())
        for name, (words, value) in GAUGES.items():
            gauge = GaugeMetricFamily(name, words, labels=LABELS)
            for cluster in clusters:
                if (known := value(cluster)) is not None:
                    gauge.add_metric((cluster.namespace, cluster.name), known)
            yield gauge
        for name, (words, count) in COUNTERS.items():
            counter = CounterMetricFamily(name, words, labels=LABELS)
            for cluster in clusters:
                if (counted := count(cluster)) is not None:
                    counter.add_metric((cluster.namespace, cluster.name), counted)
            yield counter


def exposition(figures: Callable[[], Iterable[ClusterFigures]]) -> bytes:
    """The metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(figures))
    return generate_latest(registry)
