"""Restores by real Jobs on a real node, with logins by JWT: done, refused, orphaned and killed.

One Vault is backed up, changed and restored again and again. What it was sent is counted by what Vault
itself writes down of its calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from tests.cluster.e2e_restores import NEW, OLD, RestoreSite
from tests.cluster.e2e_site import NodeSite
from tests.cluster.operator_program import Operator
from tests.cluster.restore_site import (
    is_under_way,
    path_of_restore,
    restore_jobs,
    told_at_restore,
    until_phase,
)
from tests.harness import jobs
from tests.harness.node import Node
from tests.harness.proxy import ByteFault, ByteFaultKind, TcpProxy, Way
from tests.harness.vault import VaultCluster

from bao_backup.core.naming import parse_key

pytestmark = pytest.mark.servers

Json = dict[str, Any]
#: So slowly goes a safety backup that is held: in bytes a second.
SLOWLY = 24 << 10
#: So much of a snapshot has been sent when the sending stops, in bytes.
SENT = 2 << 20


@pytest.fixture(scope="module")
def slow_way(real_node: Node, node_site: NodeSite) -> Iterator[TcpProxy]:
    """A way to Vault that can be made slow."""
    with TcpProxy(node_site.vault.addresses[0], host=real_node.address) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def stalling_way(real_node: Node, node_site: NodeSite) -> Iterator[TcpProxy]:
    """A way to Vault that can stop in the middle."""
    with TcpProxy(node_site.vault.addresses[0], host=real_node.address) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def site(
    node_site: NodeSite,
    manager: Operator,
    slow_way: TcpProxy,
    stalling_way: TcpProxy,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RestoreSite]:
    """Three clusters' documents, of one Vault, and the roles of their restores."""
    assert manager.running
    folder = tmp_path_factory.mktemp("restores")
    site = RestoreSite(node_site, folder)
    site.allow_as_printed("bao", folder / "pasted")
    node_site.add("bao", spec=site.role_of("bao"))
    for name, way in (("held", slow_way), ("cut", stalling_way)):
        site.allow(name)
        connection = {"addresses": [way.url], "caSecretRef": {"name": "bao-ca"}}
        node_site.add(name, spec=site.role_of(name) | {"connection": connection})
    yield site
    site.close()


class Restored(NamedTuple):
    """The first restore, when it is over."""

    #: What was backed up on request, and restored.
    key: str
    document: Json
    status: Json
    #: As whoever watches it sees them.
    phases: list[str]
    #: The lock, while it was running.
    lock: Json


@pytest.fixture(scope="module")
def back(site: RestoreSite) -> Restored:
    """Data is written, backed up on request, changed, and restored."""
    site.vault.write_secret("changed", OLD)
    site.vault.write_secret("removed", OLD)
    site.on.ask("bao")
    key = site.on.until_over("bao")["lastBackupName"]
    site.vault.write_secret("changed", NEW)
    site.vault.write_secret("added", NEW)
    site.vault.ask("DELETE", "secret/removed")
    since = site.version()
    document = site.restore("back", "bao", {"latest": True})
    site.until("the restore to be under way", lambda: is_under_way(site, "back"), seconds=60)
    lock = site.lock("bao")
    status = until_phase(site, "back", "Completed", seconds=120)
    return Restored(key, document, status, site.phases("back", since), lock)


def data(site: RestoreSite) -> dict[str, Json | None]:
    """What is in Vault of what the tests write."""
    return {name: site.vault.read_secret(name) for name in ("changed", "removed", "added")}


def test_the_old_data_is_back(site: RestoreSite, back: Restored) -> None:
    """And the new is gone, by one submission; what went before it is there as a backup that proves."""
    assert data(site) == {"changed": OLD, "removed": OLD, "added": None}
    assert site.submissions("bao") == 1
    assert (back.status["reason"], back.status["snapshotKey"]) == ("RestoreSucceeded", back.key)
    safety = back.status["safetyBackupKey"]
    assert safety in back.status["message"]
    receipt = json.loads(site.on.minio.root.get(site.on.bucket, f"{safety}.json"))
    assert (receipt["trigger"], receipt["key"]) == ("PreRestore", safety)
    ended = site.on.program.run("verify", f"{site.namespace}/bao", safety)
    assert ended.code == 0, ended.err
    named = parse_key(safety, f"{site.namespace}/bao")
    assert named is not None
    # Whatever starts this restore once more finds it by that.
    assert named.taken == datetime.fromisoformat(back.document["metadata"]["creationTimestamp"])


def test_its_phases(site: RestoreSite, back: Restored) -> None:
    """In their order, with the cluster's lock, which is free at the end."""
    assert back.phases == ["", "Validating", "Running", "Completed"]
    assert (back.lock["operation"], back.lock["holder"]) == ("Restore", "openbaorestore/back")
    site.until("the lock to be free", lambda: not site.lock("bao"))
    assert told_at_restore(site, "back") == ["RestoreValidationStarted", "RestoreStarted", "RestoreCompleted"]
    times = [
        back.document["metadata"]["creationTimestamp"],
        *(back.status[f"{n}Time"] for n in ("start", "completion")),
    ]
    assert times == sorted(times)
    shown = site.plane.kubectl("get", "obrestore", "back", "-n", site.namespace)
    assert "Completed" in shown


def test_it_has_an_account_and_a_role_of_its_own(site: RestoreSite, back: Restored) -> None:
    """So that no backup can restore: a backup's token for Vault may not."""
    (job,) = restore_jobs(site, "back")
    assert job["metadata"]["name"] == "restore-back"
    (backup,) = [each for each in site.on.jobs("bao") if each["metadata"]["name"] != "restore-back"]
    accounts = [each["spec"]["template"]["spec"]["serviceAccountName"] for each in (job, backup)]
    assert accounts == ["bao-restore-serviceaccount", "bao-backup-serviceaccount"]
    role = site.vault.ask("GET", f"auth/jwt-operator/role/{site.namespace}-bao-restore")["data"]
    assert role["bound_subject"] == f"system:serviceaccount:{site.namespace}:{accounts[0]}"
    assert back.status["message"]


def test_backups_go_on_afterwards(site: RestoreSite, back: Restored) -> None:
    """With the very same role, which is in the backup."""
    site.on.ask("bao", "after")
    key = site.on.until_over("bao", runs=3)["lastBackupName"]
    assert key != back.key
    site.on.proven("bao")


# --- in the middle of it -----------------------------------------------------------------------


class Orphan(NamedTuple):
    """A restore that is under way without its document."""

    #: The slot that comes meanwhile.
    slot: datetime


@pytest.fixture(scope="module")
def orphan(site: RestoreSite, slow_way: TcpProxy, back: Restored) -> Orphan:
    """Its safety backup takes minutes; its document is deleted meanwhile, and a slot will come."""
    slow_way.throttle(SLOWLY)
    site.restore("orphan", "held", {"key": back.key})
    site.until("the safety backup", lambda: "backing up" in said(site, "orphan"), seconds=60)
    slot = (datetime.now(UTC) + timedelta(seconds=65)).replace(second=0, microsecond=0)
    schedule = f"{slot.minute} {slot.hour} {slot.day} {slot.month} *"
    site.on.change("held", {"spec": {"backup": {"schedule": schedule}}})
    assert site.lock("held")["holder"] == "openbaorestore/orphan"
    site.plane.delete("openbaorestore", "orphan", site.namespace)
    return Orphan(slot)


def said(site: RestoreSite, name: str) -> str:
    """The log of a restore; empty while there is none."""
    return site.log(name) if is_under_way(site, name) else ""


def told(status: Json) -> tuple[str, str]:
    """Status and reason of the condition that says whether a restore is complete."""
    (complete,) = [each for each in status["conditions"] if each["type"] == "RestoreComplete"]
    return complete["status"], complete["reason"]


def delete_pod(site: RestoreSite, name: str) -> None:
    """As a person does, or a drain: the program is told, and has its time."""
    (pod,) = jobs.pods(site.plane, f"restore-{name}", site.namespace)
    site.plane.delete("pod", pod["metadata"]["name"], site.namespace)


#: What is done to a restore that is sending, and the ends of which one must be told.
KILLS: dict[str, tuple[Callable[[RestoreSite, str], None], dict[str, tuple[str, str]]]] = {
    # Its last word may go with its pod; and of what it sent, the last bytes may be on their way.
    "deleted": (
        delete_pod,
        {
            "Interrupted": ("False", "RestoreFailed"),
            "RestoreUnknown": ("Unknown", "RestoreUnknown"),
            "PodDeleted": ("Unknown", "RestoreUnknown"),
        },
    ),
    "killed": (RestoreSite.kill, {"NoResult": ("Unknown", "RestoreUnknown")}),
}


@pytest.mark.usefixtures("orphan")
@pytest.mark.parametrize("how", KILLS)
def test_a_restore_that_ends_while_it_sends(
    site: RestoreSite, stalling_way: TcpProxy, back: Restored, how: str
) -> None:
    """It is not sent again; the server has what it had, the lock is free; no more is told than is known."""
    kill, ends = KILLS[how]
    site.vault.write_secret("added", NEW)
    sent = site.submissions("cut")
    stalling_way.set(ByteFault(ByteFaultKind.STALL, SENT, Way.UP))
    site.restore(how, "cut", {"key": back.key})
    assert stalling_way.reached.wait(60), said(site, how)
    kill(site, how)
    status = until_phase(site, how, "Failed", seconds=90)
    site.until("the lock to be free", lambda: not site.lock("cut"))
    stalling_way.reset_all()  # what was on its way never arrives
    stalling_way.clear()
    assert status["reason"] in ends, status
    assert told(status) == ends[status["reason"]]
    assert ("look at the server" in status["message"]) == (told(status)[0] == "Unknown")
    assert data(site)["added"] == NEW
    assert site.submissions("cut") == sent + 1
    assert len(restore_jobs(site, how)) == 1


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.usefixtures("orphan")
def test_what_is_refused_leaves_the_server_untouched(
    site: RestoreSite, back: Restored, vault: VaultCluster
) -> None:
    """No such key, and a corrupt one: nothing is sent. A snapshot of other keys is, and the server says no.

    All are asked for at once, of one cluster: they go one after the other.
    """
    store, bucket = site.on.minio.root, site.on.bucket
    before, sent = data(site), site.submissions("bao")
    missing = f"{back.key.rpartition('/')[0]}/2026-01-01T00-00-00Z-00000000.snap"
    corrupt = site.on.backup("bao")["lastBackupName"]
    body = bytearray(store.get(bucket, corrupt))
    body[len(body) // 2] ^= 1
    store.put(bucket, corrupt, bytes(body))
    foreign = "elsewhere/other/2026-01-01T00-00-00Z-00000000.snap"
    file = site.on.program.folder / "foreign.snap"
    vault.command("operator", "raft", "snapshot", "save", str(file))
    store.put(bucket, foreign, file.read_bytes())
    sources = {"missing": missing, "corrupt": corrupt, "foreign": foreign}
    for name, key in sources.items():
        site.restore(name, "bao", {"key": key})
    ended = {name: until_phase(site, name, "Failed", seconds=180) for name in sources}
    site.until("the lock to be free", lambda: not site.lock("bao"))
    reasons = {name: status["reason"] for name, status in ended.items()}
    assert reasons == {
        "missing": "ObjectNotFound",
        "corrupt": "ArchiveCorrupt",
        "foreign": "RestoreRefused",
    }
    for name, status in ended.items():
        assert told(status) == ("False", "RestoreFailed"), name
        assert status["snapshotKey"] == sources[name]
    assert [name for name, status in ended.items() if status.get("safetyBackupKey")] == ["foreign"]
    assert "force" in ended["foreign"]["message"]
    assert data(site) == before
    assert site.submissions("bao") == sent + 1


# --- and its end -------------------------------------------------------------------------------


def test_a_restore_without_its_document(site: RestoreSite, orphan: Orphan, slow_way: TcpProxy) -> None:
    """It goes on and holds the lock, so that the slot that comes waits; then both are done."""
    assert site.plane.request("GET", path_of_restore(site, "orphan")).status == 404
    slot = f"{orphan.slot:%Y%m%d-%H%M%S}"
    site.until("the slot to wait", lambda: site.on.backup("held").get("waiting"), seconds=90)
    assert site.on.backup("held")["waiting"]["reason"] == "RestoreInProgress"
    assert site.lock("held")["holder"] == "openbaorestore/orphan"
    assert [each["metadata"]["name"] for each in site.on.jobs("held")] == ["restore-orphan"]
    assert data(site)["added"] == NEW
    slow_way.clear()
    jobs.ended(site.plane, "restore-orphan", site.namespace, seconds=90)
    backup = site.on.until_over("held", runs=2)
    assert data(site) == {"changed": OLD, "removed": OLD, "added": None}
    assert site.submissions("held") == 1
    assert [each["metadata"]["name"] for each in site.on.jobs("held")][1:] == [f"backup-held-{slot}"]
    assert backup["lastAttemptScheduledTime"] == f"{orphan.slot:%Y-%m-%dT%H:%M:%SZ}"
