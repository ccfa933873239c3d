"""Many clusters at once, requests at once, documents that go while a run is under way, and rest."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.manager.site import UID, Site

from bao_backup.adapters.development import DevelopmentServer
from bao_backup.adapters.local.clusters import ClusterState
from bao_backup.adapters.local.runtime import LocalRuntime
from bao_backup.adapters.system import SystemClock
from bao_backup.core.errors import BaoBackupError
from bao_backup.core.observed import Health
from bao_backup.flows.manage import reconcile

pytestmark = pytest.mark.servers  # processes of their own, by the dozen


def processes_of(site: Site) -> int:
    """How many executors that write below this state folder live now."""
    mark = f"BACKUP_RESULT_PATH={site.state}".encode()
    found = 0
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            found += mark in entry.read_bytes()
        except OSError:
            continue  # it ended just now, or is not ours
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")
def test_thirty_at_once(site: Site) -> None:
    """Of 30 clusters whose slots are due at once, 3 run at a time; all are done, and none twice."""
    names = [f"bao-{number:02}" for number in range(30)]
    for name in names:
        site.let_a_slot_be_due(name)
    site.configure(*(site.document(name) for name in names))
    most = 0

    def all_done() -> bool:
        nonlocal most
        most = max(most, processes_of(site))
        return all(site.backups(name) for name in names)

    with site.start(most_runs=3):
        site.until("all to be done", all_done, seconds=120)
        for name in names:
            site.until_settled(name)
    assert 1 < most <= 3
    assert site.streams() == len(names)
    for name in names:
        row = site.row(name)
        assert row is not None
        assert len(site.backups(name)) == 1
        assert (row.succeeded, row.failed, row.lock) == (1, 0, None)
        assert row.status.waiting is None


def test_limit_over_a_restart(site: Site, server: DevelopmentServer) -> None:
    """Runs of a manager that was killed keep their places: the next one starts no more than its limit."""
    server.rate = 1
    names = ("a", "b", "c")
    for name in names:
        site.let_a_slot_be_due(name)
    site.configure(*(site.document(name) for name in names))
    with site.start(most_runs=1) as first:
        site.until("a stream", site.streams)
        first.kill()
    with site.start(most_runs=1):
        site.until(
            "two to be told that there is no room",
            lambda: sum(bool(site.status(name).waiting) for name in names) == 2,
        )
        assert len(site.run_pids()) == 1
        server.rate = 0
        for name in names:
            site.until_settled(name)
    assert site.streams() == 3


def test_removed_in_mid_run(site: Site, server: DevelopmentServer) -> None:
    """A run whose document is removed goes on; its end is told, and then its cluster is let go."""
    server.rate = 1
    site.let_a_slot_be_due()
    site.configure(site.document())
    with site.start():
        site.until("the stream", site.streams)
        site.configure(file="clusters.yaml")
        site.until("it leaves", lambda: (row := site.row()) and row.state is ClusterState.LEAVING)
        server.rate = 0
        site.until("it is gone", lambda: (row := site.row()) and row.state is ClusterState.GONE)
    assert site.status().successful_backups == 1
    assert len(site.backups()) == 1
    row = site.row()
    assert row is not None
    assert (row.succeeded, row.lock) == (1, None)


def test_removed_while_no_manager_was_there(site: Site, server: DevelopmentServer) -> None:
    """The same when the document goes between two managers."""
    server.rate = 1
    site.let_a_slot_be_due()
    site.configure(site.document())
    with site.start() as first:
        site.until("the stream", site.streams)
        first.kill()
    site.configure(file="clusters.yaml")
    with site.start():
        site.until("it leaves", lambda: (row := site.row()) and row.state is ClusterState.LEAVING)
        server.rate = 0
        site.until("it is gone", lambda: (row := site.row()) and row.state is ClusterState.GONE)
    assert site.status().successful_backups == 1


def test_rest(site: Site) -> None:
    """While nothing is due, nothing is written, and it takes next to no CPU time."""
    site.configure(*(site.document(f"bao-{number}") for number in range(20)))
    with site.start() as manager:
        site.until(
            "all to be seen", lambda: all(site.status(f"bao-{n}").next_scheduled_backup for n in range(20))
        )
        time.sleep(1)
        files = {path: path.stat() for path in site.state.rglob("*")}
        before = cpu_seconds(manager.pid)
        time.sleep(4)
        used = cpu_seconds(manager.pid) - before
        for path, then in files.items():
            now = path.stat()
            assert (now.st_mtime_ns, now.st_size) == (then.st_mtime_ns, then.st_size), path
    assert used < 0.4


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- trouble with the state folder -------------------------------------------------------------


@pytest.fixture
def runtime(site: Site) -> Iterator[LocalRuntime]:
    """The runtime of a manager over one cluster, whose runs cannot work."""
    opened = LocalRuntime(
        site.state,
        clock=SystemClock(),
        check=lambda _: None,
        environment=lambda _, __: {},
        health=lambda _: Health(ready=True),
        tell=lambda _, __: None,
    )
    opened.take_documents([site.document()], [])
    yield opened
    opened.close()


def look(runtime: LocalRuntime) -> BaoBackupError | None:
    """One look at the cluster; its error."""
    try:
        asyncio.run(reconcile(runtime, SystemClock(), UID))
    except BaoBackupError as error:
        return error
    return None


@contextmanager
def full_disk(runtime: LocalRuntime) -> Iterator[None]:
    """No file of this process may grow beyond what the memory's journal has now."""
    size = runtime.database.file.with_name(f"{runtime.database.file.name}-wal").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk(site: Site, runtime: LocalRuntime) -> None:
    """While the disk is full, the status cannot be written and no run starts; then the request is served."""
    assert look(runtime) is None
    request = runtime.requests.ask(UID)
    with full_disk(runtime):
        for _ in range(3):
            error = look(runtime)
            assert error is not None
            assert error.reason == "InternalError"
            assert "disk" in error.hint
    assert site.run_logs() == []
    assert runtime.requests.oldest(UID) == request
    assert look(runtime) is None
    observed, _ = asyncio.run(runtime.observe(UID))
    assert observed.status.last_handled_manual_trigger == request
    assert len(site.run_logs()) == 1
