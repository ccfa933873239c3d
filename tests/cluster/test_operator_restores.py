"""Restores from their documents to their ends, as the API server shows them."""

from __future__ import annotations

import time

import pytest
from tests.cluster.operator_site import JOBS, Site
from tests.cluster.restore_site import (
    KEY,
    ask_for_restore,
    is_under_way,
    path_of_restore,
    restore_jobs,
    status_of_restore,
    told_at_restore,
    until_phase,
    until_unlocked,
)
from tests.harness import pod_fates

pytestmark = pytest.mark.servers

SAFETY = "vault/prod/pre-restore-2026-11-23T02-00-00Z-0123abcd.snap"
WELL = pod_fates.Succeeds(safety_key=SAFETY)
#: So long nothing may happen that must not happen at all, in seconds.
A_WHILE = 3.0


def test_a_restore_goes_its_way(site: Site) -> None:
    """One Job; the lock is held while it runs, and free after it; the status is the result's."""
    site.node.decide(site.namespace, "bao", pod_fates.Hangs())
    uid = site.add()["metadata"]["uid"]
    ask_for_restore(site, "back")
    with site.managed():
        site.until("the restore to be under way", lambda: is_under_way(site, "back"))
        assert until_phase(site, "back", "Running")["snapshotKey"] == KEY
        lock = site.status()["operationLock"]
        assert (lock["operation"], lock["holder"]) == ("Restore", "openbaorestore/back")
        site.node.decide(site.namespace, "bao", WELL)
        status = until_phase(site, "back", "Completed")
        until_unlocked(site)
        site.until_at_rest()
    assert (status["reason"], status["snapshotSize"]) == ("RestoreSucceeded", pod_fates.SIZE)
    assert status["safetyBackupKey"] == SAFETY
    (complete,) = [each for each in status["conditions"] if each["type"] == "RestoreComplete"]
    assert (complete["status"], complete["reason"]) == ("True", "RestoreSucceeded")
    (job,) = restore_jobs(site)
    assert job["metadata"]["ownerReferences"][0]["uid"] == uid
    assert job["spec"]["ttlSecondsAfterFinished"] > 3600
    assert told_at_restore(site, "back")[-2:] == ["RestoreStarted", "RestoreCompleted"]


def test_no_backup_during_a_restore(site: Site) -> None:
    """One that is asked for waits, and comes when the restore is over."""
    site.node.decide(site.namespace, "bao", pod_fates.Hangs())
    site.add()
    ask_for_restore(site, "back")
    with site.managed():
        site.until("the restore to be under way", lambda: is_under_way(site, "back"))
        site.ask()
        site.until("the backup to wait", lambda: site.backup().get("waiting"))
        assert site.backup()["waiting"]["reason"] == "RestoreInProgress"
        assert site.jobs() == []
        site.node.decide(site.namespace, "bao", WELL)
        assert site.until_settled()["successfulBackups"] == 1
    assert status_of_restore(site, "back")["phase"] == "Completed"


def test_no_restore_during_a_backup(site: Site) -> None:
    """Not even one that may take the lock: that is for an operation that is dead."""
    site.node.decide(site.namespace, "bao", pod_fates.Hangs())
    site.add(trigger="please")
    with site.managed():
        site.until("the backup to be under way", lambda: [j for j in site.jobs() if j["status"].get("ready")])
        ask_for_restore(site, "back", force=True, overrideOperationLock=True)
        status = until_phase(site, "back", "Validating")
        assert status["reason"] == "BackupRunning"
        time.sleep(A_WHILE)
        assert restore_jobs(site) == []
        assert site.status()["operationLock"]["operation"] == "Backup"
        site.node.decide(site.namespace, "bao", WELL)
        until_phase(site, "back", "Completed")
        assert site.until_settled()["successfulBackups"] == 1


def test_a_document_that_is_deleted_in_mid_restore(site: Site) -> None:
    """The Job goes on and keeps the lock; with its end the lock is free, and the Job is let go."""
    site.node.decide(site.namespace, "bao", pod_fates.Hangs())
    site.add()
    ask_for_restore(site, "back")
    with site.managed():
        until_phase(site, "back", "Running")
        site.delete(path_of_restore(site, "back"))
        site.ask()
        site.until("the backup to wait", lambda: site.backup().get("waiting"))
        time.sleep(A_WHILE)
        assert is_under_way(site, "back")
        assert site.status()["operationLock"]["holder"] == "openbaorestore/back"
        assert site.jobs() == []
        site.node.decide(site.namespace, "bao", WELL)
        assert site.until_settled()["successfulBackups"] == 1
        until_unlocked(site)
        site.until_at_rest()
    (job,) = restore_jobs(site)
    assert job["spec"]["ttlSecondsAfterFinished"] > 3600


def test_two_restores_at_once(site: Site) -> None:
    """The older one first, and the other when that is over."""
    site.node.decide(site.namespace, "bao", pod_fates.Hangs())
    site.add()
    ask_for_restore(site, "z-first")
    time.sleep(1.1)  # times of creation are of whole seconds
    ask_for_restore(site, "a-second")
    with site.managed():
        site.until("the first to be under way", lambda: is_under_way(site, "z-first"))
        assert until_phase(site, "a-second", "Validating")["reason"] == "RestoreInProgress"
        time.sleep(A_WHILE)
        assert len(restore_jobs(site)) == 1
        site.node.decide(site.namespace, "bao", WELL)
        first = until_phase(site, "z-first", "Completed")
        second = until_phase(site, "a-second", "Completed")
        until_unlocked(site)
    assert first["completionTime"] <= second["startTime"]
    assert len(restore_jobs(site)) == 2


def test_a_lock_is_taken_by_force_only(site: Site) -> None:
    """Without it the restore waits, and says for whom; with it, that is told by event and condition."""
    lock = {"operation": "Upgrade", "holder": "openbaocluster/upgrade", "message": "2.5.0"}
    for cluster in ("waits", "takes"):
        site.add(cluster)
        site.set_status({"operationLock": lock}, cluster)
    ask_for_restore(site, "back-waits", "waits", force=True)
    ask_for_restore(site, "back-takes", "takes", force=True, overrideOperationLock=True)
    with site.managed():
        status = until_phase(site, "back-takes", "Completed")
        until_unlocked(site, "takes")
        assert until_phase(site, "back-waits", "Validating")["reason"] == "OperationLocked"
        site.until_at_rest()
        assert site.status("waits")["operationLock"] == lock
        assert restore_jobs(site, "back-waits") == []
        assert "OperationLockBlocked" in told_at_restore(site, "back-waits")
        site.set_status({"operationLock": None}, "waits")
        until_phase(site, "back-waits", "Completed")
    (override,) = [each for each in status["conditions"] if each["type"] == "OperationLockOverride"]
    assert (override["status"], override["reason"]) == ("True", "OperationLockOverridden")
    assert "openbaocluster/upgrade" in override["message"]
    assert told_at_restore(site, "back-takes").count("OperationLockOverride") == 1
    assert "OperationLockOverride" not in told_at_restore(site, "back-waits")


@pytest.mark.parametrize("job_is_kept", [True, False], ids=["job-kept", "job-gone"])
@pytest.mark.parametrize("well", [True, False], ids=["completed", "failed"])
def test_a_finished_restore_never_runs_again(site: Site, well: bool, job_is_kept: bool) -> None:
    """Whatever manager finds it, and whether its Job is there still."""
    site.node.decide(site.namespace, "bao", WELL if well else pod_fates.Fails("RestoreRefused"))
    site.add()
    ask_for_restore(site, "back")
    with site.managed():
        status = until_phase(site, "back", "Completed" if well else "Failed")
        until_unlocked(site)
        site.until_at_rest()
    (job,) = restore_jobs(site)
    if not job_is_kept:
        site.delete(f"{JOBS.format(site.namespace)}/{job['metadata']['name']}")
        site.until("the Job to be gone", lambda: not restore_jobs(site))
    with site.managed():
        site.ask("after")  # whatever happens to the cluster
        site.until_settled()
        site.until_at_rest()
    assert status_of_restore(site, "back") == status
    assert [each["metadata"]["uid"] for each in restore_jobs(site)] == (
        [job["metadata"]["uid"]] if job_is_kept else []
    )


def test_a_manager_that_is_killed_in_mid_restore(site: Site) -> None:
    """The next one follows the same Job to its end."""
    site.node.decide(site.namespace, "bao", pod_fates.Hangs())
    site.add()
    ask_for_restore(site, "back")
    with site.managed() as operator:
        site.until("the restore to be under way", lambda: is_under_way(site, "back"))
        operator.kill()
    (before,) = restore_jobs(site)
    site.node.decide(site.namespace, "bao", WELL)
    with site.managed():
        until_phase(site, "back", "Completed")
        until_unlocked(site)
    (after,) = restore_jobs(site)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_run_that_ends_without_a_word(site: Site) -> None:
    """Nobody knows what the server took: so it is told, and the restore is not tried again."""
    site.node.decide(site.namespace, "bao", pod_fates.SaysNothing())
    site.add()
    ask_for_restore(site, "back")
    with site.managed():
        status = until_phase(site, "back", "Failed")
        until_unlocked(site)
    (complete,) = [each for each in status["conditions"] if each["type"] == "RestoreComplete"]
    assert (complete["status"], complete["reason"]) == ("Unknown", "RestoreUnknown")
    assert len(restore_jobs(site)) == 1


def test_a_job_that_is_refused(site: Site) -> None:
    """A quota lets none be made: that is how the restore ends, and the lock is free."""
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    path = f"/api/v1/namespaces/{site.namespace}/resourcequotas"
    site.plane.create(path, quota)
    site.until(
        "the quota to be in force",
        lambda: site.plane.request("GET", f"{path}/none").json().get("status", {}).get("hard"),
    )
    site.add()
    ask_for_restore(site, "back")
    with site.managed():
        status = until_phase(site, "back", "Failed")
        until_unlocked(site)
    assert status["reason"] == "KubernetesDenied"
    assert "quota" in status["message"]
    assert restore_jobs(site) == []


def test_the_same_name_again(site: Site) -> None:
    """A document that is deleted and made anew is another restore, and gets another Job."""
    site.node.decide(site.namespace, "bao", WELL)
    site.add()
    ask_for_restore(site, "back")
    with site.managed():
        until_phase(site, "back", "Completed")
        (before,) = restore_jobs(site)
        site.delete(path_of_restore(site, "back"))
        ask_for_restore(site, "back")
        site.until("another Job", lambda: restore_jobs(site) and restore_jobs(site) != [before])
        until_phase(site, "back", "Completed")
        until_unlocked(site)
    (after,) = restore_jobs(site)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
