"""`checkOnCreate` on a real node: a real Job, a JWT of its account, a real Vault and a real MinIO."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cluster.e2e_site import NodeSite
from tests.cluster.operator_program import Operator

pytestmark = pytest.mark.servers

CONDITION = "ConfigurationProven"


@pytest.fixture(scope="module")
def site(node_site: NodeSite, manager: Operator) -> NodeSite:
    """Two clusters at once: a right one, and one whose bucket and role are wrong."""
    assert manager.running
    node_site.add("right", checkOnCreate=True, retention={"maxCount": 3})
    wrong = node_site.target(bucket="no-such-bucket", credentialsSecretRef={"name": "store-keys"})
    node_site.add("wrong", checkOnCreate=True, target=wrong, auth={"method": "jwt", "role": "nobody"})
    return node_site


def verdict(site: NodeSite, name: str) -> dict[str, Any]:
    """The condition once the check is over."""
    site.until(
        f"the check of {name}",
        lambda: site.condition(name, CONDITION).get("status") in ("True", "False"),
        seconds=120,
    )
    return site.condition(name, CONDITION)


def test_a_right_configuration(site: NodeSite) -> None:
    """It is proven by the account of the runs, under `restricted`; neither probe nor lock is left."""
    found = verdict(site, "right")
    assert (found["status"], found["reason"]) == ("True", CONDITION), found["message"]
    (job,) = site.jobs("right")
    log = site.plane.kubectl("logs", f"job/{job['metadata']['name']}", "-n", site.namespace)
    for line in ("leader", "login", "snapshot", "revoke", "write", "read", "list", "delete"):
        assert any(each.split()[:2] == [line, "Passed"] for each in log.splitlines()), log
    assert site.keys_of("right") == []
    assert "operationLock" not in site.cluster("right")["status"]
    pod = job["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "right-backup-serviceaccount"


def test_a_wrong_one(site: NodeSite) -> None:
    """Both faults are told at once, each with its remedy, in the condition and in the event."""
    found = verdict(site, "wrong")
    assert (found["status"], found["reason"]) == ("False", "LoginFailed")
    assert "login: " in found["message"]
    assert "write: " in found["message"]
    assert "the store does not allow it" in found["message"]
    site.until("the event", lambda: "ConfigurationNotProven" in dict(site.told("wrong")))
    assert dict(site.told("wrong"))["ConfigurationNotProven"] == f"LoginFailed: {found['message']}"


def test_a_backup_after_it(site: NodeSite) -> None:
    """The first backup is what the check has promised."""
    verdict(site, "right")
    site.ask("right")
    site.until("the backup", lambda: site.backup("right").get("lastBackupName"), seconds=120)
    site.proven("right")
