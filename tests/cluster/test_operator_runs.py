"""A run from its slot or request to its status, as the API server shows it."""

from __future__ import annotations

from datetime import datetime

import pytest
from tests.cluster.operator_site import Site
from tests.cluster.run_writes import faults_in
from tests.harness import pod_fates

pytestmark = pytest.mark.servers

EVERY = 5
#: Seconds by which a Job may come after its slot, on a machine that is busy with other things.
LATE = 10


def test_a_request_becomes_a_backup(site: Site) -> None:
    """One Job; the request is cleared, the status is the result's, and no lock is left."""
    site.add(trigger="please")
    with site.managed():
        backup = site.until_settled()
    assert faults_in(site, "bao") == {}
    last = backup["lastSuccessfulBackup"]
    assert (last["size"], last["sha256"]) == (pod_fates.SIZE, pod_fates.SHA256)
    assert (last["raftIndex"], last["trigger"]) == (pod_fates.RAFT_INDEX, "Manual")
    assert (backup["lastBackupSize"], backup["lastBackupTime"]) == (pod_fates.SIZE, last["time"])
    (job,) = site.jobs()
    names = [each["reason"] for each in site.events()]
    assert names == ["BackupManualTriggerAccepted", "BackupStarted", "BackupCompleted"]
    assert job["metadata"]["ownerReferences"][0]["uid"] == site.cluster()["metadata"]["uid"]


def test_slots_come_by_themselves(site: Site) -> None:
    """Each slot gets one Job, named by it and made soon after it; the next one is told."""
    site.add(schedule=f"@every {EVERY}s")
    with site.managed():
        site.until("two backups", lambda: site.backup().get("successfulBackups", 0) >= 2)
        site.change({"spec": {"backup": {"suspend": True}}})
        site.until("the end of plans", lambda: "nextScheduledBackup" not in site.backup())
        site.until_at_rest()
        jobs = {job["metadata"]["name"]: job for job in site.jobs()}
    slots = [
        datetime.fromisoformat(job["metadata"]["annotations"]["openbao.org/slot"]) for job in jobs.values()
    ]
    assert len(set(slots)) == len(slots) >= 2
    assert {f"backup-bao-{slot:%Y%m%d-%H%M%S}" for slot in slots} == set(jobs)
    for slot, job in zip(slots, jobs.values(), strict=True):
        made = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
        assert slot.timestamp() % EVERY == 0
        assert 0 <= (made - slot).total_seconds() < LATE
