"""The ports of the manager: where documents, status and runs live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # an executor loads this package, and never what only a manager needs
    from bao_backup.core.observed import ClearTrigger, Emit, ForgetRun, Health, Observed, StartCheck, StartRun
    from bao_backup.core.restore_spec import RestoreStatus
    from bao_backup.core.restoring import (
        DiscardRun,
        ObservedRestore,
        ReleaseRun,
        RestoreVersions,
        StartRestore,
    )
    from bao_backup.core.status import BackupStatus, OperationLock


class Runtime(Protocol):
    """Where documents, status and runs live: the Kubernetes API, or the local machine.

    A cluster is named by its `uid`. Every method may be repeated: a start that happened, a run that
    is forgotten, a request that is cleared are found so, and are no error.
    """

    async def observe(self, uid: str) -> tuple[Observed, str]:
        """All that is known of the cluster now, and the version that `save` compares with."""
        ...

    async def ask_health(self, uid: str) -> Health:
        """Ask the server itself; only where `Observed.can_ask_health`."""
        ...

    async def save(self, uid: str, version: str, status: BackupStatus, lock: OperationLock | None) -> bool:
        """Write both at once, unless the version is not the newest any more: then False."""
        ...

    async def start(self, uid: str, run: StartRun) -> None:
        """Start the run, unless one of that name exists, whatever became of it."""
        ...

    async def start_check(self, uid: str, run: StartCheck) -> None:
        """Start the check, unless one of that name exists: with a backup's identity, and none of its locks.

        One that can never begin as it is, is observed as ended, with why.
        """
        ...

    async def forget(self, uid: str, run: ForgetRun) -> None:
        """The run's (or check's) end is in the status: keep its traces only as history.

        A restore's run that is held, which nobody will release, is removed.
        """
        ...

    async def clear_trigger(self, uid: str, request: ClearTrigger) -> None:
        """Clear the request for a manual run, if it still has this value."""
        ...

    async def emit(self, uid: str, event: Emit) -> None:
        """Tell people what happened."""
        ...


class RestoreRuntime(Protocol):
    """Where documents of restores, their status and their runs live. It goes with a `Runtime`.

    A restore is named by its document's `uid`. Every method may be repeated, as a `Runtime`'s. A run
    belongs to the restore's cluster: it goes on when the document is deleted, and the cluster's
    `Runtime` shows it in `Observed.restore_runs` and forgets it.
    """

    async def observe(self, uid: str) -> tuple[ObservedRestore, RestoreVersions]:
        """All that is known of the restore and its cluster now, and what the writes compare with.

        Of a run that began and ended without a word of its executor, nobody knows what the server
        took: the result's exit code is `RestoreUnknownError`'s (9).
        """
        ...

    async def save(self, uid: str, versions: RestoreVersions, status: RestoreStatus) -> bool:
        """Write the restore's status, unless its version is not the newest any more: then False."""
        ...

    async def save_lock(self, uid: str, versions: RestoreVersions, lock: OperationLock | None) -> bool:
        """Write the lock of its cluster, unless the version of that is not the newest: then False."""
        ...

    async def start(self, uid: str, run: StartRestore) -> None:
        """Make the run, held, unless one of that name exists, whatever became of it.

        One that can never begin as it is (no login, no source, refused) is observed as ended, with why.
        """
        ...

    async def release(self, uid: str, run: ReleaseRun) -> None:
        """Let the run begin, if it is the one of that uid, and held; else nothing happens.

        Once it was released it is never held again, and never begins again, whoever stops it.
        """
        ...

    async def forget(self, uid: str, run: ForgetRun) -> None:
        """The run's end is in the status: keep its traces only as history. Its name stays taken."""
        ...

    async def discard(self, uid: str, run: DiscardRun) -> None:
        """Remove the run that has this name, if it is held, or finished and another document's.

        One under way stays, also when it was released only just now.
        """
        ...

    async def emit(self, uid: str, event: Emit) -> None:
        """Tell people what happened, at the restore."""
        ...
