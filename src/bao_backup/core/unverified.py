"""A store whose certificate nobody verifies: shown in the status for as long as it is so, and told once."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from bao_backup.core.observed import Action, Emit, Observed
from bao_backup.core.status import BackupStatus, Condition, with_condition
from bao_backup.core.storage import NOT_VERIFIED

CONDITION = "StoreVerified"
REASON = "InsecureSkipVerify"


def tell_of_store(
    observed: Observed, status: BackupStatus, now: datetime
) -> tuple[BackupStatus, tuple[Action, ...]]:
    """The status with the condition `StoreVerified` False, or without it where the certificate is verified.

    While the document is not valid, and none is in force, nothing changes: nobody knows.
    """
    document, old = observed.document, status.condition(CONDITION)
    if document is None:
        return status, ()
    backup = document.spec.backup
    if backup is None or not backup.target.insecure_skip_verify:
        if old is None:
            return status, ()
        return replace(status, conditions=tuple(c for c in status.conditions if c.type != CONDITION)), ()
    new = Condition(
        type=CONDITION,
        status="False",
        reason=REASON,
        message=NOT_VERIFIED,
        last_transition_time=now,
        observed_generation=status.observed_generation,
    )
    told = () if old is not None else (Emit(reason=REASON, message=NOT_VERIFIED, warning=True),)
    return with_condition(status, new), told
