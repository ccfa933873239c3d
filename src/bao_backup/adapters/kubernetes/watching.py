"""kopf watches clusters, restores and Jobs, and tells what it sees; it writes nothing itself.

No finalizers, no timers, no events of its own, no look at other kinds: what exists at the start is
watched, in all namespaces or in named ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

import kopf
from kubernetes_asyncio.client import Configuration

from bao_backup.adapters.kubernetes.known_jobs import SELECTOR
from bao_backup.adapters.kubernetes.known_objects import KnownObjects

GROUP = ("openbao.org", "v1alpha1")
#: A watch is opened anew so often, in seconds: one that a proxy swallowed is noticed after that.
WATCH_SECONDS = 300
#: A watch that gives nothing for so long, bookmarks included, is dead. Those come each minute.
SILENT_SECONDS = 90.0
#: How many objects of a kind are taken in at once, and how long the task of each waits for more of
#: the same object, in seconds. Others wait for it: a second would make ten thousand take minutes.
WORKERS = 50
LINGER = 0.01
PAGE = 500


class _Forever:
    """Pauses between tries, in seconds: an API server that is down comes back some time."""

    def __iter__(self) -> Iterator[float]:
        return chain((0.5, 1.0, 2.0), repeat(5.0))


class _NoMemory(kopf.DiffBaseStorage):
    """What an object was before is kept elsewhere: kopf need not copy each one to compare it."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


def settings_for(namespaces: Sequence[str]) -> kopf.OperatorSettings:
    """How kopf is to behave."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 30
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = SILENT_SECONDS
    settings.watching.chunk_size = PAGE
    settings.watching.label_selectors["batch", "v1", "jobs"] = SELECTOR
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = _Forever()
    settings.queueing.worker_limit = WORKERS
    settings.queueing.idle_timeout = LINGER
    settings.persistence.diffbase_storage = _NoMemory()
    settings.peering.standalone = True
    settings.peering.clusterwide = not namespaces
    return settings


def handlers_for(
    known: KnownObjects, configuration: Configuration, listed_again: Callable[[], None]
) -> kopf.OperatorRegistry:
    """What kopf is to do with what it sees.

    Args:
        known: told of each object.
        configuration: how the API server is reached.
        listed_again: called when a kind is listed anew, since its watch was lost: what was deleted
            meanwhile is not told.
    """
    registry = kopf.OperatorRegistry()
    listed: set[str] = set()

    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await connection_info(configuration)

    def see(event: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
        """The object, and whether it is gone."""
        body: Mapping[str, Any] = event["object"]
        uid = body["metadata"]["uid"]
        if event["type"] == "DELETED":
            listed.discard(uid)
        elif event["type"] is None:
            if uid in listed:
                listed_again()
            listed.add(uid)
        return body, event["type"] == "DELETED"

    async def see_cluster(event: Mapping[str, Any], **_: Any) -> None:
        body, gone = see(event)
        (known.drop_cluster if gone else known.take_cluster)(body)

    async def see_restore(event: Mapping[str, Any], **_: Any) -> None:
        body, gone = see(event)
        (known.drop_restore if gone else known.take_restore)(body)

    async def see_job(event: Mapping[str, Any], **_: Any) -> None:
        body, gone = see(event)
        (known.drop_job if gone else known.take_job)(body)

    kopf.on.login(registry=registry)(log_in)
    kopf.on.event(*GROUP, "openbaoclusters", registry=registry)(see_cluster)
    kopf.on.event(*GROUP, "openbaorestores", registry=registry)(see_restore)
    kopf.on.event("batch", "v1", "jobs", registry=registry)(see_job)
    return registry


async def watch(
    known: KnownObjects,
    configuration: Configuration,
    namespaces: Sequence[str],
    listed_again: Callable[[], None],
) -> None:
    """Watch until a signal ends kopf, or this is cancelled."""
    await kopf.operator(
        registry=handlers_for(known, configuration, listed_again),
        settings=settings_for(namespaces),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
    )


async def connection_info(configuration: Configuration) -> kopf.ConnectionInfo:
    """The same connection, in kopf's words; a token that was rotated is read anew."""
    # The hook that reads it is called by this, whoever asks.
    bearer = (await configuration.auth_settings()).get("BearerToken", {}).get("value") or ""
    scheme, _, token = bearer.partition(" ")
    return kopf.ConnectionInfo(
        server=str(configuration.host),
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        scheme=scheme if token else None,
        token=token or scheme or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
    )
