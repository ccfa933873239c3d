"""Documents come and go without a restart, and a wrong one never takes the place of a good one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.manager.site import SELDOM, UID, Site

from bao_backup.adapters.development import DevelopmentCluster, DevelopmentServer
from bao_backup.adapters.local.book import Entry
from bao_backup.adapters.local.clusters import ClusterState
from bao_backup.adapters.local.runtime import LocalRuntime
from bao_backup.adapters.system import SystemClock
from bao_backup.core.model import Trigger
from bao_backup.core.observed import Health, Observed
from bao_backup.core.preflight import HEALTH_UNKNOWN, preflight
from bao_backup.core.status import LOCK_HOLDER
from bao_backup.entry.watched_files import WatchedFiles
from bao_backup.flows.manage import reconcile

SECOND = "0 3 * * *"


@pytest.fixture
def here(tmp_path: Path) -> Site:
    """A site whose server is not asked."""
    return Site(tmp_path, DevelopmentServer(DevelopmentCluster(), port=8200))


@contextmanager
def managing(site: Site) -> Iterator[LocalRuntime]:
    """The runtime of a manager."""
    runtime = LocalRuntime(
        site.state,
        clock=SystemClock(),
        check=lambda _: None,
        environment=lambda _, __: {},
        health=lambda _: Health(ready=True),
        tell=lambda _, __: None,
    )
    try:
        yield runtime
    finally:
        runtime.close()


@pytest.fixture
def runtime(here: Site) -> Iterator[LocalRuntime]:
    """The runtime of a manager, without documents yet."""
    with managing(here) as opened:
        yield opened


def see(runtime: LocalRuntime, uid: str = UID) -> Observed:
    """What is observed of a cluster."""
    return asyncio.run(runtime.observe(uid))[0]


def schedule_of(runtime: LocalRuntime, uid: str = UID) -> str:
    """The schedule that is in force; empty when no document is."""
    document = see(runtime, uid).document
    return document.spec.backup.schedule if document and document.spec.backup else ""


def wrong(document: dict[str, Any]) -> dict[str, Any]:
    """The same document with a schedule that cannot be read."""
    changed: dict[str, Any] = json.loads(json.dumps(document))
    changed["spec"]["backup"]["schedule"] = "every now and then"
    return changed


# --- one cluster's document --------------------------------------------------------------------


def test_changed(here: Site, runtime: LocalRuntime) -> None:
    """A changed document is in force, with a new generation; an unchanged one changes nothing."""
    assert runtime.take_documents([here.document()], []) == {UID}
    first = see(runtime)
    assert runtime.take_documents([here.document()], []) == set()
    assert see(runtime) == first
    assert runtime.take_documents([here.document(schedule=SECOND)], []) == {UID}
    assert see(runtime).generation == first.generation + 1
    assert schedule_of(runtime) == SECOND


def test_wrong(here: Site, runtime: LocalRuntime) -> None:
    """A wrong document leaves the last good one in force, and says each wrong field."""
    runtime.take_documents([here.document(schedule=SECOND)], [])
    assert runtime.take_documents([wrong(here.document())], []) == {UID}
    assert schedule_of(runtime) == SECOND
    assert [problem.path for problem in see(runtime).problems] == ["spec.backup.schedule"]
    runtime.take_documents([here.document()], [])
    assert schedule_of(runtime) == SELDOM
    assert see(runtime).problems == ()


def test_wrong_over_a_restart(here: Site) -> None:
    """The last good document is in force after a restart, too, though only the wrong one is in a file."""
    with managing(here) as runtime:
        runtime.take_documents([here.document(schedule=SECOND)], [])
        runtime.take_documents([wrong(here.document())], [])
    with managing(here) as runtime:
        runtime.take_documents([wrong(here.document())], [])
        assert schedule_of(runtime) == SECOND
        assert see(runtime).problems


def test_wrong_from_the_start(here: Site, runtime: LocalRuntime) -> None:
    """A cluster whose first document is wrong is known, with what is wrong, and nothing is in force."""
    runtime.take_documents([wrong(here.document())], [])
    assert see(runtime).document is None
    assert see(runtime).problems
    asyncio.run(reconcile(runtime, SystemClock(), UID))
    ready = see(runtime).status.condition("BackupReady")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "InvalidDocument")


def test_two_of_one_name(here: Site, runtime: LocalRuntime) -> None:
    """Of two documents of one name neither takes effect: what was in force before stays."""
    runtime.take_documents([here.document()], [])
    runtime.take_documents([here.document(schedule=SECOND), here.document(schedule="0 4 * * *")], [])
    assert schedule_of(runtime) == SELDOM
    assert "there are more" in see(runtime).problems[0].expected


def test_two_of_one_name_from_the_start(here: Site, runtime: LocalRuntime) -> None:
    """Where nothing was in force before, none of the two is chosen by chance."""
    runtime.take_documents([here.document(schedule=SECOND), here.document()], [])
    assert see(runtime).document is None


def test_same_name_elsewhere(here: Site, runtime: LocalRuntime) -> None:
    """The same name in another namespace is another cluster."""
    other = here.document(schedule=SECOND)
    other["metadata"]["namespace"] = "staging"
    runtime.take_documents([here.document(), other], [])
    assert schedule_of(runtime) == SELDOM
    assert schedule_of(runtime, "staging/bao") == SECOND


def test_other_kinds(here: Site, runtime: LocalRuntime) -> None:
    """Documents of other kinds are left alone."""
    runtime.take_documents([{"apiVersion": "v1", "kind": "ConfigMap"}, here.document()], [])
    assert runtime.managed() == {UID}


# --- files -------------------------------------------------------------------------------------


def test_unreadable_file(here: Site, runtime: LocalRuntime) -> None:
    """While a file cannot be read, the clusters that were in it stay in force, and say so."""
    runtime.take_documents([here.document(), here.document("other")], [])
    runtime.take_documents([here.document("other")], ["read clusters.yaml: it is not YAML"])
    assert schedule_of(runtime) == SELDOM
    assert "not YAML" in see(runtime).problems[0].expected
    assert see(runtime, "default/other").problems == ()
    assert runtime.database.complaints() == ("read clusters.yaml: it is not YAML",)
    runtime.take_documents([here.document(), here.document("other")], [])
    assert see(runtime).problems == ()
    assert runtime.database.complaints() == ()


def test_unreadable_file_over_a_restart(here: Site) -> None:
    """The same after a restart: nothing but its own memory tells the manager what was in the file."""
    with managing(here) as runtime:
        runtime.take_documents([here.document(schedule=SECOND)], [])
    with managing(here) as runtime:
        runtime.take_documents([], ["read clusters.yaml: it is not YAML"])
        assert schedule_of(runtime) == SECOND
        assert runtime.managed() == {UID}


def test_nameless(here: Site, runtime: LocalRuntime) -> None:
    """A document that lost its name is a complaint, and the cluster that is missing stays in force."""
    runtime.take_documents([here.document()], [])
    nameless = here.document()
    del nameless["metadata"]["name"]
    runtime.take_documents([nameless], [])
    assert schedule_of(runtime) == SELDOM
    assert "no metadata.name" in runtime.database.complaints()[0]


def test_removed(here: Site, runtime: LocalRuntime) -> None:
    """A cluster without a document is let go, with its requests; it comes back with its history."""
    runtime.take_documents([here.document()], [])
    asyncio.run(reconcile(runtime, SystemClock(), UID))
    runtime.requests.ask(UID)
    runtime.take_documents([], [])
    assert runtime.managed() == {UID}
    assert runtime.requests.oldest(UID) == ""
    asyncio.run(reconcile(runtime, SystemClock(), UID))
    runtime.poll()
    assert runtime.managed() == set()
    row = runtime.clusters.get(UID)
    assert row is not None
    assert row.state is ClusterState.GONE
    assert row.status.next_scheduled_backup is None
    runtime.take_documents([here.document()], [])
    assert runtime.managed() == {UID}
    assert schedule_of(runtime) == SELDOM


def test_not_valid_any_more(here: Site) -> None:
    """A remembered document that this version does not take is not in force, and no crash."""
    with managing(here) as runtime:
        runtime.take_documents([here.document()], [])
        runtime.clusters.put_document(UID, "default", "bao", '{"kind": "OpenBaoCluster"}')
    with managing(here) as runtime:
        assert runtime.book.entries[UID] == Entry("default", "bao", None, None)


# --- watching ----------------------------------------------------------------------------------


def test_watching(here: Site) -> None:
    """A change is taken in when two looks saw the same; what did not change is not read again."""
    here.configure(here.document())
    told: list[str] = []
    files = WatchedFiles(here.config, told.append)
    first = files.changes()
    assert first is not None
    files.taken(first)
    assert files.changes() is None
    here.configure(here.document(schedule=SECOND))
    assert files.changes() is None
    second = files.changes()
    assert second is not None
    assert second.contents[0]["spec"]["backup"]["schedule"] == SECOND
    files.taken(second)
    assert files.changes() is None
    assert told == []


def test_half_written(here: Site) -> None:
    """A file that is just being written is not taken in, though what is there already is YAML."""
    path = here.configure(here.document())
    files = WatchedFiles(here.config, lambda _: None)
    first = files.changes()
    assert first is not None
    files.taken(first)
    whole = path.read_text()
    for length in range(1, 6):
        path.write_text("kind: OpenBaoCluster\n"[:length])
        assert files.changes() is None
    path.write_text(whole + "\n")
    assert files.changes() is None
    last = files.changes()
    assert last is not None
    assert last.contents == first.contents


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a: [1,", "not YAML"),
        (b"a: b: c", "not YAML"),
        (b"\x00\xff\xfe", "not UTF-8"),
        (b"- 1\n- 2\n", "not a mapping"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, "not YAML"),
        (b"a: &a {b: *a}", "JSON has no form"),
        (b"a: !!binary aGk=", "JSON has no form"),
        (b"{1: one, two: 2}", "JSON has no form"),
        (b"a: &a [*a, *b]", "not YAML"),
    ],
)
def test_no_yaml(here: Site, content: bytes, complaint: str) -> None:
    """A file that is no YAML is a complaint, told once, and the other files are read."""
    here.configure(here.document())
    (here.config / "broken.yaml").write_bytes(content)
    told: list[str] = []
    files = WatchedFiles(here.config, told.append)
    changes = files.changes()
    assert changes is not None
    assert len(changes.contents) == 1
    files.taken(changes)
    assert len(told) == 1
    assert complaint in told[0]
    assert "broken.yaml" in told[0]
    here.configure(here.document(schedule=SECOND))
    files.changes()
    again = files.changes()
    assert again is not None
    files.taken(again)
    assert len(told) == 1


def test_permissions(here: Site) -> None:
    """A change of permissions alone is a change: a file that can be read at last is read."""
    path = here.configure(here.document())
    files = WatchedFiles(here.config, lambda _: None)
    first = files.changes()
    assert first is not None
    files.taken(first)
    path.chmod(0o600)
    files.changes()
    assert files.changes() is not None


def test_empty_folder(here: Site) -> None:
    """A folder without documents is no error; hidden files and other endings are not read."""
    (here.config / ".hidden.yaml").write_text("[")
    (here.config / "notes.txt").write_text("[")
    changes = WatchedFiles(here.config, lambda _: None).changes()
    assert changes is not None
    assert (changes.contents, changes.complaints) == ([], [])


def test_another_holders_lock_in_the_document_blocks(here: Site, runtime: LocalRuntime) -> None:
    """As long as it stands there: it is never taken for ours, and not remembered when it is gone."""
    document = here.document()
    lock = {"operation": "Upgrade", "holder": "openbaocluster/upgrade"}
    runtime.take_documents([document | {"status": {"operationLock": lock}}], [])
    here.ask()
    asyncio.run(reconcile(runtime, SystemClock(), UID))
    seen = see(runtime)
    assert seen.lock is not None
    assert seen.lock.holder == "openbaocluster/upgrade"
    assert seen.status.waiting is not None
    assert seen.status.waiting.reason == "OperationLocked"
    assert not seen.runs
    runtime.take_documents([document], [])
    assert see(runtime).lock is None
    assert preflight(see(runtime), Trigger.MANUAL) in {None, HEALTH_UNKNOWN}


def test_our_own_lock_in_the_document_blocks_nothing(here: Site, runtime: LocalRuntime) -> None:
    """It is what this manager, or one on Kubernetes before it, wrote there."""
    lock = {"operation": "Backup", "holder": LOCK_HOLDER}
    runtime.take_documents([here.document() | {"status": {"operationLock": lock}}], [])
    assert see(runtime).lock is None
