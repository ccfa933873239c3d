"""Killed or told to end anywhere, a restore leaves the old data or the new, and is sent once at most."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.entry.restore_process import RestoreProcess
from tests.harness.process import wait_until

from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer
from bao_backup.adapters.stores import open_store
from bao_backup.adapters.system import SystemClock
from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.model import Outcome
from bao_backup.core.naming import PRE_RESTORE_KIND, catalogue
from bao_backup.core.restore_settings import Place, RestoreSettings, Wanted
from bao_backup.core.storage import StoreSettings
from bao_backup.entry.progress import LogReporter
from bao_backup.entry.wiring import connect
from bao_backup.flows.backup import BackupFlow
from bao_backup.flows.own_backup import BackupOrder
from bao_backup.flows.stop import Stop

pytestmark = pytest.mark.servers  # processes of their own, by the dozen

PREFIX = "default/prod"
KEY = f"{PREFIX}/2026-11-22T02-00-00Z-00000001.snap"

IN_MID_STREAM = "after:restore-chunk:40"
#: Before the last byte is out: the server has what it had.
BEFORE = [
    "before:head:1",
    "before:find_leader:1",
    "after:login:1",
    "after:capabilities:1",
    "after:nodes:1",
    "before:snapshot:1",
    "before:put:1",
    "after:put-chunk:5",
    "after:put:1",
    "after:knows_login:2",
    "before:restore:1",
    "before:restore-chunk:1",
    IN_MID_STREAM,
]
#: The server has all of it.
AFTER = ["after:restore:1", "before:nodes:3", "after:nodes:3"]


class Site:
    """A server with new data, a folder with the backup of its old data."""

    def __init__(self, folder: Path, server: DevelopmentServer) -> None:
        self.folder, self.cluster = folder, server.cluster
        login = folder / "login"
        login.mkdir()
        (login / "username").write_text("restore")
        (login / "password").write_text(self.cluster.logins.users["restore"])
        auth = BaoAuth(method=AuthMethod.USERPASS, secret_folder=str(login))
        (folder / "backups").mkdir()
        store = StoreSettings(provider="file", path=str(folder / "backups"))
        self.store = open_store(store, {})
        place = Place(store=store, prefix=PREFIX)
        self.settings = RestoreSettings(
            namespace="default",
            name="prod",
            bao=BaoSettings(addresses=(server.address,), auth=auth),
            wanted=Wanted(key=KEY),
            source=place,
            safety=place,
        )
        self.cluster.write("x", {"data": "old"})
        BackupFlow(
            BackupOrder(namespace="default", name="prod", prefix=PREFIX, key=KEY),
            bao=connect(self.settings.bao),
            store=self.store,
            clock=SystemClock(),
            stop=Stop(SystemClock()),
            reporter=LogReporter(quiet=True),
        ).take()
        self.cluster.write("x", {"data": "new"})

    @property
    def data(self) -> object:
        """Whose data the server has."""
        return self.cluster.secrets["x"].data["data"]

    def safety_keys(self) -> list[str]:
        """The proven backups of what was there."""
        backups = catalogue(self.store.list(PREFIX), PREFIX)
        return [each.key for each in backups if each.kind == PRE_RESTORE_KIND and each.proven]

    def restore(self, where: str, what: str) -> RestoreProcess:
        """A restore that something befalls."""
        return RestoreProcess(self.folder, self.settings, where, what)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The server's snapshots have many chunks."""
    with DevelopmentServer(DevelopmentCluster(padding=1 << 20, level=1)) as server:
        yield Site(tmp_path, server)


@pytest.mark.parametrize("where", [*BEFORE, *AFTER])
def test_killed(site: Site, where: str) -> None:
    """Nobody says anything any more; the next restore does all of it, whatever was left."""
    with site.restore(where, "KILL") as restore:
        assert restore.wait() == -signal.SIGKILL, restore.said
        assert restore.result is None
    site.cluster.settled.wait(10)
    assert site.data == ("old" if where in AFTER else "new")
    sent = int(where in AFTER or "restore-chunk" in where)  # begun, at least
    wait_until("the server to see its end", lambda: site.cluster.submissions == sent, seconds=10)
    with site.restore("never", "KILL") as again:
        assert again.wait() == 0, again.said
    assert (site.data, site.cluster.submissions) == ("old", sent + 1)


@pytest.mark.parametrize("where", BEFORE)
def test_told_to_end_before_the_server_has_it(site: Site, where: str) -> None:
    """Exit 7, with the safety backup if there is one by then; the server has what it had."""
    with site.restore(where, "TERM") as restore:
        assert restore.wait() == 7, restore.said
        result = restore.result
    assert result is not None
    assert (result.outcome, result.reason, result.exit_code) == (Outcome.FAILED, "Interrupted", 7)
    assert "ended by SIGTERM" in result.message
    assert site.data == "new"
    assert site.cluster.submissions <= 1
    assert [result.safety_key] == (site.safety_keys() or [""])


@pytest.mark.parametrize("where", AFTER)
def test_told_to_end_when_the_server_has_it(site: Site, where: str) -> None:
    """Exit 9: it is not looked at any longer; the way back is told, and what to do."""
    with site.restore(where, "TERM") as restore:
        assert restore.wait() == 9, restore.said
        result = restore.result
    assert result is not None
    assert (result.reason, result.exit_code) == ("RestoreUnknown", 9)
    assert "the server took the snapshot" in result.message
    assert "look at the server's data before doing anything else" in result.message
    assert (site.data, site.cluster.submissions) == ("old", 1)
    assert [result.safety_key] == site.safety_keys()


def test_a_run_that_is_started_twice_sends_nothing_again(site: Site) -> None:
    """As Kubernetes may start a pod: the second finds the safety backup of the first, and says unknown."""
    settings = replace(site.settings, restore="monday", accepted=datetime(2026, 11, 22, 3, tzinfo=UTC))
    with RestoreProcess(site.folder, settings, "after:restore:1", "KILL") as first:
        assert first.wait() == -signal.SIGKILL, first.said
    with RestoreProcess(site.folder, settings, "never", "KILL") as second:
        assert second.wait() == 9, second.said
        result = second.result
    assert result is not None
    assert "another start of this run has backed up what was there" in result.message
    assert [result.safety_key] == site.safety_keys()
    assert (site.data, site.cluster.submissions) == ("old", 1)
