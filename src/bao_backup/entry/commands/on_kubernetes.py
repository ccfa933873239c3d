"""`trigger` and `status` where the manager is on Kubernetes: they talk to the API server alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

import click

from bao_backup.adapters.kubernetes.api import CLUSTERS, EVENTS, RESTORES, Json, KubernetesApi
from bao_backup.adapters.kubernetes.connection import connect, open_client
from bao_backup.adapters.kubernetes.known_cluster import KnownCluster
from bao_backup.adapters.kubernetes.known_restores import KnownRestore
from bao_backup.adapters.kubernetes.names import TRIGGER
from bao_backup.adapters.kubernetes.reasons import REASONS
from bao_backup.adapters.local.events import EventRow
from bao_backup.core import storage_errors  # noqa: F401 - once loaded, they are among the subclasses below
from bao_backup.core.errors import (
    BaoBackupError,
    ConfigurationError,
    DeadlineError,
    InternalError,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesDeniedError,
    KubernetesMissingError,
    KubernetesUnreachableError,
)
from bao_backup.core.status import Attempt, BackupStatus
from bao_backup.entry.reach import Reach

T = TypeVar("T")

WAIT_STEP = 1.0


def clusters(reach: Reach, namespaces: Sequence[str]) -> list[KnownCluster]:
    """The clusters of these namespaces, or of all, by namespace and name."""

    async def ask(api: KubernetesApi) -> list[KnownCluster]:
        found = [
            KnownCluster.of(body)
            for namespace in namespaces or ("",)
            async for body in api.list(CLUSTERS, namespace)
        ]
        return sorted(found)

    return with_api(reach, ask)


def restores(reach: Reach, namespaces: Sequence[str]) -> list[KnownRestore]:
    """The restores of these namespaces, or of all, the oldest first; none where they may not be listed."""

    async def ask(api: KubernetesApi) -> list[KnownRestore]:
        found = [
            KnownRestore.of(body)
            for namespace in namespaces or ("",)
            async for body in api.list(RESTORES, namespace)
        ]
        return sorted(found, key=lambda each: (each.created, each.namespace, each.name))

    with suppress(KubernetesDeniedError, KubernetesMissingError):  # clusters alone are worth a look, too
        return with_api(reach, ask)
    return []


def events(reach: Reach, known: KnownCluster, most: int) -> list[EventRow]:
    """The newest events of the cluster, oldest first."""

    async def ask(api: KubernetesApi) -> list[EventRow]:
        selector = f"involvedObject.uid={known.uid}"
        found = [_told(body) async for body in api.list(EVENTS, known.namespace, fieldSelector=selector)]
        return sorted(found)[-most:]

    return with_api(reach, ask)


def trigger(reach: Reach, cluster: str, *, timeout: float | None) -> int:
    """Ask for a backup by the annotation; with a time-out, wait for the run's end.

    Gives the exit code: the run's where it was waited for.
    """
    namespace, _, name = cluster.rpartition("/")
    place = (namespace or "default", name)
    value = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    async def ask(api: KubernetesApi) -> int:
        try:
            body = {"metadata": {"annotations": {TRIGGER: value}}}
            await api.patch(CLUSTERS, *place, body)
        except KubernetesMissingError as error:
            hint = "kubectl get baoc -A shows them"
            raise ConfigurationError(f"trigger {cluster}", "there is no such cluster", hint=hint) from error
        click.echo(f"{value} is written; the manager takes it up when it sees it", err=timeout is not None)
        return 0 if timeout is None else await _wait(api, place, value, timeout)

    return with_api(reach, ask)


async def _wait(api: KubernetesApi, place: tuple[str, str], value: str, seconds: float) -> int:
    end = time.monotonic() + seconds
    ours: Attempt | None = None
    status = BackupStatus()
    while time.monotonic() < end:
        with suppress(KubernetesUnreachableError):  # it was asked for, and goes on without us
            status = KnownCluster.of(await api.get(CLUSTERS, *place)).read_status()
        attempt = status.attempt
        if ours is None and status.last_handled_manual_trigger == value:
            ours = attempt
        if ours is not None and (attempt is None or attempt.name != ours.name or attempt.settled):
            return _tell_end(status, ours)
        await asyncio.sleep(WAIT_STEP)
    waiting = status.waiting
    why = f"; {waiting.reason}: {waiting.message}" if waiting else ""
    if ours is None and waiting is None:
        why = "; no manager took it up: see whether one runs"
    raise DeadlineError(f"wait for {value}", f"it was not done after {seconds:g} s{why}", hint="it goes on")


def _tell_end(status: BackupStatus, ours: Attempt) -> int:
    good = status.last_successful_backup
    if good is not None and good.key == ours.key:
        click.echo(good.key)
        return 0
    click.echo(f"bao-backup: {status.last_failure_reason}: {status.last_failure_message}", err=True)
    return exit_code_of(status.last_failure_reason)


def exit_code_of(reason: str) -> int:
    """The exit code of the error type with this reason, or of what Kubernetes did to a run; else 8."""
    if reason in REASONS:
        return REASONS[reason].exit_code
    types = [BaoBackupError]
    while types:
        kind = types.pop()
        if kind.reason == reason:
            return kind.exit_code
        types += kind.__subclasses__()
    return InternalError.exit_code


def _told(body: Json) -> EventRow:
    moment = body.get("lastTimestamp") or body.get("eventTime") or ""
    return EventRow(
        moment, body.get("reason") or "", body.get("message") or "", body.get("type") == "Warning"
    )


def with_api(reach: Reach, ask: Callable[[KubernetesApi], Awaitable[T]]) -> T:
    """What `ask` gives, asked of the API server that is meant; raises what it raises."""

    async def call() -> T:
        async with open_client(await connect(reach.kubeconfig, reach.context)) as client:
            return await ask(KubernetesApi(client))

    return asyncio.run(call())
