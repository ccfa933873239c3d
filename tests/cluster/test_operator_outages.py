"""An API server that goes away, watches that expire, events that are lost: nothing is forgotten by it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import CLUSTERS, RESTORES, Site
from tests.cluster.run_writes import faults_in
from tests.harness import pod_fates
from tests.harness.api_request import Match

#: A connection of the harness whose TLS handshake is cut off by the API server's end is left open by
#: asyncio (Python 3.11), which says so when it is collected.
pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <(socket|function _SelectorTransport)"
        ":pytest.PytestUnraisableExceptionWarning"
    ),
]

KINDS = ("openbaoclusters", "openbaorestores", "jobs")


@pytest.fixture(scope="module")
def survivor(shared_site: Site) -> Iterator[Operator]:
    """One manager, which outlives all of these tests."""
    with shared_site.operator() as operator:
        yield operator


@pytest.fixture
def operator(shared_site: Site, survivor: Operator) -> Iterator[Operator]:
    """It is the same process before and after each test, and nothing befalls it yet."""
    shared_site.proxy.clear()
    shared_site.plane.heal()
    yield survivor
    gc.collect()
    assert survivor.is_alive()


def under_way(site: Site, cluster: str) -> list[dict[str, Any]]:
    """The cluster's Jobs whose pod runs."""
    return [job for job in site.jobs(cluster) if job["status"].get("ready")]


def restore(site: Site, cluster: str) -> str:
    """An unfinished restore of the cluster, which a later version's manager is at; gives its path."""
    source = {"key": "a/b.snap", "target": {"endpoint": "https://s3.example", "bucket": "backups"}}
    made = {
        "apiVersion": "openbao.org/v1alpha1",
        "kind": "OpenBaoRestore",
        "metadata": {"name": f"restore-{cluster}", "namespace": site.namespace},
        "spec": {"cluster": cluster, "source": source, "jwtAuthRole": "restore"},
    }
    site.create(made)
    path = f"{RESTORES.format(site.namespace)}/restore-{cluster}"
    site.patch(f"{path}/status", {"status": {"phase": "Unknown"}})
    return path


def until_watched(site: Site, kind: str) -> None:
    """Wait until the manager watches the kind again."""
    site.until(f"a watch of {kind}", lambda: site.proxy.open_watches(Match(resource=kind)))


# --- the API server ----------------------------------------------------------------------------


@pytest.mark.parametrize("drops", [False, True], ids=["bad-gateway", "no-answer"])
def test_restarted_while_idle(shared_site: Site, operator: Operator, drops: bool) -> None:
    """What was asked for just before it died, or is after it came back, is done."""
    site, cluster = shared_site, f"idle-{drops}".lower()
    site.proxy.drops_when_down = drops
    site.add(cluster)
    site.until("the cluster to be known", lambda: site.backup(cluster).get("nextScheduledBackup"))
    site.plane.kill_api_server()
    site.plane.start_api_server()
    site.ask("please", cluster)
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    assert operator.running


def test_restarted_while_a_run_is_under_way(shared_site: Site, operator: Operator) -> None:
    """The run goes on, ends while nobody can tell, and is taken in afterwards; nothing starts twice."""
    site, cluster = shared_site, "busy"
    site.node.decide(site.namespace, cluster, pod_fates.Hangs())
    site.add(cluster, trigger="please")
    site.until("the run to be under way", lambda: under_way(site, cluster))
    site.plane.kill_api_server()
    site.node.decide(site.namespace, cluster, pod_fates.Succeeds())
    site.plane.start_api_server()
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    assert operator.running


# --- watches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_expired_watch(shared_site: Site, operator: Operator, kind: str) -> None:
    """After a 410 what happens to that kind is seen again, and nothing that is over is done again."""
    site, cluster = shared_site, f"expired-{kind}"
    site.node.decide(site.namespace, cluster, pod_fates.Hangs())
    site.add(cluster, trigger="please")
    site.until("the run to be under way", lambda: under_way(site, cluster))
    assert site.proxy.expire_watches(Match(resource=kind)) == 1
    path = restore(site, cluster)
    site.node.decide(site.namespace, cluster, pod_fates.Succeeds())
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    until_watched(site, "openbaorestores")
    site.ask("again", cluster)
    site.until("the restore to block", lambda: site.backup(cluster).get("waiting"))
    assert site.backup(cluster)["waiting"]["reason"] == "RestoreInProgress"
    site.patch(f"{path}/status", {"status": {"phase": "Completed"}})
    site.until_settled(cluster, runs=2)
    assert operator.running


def test_lost_end_of_a_run(shared_site: Site, operator: Operator) -> None:
    """Once the watch is opened anew, from where it was, the end is taken in."""
    site, cluster = shared_site, "lost-end"
    site.node.decide(site.namespace, cluster, pod_fates.Hangs())
    site.add(cluster, trigger="please")
    site.until("the run to be under way", lambda: under_way(site, cluster))
    site.until_at_rest()
    of_the_job = Match(resource="jobs")
    loss = site.proxy.lose_events(lambda event: is_about(event, f"backup-{cluster}-"), of_the_job)
    site.node.decide(site.namespace, cluster, pod_fates.Succeeds())
    site.until("the Job's end", lambda: [j for j in site.jobs(cluster) if j["status"].get("succeeded")])
    assert loss.reached.wait(10)
    site.until_at_rest()
    assert "lastBackupName" not in site.backup(cluster)
    loss.remove()
    assert site.proxy.end_watches(of_the_job) == 1
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    assert operator.running


def test_lost_request(shared_site: Site, operator: Operator) -> None:
    """A request of which no event came is seen when the watch is opened anew."""
    site, cluster = shared_site, "lost-request"
    site.add(cluster)
    site.until("the cluster to be known", lambda: site.backup(cluster).get("nextScheduledBackup"))
    site.until_at_rest()
    of_clusters = Match(resource="openbaoclusters")
    loss = site.proxy.lose_events(lambda event: is_about(event, cluster), of_clusters)
    site.ask("please", cluster)
    assert loss.reached.wait(10)
    site.until_at_rest()
    assert site.jobs(cluster) == []
    loss.remove()
    assert site.proxy.end_watches(of_clusters) == 1
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    assert operator.running


def test_lost_deletion(shared_site: Site, operator: Operator) -> None:
    """A cluster of whose deletion no event came is forgotten when the watch is opened anew."""
    site = shared_site
    site.add("stays")
    site.add("goes")
    site.until("both to be told of", lambda: told_of(operator) >= {"stays", "goes"})
    of_clusters = Match(resource="openbaoclusters")
    loss = site.proxy.lose_events(lambda event: event["type"] == "DELETED", of_clusters)
    site.delete(f"{CLUSTERS.format(site.namespace)}/goes")
    assert loss.reached.wait(10)
    assert "goes" in told_of(operator)
    loss.remove()
    assert site.proxy.end_watches(of_clusters) == 1
    site.until("the cluster to be forgotten", lambda: "goes" not in told_of(operator))
    assert "stays" in told_of(operator)


def test_a_silent_end_of_all_watches(shared_site: Site, operator: Operator) -> None:
    """Connections that are cut are opened anew, and the manager goes on."""
    site, cluster = shared_site, "cut"
    site.add(cluster)
    site.until("the cluster to be known", lambda: site.backup(cluster).get("nextScheduledBackup"))
    assert site.proxy.end_watches(cut=True) == len(KINDS)
    site.ask("please", cluster)
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    assert operator.running


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_that_is_missing_for_a_moment(shared_site: Site, operator: Operator, kind: str) -> None:
    """As after a start of the API server, which does not know all rights at once: it is tried again."""
    site, cluster = shared_site, f"denied-{kind}"
    site.add(cluster)
    site.until("the cluster to be known", lambda: site.backup(cluster).get("nextScheduledBackup"))
    denied = site.proxy.answer(Match(method="GET", resource=kind), 403, times=3)
    assert site.proxy.expire_watches(Match(resource=kind)) == 1
    assert denied.reached.wait(30)
    site.node.decide(site.namespace, cluster, pod_fates.Hangs())
    site.ask("please", cluster)
    site.until("the run to be under way", lambda: under_way(site, cluster), seconds=60)
    site.node.decide(site.namespace, cluster, pod_fates.Succeeds())
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    assert operator.running


def is_about(event: dict[str, Any], beginning: str) -> bool:
    """Whether a watch event is about an object whose name begins so."""
    name: str = event["object"]["metadata"].get("name", "")
    return name.startswith(beginning)


def told_of(operator: Operator) -> set[str]:
    """The clusters of which there are metrics."""
    lines = operator.metrics().splitlines()
    return {line.partition('name="')[2].partition('"')[0] for line in lines if 'name="' in line}
