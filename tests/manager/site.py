"""A state folder with all that a manager works with: documents, a Secret, a store, a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

from msgspec.structs import replace
from tests.harness.process import wait_until

from bao_backup.adapters.development import DevelopmentServer
from bao_backup.adapters.local.clusters import ClusterRow, Clusters
from bao_backup.adapters.local.database import DATABASE, Database
from bao_backup.adapters.local.events import EventRow, Events
from bao_backup.adapters.local.requests import Requests
from bao_backup.adapters.local.run_folder import RunFolder
from bao_backup.core.schedule import Schedule
from bao_backup.core.status import BackupStatus, ObservedSchedule

#: Comes once in 20 years: as good as never in a test, and its last slot is past.
SELDOM = "@every 175200h"
UID = "default/bao"
PROGRAM = Path(__file__).with_name("program.py")


class Site:
    """One manager's surroundings."""

    def __init__(self, folder: Path, server: DevelopmentServer) -> None:
        self.server = server
        self.config, self.state = folder / "config", folder / "state"
        self.store, self.secrets = folder / "store", folder / "secrets"
        self.log = folder / "manager.log"
        self.token = server.cluster.grant(("default", "snapshot"))
        for each in (self.config, self.store, self.secrets / "token"):
            each.mkdir(parents=True)
        (self.secrets / "token" / "token").write_text(self.token)

    # --- documents -----------------------------------------------------------------------------

    def document(self, name: str = "bao", schedule: str = SELDOM, **backup: Any) -> dict[str, Any]:
        """A document of a cluster behind the server; `backup` are more fields of spec.backup."""
        return {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": "OpenBaoCluster",
            "metadata": {"name": name},
            "spec": {
                "connection": {"addresses": [self.server.address]},
                "backup": {
                    "schedule": schedule,
                    "target": {"provider": "file", "path": str(self.store)},
                    "tokenSecretRef": {"name": "token"},
                    **backup,
                },
            },
        }

    def configure(self, *documents: Mapping[str, Any], file: str = "clusters.yaml") -> Path:
        """Write documents into one file, in place of what was in it (JSON is YAML)."""
        path = self.config / file
        temporary = path.with_name(f".{file}.new")
        temporary.write_text("\n---\n".join(json.dumps(each) for each in documents))
        temporary.replace(path)
        return path

    def let_a_slot_be_due(self, name: str = "bao") -> datetime:
        """Make the memory of a manager that was down when the last slot of `SELDOM` came."""
        now = datetime.now(UTC)
        slot = Schedule.parse(SELDOM).latest_between(now - timedelta(days=10_000), now)
        assert slot is not None
        since = ObservedSchedule(expression=SELDOM, time_zone="UTC", since=slot - timedelta(seconds=1))
        self.state.mkdir(exist_ok=True)
        with closing(Database(self.state / DATABASE)) as database:
            clusters, uid = Clusters(database), f"default/{name}"
            clusters.put_document(uid, "default", name, "{}")
            row = clusters.get(uid)
            assert row is not None
            assert clusters.save(uid, row.version, replace(row.status, schedule=since), None)
        return slot

    # --- the manager ---------------------------------------------------------------------------

    def start(self, *, die: str = "", most_runs: int = 4, grace: float = 30.0) -> ManagerProcess:
        """A manager of its own process. `die` says where it ends by SIGKILL: "after:save:1"."""
        command = [sys.executable, str(PROGRAM), str(self.config), str(self.secrets), str(self.state)]
        options = {"die": die, "mostRuns": most_runs, "grace": grace}
        with self.log.open("ab") as log:
            process = subprocess.Popen([*command, json.dumps(options)], stdout=log, stderr=log)
        return ManagerProcess(process, self)

    def ask(self, name: str = "bao") -> str:
        """What `bao-backup trigger` writes."""
        with closing(Database(self.state / DATABASE)) as database:
            return Requests(database).ask(f"default/{name}")

    # --- what there is -------------------------------------------------------------------------

    def row(self, name: str = "bao") -> ClusterRow | None:
        """What the manager remembers of the cluster; None: nothing yet."""
        if not (self.state / DATABASE).exists():
            return None
        with closing(Database(self.state / DATABASE)) as database:
            return Clusters(database).get(f"default/{name}")

    def status(self, name: str = "bao") -> BackupStatus:
        """The cluster's status; an empty one before there is any."""
        row = self.row(name)
        return row.status if row else BackupStatus()

    def events(self, name: str = "bao") -> list[EventRow]:
        """What people were told of the cluster."""
        with closing(Database(self.state / DATABASE)) as database:
            return Events(database).newest(f"default/{name}", 200)

    def backups(self, name: str = "bao") -> list[str]:
        """The names of the cluster's backups that have a receipt."""
        files = {path.name for path in (self.store / "default" / name).glob("*") if path.is_file()}
        return sorted(file for file in files if file.endswith(".snap") and f"{file}.json" in files)

    def files(self) -> list[str]:
        """Everything in the store, hidden or not."""
        return sorted(str(path.relative_to(self.store)) for path in self.store.rglob("*") if path.is_file())

    def run_logs(self) -> list[str]:
        """What each run that is kept said."""
        return [path.read_text() for path in sorted(self.state.glob("runs/*/*/log"))]

    def streams(self) -> int:
        """How often a run began to stream."""
        return sum(log.count("streaming into") for log in self.run_logs())

    def run_pids(self) -> list[int]:
        """The processes that said that they are runs, whether they live or not."""
        said = (path.read_text() for path in self.state.glob("runs/*/*/claim"))
        return [int(pid) for pid in said if pid]

    def end_runs(self) -> None:
        """Kill every run that is under way, also one that has only just begun."""
        for claim in self.state.glob("runs/*/*/claim"):
            folder = RunFolder(claim.parent)
            wait_until(
                "a run to say its pid",
                partial(_is_known, folder),
                seconds=20,
            )
            pid = folder.claimed_by()
            if pid is not None:
                os.kill(pid, signal.SIGKILL)

    def until(self, what: str, probe: Callable[[], object], *, seconds: float = 20.0) -> None:
        """Wait until `probe` says yes; else an error that ends with the manager's log."""
        wait_until(what, lambda: bool(probe()), seconds=seconds, every=0.02, log=self.log)

    def until_it_ends_or(self, manager: ManagerProcess, probe: Callable[[], object]) -> None:
        """Wait for the manager's end, or for something else."""
        self.until("the manager's end", lambda: not manager.running or probe())

    def until_settled(self, name: str = "bao") -> BackupStatus:
        """Wait until the cluster's attempt is over and its run is forgotten; answers with the status."""

        def settled() -> bool:
            row = self.row(name)
            attempt = row.status.attempt if row else None
            over = attempt is not None and not attempt.under_way
            return over and row is not None and row.succeeded + row.failed > 0

        self.until(f"{name}'s attempt to be over", settled)
        return self.status(name)


def _is_known(folder: RunFolder) -> bool:
    """Whether nobody has the run, or it is said who."""
    return not folder.is_claimed() or folder.claimed_by() is not None


class ManagerProcess:
    """A manager, ended with its `with` block at the latest."""

    def __init__(self, process: subprocess.Popen[bytes], site: Site) -> None:
        self._process = process
        self._site = site

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, seconds: float = 20.0) -> int:
        """Wait for its end; its exit code, negative for a signal."""
        self._site.until("the manager's end", lambda: not self.running, seconds=seconds)
        return self._process.returncode
