"""`bao-backup trigger` and `status` with a manager on Kubernetes, by the kubeconfig."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.operator_site import Site
from tests.entry.world import CONFIGURING, Answer
from tests.harness.pod_fates import SHA256, SIZE, Fails, SaysNothing

from bao_backup.adapters.kubernetes.names import KEY, TRIGGER

pytestmark = pytest.mark.servers

COLUMNS = ["CLUSTER", "STATE", "LAST", "BACKUP", "SIZE", "FAILURES", "NEXT", "WHY"]


def command(*arguments: str | Path, kubeconfig: Path | None) -> Answer:
    """The program, with nothing of this machine to configure it but this kubeconfig."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURING)}
    variables.pop("KUBECONFIG", None)
    done = subprocess.run(
        [sys.executable, "-m", "bao_backup", *map(str, arguments)],
        env=variables | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def trigger(site: Site, *more: str, name: str = "bao") -> Answer:
    """Ask for a backup of a cluster of the site."""
    return command(
        "trigger", f"{site.namespace}/{name}", "--kubernetes", *more, kubeconfig=site.plane.kubeconfig
    )


def status(site: Site, *more: str) -> Answer:
    """What the program shows of all clusters."""
    return command("status", "--kubernetes", *more, kubeconfig=site.plane.kubeconfig)


def rows(site: Site, answer: Answer) -> dict[str, str]:
    """The lines of the site's clusters, by name."""
    assert (answer.code, answer.err) == (0, "")
    prefix = f"{site.namespace}/"
    lines = [line for line in answer.out.splitlines() if line.startswith(prefix)]
    return {line.split()[0].removeprefix(prefix): line for line in lines}


# --- trigger -----------------------------------------------------------------------------------


def test_a_request_is_an_annotation(site: Site) -> None:
    """Its value is the moment; nothing else is changed, and nothing is waited for."""
    before = site.add()
    answer = trigger(site)
    assert (answer.code, answer.err) == (0, "")
    value, _, words = answer.out.partition(" ")
    assert abs((datetime.fromisoformat(value) - datetime.now(UTC)).total_seconds()) < 60
    assert words == "is written; the manager takes it up when it sees it\n"
    after = site.cluster()
    assert after["metadata"]["annotations"] == {TRIGGER: value}
    assert after["spec"] == before["spec"]
    assert "status" not in after


def test_a_request_that_is_waited_for(site: Site) -> None:
    """It ends with the run, and says where the backup is."""
    site.add()
    with site.managed():
        answer = trigger(site, "--wait")
    (job,) = site.jobs()
    assert (answer.code, answer.out) == (0, job["metadata"]["annotations"][KEY] + "\n")
    assert "is written" in answer.err
    assert site.backup()["lastSuccessfulBackup"]["trigger"] == "Manual"


@pytest.mark.parametrize(
    ("fate", "code", "said"),
    [
        (Fails(), 4, "SnapshotFailed: read the snapshot: as the test wants it"),
        (Fails("StorageFull", "upload: no room", 5), 5, "StorageFull: upload: no room"),
        (SaysNothing(exit_code=137, reason="OOMKilled"), 8, "OutOfMemory: run "),
    ],
)
def test_a_run_that_fails_has_its_exit_code(
    shared_site: Site, fate: Fails | SaysNothing, code: int, said: str
) -> None:
    """And its reason, on one line."""
    name = f"fails-{code}"
    shared_site.add(name)
    shared_site.node.decide(shared_site.namespace, name, fate)
    with shared_site.managed():
        answer = trigger(shared_site, "--wait", name=name)
    assert (answer.code, answer.out) == (code, "")
    assert answer.complaint.startswith(f"bao-backup: {said}")


def test_a_request_that_may_not_start_yet(site: Site) -> None:
    """When the time is over, it says what it waits for."""
    site.add()
    site.set_status({"operationLock": {"operation": "Upgrade", "holder": "somebody"}})
    with site.managed():
        answer = trigger(site, "--wait", "--timeout", "6")
    assert (answer.code, answer.out) == (7, "")
    assert (
        "not done after 6 s; OperationLocked: somebody holds the operation lock for Upgrade"
        in answer.complaint
    )
    assert site.jobs() == []


def test_a_request_that_nobody_takes_up(site: Site) -> None:
    """Without a manager it says that."""
    site.add()
    answer = trigger(site, "--wait", "--timeout", "2")
    assert (answer.code, answer.out) == (7, "")
    assert "no manager took it up" in answer.complaint


def test_a_cluster_that_is_not_there(site: Site) -> None:
    """It is named, and so is what shows the others."""
    for named in (f"{site.namespace}/other", "nowhere/bao", "a/b/c", "other"):
        answer = command("trigger", named, "--kubernetes", kubeconfig=site.plane.kubeconfig)
        assert (answer.code, answer.out) == (1, "")
        assert f"trigger {named}: there is no such cluster; " in answer.complaint
        assert "kubectl get baoc -A" in answer.complaint


def test_who_may_not(site: Site) -> None:
    """The API server's own words, and no traceback."""
    site.add()
    site.plane.create_service_account("nobody", site.namespace)
    kubeconfig = site.plane.service_account_kubeconfig("nobody", site.namespace)
    for words in (("trigger", f"{site.namespace}/bao"), ("status",)):
        answer = command(*words, "--kubeconfig", kubeconfig, kubeconfig=None)
        assert (answer.code, answer.out) == (1, "")
        assert "KubernetesDenied" in answer.complaint
        assert f"system:serviceaccount:{site.namespace}:nobody" in answer.complaint


# --- status ------------------------------------------------------------------------------------


def test_the_table(site: Site) -> None:
    """A cluster that has a backup, one that failed, one that waits, and one that nobody saw; events below."""
    site.node.decide(site.namespace, "failed", Fails())
    for name in ("done", "failed", "blocked"):
        site.add(name, trigger="now")
    site.set_status({"operationLock": {"operation": "Upgrade", "holder": "somebody"}}, "blocked")
    with site.managed():
        site.until_settled("done")
        site.until_settled("failed")
        site.until("the block to be told", lambda: site.backup("blocked").get("waiting"))
    site.add("new")
    answer = status(site, "--events", "20")
    assert answer.out.split("\n", 1)[0].split() == COLUMNS
    found = {name: line.split()[1] for name, line in rows(site, answer).items()}
    assert found == {"blocked": "Blocked", "done": "Ready", "failed": "Failing", "new": "Waiting"}
    lines = rows(site, answer)
    assert "121 KiB" in lines["done"]
    assert "SnapshotFailed" in lines["failed"]
    assert "Upgrade" in lines["blocked"]
    assert "never" in lines["new"]
    told = [line for line in answer.out.splitlines() if f" {site.namespace}/" in line]
    assert any(line.startswith("! ") and "/failed BackupFailed: SnapshotFailed" in line for line in told)
    assert any(line.startswith("  ") and "/done BackupStarted: " in line for line in told)


def test_a_status_for_programs(site: Site) -> None:
    """The whole status, and the newest events, oldest first."""
    site.add(trigger="now")
    with site.managed():
        site.until_settled()
    answer = status(site, "--output", "json", "--events", "2")
    assert (answer.code, answer.err) == (0, "")
    found: dict[str, Any] = json.loads(answer.out)
    assert "managerRuns" not in found
    (seen,) = [each for each in found["clusters"] if each["namespace"] == site.namespace]
    assert (seen["name"], seen["state"]) == ("bao", "configured")
    assert seen["status"]["operationLock"] is None
    good = seen["status"]["backup"]["lastSuccessfulBackup"]
    assert (good["size"], good["sha256"]) == (SIZE, SHA256)
    told = site.events()
    assert len(told) > 2
    assert [event["reason"] for event in seen["events"]][-1] == "BackupCompleted"
    assert len(seen["events"]) == 2
    for event in seen["events"]:
        assert event["message"] in {each["message"] for each in told}
