"""One restore from its settings to its result: what `bao-backup restore` does, whoever started it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from bao_backup.adapters.snapshot_file import SnapshotFile
from bao_backup.adapters.system import SystemClock
from bao_backup.core.connection import BaoSettings
from bao_backup.core.errors import BaoBackupError, InternalError, RestoreUnknownError
from bao_backup.core.model import Result, Trigger
from bao_backup.core.restore_errors import RestoreSealedError
from bao_backup.core.restore_outcome import Proposal, Restored
from bao_backup.core.restore_settings import Place, RestoreSettings
from bao_backup.core.result import failed, restored
from bao_backup.entry.run_frame import run_framed
from bao_backup.entry.wiring import connect, stopped_by_signals, store_of_place
from bao_backup.flows.read import Readable
from bao_backup.flows.restore import RestoreFlow
from bao_backup.flows.restore_server import RestorePatience
from bao_backup.flows.stop import Stop
from bao_backup.ports import Bao, Clock, Reporter, Store


class RestorePorts(NamedTuple):
    """What a restore is connected with."""

    store: Callable[[Place, Mapping[str, str]], Store] = store_of_place
    bao: Callable[[BaoSettings], Bao] = connect
    #: How long to go on trying.
    patience: RestorePatience | None = None
    clock: Callable[[], Clock] = SystemClock


class RestoreEnded(NamedTuple):
    """How a restore ended."""

    result: Result
    #: What it failed with; `result` tells the same in fewer words.
    error: BaoBackupError | None = None
    #: What it restored, where it did.
    restored: Restored | None = None

    @property
    def may_be_new(self) -> bool:
        """Whether the server may have the snapshot's data."""
        return self.error is None or isinstance(self.error, RestoreSealedError | RestoreUnknownError)


#: Shown what would be done; raises where it must not be. The Stop ends the asking.
Agree = Callable[[Proposal, Stop], None]
#: Entered before anything is changed, and left at the end, whatever that is.
Hold = Callable[[], AbstractContextManager[None]]


def run_restore(
    load: Callable[[], RestoreSettings],
    *,
    environment: Mapping[str, str],
    result_file: Path | None,
    reporter: Reporter,
    agree: Agree,
    hold: Hold = nullcontext,
    ports: RestorePorts | None = None,
    last: bool = False,
) -> RestoreEnded:
    """Do one restore, write its result where it is wanted, and answer with it: see `run_framed`."""
    ports = ports or RestorePorts()

    def run(clock: Clock, early: Stop) -> RestoreEnded:
        settings = load()
        early.check()
        return _run(settings, environment, clock, reporter, ports, early, agree, hold)

    def fail(error: BaoBackupError, started: datetime, finished: datetime) -> RestoreEnded:
        result = failed(error, started=started, finished=finished, trigger=Trigger.MANUAL)
        return RestoreEnded(result, error)

    return run_framed(run, fail, doing="restore", result_file=result_file, last=last, clock=ports.clock())


def _run(
    settings: RestoreSettings,
    environment: Mapping[str, str],
    clock: Clock,
    reporter: Reporter,
    ports: RestorePorts,
    early: Stop,
    agree: Agree,
    hold: Hold,
) -> RestoreEnded:
    started = clock.now()
    with stopped_by_signals(settings.deadline_seconds) as stop:
        stop.follow(early)
        source, safety = _stores(settings, environment, ports)
        flow = RestoreFlow(
            settings,
            bao=ports.bao(settings.bao),
            source=source,
            safety=safety,
            clock=clock,
            stop=stop,
            reporter=reporter,
            patience=ports.patience,
        )
        try:
            with flow:
                proposal = flow.prove()
                agree(proposal, stop)
                with hold():
                    done = flow.carry_out(proposal)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            known = error if isinstance(error, BaoBackupError) else _unforeseen(settings, flow, error)
            result = failed(
                known,
                started=started,
                finished=clock.now(),
                key=flow.key,
                trigger=Trigger.MANUAL,
                tries=int(flow.submitted),
                warnings=flow.warnings,
                safety_key=flow.safety_key,
            )
            return RestoreEnded(result, known)
        return RestoreEnded(restored(done), restored=done)


def _unforeseen(settings: RestoreSettings, flow: RestoreFlow, error: BaseException) -> BaoBackupError:
    """A defect; where the snapshot was sent before, nobody knows what the server made of it."""
    doing = f"restore {settings.namespace}/{settings.name}"
    defect = InternalError.unforeseen(doing, error)
    if not flow.submitted:
        return defect
    unknown = RestoreUnknownError(doing, defect.why)
    unknown.__cause__ = error
    return unknown


def _stores(
    settings: RestoreSettings, environment: Mapping[str, str], ports: RestorePorts
) -> tuple[Readable, Store | None]:
    """Where the backup is, and where the safety backup goes: opened once where both are the same."""
    source, safety = settings.source, settings.safety
    if source is None:
        there: Readable = SnapshotFile(Path(settings.wanted.file))
        return there, ports.store(safety, environment) if safety is not None else None
    store = ports.store(source, environment)
    if safety is None:
        return store, None
    same = (source.store, source.credentials_folder) == (safety.store, safety.credentials_folder)
    return store, store if same else ports.store(safety, environment)
