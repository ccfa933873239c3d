"""Wrong documents are told by their fields, and harm nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import Site
from tests.cluster.run_writes import faults_in

pytestmark = pytest.mark.servers

#: What our own CRD lets pass, since only the reader can judge it: field -> its wrong value, and words.
WRONG: dict[str, tuple[Any, str]] = {
    "schedule": ("0 0 30 2 *", "day-of-month"),
    "timeZone": ("CEST5", "IANA"),
    "target.pathPrefix": ("a\nb", "expected"),
    "target.endpoint": ("https://h:99999", "expected a URL"),
}


@pytest.fixture(scope="module")
def operator(shared_site: Site) -> Iterator[Operator]:
    """One manager for all of these tests."""
    with shared_site.operator() as operator:
        yield operator


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_document(shared_site: Site, operator: Operator, field: str) -> None:
    """Condition and one event name the field; nothing starts; once it is right, it is as any other."""
    site, cluster = shared_site, f"wrong-{field.replace('.', '-').lower()}"
    value, words = WRONG[field]
    document = site.document(cluster, trigger="please")
    right = document["spec"]["backup"]
    parent, _, name = field.rpartition(".")
    place = right[parent] if parent else right
    before = place.get(name)
    place[name] = value
    site.create(document)
    neighbour = f"beside-{cluster}"
    site.add(neighbour, trigger="please")
    site.until(
        "the condition", lambda: site.condition("DocumentValid", cluster).get("status") == "False", seconds=10
    )
    for condition in (site.condition("DocumentValid", cluster), site.condition("BackupReady", cluster)):
        assert (condition["status"], condition["reason"]) == ("False", "InvalidDocument")
        assert f"spec.backup.{field}: " in condition["message"]
        assert words in condition["message"]
    site.until("the event", lambda: site.told("InvalidDocument", cluster))
    (event,) = site.told("InvalidDocument", cluster)
    assert f"spec.backup.{field}: " in event
    site.until_settled(neighbour)
    assert faults_in(site, neighbour) == {}
    assert site.jobs(cluster) == []
    assert "operationLock" not in site.status(cluster)
    corrected = {name: before}
    site.change({"spec": {"backup": {parent: corrected} if parent else corrected}}, cluster)
    site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    assert site.condition("DocumentValid", cluster)["status"] == "True"
    assert site.backup(cluster)["observedGeneration"] == 2
    assert operator.running


def test_it_becomes_wrong_while_a_run_is_under_way(shared_site: Site, operator: Operator) -> None:
    """The run's end is taken in, and its lock given back; the next one waits for the correction."""
    site, cluster = shared_site, "becomes-wrong"
    site.add(cluster, trigger="please")
    site.until("the Job", lambda: site.jobs(cluster))
    site.change({"spec": {"backup": {"schedule": "0 0 30 2 *"}}}, cluster)
    backup = site.until_settled(cluster)
    assert faults_in(site, cluster) == {}
    site.until("the condition", lambda: site.condition("DocumentValid", cluster).get("status") == "False")
    site.ask("another", cluster)
    site.until("the request to wait", lambda: site.backup(cluster).get("waiting"))
    assert site.backup(cluster)["waiting"]["reason"] == "InvalidDocument"
    assert backup["successfulBackups"] == len(site.jobs(cluster)) == 1
    assert operator.running


def test_backups_are_taken_out_of_a_document(shared_site: Site, operator: Operator) -> None:
    """Without `spec.backup` nothing is planned, and what is known stays to be read."""
    site, cluster = shared_site, "taken-out"
    site.add(cluster, trigger="please")
    site.until_settled(cluster)
    site.change({"spec": {"backup": None}}, cluster)
    site.until("no plan", lambda: "nextScheduledBackup" not in site.backup(cluster))
    assert site.backup(cluster)["successfulBackups"] == 1
    site.until_at_rest()
    assert len(site.jobs(cluster)) == 1
    assert operator.running
