"""`bao-backup serve` as a process, and restores by command beside it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.entry.world import finish, plain_environment, start
from tests.manager.site import Site

from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer
from bao_backup.adapters.local.restore_lock import Overwritten, RestoreLocks

pytestmark = pytest.mark.servers  # processes of their own

#: A restore by command that is killed in the middle.
KILLED = """
import os, signal, sys
from datetime import datetime, UTC
from pathlib import Path
from bao_backup.adapters.local.restore_lock import Overwritten, RestoreLocks
own = Overwritten("default", "bao", (), by_name=True)
with RestoreLocks(Path(sys.argv[1]), own).hold(datetime.now(UTC)):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A manager's surroundings; its runs may be held up by the server's rate."""
    with DevelopmentServer(DevelopmentCluster(padding=1 << 20, level=1)) as server:
        site = Site(tmp_path, server)
        site.configure(site.document())
        yield site
        site.end_runs()


def locks(site: Site) -> RestoreLocks:
    """Of a restore into the cluster."""
    return RestoreLocks(site.state, Overwritten("default", "bao", (site.server.address,), by_name=True))


def restore(site: Site) -> subprocess.Popen[str]:
    """The command, as a person has typed it, with a login that may do it."""
    token = site.state / "root-token"
    token.write_text(site.server.cluster.root_token)
    return start(
        *["restore", "--config", str(site.config), "--secrets", str(site.secrets), "--latest", "--yes"],
        *["--token-file", str(token), "--state", str(site.state)],
        environment=plain_environment(),
    )


def waits_for_the_restore(site: Site) -> bool:
    """Whether a backup is wanted, and says what it waits for."""
    waiting = site.status().waiting
    return waiting is not None and waiting.reason == "OperationLocked"


def test_a_backup_waits_for_the_restore_and_not_longer(site: Site) -> None:
    """It is begun within moments of the restore's end, not at the next of its minutes."""
    with site.start():
        site.until("the cluster to be known", site.row)
        with locks(site).hold(datetime.now(UTC)):
            site.ask()
            site.until("the request to wait", lambda: waits_for_the_restore(site))
            assert site.backups() == []
        site.until("the backup", lambda: site.status().successful_backups == 1)
        row = site.row()
        assert row is not None
        assert row.lock is None


def test_a_restore_that_is_killed_holds_nothing_up(site: Site) -> None:
    """The manager gives its lock back by itself."""
    with site.start():
        site.until("the cluster to be known", site.row)
        killed = subprocess.run([sys.executable, "-c", KILLED, str(site.state)], check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL
        site.until("the lock to be given back", lambda: (row := site.row()) and row.lock is None)
        site.ask()
        site.until("the backup", lambda: site.status().successful_backups == 1)


def test_a_restore_refuses_while_a_backup_is_under_way(site: Site) -> None:
    """Exit 1 and the run's name; once that has ended, the same command restores."""
    with site.start():
        site.until("the cluster to be known", site.row)
        site.ask()
        site.until("the first backup", lambda: site.status().successful_backups == 1)
        site.server.cluster.write("x", {"data": "new"})
        site.server.rate = 1
        site.ask()
        site.until("the second to stream", lambda: site.streams() == 2)
        answer = finish(restore(site))
        assert answer.code == 1
        assert "the run backup-bao-" in answer.complaint
        assert "is under way; wait for its end, which bao-backup status shows" in answer.complaint
        site.server.rate = 0
        site.until("the second backup", lambda: site.status().successful_backups == 2)
        answer = finish(restore(site))
        assert answer.code == 0, answer.err
        assert dict(site.server.cluster.secrets["x"].data) == {"data": "new"}
        assert (row := site.row()) is not None
        assert row.lock is None
