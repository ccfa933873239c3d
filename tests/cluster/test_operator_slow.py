"""What takes minutes by its nature: pods that never start, and slots that are tried again."""

from __future__ import annotations

from datetime import datetime

import pytest
from tests.cluster.operator_site import Site
from tests.cluster.run_writes import faults_in
from tests.harness import pod_fates

pytestmark = [pytest.mark.servers, pytest.mark.thorough]

#: A pod may be without a start for two minutes, and is looked at every 15 s from then on.
LONGEST = 2 * 60 + 15 + 30


def test_what_takes_minutes(site: Site) -> None:
    """A Job whose image cannot be pulled is ended with that reason; a failed slot is tried again.

    Both at once, since each takes its time. No lock stays, and one failure of the slot counts once.
    """
    stuck, again = "stuck", "again"
    for cluster in (stuck, again):
        site.add(cluster)
    site.node.decide(site.namespace, stuck, pod_fates.NeverStarts())
    site.node.decide(site.namespace, again, pod_fates.Fails())
    with site.managed():
        site.ask("please", stuck)
        slot = site.let_a_slot_be_due(again)
        site.until("the first failure", lambda: site.backup(again).get("consecutiveFailures"))
        assert len(site.jobs(again)) == 1
        site.node.decide(site.namespace, again, pod_fates.Succeeds())
        site.until("the second try", lambda: len(site.jobs(again)) == 2, seconds=90, every=1)
        backup = site.until_settled(again, runs=2)
        first, second = sorted(site.jobs(again), key=lambda job: job["metadata"]["creationTimestamp"])
        assert second["metadata"]["name"] == f"{first['metadata']['name']}-r2"
        began = [datetime.fromisoformat(job["metadata"]["creationTimestamp"]) for job in (first, second)]
        assert 59 <= (began[1] - began[0]).total_seconds() < 80
        assert (backup["successfulBackups"], backup["consecutiveFailures"]) == (1, 0)
        assert backup["lastAttemptScheduledTime"] == f"{slot:%Y-%m-%dT%H:%M:%SZ}"
        assert "operationLock" not in site.status(again)

        site.until(
            "the stuck run to be ended", lambda: site.backup(stuck).get("lastFailureReason"), seconds=LONGEST
        )
        assert site.backup(stuck)["lastFailureReason"] == "ImageNotFound"
        assert "registry.example/bao-backup:test" in site.backup(stuck)["lastFailureMessage"]
        site.until_settled(stuck)
        (job,) = site.jobs(stuck)
        took = datetime.fromisoformat(site.backup(stuck)["lastFailureTime"]) - datetime.fromisoformat(
            job["metadata"]["creationTimestamp"]
        )
        assert 119 <= took.total_seconds() < LONGEST
        assert "operationLock" not in site.status(stuck)
        site.node.decide(site.namespace, stuck, pod_fates.Succeeds())
        site.ask("once more", stuck)
        site.until("the success", lambda: site.backup(stuck).get("successfulBackups") == 1)
        assert faults_in(site, stuck, jobs=2).keys() <= {"name", "failure"}
