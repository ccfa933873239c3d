"""What keeps a run from starting is told, nothing starts meanwhile, and it starts once that is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import JOBS, RESTORES, Site
from tests.harness import pod_fates

from bao_backup.adapters.kubernetes.names import (
    BACKUP_COMPONENT,
    COMPONENT,
    MANAGED_BY,
    RESTORE_COMPONENT,
    UPGRADE_COMPONENT,
)

pytestmark = pytest.mark.servers

#: A watch of another kind may show something a little later than that of the clusters.
SHOWN_BY_NOW = 1.0
Step = Callable[[Site, str], object]


@dataclass(frozen=True)
class Obstacle:
    """How it comes to be, how it goes away, and the reason that is told."""

    make: Step
    remove: Step
    reason: str
    #: A part of the message.
    words: str
    #: Not in the cluster's own object.
    of_another_kind: bool = False


def _status(**fields: Any) -> Step:
    return lambda site, name: site.set_status(fields, name)


def _spec(**fields: Any) -> Step:
    return lambda site, name: site.change({"spec": fields}, name)


def _job(component: str) -> Obstacle:
    def make(site: Site, name: str) -> None:
        labels = {COMPONENT: component, MANAGED_BY: "openbao-operator"}
        site.add_job(f"other-{name}", labels, cluster=name)

    def remove(site: Site, name: str) -> None:
        site.delete(f"{JOBS.format(site.namespace)}/other-{name}")

    return Obstacle(make, remove, "AnotherManager", "other-", of_another_kind=True)


def _make_restore(site: Site, name: str) -> None:
    """One that another manager carries out: its Job has the name that ours would have."""
    site.add_job(
        f"restore-restore-{name}",
        {COMPONENT: RESTORE_COMPONENT, MANAGED_BY: "openbao-operator"},
        cluster=name,
    )
    source = {"key": "a/b.snap", "target": {"endpoint": "https://s3.example", "bucket": "backups"}}
    site.create(
        {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": "OpenBaoRestore",
            "metadata": {"name": f"restore-{name}", "namespace": site.namespace},
            "spec": {"cluster": name, "source": source, "jwtAuthRole": "restore"},
        }
    )


def _end_restore(site: Site, name: str) -> None:
    path = f"{RESTORES.format(site.namespace)}/restore-{name}/status"
    site.patch(path, {"status": {"phase": "Completed"}})
    site.delete(f"{JOBS.format(site.namespace)}/restore-restore-{name}")


_LOCK = {"operation": "Upgrade", "holder": "openbaocluster/upgrade", "message": "2.5.0"}
OBSTACLES = {
    "phase": Obstacle(
        _status(phase="Upgrading"), _status(phase="Running"), "ClusterNotRunning", "Upgrading, not Running"
    ),
    "failed": Obstacle(_status(phase="Failed"), _status(phase="Running"), "ClusterNotRunning", "Failed"),
    "upgrade": Obstacle(
        _status(upgrade={"targetVersion": "2.5.0"}),
        _status(upgrade=None),
        "UpgradeInProgress",
        "status.upgrade",
    ),
    "restore": Obstacle(
        _status(restore={"name": "back"}), _status(restore=None), "RestoreInProgress", "status.restore"
    ),
    "restore-document": Obstacle(
        _make_restore, _end_restore, "RestoreInProgress", "OpenBaoRestore restore-", of_another_kind=True
    ),
    "lock": Obstacle(
        _status(operationLock=_LOCK), _status(operationLock=None), "OperationLocked", "openbaocluster/upgrade"
    ),
    "another-manager": _job(BACKUP_COMPONENT),
    "pre-upgrade-run": _job(UPGRADE_COMPONENT),
    "login": Obstacle(
        _spec(backup={"jwtAuthRole": None}),
        _spec(backup={"jwtAuthRole": "backup"}),
        "AuthenticationRequired",
        "no OpenBao login",
    ),
}
#: These stop slots from counting; so a slot does not wait for them.
FOR_REQUESTS_ONLY = {
    "paused": Obstacle(_spec(paused=True), _spec(paused=False), "Paused", "spec.paused"),
}


@pytest.fixture(scope="module")
def managed(shared_site: Site) -> Iterator[Operator]:
    """One manager for all of these tests."""
    with shared_site.operator() as operator:
        yield operator


@pytest.mark.parametrize("name", [*OBSTACLES, *FOR_REQUESTS_ONLY])
def test_a_request_waits(shared_site: Site, managed: Operator, name: str) -> None:
    """No Job; reason and words are in the status, in a condition and in one event; then there is a Job."""
    site, obstacle = shared_site, (OBSTACLES | FOR_REQUESTS_ONLY)[name]
    cluster = f"asked-{name}"
    site.add(cluster)
    obstacle.make(site, cluster)
    if obstacle.of_another_kind:
        time.sleep(SHOWN_BY_NOW)
    site.ask("please", cluster)
    assert_blocked(site, cluster, obstacle)
    obstacle.remove(site, cluster)
    backup = site.until_settled(cluster)
    assert_made(site, cluster, backup)
    assert managed.said("BackupBlocked", f"{site.namespace}/{cluster}") == site.told("BackupBlocked", cluster)


def test_slots_wait(shared_site: Site, managed: Operator) -> None:
    """The same for slots of the schedule, which are still the same slots afterwards."""
    site = shared_site
    clusters = {f"due-{name}": obstacle for name, obstacle in OBSTACLES.items()}
    for cluster, obstacle in clusters.items():
        site.add(cluster)
        obstacle.make(site, cluster)
    time.sleep(SHOWN_BY_NOW)
    slots = {cluster: site.let_a_slot_be_due(cluster) for cluster in clusters}
    for cluster, obstacle in clusters.items():
        assert_blocked(site, cluster, obstacle)
    for cluster, obstacle in clusters.items():
        obstacle.remove(site, cluster)
    for cluster, slot in slots.items():
        backup = site.until_settled(cluster)
        assert_made(site, cluster, backup)
        assert backup["lastAttemptScheduledTime"] == f"{slot:%Y-%m-%dT%H:%M:%SZ}"
    assert managed.is_alive()


def assert_blocked(site: Site, cluster: str, obstacle: Obstacle) -> None:
    """It is told, and nothing of a run is there."""
    site.until("the reason to be told", lambda: site.backup(cluster).get("waiting"))
    backup, ready = site.backup(cluster), site.condition("BackupReady", cluster)
    assert (backup["waiting"]["reason"], ready["status"]) == (obstacle.reason, "False")
    assert (ready["reason"], ready["message"]) == (obstacle.reason, backup["waiting"]["message"])
    assert obstacle.words in ready["message"]
    site.until("the event", lambda: site.told("BackupBlocked", cluster))
    assert site.told("BackupBlocked", cluster) == [f"{obstacle.reason}: {ready['message']}"]
    assert site.jobs(cluster) == []
    assert "attempt" not in backup
    lock = site.status(cluster).get("operationLock")
    assert lock in (None, _LOCK)


def assert_made(site: Site, cluster: str, backup: dict[str, Any]) -> None:
    """One backup, and nothing is waited for or locked any more."""
    assert len(site.jobs(cluster)) == 1
    assert (backup["successfulBackups"], backup["consecutiveFailures"]) == (1, 0)
    assert "waiting" not in backup
    assert site.condition("BackupReady", cluster)["status"] == "True"
    assert "operationLock" not in site.status(cluster)


@pytest.mark.parametrize(
    ("stop", "go", "reason"),
    [
        (_spec(backup={"suspend": True}), _spec(backup={"suspend": False}), "Suspended"),
        (_spec(paused=True), _spec(paused=False), "Paused"),
    ],
    ids=["suspended", "paused"],
)
def test_a_stopped_schedule(shared_site: Site, managed: Operator, stop: Step, go: Step, reason: str) -> None:
    """No slot counts while it is stopped, which a condition tells; those after it do."""
    site, cluster = shared_site, f"stopped-{reason.lower()}"
    site.add(cluster)
    stop(site, cluster)
    site.until("the condition", lambda: site.condition("Suspended", cluster).get("status") == "True")
    assert site.condition("Suspended", cluster)["reason"] == reason
    site.change({"spec": {"backup": {"schedule": "@every 2s"}}}, cluster)
    time.sleep(5)  # more than two slots
    backup = site.backup(cluster)
    assert site.jobs(cluster) == []
    assert "nextScheduledBackup" not in backup
    assert backup["consecutiveFailures"] == 0
    go(site, cluster)
    site.until("a Job", lambda: site.jobs(cluster), seconds=15)
    assert site.condition("Suspended", cluster)["status"] == "False"
    site.change({"spec": {"backup": {"suspend": True}}}, cluster)
    assert managed.running


def test_our_own_run_is_exclusive(shared_site: Site, managed: Operator) -> None:
    """While one run is under way a request waits for its end, and then gets a run of its own."""
    site, cluster = shared_site, "busy"
    site.node.decide(site.namespace, cluster, pod_fates.Hangs())
    site.add(cluster, trigger="first")
    site.until("the first Job", lambda: site.jobs(cluster))
    site.until("the request to be cleared", lambda: "acceptedTrigger" not in site.backup(cluster))
    site.ask("second", cluster)
    site.until("the reason", lambda: site.backup(cluster).get("waiting", {}).get("reason") == "BackupRunning")
    lock = site.status(cluster)["operationLock"]
    assert (lock["operation"], lock["holder"]) == ("Backup", "openbaocluster/backup")
    assert len(site.jobs(cluster)) == 1
    site.node.decide(site.namespace, cluster, pod_fates.Succeeds())
    backup = site.until_settled(cluster, runs=2)
    assert backup["successfulBackups"] == 2
    assert backup["lastHandledManualTrigger"] == "second"
    assert "operationLock" not in site.status(cluster)
    assert managed.running
