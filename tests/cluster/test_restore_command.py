"""`bao-backup restore --kubernetes`, which follows a document to its end, and what `status` shows of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cluster.operator_site import CLUSTERS, RESTORES, Site
from tests.cluster.restore_site import ask_for_restore, is_under_way, restore_jobs, until_phase
from tests.cluster.test_kubernetes_commands import command, status
from tests.entry.world import Answer, plain_environment
from tests.harness import pod_fates

pytestmark = pytest.mark.servers

SAFETY = "vault/prod/pre-restore-2026-11-23T02-00-00Z-0123abcd.snap"
KEY = "2026-11-22T02-00-00Z-1a2b3c4d.snap"


def add(site: Site, name: str = "bao") -> None:
    """A cluster with a role for restores."""
    site.add(name)
    body = {"spec": {"restore": {"jwtAuthRole": "restore"}}}
    site.patch(f"{CLUSTERS.format(site.namespace)}/{name}", body)


def restore(site: Site, *more: str, name: str = "bao") -> Answer:
    """Ask for a restore of a cluster of the site."""
    words = ("restore", "--kubernetes", "--cluster", f"{site.namespace}/{name}", *more)
    return command(*words, kubeconfig=site.plane.kubeconfig)


def documents(site: Site) -> list[dict[str, Any]]:
    """The restores that there are."""
    items: list[dict[str, Any]] = site.plane.request("GET", RESTORES.format(site.namespace)).json()["items"]
    return items


def test_a_restore_that_is_followed_to_its_end(site: Site) -> None:
    """What is overwritten is shown, each phase is told, and the way back is a command."""
    site.node.decide(site.namespace, "bao", pod_fates.Succeeds(safety_key=SAFETY))
    add(site)
    with site.managed():
        answer = restore(site, "--key", KEY, "--force", "--yes", "--deadline", "6h")
    assert answer.code == 0, answer.err
    assert f"overwrites everything in the cluster {site.namespace}/bao" in answer.err
    assert "by force" in answer.err
    assert f"the way back: bao-backup restore --kubernetes --cluster {site.namespace}/bao --key {SAFETY}" in (
        answer.err
    )
    (document,) = documents(site)
    assert document["metadata"]["labels"] == {"velero.io/exclude-from-backup": "true"}
    assert document["spec"] | {"overrideOperationLock": False} == {
        "cluster": "bao",
        "source": {"key": f"{site.namespace}/bao/{KEY}"},
        "force": True,
        "overrideOperationLock": False,
        "activeDeadlineSeconds": 6 * 3600,
    }
    assert answer.out == document["status"]["message"] + "\n"
    assert len(restore_jobs(site, document["metadata"]["name"])) == 1


@pytest.mark.parametrize(
    ("fate", "code", "said"),
    [
        (pod_fates.Fails("RestoreRefused", "send: other keys", 4), 4, "RestoreRefused: send: other keys"),
        (pod_fates.SaysNothing(), 9, "is not known"),
    ],
)
def test_a_restore_that_fails_has_its_exit_code(
    site: Site, fate: pod_fates.Fails | pod_fates.SaysNothing, code: int, said: str
) -> None:
    """And its reason; 9 where nobody knows what the server took."""
    site.node.decide(site.namespace, "bao", fate)
    add(site)
    options = ("--latest", "--no-safety-backup", "--expect-sha256", "AB" * 32, "--yes", "--output", "json")
    with site.managed():
        answer = restore(site, *options)
    assert answer.code == code, answer.err
    assert said in answer.err
    assert "no way back" in answer.err
    (document,) = documents(site)
    assert json.loads(answer.out)["status"]["phase"] == document["status"]["phase"] == "Failed"
    assert document["spec"]["source"] == {"latest": True, "expectedDigest": f"sha256:{'ab' * 32}"}
    assert document["spec"]["safetyBackup"] is False


REFUSED = {
    "nobody to ask": (("--latest",), "there is no terminal to ask on"),
    "no backup": (("--yes",), "which backup is meant"),
    "another server": (
        ("--latest", "--yes", "--to", "https://a:1"),
        "--to cannot be given with --kubernetes",
    ),
    "no time": (("--before", "soon", "--yes"), "soon"),
    "an empty expectation": (("--latest", "--yes", "--expect-sha256", ""), "--expect-sha256"),
    "no digest": (("--latest", "--yes", "--expect-sha256", "12"), "spec.source.expectedDigest"),
}


def test_what_is_refused_makes_no_document(site: Site) -> None:
    """It is said why, before anything is asked of the manager."""
    add(site)
    for options, why in REFUSED.values():
        answer = restore(site, *options)
        assert (answer.code, answer.out) == (1, ""), options
        assert why in answer.complaint
    answer = restore(site, "--latest", "--yes", name="other")
    assert (answer.code, answer.out) == (1, "")
    assert "there is no such cluster" in answer.complaint
    site.add("no-role")
    answer = restore(site, "--latest", "--yes", name="no-role")
    assert (answer.code, answer.out) == (1, "")
    assert "InvalidDocument" in answer.complaint
    assert "spec.restore.jwtAuthRole of the cluster" in answer.complaint
    assert documents(site) == []


def test_a_signal_ends_the_command_and_not_the_restore(site: Site) -> None:
    """It says how to follow it further."""
    site.node.decide(site.namespace, "bao", pod_fates.Hangs())
    add(site)
    words = ("restore", "--kubernetes", "--cluster", f"{site.namespace}/bao", "--latest", "--yes")
    with (
        site.managed(),
        subprocess.Popen(
            [sys.executable, "-m", "bao_backup", *words],
            env=plain_environment(KUBECONFIG=str(site.plane.kubeconfig)),
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        site.until("the restore", lambda: documents(site))
        name = documents(site)[0]["metadata"]["name"]
        site.until("the restore to be under way", lambda: is_under_way(site, name))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 7, said
        assert f"it goes on: kubectl -n {site.namespace} get obrestore {name}" in said
        site.node.decide(site.namespace, "bao", pod_fates.Succeeds())
        until_phase(site, name, "Completed")


def test_what_the_status_shows_of_restores(site: Site) -> None:
    """Those that wait, with what for, and those that ended within the last week."""
    add(site)
    for name in ("waits", "done", "old"):
        ask_for_restore(site, name)
    lately, before = (datetime.now(UTC) - timedelta(days=days) for days in (6, 8))
    for name, body in {
        "waits": {"phase": "Validating", "reason": "OperationLocked", "message": "it waits: somebody"},
        "done": {
            "phase": "Completed",
            "completionTime": f"{lately:%Y-%m-%dT%H:%M:%SZ}",
            "snapshotKey": "a.snap",
        },
        "old": {"phase": "Failed", "completionTime": f"{before:%Y-%m-%dT%H:%M:%SZ}"},
    }.items():
        site.patch(f"{RESTORES.format(site.namespace)}/{name}/status", {"status": body})
    answer = status(site, "--namespace", site.namespace)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()[3:]
    assert lines[0].split() == ["RESTORE", "CLUSTER", "PHASE", "ASKED", "BACKUP", "WHY"]
    shown = {line.split()[0].rpartition("/")[2]: line for line in lines[1:]}
    assert set(shown) == {"waits", "done"}
    assert "OperationLocked: it waits: somebody" in shown["waits"]
    assert "a.snap" in shown["done"]
    found = json.loads(status(site, "--namespace", site.namespace, "--output", "json").out)
    assert [each["name"] for each in found["restores"]] == ["done", "waits"]
