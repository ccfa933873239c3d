"""One run from its settings to its result: what `bao-backup backup` does, whoever started it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from bao_backup.adapters.system import SystemClock, keep_freed_memory
from bao_backup.core.errors import BaoBackupError, ConfigurationError, InternalError
from bao_backup.core.model import Result, RetentionOutcome
from bao_backup.core.naming import backup_key, short_id
from bao_backup.core.result import encode_result, failed, succeeded
from bao_backup.core.settings import RunSettings
from bao_backup.entry.wiring import bao_of, stopped_by_signals, store_of
from bao_backup.flows import prune
from bao_backup.flows.backup import BackupFlow, Taken
from bao_backup.flows.own_backup import BackupOrder
from bao_backup.flows.stop import Stop
from bao_backup.ports import Bao, Clock, Reporter, Store

#: Chunks are at most 1 MiB; what malloc keeps must be above that.
KEPT_BLOCK = 8 * 1024 * 1024


class Ended(NamedTuple):
    """How a run ended."""

    result: Result
    #: What it failed with; `result` tells the same in fewer words.
    error: BaoBackupError | None


class Ports(NamedTuple):
    """What a run is connected with."""

    store: Callable[[RunSettings, Mapping[str, str]], Store] = store_of
    bao: Callable[[RunSettings], Bao] = bao_of


def run_backup(
    load: Callable[[], RunSettings],
    *,
    environment: Mapping[str, str],
    result_file: Path | None,
    reporter: Reporter,
    ports: Ports | None = None,
    last: bool = False,
) -> Ended:
    """Do one run, write its result where it is wanted, and answer with it.

    A signal ends the run, and never keeps it from writing its result. With `last`, the process has
    nothing to do afterwards: a signal that comes later than the result changes nothing any more.

    Raises ConfigurationError before anything was done when there is no folder for the result,
    InternalError when the result of a run that ended could not be written.
    """
    if result_file is not None and not result_file.parent.is_dir():
        raise ConfigurationError(f"write the result {result_file}", "there is no such folder")
    clock = SystemClock()
    started = clock.now()
    keep_freed_memory(KEPT_BLOCK)
    with stopped_by_signals(last=last) as early:
        try:
            settings = load()
            early.check()
            ended = _run(settings, environment, clock, reporter, ports or Ports(), early)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            # Also what a library written in another language dies with: the manager gets a result.
            known = error if isinstance(error, BaoBackupError) else InternalError.unforeseen("back up", error)
            ended = Ended(failed(known, started=started, finished=clock.now()), known)
        if result_file is not None:
            leave_result(result_file, ended.result)
    return ended


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


def leave_result(file: Path, result: Result) -> None:
    """Write the result; InternalError, which says what it was, when that cannot be."""
    try:
        write_result(file, result)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        hint = f"the run itself ended with {result.reason}: {result.message}"
        raise InternalError(f"write the result {file}", why, hint=hint) from error


def write_result(file: Path, result: Result) -> None:
    """Write the result whole or not at all; a device, as a Job's termination log, is written to."""
    body = encode_result(result)
    if file.exists() and not file.is_file():
        file.write_bytes(body)
        return
    if file.name == "termination-log":
        # Kubernetes mounts this very file: it can be written, not replaced.
        file.write_bytes(body)
        return
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as out:
            out.write(body)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
