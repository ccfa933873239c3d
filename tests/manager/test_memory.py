"""The manager's memory: one at a time, whole after a crash, refused when a newer version wrote it."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from bao_backup.adapters.local.clusters import Clusters
from bao_backup.adapters.local.database import DATABASE, SCHEMA_VERSION, Database
from bao_backup.adapters.local.events import KEPT_EVENTS, EventRow, Events
from bao_backup.adapters.local.holding import hold, manager_runs
from bao_backup.adapters.local.requests import KEPT_REQUESTS, Requests
from bao_backup.adapters.local.runs import Runs
from bao_backup.core.errors import AnotherManagerError, ConfigurationError, InternalError
from bao_backup.core.model import Outcome, Result, RetentionOutcome, Trigger
from bao_backup.core.status import Attempt, BackupStatus

NOW = datetime(2026, 11, 22, 2, 0, 5, tzinfo=UTC)
UID = "default/bao"
NAME = "backup-bao-20261122-020000"
WELL = Result(
    outcome=Outcome.SUCCEEDED,
    reason="BackupSucceeded",
    message="done",
    exit_code=0,
    started=NOW,
    finished=NOW,
    retention=RetentionOutcome(kept=1, dropped=("a", "b")),
)

WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from bao_backup.adapters.local.clusters import Clusters
from bao_backup.adapters.local.database import Database
from bao_backup.core.status import BackupStatus
clusters = Clusters(Database(Path(sys.argv[1])))
clusters.put_document("default/bao", "default", "bao", "{}")
for number in range(1, 1_000_000):
    row = clusters.get("default/bao")
    status = BackupStatus(consecutive_failures=number, last_failure_message="x" * 5000 + str(number))
    assert clusters.save("default/bao", row.version, status, None)
    print(number, flush=True)
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A memory with one cluster."""
    with closing(Database(tmp_path / DATABASE)) as opened:
        Clusters(opened).put_document(UID, "default", "bao", "{}")
        yield opened


def test_wal(database: Database) -> None:
    """It is in WAL mode, and what is committed is on the disk."""
    assert database.rows("PRAGMA journal_mode") == [("wal",)]
    assert database.rows("PRAGMA synchronous") == [(2,)]
    assert database.rows("PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_newer_schema(tmp_path: Path) -> None:
    """What a newer version wrote is refused with a clear error, and left as it is."""
    file = tmp_path / DATABASE
    Database(file).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = file.read_bytes()
    with pytest.raises(ConfigurationError) as caught:
        Database(file)
    assert f"its schema is version {SCHEMA_VERSION + 1}" in caught.value.message
    assert "newer" in caught.value.hint
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be taken for one" * 50, b"short"]
)
def test_damaged(tmp_path: Path, content: bytes) -> None:
    """What is no database is an error that says what to do, and is left as it is."""
    file = tmp_path / DATABASE
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        Database(file)
    assert "moved away" in caught.value.hint
    assert file.read_bytes() == content


def test_killed_while_writing(tmp_path: Path) -> None:
    """A writer that is killed at any moment loses nothing that it was told is written."""
    file = tmp_path / DATABASE
    for lines in (1, 3, 10):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE_UNTIL_KILLED, str(file)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(lines)]
        writer.kill()
        told += [int(line) for line in writer.communicate()[0].splitlines()]
        with closing(Database(file)) as database:
            row = Clusters(database).get(UID)
            assert database.rows("PRAGMA integrity_check") == [("ok",)]
        assert row is not None
        assert row.status.consecutive_failures - told[-1] in {0, 1}
        assert row.status.last_failure_message.endswith(f"x{row.status.consecutive_failures}")


def test_full_disk(database: Database) -> None:
    """When the disk is full, a write is an error that says so and changes nothing; later it works."""
    clusters = Clusters(database)
    pages = database.rows("PRAGMA page_count")[0][0]
    database.rows(f"PRAGMA max_page_count = {pages}")
    large = BackupStatus(last_failure_message="x" * 100_000)
    for _ in range(2):
        with pytest.raises(InternalError) as caught:
            clusters.save(UID, 1, large, None)
        assert "full" in caught.value.why
        assert "disk" in caught.value.hint
    row = clusters.get(UID)
    assert row is not None
    assert (row.status, row.version) == (BackupStatus(), 1)
    database.rows("PRAGMA max_page_count = 1000000")
    assert clusters.save(UID, 1, large, None)


def test_all_or_nothing(database: Database) -> None:
    """What breaks off in the middle of a change has changed nothing, and the next change works."""

    def break_off() -> None:
        with database.transaction():
            database.change("DELETE FROM cluster")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    clusters = Clusters(database)
    assert clusters.get(UID) is not None
    assert clusters.save(UID, 1, BackupStatus(), None)


def test_one_manager(tmp_path: Path) -> None:
    """A second manager is refused, in the same process or in another, as long as the first is there."""
    folder = tmp_path / "state"
    assert not manager_runs(folder)
    code = "import sys; from pathlib import Path; from bao_backup.adapters.local.holding import hold;"
    code += "hold(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    assert manager_runs(folder)
    with pytest.raises(AnotherManagerError):
        hold(folder)
    other.kill()
    other.communicate()
    assert not manager_runs(folder)
    hold(folder)
    assert manager_runs(folder)
    with pytest.raises(AnotherManagerError):
        hold(folder)


def test_looking_disturbs_no_start(tmp_path: Path) -> None:
    """Who only looks whether a manager runs does not keep one from starting."""

    async def look_and_hold() -> None:
        looking = [asyncio.to_thread(lambda: [manager_runs(tmp_path) for _ in range(300)]) for _ in range(3)]
        looks = asyncio.gather(*looking)
        await asyncio.to_thread(hold, tmp_path)
        await looks

    (tmp_path / "manager.lock").touch()
    asyncio.run(look_and_hold())


# --- what is in it -----------------------------------------------------------------------------


def test_counted_once(database: Database) -> None:
    """A run that is forgotten again and again is counted once, and the history keeps so many."""
    runs, clusters = Runs(database), Clusters(database)
    for number in range(4):
        runs.add(UID, f"{NAME}-r{number}", NOW, 60)
    assert runs.forget(UID, f"{NAME}-r0", WELL, keep=2) == []
    assert runs.forget(UID, f"{NAME}-r0", WELL, keep=2) == []
    assert runs.forget(UID, f"{NAME}-r1", WELL, keep=2) == []
    assert runs.forget(UID, f"{NAME}-r2", WELL, keep=2) == [f"{NAME}-r0"]
    row = clusters.get(UID)
    assert row is not None
    assert (row.succeeded, row.failed, row.dropped) == (3, 0, 6)
    assert [run.name for run in runs.open(UID)] == [f"{NAME}-r3"]
    assert runs.add(UID, f"{NAME}-r2", NOW, 60) is None


def test_counted_beyond_what_a_result_names(database: Database) -> None:
    """A result has room to name a few of the backups that were dropped; all of them are counted."""
    runs = Runs(database)
    runs.add(UID, NAME, NOW, 10.0)
    retention = RetentionOutcome(kept=1, dropped=("a", "b"), more_dropped=40)
    runs.forget(UID, NAME, replace(WELL, retention=retention), 3)
    row = Clusters(database).get(UID)
    assert row is not None
    assert row.dropped == 42


def test_requests_of_one_cluster(database: Database) -> None:
    """Two requests at once are two, the older first, and each is told how its own run ended."""
    requests, runs, clusters = Requests(database), Runs(database), Clusters(database)
    first, second = requests.ask(UID), requests.ask(UID)
    assert requests.oldest(UID) == first
    assert requests.waiting() == {UID}
    accepted = BackupStatus(
        accepted_trigger=first,
        attempt=Attempt(name=NAME, key="a.snap", slot=NOW, trigger=Trigger.MANUAL, accepted=NOW),
    )
    assert clusters.save(UID, 1, accepted, None)
    requests.clear(UID, first)
    assert requests.oldest(UID) == second
    runs.add(UID, NAME, NOW, 60)
    runs.forget(UID, NAME, WELL, keep=0)
    one, other = requests.get(UID, first), requests.get(UID, second)
    assert one is not None
    assert (one.run, one.result) == (NAME, WELL)
    assert other is not None
    assert (other.run, other.result) == ("", None)
    assert requests.get(UID, "request-99") is None


def test_few_are_kept(database: Database) -> None:
    """Old events and requests that are done go; a request that waits stays."""
    events, requests = Events(database), Requests(database)
    for number in range(KEPT_EVENTS + 50):
        events.add(UID, EventRow(str(number), "BackupStarted", "it began", False))
    assert [int(event.time) for event in events.newest(UID, 1000)] == list(range(50, KEPT_EVENTS + 50))
    waiting = requests.ask(UID)
    done = [requests.ask(UID) for _ in range(KEPT_REQUESTS + 20)]
    database.change("UPDATE request SET cleared = 1, result = '{}' WHERE id != 1")
    requests.ask(UID)
    assert requests.get(UID, done[0]) is None
    assert requests.get(UID, done[-1]) is not None
    assert requests.oldest(UID) == waiting
