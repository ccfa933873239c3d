"""Killed with SIGKILL at any of its writes and started again, the manager makes each backup once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import Site
from tests.cluster.run_writes import WRITES, faults_in, that, write_of
from tests.harness import pod_fates

pytestmark = pytest.mark.servers

#: After one write is before the next. So these are all moments, and before the most important writes.
POINTS = [
    *(("after", write) for write in WRITES),
    *(("before", write) for write in ("accept", "job", "forget-request", "outcome", "time-to-live")),
]
FOR_SLOTS = [("after", "job"), ("before", "outcome"), ("after", "outcome")]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def survivor(shared_site: Site) -> Iterator[Operator]:
    """One manager, which each test kills and starts again."""
    with shared_site.operator() as operator:
        yield operator


@pytest.fixture
def operator(shared_site: Site, survivor: Operator) -> Operator:
    """It runs, whatever the test before did to it, and nothing befalls it yet."""
    shared_site.proxy.clear()
    if not survivor.running:
        survivor.start()
    return survivor


def new_cluster(site: Site) -> str:
    """A cluster that the manager knows."""
    name = f"c{next(_numbers)}"
    site.add(name)
    site.until("the cluster to be known", lambda: site.backup(name).get("nextScheduledBackup"))
    return name


def kill_at(site: Site, operator: Operator, when: str, write: str, cluster: str) -> None:
    """Have the manager die before the server sees the write, or after it answered."""
    befall = site.proxy.before if when == "before" else site.proxy.after
    befall(that(write, cluster), lambda _: operator.kill())


def test_the_writes_of_a_run(shared_site: Site, operator: Operator) -> None:
    """A run that goes well has exactly these writes: the other tests leave none out."""
    site, cluster = shared_site, new_cluster(shared_site)
    site.until_at_rest()
    site.proxy.clear()
    site.ask("please", cluster)
    site.until_settled(cluster)
    site.until_at_rest()
    assert sorted(write_of(each) for each in site.proxy.writes()) == sorted(WRITES)
    assert faults_in(site, cluster) == {}
    assert operator.running


@pytest.mark.parametrize(("when", "write"), POINTS, ids=lambda word: word)
def test_request(shared_site: Site, operator: Operator, when: str, write: str) -> None:
    """A request gets exactly one Job, its status is right, and nothing is locked."""
    site, cluster = shared_site, new_cluster(shared_site)
    kill_at(site, operator, when, write, cluster)
    site.ask("please", cluster)
    operator.wait_ended()
    operator.start()
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    assert len(site.told("BackupFailed", cluster)) == 0


@pytest.mark.parametrize(("when", "write"), FOR_SLOTS, ids=lambda word: word)
def test_slot(shared_site: Site, operator: Operator, when: str, write: str) -> None:
    """So does a slot of the schedule."""
    site, cluster = shared_site, new_cluster(shared_site)
    kill_at(site, operator, when, write, cluster)
    slot = site.let_a_slot_be_due(cluster)
    operator.wait_ended()
    operator.start()
    backup = site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    assert backup["lastAttemptScheduledTime"] == f"{slot:%Y-%m-%dT%H:%M:%SZ}"
    assert backup["lastSuccessfulBackup"]["trigger"] == "Scheduled"


def test_first_look(shared_site: Site, operator: Operator) -> None:
    """Killed at the first write of all, for a cluster that is new, it begins anew."""
    site, cluster = shared_site, f"c{next(_numbers)}"
    match = that("", cluster)
    site.proxy.after(match, lambda _: operator.kill())
    site.add(cluster)
    operator.wait_ended()
    operator.start()
    site.ask("please", cluster)
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}


def test_outlived(shared_site: Site, operator: Operator) -> None:
    """A run that outlives its manager is found under way by the next one, locked, and taken in."""
    site, cluster = shared_site, new_cluster(shared_site)
    site.node.decide(site.namespace, cluster, pod_fates.Hangs())
    site.ask("please", cluster)
    site.until("the request to be cleared", lambda: "attempt" in site.backup(cluster))
    site.until("the run to be under way", lambda: [j for j in site.jobs(cluster) if j["status"].get("ready")])
    operator.kill()
    operator.start()
    site.until_at_rest()
    assert site.status(cluster)["operationLock"]["message"] == site.backup(cluster)["attempt"]["name"]
    site.node.decide(site.namespace, cluster, pod_fates.Succeeds())
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}


def test_ended_meanwhile(shared_site: Site, operator: Operator) -> None:
    """A run that ended while no manager was there is told as it ended, with its own times."""
    site, cluster = shared_site, new_cluster(shared_site)
    site.node.decide(site.namespace, cluster, pod_fates.Hangs())
    site.ask("please", cluster)
    site.until("the run to be under way", lambda: [j for j in site.jobs(cluster) if j["status"].get("ready")])
    operator.kill()
    failure = pod_fates.Fails(reason="StorageFailed", message="store it: no", exit_code=5)
    site.node.decide(site.namespace, cluster, failure)
    site.until("the Job's end", lambda: [j for j in site.jobs(cluster) if j["status"].get("failed")])
    operator.start()
    backup = site.until_settled(cluster)
    assert (backup["lastFailureReason"], backup["lastFailureMessage"]) == ("StorageFailed", "store it: no")
    assert backup["consecutiveFailures"] == 1
    assert "operationLock" not in site.status(cluster)
    (job,) = site.jobs(cluster)
    ended = [c["lastTransitionTime"] for c in job["status"]["conditions"] if c["type"] == "Failed"]
    assert backup["lastFailureTime"] <= ended[0]
