"""What a check is made of: from a configuration, the environment of a Job, or a target's URL."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from bao_backup.adapters.system import SystemClock
from bao_backup.core.check_store import WantedOfStore
from bao_backup.core.connection import AuthMethod
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.naming import cluster_prefix
from bao_backup.core.restore_settings import Place
from bao_backup.core.schedule import Schedule
from bao_backup.core.settings import RunSettings
from bao_backup.core.storage import StoreSettings
from bao_backup.entry.place import GIVE, check_together, open_target
from bao_backup.entry.source import Source, load_document, load_settings
from bao_backup.entry.wiring import bao_of, store_of_place
from bao_backup.flows.check import CheckFlow, CheckOrder
from bao_backup.flows.stop import Stop
from bao_backup.ports import Bao, Reporter, Store

#: A check is no run: it says soon what does not answer, in seconds.
REQUEST_TIMEOUT = 20.0
RETRY_TIMEOUT = 5.0


@dataclass(frozen=True)
class Checking:
    """A check that has not begun."""

    order: CheckOrder
    connect: Callable[[], Bao] | None
    open_store: Callable[[], Store]
    warnings: tuple[str, ...] = ()

    def flow(self, stop: Stop, reporter: Reporter) -> CheckFlow:
        """The flow of it."""
        return CheckFlow(
            self.order,
            connect=self.connect,
            open_store=self.open_store,
            clock=SystemClock(),
            stop=stop,
            reporter=reporter,
        )


def plan_check(source: Source, leader_wait: float) -> Checking:
    """What the options name; nothing is asked of anybody yet.

    Raises ConfigurationError: they do not go together, name nothing, or what they name is not valid.
    """
    check_together(source)
    if source.target is not None:
        return _of_target(source)
    settings = load_settings(source.config, source.cluster, source.secrets, GIVE)
    schedule, suspended = _schedule(source)
    order = CheckOrder(
        namespace=settings.namespace,
        name=settings.name,
        wanted=_wanted(settings.store, settings.prefix, settings),
        number=secrets.randbits(32),
        leader_wait=leader_wait,
        configured_token=settings.bao.auth.method is AuthMethod.TOKEN,
        schedule=schedule,
        suspended=suspended,
    )
    place = Place(
        store=_for_probes(settings.store),
        credentials_folder=settings.credentials_folder,
        prefix=settings.prefix,
    )
    return Checking(order, lambda: bao_of(settings), lambda: store_of_place(place), settings.store.warnings)


def _of_target(source: Source) -> Checking:
    """The store alone: a URL names no server."""
    target = open_target(source)
    namespace, _, name = (source.cluster or "").rpartition("/")
    if not name:
        why = "nothing says which cluster's folder is tried"
        raise ConfigurationError(f"check {target.location}", why, hint="name it: --cluster NAMESPACE/NAME")
    namespace = namespace or "default"
    prefix = cluster_prefix(target.path_prefix, namespace, name)
    order = CheckOrder(
        namespace=namespace,
        name=name,
        wanted=_wanted(target.settings, prefix, None),
        number=secrets.randbits(32),
    )
    place = Place(
        store=_for_probes(target.settings), credentials_folder=target.credentials_folder, prefix=prefix
    )
    return Checking(order, None, lambda: store_of_place(place))  # `open_target` has warned


def _schedule(source: Source) -> tuple[Schedule | None, bool]:
    """The document's schedule, and whether it is suspended; the environment of a Job has none."""
    if source.config is None:
        return None, False
    document = load_document(source.config, source.cluster)
    backup = document.spec.backup
    return (document.schedule, backup.suspend) if backup is not None else (None, False)


def _wanted(store: StoreSettings, prefix: str, settings: RunSettings | None) -> WantedOfStore:
    encryption = " with the key ".join(part for part in (store.sse, store.kms_key_id) if part)
    return WantedOfStore(
        prefix=prefix,
        retention=settings.retention if settings else None,
        lock_days=store.lock_days if store.lock_mode else 0,
        encryption=encryption,
        deadline_seconds=settings.deadline_seconds if settings else 0,
    )


def _for_probes(store: StoreSettings) -> StoreSettings:
    """With little patience; and a probe that were locked could not be removed for days."""
    return replace(
        store,
        lock_mode=None,
        lock_days=0,
        request_timeout=min(store.request_timeout, REQUEST_TIMEOUT),
        max_retries=min(store.max_retries, 1),
        retry_timeout=min(store.retry_timeout, RETRY_TIMEOUT),
    )
