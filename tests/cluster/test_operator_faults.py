"""A conflict, an error or a lost answer at any write of a run: the outcome is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import CLUSTERS, Site
from tests.cluster.run_writes import PATCHES, WRITES, faults_in, that
from tests.harness.api_request import ApiRequest
from tests.harness.api_rules import Rule

pytestmark = pytest.mark.servers

Befall = Callable[[Site, str, str], Rule]


@pytest.fixture(scope="module")
def operator(shared_site: Site) -> Iterator[Operator]:
    """One manager for all of these tests."""
    with shared_site.operator() as operator:
        yield operator


def _changed_before(site: Site, write: str, cluster: str) -> Rule:
    """Somebody else changes the cluster just before, so that the patch's version is not the newest."""

    def change(_: ApiRequest) -> None:
        path = f"{CLUSTERS.format(site.namespace)}/{cluster}"
        site.patch(path, {"metadata": {"labels": {"changed-before": write}}})

    return site.proxy.before(that(write, cluster), change, forward=True)


#: What befalls a write, and how often that is.
FAULTS: dict[str, Befall] = {
    "error": lambda site, write, cluster: site.proxy.answer(that(write, cluster), 500),
    "errors": lambda site, write, cluster: site.proxy.answer(that(write, cluster), 503, times=2),
    "throttled": lambda site, write, cluster: site.proxy.answer(that(write, cluster), 429),
    "dropped": lambda site, write, cluster: site.proxy.drop(that(write, cluster)),
    "answer-lost": lambda site, write, cluster: site.proxy.after(that(write, cluster), lambda _: None),
}
#: That an event was not written is in the log, and is not tried again.
EVENTS = tuple(write for write in WRITES if write.startswith("tell-"))


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_at_each_write(shared_site: Site, operator: Operator, fault: str) -> None:
    """One cluster for each write: all have one Job, a right status, no lock, and no request left."""
    befall_each(shared_site, operator, fault, FAULTS[fault], WRITES)


def test_conflict_at_each_patch(shared_site: Site, operator: Operator) -> None:
    """The same when each patch comes too late once."""
    befall_each(shared_site, operator, "conflict", _changed_before, PATCHES)
    refused = [each for each in shared_site.proxy.requests() if each.status == 409]
    assert len({each.name for each in refused}) == len(PATCHES) - 1, "Jobs are patched whatever their version"


def befall_each(site: Site, operator: Operator, fault: str, befall: Befall, writes: tuple[str, ...]) -> None:
    """A cluster for each write, which that befalls."""
    site.proxy.clear()
    clusters = {f"{fault}-{write}": write for write in writes}
    rules = {cluster: befall(site, write, cluster) for cluster, write in clusters.items()}
    for cluster in clusters:
        site.add(cluster, trigger="please")
    for cluster in clusters:
        site.until_settled(cluster)
    assert [cluster for cluster, rule in rules.items() if not rule.befallen] == []
    wrong = {cluster: found for cluster in clusters if (found := faults_in(site, cluster))}
    assert wrong == {}
    assert operator.running
