"""One run from its settings to its result: what `bao-backup backup` does, whoever started it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from bao_backup.adapters.system import SystemClock
from bao_backup.core.errors import BaoBackupError, InternalError
from bao_backup.core.model import Result, RetentionOutcome
from bao_backup.core.naming import backup_key, short_id
from bao_backup.core.result import failed, succeeded
from bao_backup.core.settings import RunSettings
from bao_backup.entry.run_frame import run_framed
from bao_backup.entry.wiring import bao_of, stopped_by_signals, store_of
from bao_backup.flows import prune
from bao_backup.flows.backup import BackupFlow, Taken
from bao_backup.flows.own_backup import BackupOrder
from bao_backup.flows.stop import Stop
from bao_backup.ports import Bao, Clock, Reporter, Store


class Ended(NamedTuple):
    """How a run ended."""

    result: Result
    #: What it failed with; `result` tells the same in fewer words.
    error: BaoBackupError | None


class Ports(NamedTuple):
    """What a run is connected with."""

    store: Callable[[RunSettings, Mapping[str, str]], Store] = store_of
    bao: Callable[[RunSettings], Bao] = bao_of
    clock: Callable[[], Clock] = SystemClock


def run_backup(
    load: Callable[[], RunSettings],
    *,
    environment: Mapping[str, str],
    result_file: Path | None,
    reporter: Reporter,
    ports: Ports | None = None,
    last: bool = False,
) -> Ended:
    """Do one run, write its result where it is wanted, and answer with it: see `run_framed`."""
    ports = ports or Ports()

    def run(clock: Clock, early: Stop) -> Ended:
        settings = load()
        early.check()
        return _run(settings, environment, clock, reporter, ports, early)

    def fail(error: BaoBackupError, started: datetime, finished: datetime) -> Ended:
        return Ended(failed(error, started=started, finished=finished), error)

    return run_framed(run, fail, doing="back up", result_file=result_file, last=last, clock=ports.clock())


def _run(
    settings: RunSettings,
    environment: Mapping[str, str],
    clock: Clock,
    reporter: Reporter,
    ports: Ports,
    early: Stop,
) -> Ended:
    started = clock.now()
    order = order_of(settings, clock)
    with stopped_by_signals(settings.deadline_seconds) as stop:
        stop.follow(early)
        flow: BackupFlow | None = None
        try:
            store = ports.store(settings, environment)
            flow = BackupFlow(
                order, bao=ports.bao(settings), store=store, clock=clock, stop=stop, reporter=reporter
            )
            taken = flow.take()
        except BaoBackupError as error:
            result = failed(
                error,
                started=started,
                finished=clock.now(),
                key=order.key,
                slot=order.slot,
                trigger=order.trigger,
                tries=flow.tries if flow else 0,
                warnings=settings.store.warnings + (flow.warnings if flow else ()),
            )
            return Ended(result, error)
        taken = replace(taken, warnings=settings.store.warnings + taken.warnings)
        return Ended(_finish(order, taken, store, clock, stop, reporter), None)


def _finish(
    order: BackupOrder, taken: Taken, store: Store, clock: Clock, stop: Stop, reporter: Reporter
) -> Result:
    """Apply retention; whatever comes of it, the backup is a success."""
    retention, warnings = None, taken.warnings
    if order.retention is not None:
        try:
            plan = prune.plan(store, order.prefix, order.retention, clock.now())
            for decision in plan.dropped:
                reporter.say(f"retention drops {decision.backup.key}: {decision.why}")
            retention = prune.carry_out(
                store, plan, stop, on_locked=lambda error: reporter.say(f"retention: {error.message}")
            )
        except BaoBackupError as error:
            retention = RetentionOutcome(kept=0, failed=(error.why,))
        except Exception as error:  # noqa: BLE001 - a defect in retention does not undo the backup
            retention = RetentionOutcome(kept=0, failed=(InternalError.unforeseen("prune", error).why,))
        if retention.dropped:
            reporter.say(f"retention: {retention.kept} kept, {retention.dropped_count} dropped")
        warnings += tuple(f"not dropped: {line}" for line in retention.failed)
    return succeeded(
        taken.receipt,
        started=taken.receipt.started or clock.now(),
        finished=taken.receipt.finished or clock.now(),
        tries=taken.tries,
        warnings=warnings,
        retention=retention,
    )


def order_of(settings: RunSettings, clock: Clock) -> BackupOrder:
    """What is to be backed up; the key is made from the time where nobody chose one."""
    now = clock.now().replace(microsecond=0)
    key = settings.key or backup_key(
        settings.prefix, settings.slot or now, short_id(settings.uid, now, os.getpid()), settings.kind
    )
    return BackupOrder(
        namespace=settings.namespace,
        name=settings.name,
        prefix=settings.prefix,
        key=key,
        slot=settings.slot,
        trigger=settings.trigger,
        verify=settings.verify,
        retention=settings.retention,
        max_bytes_per_second=settings.store.max_bytes_per_second,
        part_size=settings.store.part_size,
    )


def hold_own_claim() -> None:
    """Started by an embedded manager: its claim on this run lasts as long as this process."""
    if claim := os.environ.pop("BAO_BACKUP_RUN_CLAIM", ""):
        from bao_backup.adapters.local.run_folder import hold_claim

        hold_claim(int(claim))
