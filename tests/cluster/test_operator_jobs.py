"""Runs that end badly, that somebody removes, or that cannot be made: told, and nothing stays locked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.cluster.conftest import Sites
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import CLUSTERS, JOBS, Site
from tests.cluster.run_writes import faults_in
from tests.deploy.installs import RIGHTS
from tests.harness import pod_fates

from bao_backup.core.model import RetentionOutcome

pytestmark = pytest.mark.servers

DAY = 24 * 3600


@pytest.fixture(scope="module")
def operator(shared_site: Site) -> Iterator[Operator]:
    """One manager for all tests that do nothing to its namespace."""
    with shared_site.operator() as operator:
        yield operator


def until_failed(site: Site, cluster: str, reason: str, *, failures: int = 1) -> dict[str, Any]:
    """Wait until the status tells of the failure; gives `status.backup`."""

    def told() -> bool:
        backup = site.backup(cluster)
        return (backup.get("lastFailureReason"), backup.get("consecutiveFailures")) == (reason, failures)

    site.until(f"{cluster}'s failure {reason}", told)
    return site.backup(cluster)


# --- how runs end ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fate", "reason", "words"),
    [
        (pod_fates.Fails("LoginFailed", "log in: denied", 2), "LoginFailed", "log in: denied"),
        (pod_fates.SaysNothing(exit_code=1), "NoResult", "exit code 1"),
        (pod_fates.SaysNothing(exit_code=137, reason="OOMKilled"), "OutOfMemory", "memory"),
    ],
    ids=["its-word", "no-word", "out-of-memory"],
)
def test_a_failed_request(
    shared_site: Site, operator: Operator, fate: pod_fates.Fate, reason: str, words: str
) -> None:
    """Reason and words are in status, condition and event; a request is not repeated by itself."""
    site, cluster = shared_site, f"fails-{reason.lower()}"
    site.node.decide(site.namespace, cluster, fate)
    site.add(cluster, trigger="please")
    backup = until_failed(site, cluster, reason)
    assert words in backup["lastFailureMessage"]
    ready = site.condition("BackupReady", cluster)
    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert backup["attempt"]["settled"] is True
    assert "operationLock" not in site.status(cluster)
    site.until("the event", lambda: site.told("BackupFailed", cluster))
    assert site.told("BackupFailed", cluster) == [f"{reason}: {backup['lastFailureMessage']}"]
    site.until_settled(cluster)
    assert operator.running


def test_a_failed_slot(shared_site: Site, operator: Operator) -> None:
    """It is to be tried again after a minute, unlocked meanwhile, and counts as one failure."""
    site, cluster = shared_site, "fails-slot"
    site.node.decide(site.namespace, cluster, pod_fates.Fails())
    site.add(cluster)
    site.until("the cluster to be known", lambda: site.backup(cluster).get("nextScheduledBackup"))
    site.let_a_slot_be_due(cluster)
    backup = until_failed(site, cluster, "SnapshotFailed")
    attempt = backup["attempt"]
    assert "settled" not in attempt
    again = datetime.fromisoformat(attempt["retryAt"]) - datetime.fromisoformat(backup["lastFailureTime"])
    assert timedelta(seconds=58) < again < timedelta(seconds=62)
    assert "operationLock" not in site.status(cluster)
    assert "tried again at" in site.told("BackupFailed", cluster)[0]
    assert operator.running


def test_retention(shared_site: Site, operator: Operator) -> None:
    """What retention did is in a condition, an event and the metrics."""
    site, cluster = shared_site, "retention"
    outcome = RetentionOutcome(kept=7, dropped=("a.snap", "b.snap"))
    site.node.decide(site.namespace, cluster, pod_fates.Succeeds(retention=outcome))
    site.add(cluster, trigger="please")
    site.until_settled(cluster)
    condition = site.condition("RetentionEnforced", cluster)
    assert (condition["status"], condition["message"]) == ("True", "7 kept, 2 dropped")
    assert site.told("RetentionApplied", cluster) == ["7 kept, 2 dropped"]
    dropped = [line for line in operator.metrics().splitlines() if "dropped" in line or "deleted" in line]
    assert [line for line in dropped if f'name="{cluster}"' in line and line.endswith(" 2.0")]


# --- history -----------------------------------------------------------------------------------


def test_history(shared_site: Site, operator: Operator) -> None:
    """So many Jobs as the document says are kept for a day, and the newest; the others go at once."""
    site, cluster = shared_site, "history"
    site.add(cluster, historyLimit=2)
    names: list[str] = []
    for run in range(1, 5):
        site.ask(f"run {run}", cluster)
        site.until("the success", lambda: site.backup(cluster).get("successfulBackups") == run)  # noqa: B023 - asked at once
        names.append(site.backup(cluster)["attempt"]["name"])
        site.until("the request to be gone", lambda: "acceptedTrigger" not in site.backup(cluster))
    site.until("two to be left", lambda: len(site.jobs(cluster)) == 2)
    site.until_at_rest()
    left = {job["metadata"]["name"]: job["spec"]["ttlSecondsAfterFinished"] for job in site.jobs(cluster)}
    assert left == dict.fromkeys(names[-2:], DAY)
    assert operator.running


# --- what somebody removes ---------------------------------------------------------------------


def test_a_job_is_deleted_while_it_is_under_way(shared_site: Site, operator: Operator) -> None:
    """A request's run is made anew, by the same name; there is one backup, and nothing is left locked."""
    site, cluster = shared_site, "job-gone"
    site.node.decide(site.namespace, cluster, pod_fates.Hangs())
    site.add(cluster, trigger="please")
    site.until("the run", lambda: [job for job in site.jobs(cluster) if job["status"].get("ready")])
    (job,) = site.jobs(cluster)
    site.delete(f"{JOBS.format(site.namespace)}/{job['metadata']['name']}")
    site.node.decide(site.namespace, cluster, pod_fates.Succeeds())
    site.until_settled(cluster)
    (again,) = site.jobs(cluster)
    assert again["metadata"]["name"] == job["metadata"]["name"]
    assert again["metadata"]["uid"] != job["metadata"]["uid"]
    assert faults_in(site, cluster) == {}
    assert operator.running


def test_a_cluster_is_deleted_while_its_run_is_under_way(shared_site: Site, operator: Operator) -> None:
    """Its Job goes with it, nothing is complained of, and one of the same name begins anew."""
    site, cluster = shared_site, "cluster-gone"
    site.node.decide(site.namespace, cluster, pod_fates.Hangs())
    site.add(cluster, trigger="please")
    site.until("the run", lambda: [job for job in site.jobs(cluster) if job["status"].get("ready")])
    site.delete(f"{CLUSTERS.format(site.namespace)}/{cluster}")
    site.until("the Job to be gone", lambda: site.jobs(cluster) == [])
    site.node.decide(site.namespace, cluster, pod_fates.Succeeds())
    before = len(operator.lines())
    site.add(cluster, trigger="please")
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    about_it = [line for line in operator.lines()[before:] if line["level"] != "info"]
    assert about_it == []


# --- what the API server does not allow --------------------------------------------------------


def test_a_quota_refuses_jobs(site: Site) -> None:
    """The failure says so, nothing is locked, and after the quota is gone a request succeeds."""
    path = f"/api/v1/namespaces/{site.namespace}/resourcequotas"
    site.plane.create(path, {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}})
    site.until(
        "the quota to hold", lambda: site.plane.request("GET", f"{path}/none").json()["status"].get("hard")
    )
    with site.managed() as operator:
        site.add(trigger="please")
        backup = until_failed(site, "bao", "KubernetesDenied")
        assert "exceeded quota" in backup["lastFailureMessage"]
        assert "operationLock" not in site.status()
        assert site.jobs() == []
        site.until_at_rest()
        assert site.backup()["consecutiveFailures"] == 1
        site.delete(f"{path}/none")
        site.until("the quota to be gone", lambda: site.plane.request("GET", f"{path}/none").status == 404)
        site.ask("again")
        site.until("the success", lambda: site.backup().get("successfulBackups") == 1)
        assert operator.metrics().count("\n") > 0


def test_a_namespace_that_is_terminating(sites: Sites) -> None:
    """Nothing can be made in it: that is told, its lock is given back, and other namespaces go on."""
    site, ending = sites.make(everywhere=True), sites.make()
    document = ending.document()
    document["metadata"]["finalizers"] = ["example.com/stays"]
    ending.create(document)
    with site.managed() as operator:
        site.until("both to be known", lambda: ending.backup().get("nextScheduledBackup"))
        ending.delete(f"/api/v1/namespaces/{ending.namespace}")
        site.until("the namespace to end", lambda: "deletionTimestamp" in ending.cluster()["metadata"])
        ending.ask("please")
        site.until("the failure", lambda: ending.backup().get("consecutiveFailures"))
        assert ending.backup()["lastFailureReason"] == "KubernetesDenied"
        assert "operationLock" not in ending.status()
        site.add(trigger="please")
        site.until_settled()
        assert faults_in(site, "bao") == {}
        ending.change({"metadata": {"finalizers": None}})
        path = f"/api/v1/namespaces/{ending.namespace}"
        site.until("it to be gone", lambda: site.plane.request("GET", path).status == 404)
        site.until("it to be forgotten", lambda: ending.namespace not in operator.metrics())
        assert operator.is_alive()


# --- several namespaces ------------------------------------------------------------------------


def test_named_namespaces(sites: Sites) -> None:
    """With two named ones, both are served and a third is not even looked at."""
    site, second, third = sites.make(), sites.make(), sites.make()
    site.bind(second.namespace, RIGHTS)
    for each in (site, second, third):
        each.add(trigger="please")
    with site.managed(namespaces=(site.namespace, second.namespace)) as operator:
        for each in (site, second):
            each.until_settled()
            assert faults_in(each, "bao") == {}
        time.sleep(1)
        assert third.status() == {}
        assert third.jobs() == []
        asked = site.proxy.requests()
        assert {each.namespace for each in asked if each.resource} == {site.namespace, second.namespace}
        assert third.namespace not in operator.metrics()


def test_a_named_namespace_that_is_not_there(sites: Sites) -> None:
    """The others are served all the same; one that loses its rights is served again when it has them back."""
    site, second = sites.make(), sites.make()
    rights = site.bind(second.namespace, RIGHTS)
    namespaces = (site.namespace, second.namespace, "not-there")
    for each in (site, second):
        each.add(trigger="please")
    with site.managed(namespaces=namespaces) as operator:
        for each in (site, second):
            each.until_settled()
        said = operator.said("KubernetesDenied")
        assert said
        assert all('in the namespace "not-there"' in message for message in said)
        site.delete(rights)
        site.proxy.expire_watches()
        site.until(
            "the watches to be refused",
            lambda: any(second.namespace in m for m in operator.said("KubernetesDenied")),
        )
        site.ask("again")
        site.until_settled(runs=2)
    site.add("other", trigger="please")
    with site.managed(namespaces=namespaces):
        site.until_settled("other")
        assert faults_in(site, "other") == {}
        site.bind(second.namespace, RIGHTS)
        second.ask("again")
        second.until_settled(runs=2)
