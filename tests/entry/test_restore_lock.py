"""`restore` beside the embedded manager: one of both at a time, and no lock that stays."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.harness.process import wait_until

from bao_backup.adapters.local.clusters import ClusterRow, Clusters
from bao_backup.adapters.local.database import DATABASE, Database
from bao_backup.adapters.local.holding import hold
from bao_backup.adapters.local.restore_lock import Overwritten, RestoreLocks
from bao_backup.adapters.local.run_folder import RunFolder
from bao_backup.adapters.local.runtime import LocalRuntime
from bao_backup.adapters.system import SystemClock
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Trigger
from bao_backup.core.observed import Health
from bao_backup.core.preflight import preflight
from bao_backup.core.status import LOCK_HOLDER, OperationLock

UID = "default/prod"
ADDRESS = "https://bao-0.example:8200"
OWN = Overwritten("default", "prod", (ADDRESS,), by_name=True)
NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
BACKUP = OperationLock(operation="Backup", holder=LOCK_HOLDER, message="backup-prod-1")

#: A restore by command that is killed in the middle.
KILLED = """
import os, signal, sys
from datetime import datetime, UTC
from pathlib import Path
from bao_backup.adapters.local.restore_lock import Overwritten, RestoreLocks
own = Overwritten("default", "prod", (), by_name=True)
with RestoreLocks(Path(sys.argv[1]), own).hold(datetime.now(UTC)):
    print("held", flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def document(name: str = "prod", address: str = ADDRESS, **status: Any) -> dict[str, Any]:
    """A cluster's document."""
    return {
        "apiVersion": "openbao.org/v1alpha1",
        "kind": "OpenBaoCluster",
        "metadata": {"name": name},
        "spec": {
            "connection": {"addresses": [address]},
            "backup": {
                "schedule": "@yearly",
                "tokenSecretRef": {"name": "token"},
                "target": {"provider": "file", "path": "/backups"},
            },
        },
        "status": status,
    }


class Memory:
    """A state folder, and managers that come and go."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._runtime: LocalRuntime | None = None

    def manager(self, *documents: dict[str, Any], most_runs: int = 4) -> LocalRuntime:
        """A manager with these documents, or with that of default/prod; who was there before is gone."""
        self.close()
        self._runtime = LocalRuntime(
            self.state,
            clock=SystemClock(),
            check=lambda _document: None,
            environment=lambda _document, _run: {},
            health=lambda _document: Health(ready=True),
            tell=lambda _cluster, _event: None,
            most_runs=most_runs,
        )
        self._runtime.take_documents(list(documents or (document(),)), [])
        return self._runtime

    def close(self) -> None:
        """No manager any more."""
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None

    def row(self, uid: str = UID) -> ClusterRow:
        """What is remembered."""
        with closing(Database(self.state / DATABASE)) as database:
            row = Clusters(database).get(uid)
        assert row is not None
        return row

    def lock(self, lock: OperationLock | None, uid: str = UID) -> None:
        """Let this lock be there."""
        with closing(Database(self.state / DATABASE)) as database:
            row = self.row(uid)
            assert Clusters(database).save(uid, row.version, row.status, lock)

    def restore(self, overwritten: Overwritten = OWN) -> RestoreLocks:
        """A restore by command."""
        return RestoreLocks(self.state, overwritten)

    def killed(self, *, while_held: Any = None) -> None:
        """A restore by command that is killed while it holds the lock."""
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(self.state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        if while_held is not None:
            while_held(process.pid)
        process.communicate()
        assert process.returncode == -signal.SIGKILL


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    """A state folder of a manager that knows default/prod."""
    memory = Memory(tmp_path / "state")
    memory.manager()
    yield memory
    memory.close()


def observed(runtime: LocalRuntime) -> Any:
    """What the manager sees of the cluster."""
    return asyncio.run(runtime.observe(UID))[0]


def test_a_restore_holds_the_lock_and_gives_it_back(memory: Memory) -> None:
    """Meanwhile the manager begins no backup, and says why."""
    runtime = memory.manager()
    with memory.restore().hold(NOW):
        lock = memory.row().lock
        assert lock is not None
        assert (lock.operation, lock.holder) == ("Restore", f"openbaorestore/cli-{os.getpid()}")
        assert (lock.acquired_at, lock.renewed_at) == (NOW, NOW)
        blocked = preflight(replace(observed(runtime), health=Health(ready=True)), Trigger.MANUAL)
        assert blocked is not None
        assert blocked.reason == "OperationLocked"
        assert "holds the operation lock for Restore" in blocked.message
    assert memory.row().lock is None
    assert observed(runtime).lock is None


def test_what_the_manager_writes_leaves_the_lock(memory: Memory) -> None:
    """And what it decided before the lock was there is not written."""
    runtime = memory.manager()
    seen, version = asyncio.run(runtime.observe(UID))
    with memory.restore().hold(NOW):
        assert not asyncio.run(runtime.save(UID, version, seen.status, BACKUP))
        seen, version = asyncio.run(runtime.observe(UID))
        assert asyncio.run(runtime.save(UID, version, seen.status, seen.lock))
        assert memory.row().lock == seen.lock
        assert seen.lock is not None


def test_the_lock_is_given_back_when_the_restore_fails(memory: Memory) -> None:
    """Whatever befalls it."""
    with pytest.raises(ValueError, match="boom"), memory.restore().hold(NOW):
        raise ValueError("boom")
    assert memory.row().lock is None


def test_a_restore_is_no_run_that_takes_a_place(memory: Memory) -> None:
    """Others may run, also where there is room for one only."""
    runtime = memory.manager(document(), document("other", "https://other:8200"), most_runs=1)
    with memory.restore().hold(NOW):
        assert asyncio.run(runtime.observe("default/other"))[0].room


def test_two_restores_at_once_are_refused(memory: Memory) -> None:
    """The second one is told who is first."""
    with (
        memory.restore().hold(NOW),
        pytest.raises(ConfigurationError, match=f"under way, by the process {os.getpid()}"),
        memory.restore().hold(NOW),
    ):
        raise AssertionError
    assert memory.row().lock is None


def test_a_backup_that_is_under_way_is_waited_for_by_a_person(memory: Memory) -> None:
    """By its claim, whether a manager is there or not; the lock stays the backup's."""
    folder = RunFolder(memory.state / "runs" / sha256(UID.encode()).hexdigest()[:16] / "backup-prod-1")
    claim = folder.claim()
    assert claim is not None
    memory.close()
    for act in (memory.restore().check, memory.restore().hold(NOW).__enter__):
        with pytest.raises(ConfigurationError, match="the run backup-prod-1 of default/prod is under way"):
            act()
    os.close(claim)
    assert memory.restore().check() == 1


def test_a_backup_that_the_manager_is_about_to_begin(memory: Memory) -> None:
    """It is written down and has no process yet."""
    memory.lock(BACKUP)
    with pytest.raises(ConfigurationError, match="is about to begin or to end the run backup-prod-1"):
        memory.restore().check()


def test_a_backup_that_died_with_its_manager_hinders_nobody(memory: Memory) -> None:
    """No manager runs, and no process has the run."""
    memory.lock(BACKUP)
    memory.close()
    with memory.restore().hold(NOW):
        lock = memory.row().lock
        assert lock is not None
        assert lock.operation == "Restore"
    assert memory.row().lock is None


def test_the_lock_of_another_in_the_document(memory: Memory) -> None:
    """It is respected as the manager does it."""
    memory.manager(document(operationLock={"operation": "Upgrade", "holder": "somebody"}))
    with pytest.raises(ConfigurationError, match="somebody holds the operation lock of default/prod for"):
        memory.restore().check()


# --- which clusters ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overwritten", "count"),
    [
        (OWN, 1),
        (Overwritten("default", "prod", ("https://elsewhere:8200",), by_name=True), 1),
        (Overwritten("default", "prod", ("https://elsewhere:8200",), by_name=False), 0),
        (Overwritten("team", "copy", (ADDRESS + "/",), by_name=False), 1),
        (Overwritten("team", "copy", (ADDRESS,), by_name=True), 1),
        (Overwritten("team", "copy", ("https://bao-0.example:8201",), by_name=True), 0),
    ],
)
def test_clusters_are_found_by_name_and_by_servers(
    memory: Memory, overwritten: Overwritten, count: int
) -> None:
    """With --to the servers alone count, since the document's own are left alone."""
    assert memory.restore(overwritten).check() == count


def test_two_documents_of_one_cluster_are_both_locked(memory: Memory) -> None:
    """And both given back; where the second is not to be had, so is the first."""
    memory.manager(document(), document("twin"))
    with memory.restore().hold(NOW):
        assert memory.row().lock is not None
        assert memory.row("default/twin").lock is not None
    assert memory.row("default/twin").lock is None
    memory.lock(BACKUP, "default/twin")
    with pytest.raises(ConfigurationError), memory.restore().hold(NOW):
        raise AssertionError
    assert memory.row().lock is None


def test_without_a_memory_there_is_nothing_to_lock(tmp_path: Path) -> None:
    """And none is made."""
    locks = RestoreLocks(tmp_path / "nowhere", OWN)
    assert locks.check() == 0
    with locks.hold(NOW):
        pass
    assert list(tmp_path.iterdir()) == []


# --- killed --------------------------------------------------------------------------------------


def test_a_killed_restore_leaves_a_lock_that_the_manager_gives_back(memory: Memory) -> None:
    """It is in force as long as the process lives, and is news when that is gone."""
    runtime = memory.manager()

    def while_held(pid: int) -> None:
        lock = observed(runtime).lock
        assert lock is not None
        assert lock.holder == f"openbaorestore/cli-{pid}"
        assert UID not in runtime.poll()

    memory.killed(while_held=while_held)
    assert memory.row().lock is not None, "nobody could give it back"
    assert observed(runtime).lock is None
    assert UID in runtime.poll()
    assert memory.row().lock is None
    assert UID not in runtime.poll()


def test_a_killed_restore_hinders_no_other(memory: Memory) -> None:
    """The next command takes the lock over, without any manager."""
    memory.close()
    memory.killed()
    with memory.restore().hold(NOW):
        lock = memory.row().lock
        assert lock is not None
        assert lock.holder == f"openbaorestore/cli-{os.getpid()}"
    assert memory.row().lock is None


def test_the_end_of_a_restore_is_news(memory: Memory) -> None:
    """A slot that waited for it is looked at at once."""
    runtime = memory.manager()
    with memory.restore().hold(NOW):
        assert UID not in runtime.poll()
    assert UID in runtime.poll()
    assert UID not in runtime.poll()


def test_a_cluster_that_leaves_goes_only_after_the_restore(memory: Memory) -> None:
    """Its document is removed meanwhile."""
    runtime = memory.manager()
    with memory.restore().hold(NOW):
        runtime.take_documents([document("other", "https://other:8200")], [])
        seen, version = asyncio.run(runtime.observe(UID))
        assert asyncio.run(runtime.save(UID, version, seen.status, seen.lock))
        runtime.poll()
        assert UID in runtime.managed()
    wait_until("it to go", lambda: runtime.poll() is not None and UID not in runtime.managed(), seconds=5)


def test_a_manager_of_another_folder_is_another_matter(memory: Memory, tmp_path: Path) -> None:
    """What runs there hinders nobody here."""
    memory.lock(BACKUP)
    memory.close()
    held = hold(tmp_path / "other")
    assert memory.restore().check() == 1
    os.close(held)
