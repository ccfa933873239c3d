"""The backup of what is there before a restore: the way back."""

from __future__ import annotations

from datetime import datetime

from bao_backup.core.errors import BaoBackupError, InternalError, InterruptedRunError, RestoreUnknownError
from bao_backup.core.model import Trigger
from bao_backup.core.naming import PRE_RESTORE_KIND, backup_key, short_id
from bao_backup.core.restore_errors import SafetyBackupError
from bao_backup.core.restore_outcome import Proposal
from bao_backup.core.restore_settings import RestoreSettings
from bao_backup.flows.backup import BackupFlow, Patience
from bao_backup.flows.own_backup import BackupOrder
from bao_backup.flows.restore_server import RestoreServer
from bao_backup.flows.stop import Stop
from bao_backup.ports import Clock, Reporter, Store


class SafetyBackup:
    """One backup of the class `pre-restore`, which retention neither counts nor drops.

    Attributes:
        key: of the backup, as soon as it is proven; empty before.
        warnings: what a person should know besides.
    """

    def __init__(
        self,
        settings: RestoreSettings,
        store: Store | None,
        *,
        server: RestoreServer,
        clock: Clock,
        stop: Stop,
        reporter: Reporter,
    ) -> None:
        self._settings = settings
        self._store = store
        self._server = server
        self._clock = clock
        self._stop = stop
        self._reporter = reporter
        self.key = ""
        self.warnings: tuple[str, ...] = ()

    @property
    def has_half_a_place(self) -> bool:
        """Whether there is a place without its store, or a store without a place in it."""
        return (self._settings.safety is None) != (self._store is None)

    @property
    def place(self) -> str:
        """Where it goes, for people: "s3://bucket/prefix"; empty: nowhere."""
        if self._settings.safety is None or self._store is None:
            return ""
        return f"{self._store.location}/{self._settings.safety.prefix}"

    def take(self, proposal: Proposal) -> None:
        """Take it; SafetyBackupError when it cannot be taken, InterruptedRunError when the run must end.

        RestoreUnknownError when it is there: another start of this run was so far, and perhaps farther.
        """
        store, patience = self._store, self._server.patience
        if store is None:
            raise InternalError("take a safety backup", "there is no store for it")
        self._reporter.say(f"backing up what is there, to {self.place}")
        flow = BackupFlow(
            self._order(proposal.stored.key, self._clock.now()),
            bao=self._server.bao,
            store=store,
            clock=self._clock,
            stop=self._stop,
            reporter=self._reporter,
            patience=Patience(tries=patience.tries, pause=patience.pause, leader_wait=patience.leader_wait),
        )
        try:
            taken = flow.take()
            self.key = taken.receipt.key
        except (InterruptedRunError, InternalError):
            raise
        except BaoBackupError as error:
            doing = f"back up what is at {proposal.leader.address} first"
            raise SafetyBackupError(doing, str(error)) from error
        finally:
            self.warnings = tuple(f"safety backup: {warning}" for warning in flow.warnings)
        if taken.found:
            why = f"another start of this run has backed up what was there ({self.key}), and may have sent it"
            raise RestoreUnknownError(f"restore {self._settings.namespace}/{self._settings.name}", why)
        self._reporter.say(f"the way back is {self.key}")

    def _order(self, source_key: str, now: datetime) -> BackupOrder:
        settings = self._settings
        # By command every restore is another one, also within the same second.
        moment = settings.accepted or now
        taken = moment.replace(microsecond=0)
        # And a document's is one whatever it restores: its latest may be another one at a second start.
        what = "" if settings.accepted is not None else source_key
        which = f"{settings.uid}/{settings.restore}/{what}/{moment.isoformat()}"
        digits = short_id(which, taken, 1)
        if settings.safety is None:
            raise InternalError("take a safety backup", "there is no place for it")
        return BackupOrder(
            namespace=settings.namespace,
            name=settings.name,
            prefix=settings.safety.prefix,
            key=backup_key(settings.safety.prefix, taken, digits, PRE_RESTORE_KIND),
            trigger=Trigger.PRE_RESTORE,
        )
