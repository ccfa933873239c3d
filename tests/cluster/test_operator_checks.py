"""`checkOnCreate` with the operator, on a real API server: a Job checks, a condition says what it found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import Site
from tests.harness.pod_fates import Fails, Hangs, SaysNothing, Succeeds

from bao_backup.adapters.kubernetes.names import BACKUP_TYPE

pytestmark = pytest.mark.servers

CONDITION = "ConfigurationProven"


@pytest.fixture(scope="module")
def operator(shared_site: Site) -> Iterator[Operator]:
    """One manager for all of these tests."""
    with shared_site.operator() as operator:
        yield operator


def checks(site: Site, cluster: str) -> list[dict[str, Any]]:
    """The Jobs of the cluster's checks."""
    return [job for job in site.jobs(cluster) if job["metadata"]["labels"][BACKUP_TYPE] == "check"]


def until(site: Site, cluster: str, verdict: str, seconds: float = 30) -> dict[str, Any]:
    """Wait for this verdict; gives the condition."""
    site.until(verdict, lambda: site.condition(CONDITION, cluster).get("status") == verdict, seconds=seconds)
    return site.condition(CONDITION, cluster)


def test_proven(shared_site: Site, operator: Operator) -> None:
    """One Job, no lock, one event; its end is noted, and a backup beside it is another Job."""
    site, cluster = shared_site, "check-proven"
    assert operator.running
    site.node.decide(site.namespace, cluster, Hangs())
    site.add(cluster, checkOnCreate=True)
    assert until(site, cluster, "Unknown")["reason"] == "CheckRunning"
    site.until("the Job", lambda: checks(site, cluster))
    assert "operationLock" not in site.status(cluster)
    site.node.decide(site.namespace, cluster, Succeeds())
    assert until(site, cluster, "True")["reason"] == CONDITION
    site.until("the event", lambda: site.told("ConfigurationProven", cluster))
    assert len(site.told("ConfigurationProven", cluster)) == 1
    site.until("its time to live", lambda: checks(site, cluster)[0]["spec"].get("ttlSecondsAfterFinished"))
    site.ask(name=cluster)
    site.until("the backup", lambda: site.backup(cluster).get("lastBackupName"))
    assert len(checks(site, cluster)) == 1
    assert len(site.jobs(cluster)) == 2
    (name,) = (job["metadata"]["name"] for job in checks(site, cluster))
    assert name.startswith(f"check-{cluster}-")


@pytest.mark.parametrize(
    ("fate", "verdict", "reason"),
    [
        (Fails("StorageDenied", "write: denied; allow it", 5), "False", "StorageDenied"),
        (SaysNothing(), "Unknown", "NoResult"),
    ],
)
def test_not_proven(
    shared_site: Site, operator: Operator, fate: Fails | SaysNothing, verdict: str, reason: str
) -> None:
    """A failing line is told with its remedy; a check that says nothing proves nothing; backups go on."""
    site, cluster = shared_site, f"check-{reason.lower()}"
    assert operator.running
    site.node.decide(site.namespace, cluster, fate)
    site.add(cluster, checkOnCreate=True)
    site.until("the event", lambda: site.told("ConfigurationNotProven", cluster))
    condition = until(site, cluster, verdict)
    assert condition["reason"] == reason
    assert site.told("ConfigurationNotProven", cluster) == [f"{reason}: {condition['message']}"]
    site.node.decide(site.namespace, cluster, Succeeds())
    site.ask(name=cluster)
    site.until("the backup", lambda: site.backup(cluster).get("lastBackupName"))
    assert site.backup(cluster).get("consecutiveFailures") == 0


def test_checked_anew(shared_site: Site, operator: Operator) -> None:
    """A changed target is checked by another Job; without the wish the condition goes."""
    site, cluster = shared_site, "check-anew"
    assert operator.running
    site.node.decide(site.namespace, cluster, Succeeds())
    site.add(cluster, checkOnCreate=True)
    until(site, cluster, "True")
    site.change({"spec": {"backup": {"target": {"bucket": "others"}}}}, cluster)
    site.until("another Job", lambda: len(checks(site, cluster)) == 2)
    until(site, cluster, "True")
    site.change({"spec": {"backup": {"checkOnCreate": False}}}, cluster)
    site.until("no condition", lambda: not site.condition(CONDITION, cluster))
    assert "check" not in site.backup(cluster)


def test_a_document_with_which_no_pod_can_work(shared_site: Site, operator: Operator) -> None:
    """That is told of the document itself; nothing is checked, and nothing is said to be unproven."""
    site, cluster = shared_site, "check-cannot"
    assert operator.running
    document = site.document(cluster, checkOnCreate=True)
    document["spec"]["connection"]["caFile"] = "/etc/ca.crt"
    site.create(document)
    site.until("a word", lambda: site.condition("DocumentValid", cluster).get("status") == "False")
    assert checks(site, cluster) == []
    assert site.condition(CONDITION, cluster) == {}
