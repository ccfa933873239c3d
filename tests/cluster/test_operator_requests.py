"""Requests by the annotation: accepted into the status first, then cleared, and each done once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import Site
from tests.cluster.run_writes import faults_in, that, write_of

pytestmark = pytest.mark.servers

#: Any value that is not empty is one: what Kubernetes takes as an annotation.
VALUES = ["true", "false", "2026-11-22T02:00:00Z", " ", "ä ö \u2028 \n", '{"a": [1]}', "x" * 2000]


@pytest.fixture(scope="module")
def operator(shared_site: Site) -> Iterator[Operator]:
    """One manager for all of these tests."""
    with shared_site.operator() as operator:
        yield operator


def test_any_value(shared_site: Site, operator: Operator) -> None:
    """Whatever it says, it is one request; it is in the status word for word."""
    site = shared_site
    clusters = {f"value-{number}": value for number, value in enumerate(VALUES)}
    for cluster, value in clusters.items():
        site.add(cluster, trigger=value)
    for cluster, value in clusters.items():
        backup = site.until_settled(cluster)
        assert backup["lastHandledManualTrigger"] == value
        assert faults_in(site, cluster) == {}
    assert operator.running


def test_an_empty_value(shared_site: Site, operator: Operator) -> None:
    """Asks for nothing."""
    site = shared_site
    site.add("empty")
    site.ask("", "empty")
    site.until_at_rest()
    assert site.jobs("empty") == []
    assert operator.running


def test_accepted_before_it_is_cleared(shared_site: Site, operator: Operator) -> None:
    """The server had it in the status, with the run's time and the lock, before anything else was written."""
    site, cluster = shared_site, "order"
    site.proxy.clear()
    hold = site.proxy.hold(that("tell-accepted", cluster), None)
    site.add(cluster, trigger="please")
    assert hold.reached.wait(30)
    status = site.status(cluster)
    attempt = status["backup"]["attempt"]
    assert status["backup"]["acceptedTrigger"] == "please"
    assert status["operationLock"]["message"] == attempt["name"]
    assert site.jobs(cluster) == []
    hold.remove()
    site.until_settled(cluster)
    (job,) = site.jobs(cluster)
    assert job["metadata"]["name"] == attempt["name"]
    assert job["metadata"]["annotations"]["openbao.org/backup-key"] == attempt["key"]
    made = [write_of(each) for each in site.proxy.writes()]
    assert made.index("accept") < made.index("clear-annotation") < made.index("job")
    assert operator.running


def test_the_same_value_twice(shared_site: Site, operator: Operator) -> None:
    """Once it was cleared, the same value is another request."""
    site, cluster = shared_site, "twice"
    site.add(cluster)
    for run in (1, 2):
        site.ask("again", cluster)
        backup = site.until_settled(cluster, runs=run)
        assert backup["successfulBackups"] == run
    first, second = (job["metadata"]["annotations"]["openbao.org/backup-key"] for job in site.jobs(cluster))
    assert first != second
    assert operator.running


def test_the_same_value_while_it_is_cleared(shared_site: Site, operator: Operator) -> None:
    """Written again before the first was cleared, it is the same request still."""
    site, cluster = shared_site, "same"
    site.proxy.clear()
    hold = site.proxy.hold(that("clear-annotation", cluster), None)
    site.add(cluster, trigger="please")
    assert hold.reached.wait(30)
    site.ask("please", cluster)
    hold.remove()
    site.until_settled(cluster)
    site.until_at_rest()
    assert faults_in(site, cluster) == {}
    assert operator.running


def test_another_value_while_the_first_is_cleared(shared_site: Site, operator: Operator) -> None:
    """Is another request: it is not cleared with the first, and gets a run of its own."""
    site, cluster = shared_site, "another"
    site.proxy.clear()
    hold = site.proxy.hold(that("clear-annotation", cluster), None)
    site.add(cluster, trigger="first")
    assert hold.reached.wait(30)
    site.ask("second", cluster)
    hold.remove()
    backup = site.until_settled(cluster, runs=2)
    assert (backup["successfulBackups"], backup["lastHandledManualTrigger"]) == (2, "second")
    assert faults_in(site, cluster, jobs=2).keys() <= {"successes", "name"}
    assert operator.running


def test_while_suspended(shared_site: Site, operator: Operator) -> None:
    """`suspend` stops the schedule, not a person."""
    site, cluster = shared_site, "suspended"
    site.add(cluster, suspend=True, schedule="@every 1s")
    site.until(
        "the condition", lambda: site.condition("Suspended", cluster).get("reason") == "Suspended", seconds=10
    )
    site.ask("please", cluster)
    backup = site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    assert backup["lastSuccessfulBackup"]["trigger"] == "Manual"
    assert "nextScheduledBackup" not in backup
    assert operator.running
