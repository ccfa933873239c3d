"""With the existing operator's CRDs in place of ours its documents work unchanged, and nothing flaps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.cluster.conftest import Sites
from tests.cluster.crd_server import DEFINITIONS
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import CLUSTERS, Site
from tests.cluster.restore_site import (
    KEY,
    ask_for_restore,
    is_under_way,
    path_of_restore,
    restore_jobs,
    until_phase,
)
from tests.cluster.test_existing_operator import BACKUP_STATUS
from tests.harness import pod_fates
from tests.harness.control_plane import ControlPlane
from tests.harness.existing_documents import sample_clusters
from tests.harness.existing_operator import custom_resource_definitions
from tests.harness.process import wait_until
from tests.harness.stand_in_node import StandInNode

from bao_backup.adapters.kubernetes.names import MEMORY, TRIGGER

pytestmark = pytest.mark.servers

#: What that operator writes into a status, beside what we do.
THEIRS = {
    "phase": "Running",
    "blueGreen": {"preUpgradeSnapshotJobName": "none"},
    "conditions": [
        {
            "type": "Available",
            "status": "True",
            "reason": "AllReady",
            "message": "3/3 ready",
            "lastTransitionTime": "2026-01-05T03:00:00Z",
        }
    ],
}
#: All samples' schedules are at quarters of an hour: a slot must not come while its runs are counted.
QUARTER, LONGEST_TEST = 900, 45
#: For so long nothing may be written, in seconds.
REST = 10


@pytest.fixture(scope="module")
def existing_site(
    _plane_without_nodes: ControlPlane,
    _stand_in_for_all: StandInNode,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A namespace where that operator's CRDs are installed."""
    plane = _plane_without_nodes
    plane.heal()
    for crd in custom_resource_definitions():
        install(plane, crd)
    sites = Sites(plane, _stand_in_for_all, tmp_path_factory.mktemp("existing"), "existing")
    site = sites.make()
    probe = site.document("probe", suspend=True)
    path = f"{CLUSTERS.format(site.namespace)}?dryRun=All"
    wait_until("the schema", lambda: "suspend" not in backup_of(plane.create(path, probe)), seconds=30)
    yield site
    sites.close()


def install(plane: ControlPlane, crd: dict[str, Any]) -> None:
    """Put the CRD in place of whichever is there."""
    path = f"{DEFINITIONS}/{crd['metadata']['name']}"
    there = plane.request("GET", path)
    if there.status == 404:
        plane.create(DEFINITIONS, crd)
        return
    version = {"resourceVersion": there.json()["metadata"]["resourceVersion"]}
    answer = plane.request("PUT", path, crd | {"metadata": crd["metadata"] | version})
    assert answer.status == 200, answer.body


def backup_of(document: dict[str, Any]) -> dict[str, Any]:
    """Its `spec.backup`."""
    found: dict[str, Any] = document["spec"]["backup"]
    return found


@pytest.fixture(scope="module")
def operator(existing_site: Site) -> Iterator[Operator]:
    """One manager for all of these tests, started once those CRDs were there."""
    with existing_site.operator() as operator:
        yield operator


@pytest.fixture(autouse=True)
def between_slots() -> None:
    """Wait, rarely, until no slot of the samples comes during the test."""
    left = QUARTER - datetime.now(UTC).timestamp() % QUARTER
    if left < LONGEST_TEST:
        time.sleep(left + 1)


def asked(existing_site: Site, prefix: str) -> dict[str, dict[str, Any]]:
    """All samples, each asked for a run, whose clusters run by that operator's word: name -> document."""
    documents = {}
    for document in sample_clusters(existing_site.namespace):
        name = f"{prefix}-{document['metadata']['name']}"
        document["metadata"] |= {"name": name, "annotations": {TRIGGER: "please", "their/own": "note"}}
        existing_site.create(document)
        existing_site.set_status(THEIRS, name)
        documents[name] = existing_site.cluster(name)
    return documents


def with_backups(documents: dict[str, dict[str, Any]]) -> list[str]:
    """The names of those that have backups."""
    return [name for name, document in documents.items() if "backup" in document["spec"]]


def test_its_documents_work_unchanged(existing_site: Site, operator: Operator) -> None:
    """Each sample gets a Job, and a status in that operator's fields; what is not ours stays."""
    site = existing_site
    documents = asked(site, "sample")
    for name in with_backups(documents):
        site.until(f"{name}'s success", lambda name=name: "lastBackupName" in site.backup(name))  # type: ignore[misc] # bound now
    site.until_at_rest()
    for name in with_backups(documents):
        now, (job,) = site.cluster(name), site.jobs(name)
        backup = now["status"]["backup"]
        assert backup.keys() == BACKUP_STATUS.keys() - {"lastFailureReason", "lastAttemptScheduledTime"}
        assert backup["lastBackupName"] == job["metadata"]["annotations"]["openbao.org/backup-key"]
        assert (backup["lastBackupSize"], backup["consecutiveFailures"]) == (pod_fates.SIZE, 0)
        assert job["spec"]["ttlSecondsAfterFinished"]
        assert now["metadata"]["annotations"].keys() == {MEMORY, "their/own"}
        assert now["spec"] == documents[name]["spec"]
        theirs = deepcopy(now["status"])
        del theirs["backup"]
        assert theirs == THEIRS, "theirs stays, and no lock is left"
    assert operator.running


def test_one_without_backups_is_left_alone(existing_site: Site, operator: Operator) -> None:
    """No Job, and nothing is written into it but why a request of it cannot be done."""
    site = existing_site
    documents = asked(site, "alone")
    (name,) = documents.keys() - set(with_backups(documents))
    site.until("the request to be told of", lambda: site.told("BackupBlocked", name))
    site.until_at_rest()
    assert site.jobs(name) == []
    assert "NotConfigured" in site.told("BackupBlocked", name)[0]
    assert site.cluster(name)["spec"] == documents[name]["spec"]
    assert operator.running


def test_nothing_is_written_at_rest(existing_site: Site, operator: Operator) -> None:
    """Not a single write in ten seconds; nor after a restart, which repeats nothing."""
    site = existing_site
    documents = asked(site, "rest")
    for name in with_backups(documents):
        site.until(f"{name}'s success", lambda name=name: "lastBackupName" in site.backup(name))  # type: ignore[misc] # bound now
    since = site.until_at_rest()
    time.sleep(REST)
    assert [(each.method, each.path, each.body) for each in site.proxy.requests(since=since)] == []
    before = {name: site.cluster(name) for name in documents}
    operator.kill()
    since = time.monotonic()
    operator.start()
    time.sleep(REST)
    wrote = site.proxy.writes(since=since)
    assert [(each.method, each.path, each.body) for each in wrote] == []
    assert {name: site.cluster(name) for name in documents} == before
    assert {name: len(site.jobs(name)) for name in with_backups(documents)} == dict.fromkeys(
        with_backups(documents), 1
    )


def test_the_manager_remembers(existing_site: Site, operator: Operator) -> None:
    """What that status has no room for outlives a crash: a failure's row, and the slot that was tried."""
    site, name = existing_site, "remembers"
    site.node.decide(site.namespace, name, pod_fates.Fails())
    document = site.document(name)
    site.create(document | {"spec": document["spec"] | {"connection": None}})
    site.set_status(THEIRS, name)
    for failures, value in enumerate(("first", "second"), start=1):
        site.ask(value, name)
        site.until("the failure", lambda: site.backup(name).get("consecutiveFailures") == failures)  # noqa: B023 - asked at once
        if failures == 1:
            operator.kill()
            operator.start()
    site.until_at_rest()
    assert site.backup(name)["consecutiveFailures"] == len(site.jobs(name)) == 2
    assert site.backup(name)["lastFailureReason"] == "SnapshotFailed"
    site.node.decide(site.namespace, name, pod_fates.Succeeds())
    site.ask("third", name)
    site.until("the success", lambda: site.backup(name).get("consecutiveFailures") == 0)


#: name -> field, and a value that those CRDs have no objection to
WRONG: dict[str, tuple[str, Any]] = {
    "wrong-words": ("schedule", "every night"),
    "wrong-fields": ("schedule", "0 0 2 * * *"),
    "wrong-age": ("retention", {"maxAge": "7d"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_document_that_those_crds_take(existing_site: Site, operator: Operator, name: str) -> None:
    """The event names the field; nothing starts, nothing is locked, and what is theirs stays."""
    site, (field, value) = existing_site, WRONG[name]
    document = site.document(name, trigger="please")
    backup_of(document)[field] = value
    site.create(document)
    site.set_status(THEIRS, name)
    site.until("the event", lambda: site.told("InvalidDocument", name))
    assert f"spec.backup.{field}" in site.told("InvalidDocument", name)[0]
    site.until_at_rest()
    assert site.jobs(name) == []
    assert "operationLock" not in site.status(name)
    assert site.status(name)["conditions"] == THEIRS["conditions"]
    assert operator.is_alive()


@pytest.mark.usefixtures("operator")
def test_a_restore_whose_document_changes(existing_site: Site) -> None:
    """Those CRDs let it change: while it waits it fails then; while it runs it goes on as it began."""
    site = existing_site
    lock = {"operation": "Upgrade", "holder": "openbaocluster/upgrade", "message": "2.5.0"}
    for name in ("restored", "waiting"):
        site.add(name)
    site.set_status({"operationLock": lock}, "waiting")
    site.node.decide(site.namespace, "restored", pod_fates.Hangs())
    source = {"key": KEY, "target": {"endpoint": "https://s3.example", "bucket": "backups"}}
    for name in ("restored", "waiting"):
        ask_for_restore(site, f"change-{name}", name, source=source)
    site.until("one to be under way", lambda: is_under_way(site, "change-restored"))
    until_phase(site, "change-restored", "Running")
    until_phase(site, "change-waiting", "Validating")
    for name in ("restored", "waiting"):
        other = {"spec": {"source": {"key": KEY.replace("1a2b3c4d", "ffffffff")}}}
        assert site.patch(path_of_restore(site, f"change-{name}"), other)["metadata"]["generation"] == 2

    refused = until_phase(site, "change-waiting", "Failed")
    assert "was changed after it was accepted" in refused["message"]
    assert refused["snapshotKey"] == KEY
    assert restore_jobs(site, "change-waiting") == []
    assert site.status("waiting")["operationLock"] == lock
    site.node.decide(site.namespace, "restored", pod_fates.Succeeds())
    done = until_phase(site, "change-restored", "Completed")
    assert done["snapshotKey"] == KEY
    (job,) = restore_jobs(site, "change-restored")
    assert KEY in str(job["spec"]["template"])
