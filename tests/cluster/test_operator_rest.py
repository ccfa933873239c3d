"""Hundreds of clusters at once, and nothing asked of the API server while nothing is due."""

from __future__ import annotations

import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.cluster.conftest import Sites
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import Site
from tests.cluster.run_writes import faults_of
from tests.harness.api_request import Match
from tests.harness.pod_fates import Hangs, Succeeds

from bao_backup.adapters.kubernetes.names import CLUSTER_UID

pytestmark = pytest.mark.servers

#: Clusters, in so many namespaces.
CLUSTERS, NAMESPACES = 300, 3
COUNTER = "openbao_backup_success_total"
#: For so long nothing may be asked, in seconds.
REST = 15


def asked_since(site: Site, since: float) -> list[tuple[str, str]]:
    """All requests but those for the Lease."""
    asked = site.proxy.requests(since=since)
    return [(each.method, each.path) for each in asked if each.resource != "leases"]


def test_at_rest_there_are_watches_and_the_lease(site: Site) -> None:
    """Whatever became of the clusters: waiting for a slot, backed up, blocked, suspended, wrong, or none."""
    site.add("waits")
    site.add("done", trigger="please")
    site.add("suspended", suspend=True)
    site.add("wrong", schedule="0 0 30 2 *")
    site.add("without")
    site.change({"spec": {"backup": None}}, "without")
    with site.managed(lease=True):
        site.until_settled("done")
        since = site.until_at_rest(quiet=3)
        time.sleep(REST)
        assert asked_since(site, since) == []
        leases = site.proxy.requests(Match(resource="leases"), since=since)
        assert 0 < len(leases) <= 2 * (REST / 2 + 1), "read and renewed, every two seconds"
        assert len(site.proxy.open_watches()) == 3


def test_a_run_under_way_costs_nothing(site: Site) -> None:
    """While its pod is ready, nothing is asked about it."""
    site.node.decide(site.namespace, "bao", Hangs())
    site.add(trigger="please")
    with site.managed():
        site.until("the run", lambda: [job for job in site.jobs() if job["status"].get("ready")])
        since = site.until_at_rest()
        time.sleep(REST / 2)
        assert asked_since(site, since) == []
        site.node.decide(site.namespace, "bao", Succeeds())
        site.until_settled()


def test_hundreds_at_once(sites: Sites) -> None:
    """300 clusters, half of them asked, half by a slot: each has exactly one Job, and all end right."""
    site = sites.make(everywhere=True)
    places = [site, *(sites.make() for _ in range(NAMESPACES - 1))]
    clusters = [(places[number % NAMESPACES], f"c{number}") for number in range(CLUSTERS)]
    due, asked = clusters[::2], clusters[1::2]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda each: each[0].add(each[1]), due))
        slots = list(threads.map(lambda each: each[0].let_a_slot_be_due(each[1]), due))
        list(threads.map(lambda each: each[0].add(each[1], trigger="please"), asked))
    with site.managed() as operator:
        site.until("all backups", lambda: succeeded(places) == CLUSTERS, seconds=200, every=1)
        since = site.until_at_rest(quiet=3)
        time.sleep(REST / 3)
        assert asked_since(site, since) == []
        assert counted(operator) == CLUSTERS
    jobs = defaultdict(list)
    for job in (job for place in places for job in place.jobs(None)):
        jobs[job["metadata"]["annotations"][CLUSTER_UID]].append(job)
    seen = [document for place in places for document in place.clusters()]
    wrong = {each["metadata"]["name"]: faults_of(each, jobs[each["metadata"]["uid"]]) for each in seen}
    assert (len(seen), [pair for pair in wrong.items() if pair[1]]) == (CLUSTERS, [])
    (slot,) = set(slots)
    tried = {each["status"]["backup"].get("lastAttemptScheduledTime") for each in seen}
    assert tried == {None, f"{slot:%Y-%m-%dT%H:%M:%SZ}"}
    assert operator.said("BackupFailed") == operator.said("BackupMissed") == []


def succeeded(places: list[Site]) -> int:
    """How many clusters have a backup whose request or slot is over and done with."""
    documents = [document for place in places for document in place.clusters()]
    backups = [document.get("status", {}).get("backup", {}) for document in documents]
    return sum("lastBackupName" in backup and "acceptedTrigger" not in backup for backup in backups)


def counted(operator: Operator) -> int:
    """How many successes its metrics tell of."""
    lines = operator.metrics().splitlines()
    return int(
        sum(float(line.split()[-1]) for line in lines if line.startswith("openbao_backup_success_total{"))
    )
