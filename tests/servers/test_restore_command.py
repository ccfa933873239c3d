"""`bao-backup restore` on real servers: as a person types it, and whatever befalls it or the leader."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.entry.restore_process import RestoreProcess
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.certificates import Authority
from tests.harness.http_proxy import FaultyProxy
from tests.harness.logins import enable_approle
from tests.harness.process import wait_until
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace, FolderPlace, Place
from tests.servers.program import Ended, Site, Witness

from bao_backup.core.restore_settings import RestoreSettings
from bao_backup.entry.restore_settings import Choice, settings_of
from bao_backup.entry.source import Source

pytestmark = pytest.mark.servers

RULES = """
path "sys/storage/raft/snapshot" { capabilities = ["read", "update"] }
path "sys/storage/raft/snapshot-force" { capabilities = ["update"] }
"""
OLD, NEW = {"data": "old"}, {"data": "new"}
#: Some MiB of a snapshot are out by then, and some not.
IN_MID_STREAM = "after:restore-chunk:1000"
FILLED = 7 << 20
PATIENCE = {"pause": 0.2, "leader_wait": 60.0, "settle_wait": 25.0}


class Desk:
    """A cluster with new data, a place with the backup of its old data, and the login to restore."""

    def __init__(self, site: Site, cluster: VaultCluster, place: Place, **target: Any) -> None:
        self.site, self.cluster, self.place = site, cluster, place
        cluster.policy("restore", RULES)
        role = enable_approle(cluster, ["restore"], role="restore")
        site.secret("login", role_id=role.role_id, secret_id=role.secret_id)
        site.witness.secret("the root token", cluster.root_token)
        site.witness.secret("the unseal key", cluster.unseal_key)
        auth = {"method": "approle", "secretRef": {"name": "login"}}
        site.describe("prod", cluster, place.target(site) | target, auth=auth)
        cluster.write_secret("x", OLD)
        if cluster.read_secret("y") is not None:
            cluster.ask("DELETE", "secret/y")
        backup = site.backup("prod")
        assert backup.code == 0, backup.err
        self.key: str = backup.json["key"]
        cluster.write_secret("x", NEW)
        cluster.write_secret("y", NEW)

    def restore(self, *arguments: str) -> Ended:
        """As a person types it, with a yes."""
        return self.site.run("restore", "prod", *arguments, "--yes", seconds=120)

    def settings(self) -> RestoreSettings:
        """What the command would work with."""
        source = Source(
            config=self.site.documents, cluster="prod", secrets=self.site.secrets, config_by_hand=True
        )
        return settings_of(source, Choice(key=self.key))

    def befallen(self, where: str, what: str, **patience: float) -> RestoreProcess:
        """A restore that something befalls."""
        return RestoreProcess(self.site.folder, self.settings(), where, what, PATIENCE | patience)

    @property
    def data(self) -> str:
        """Whose data the server has; an error where it is a mixture."""
        found = (self.cluster.read_secret("x"), self.cluster.read_secret("y"))
        return {str((OLD, None)): "old", str((NEW, NEW)): "new"}[str(found)]

    def settled(self) -> str:
        """Whose data the server has once all that was under way is over."""
        self.cluster.heal()
        wait_until("the server to answer", self._answers, seconds=60, every=0.2)
        return self.data

    def _answers(self) -> bool:
        leader = self.cluster.find_leader()
        if leader is None:
            return False
        return leader.request("GET", "auth/token/lookup-self", token=self.cluster.root_token).status == 200


@pytest.fixture(scope="module")
def own(
    tmp_path_factory: pytest.TempPathFactory, vault_binary: Path, authority: Authority
) -> Iterator[VaultCluster]:
    """Three nodes that only these tests restore into, with snapshots of some MiB."""
    with VaultCluster(tmp_path_factory.mktemp("own"), vault_binary, count=3, authority=authority) as cluster:
        cluster.fill(FILLED)
        yield cluster


@pytest.fixture
def desk(own: VaultCluster, site: Site, in_folder: FolderPlace) -> Desk:
    """Old data in a folder, new data in the cluster, which is whole."""
    own.heal()
    return Desk(site, own, in_folder)


def test_the_old_data_is_back_and_by_the_way_back_the_new(
    own: VaultCluster, site: Site, in_bucket: BucketPlace
) -> None:
    """Through a bucket; the command that is printed at the end is typed as it is."""
    own.heal()
    desk = Desk(site, own, in_bucket)
    ended = desk.restore("--latest")
    assert ended.code == 0, ended.err
    assert desk.data == "old"
    assert f"{desk.key} is restored" in ended.out
    back = shlex.split(ended.out.splitlines()[-1].removeprefix("the way back: "))
    assert back[:2] == ["bao-backup", "restore"]
    again = site.begin(*back[1:], "--yes").wait(120)
    assert again.code == 0, again.err
    assert desk.data == "new"


@pytest.mark.parametrize("how", ["corrupt", "truncated", "foreign"])
def test_a_bad_object_is_refused_before_the_server_hears_of_it(
    vault: VaultCluster, site: Site, in_folder: FolderPlace, how: str
) -> None:
    """Exit 6; not one request came by."""
    desk = Desk(site, vault, in_folder)
    file = in_folder.path / desk.key
    body = bytearray(file.read_bytes())
    if how == "corrupt":
        body[len(body) // 2] ^= 1
    spoiled = {"corrupt": bytes(body), "truncated": bytes(body[:-20]), "foreign": b"no snapshot " * 1000}
    file.write_bytes(spoiled[how])
    with FaultyProxy(vault.addresses[0], vault.authority) as proxy:
        ended = desk.restore("--latest", "--to", proxy.url, "--output", "json")
        assert (ended.code, ended.json["exitCode"]) == (6, 6), ended.err
        assert proxy.seen == []
    assert desk.data == "new"


def test_into_a_fresh_cluster_without_any_document(
    vault: VaultCluster,
    site: Site,
    in_folder: FolderPlace,
    tmp_path: Path,
    vault_binary: Path,
    authority: Authority,
    witness: Witness,
) -> None:
    """Refused without force, in the server's words; done with it, sealed, and unsealed with the old keys."""
    desk = Desk(site, vault, in_folder)
    (site.documents / "prod.yaml").unlink()
    with VaultCluster(tmp_path / "fresh", vault_binary, authority=authority) as fresh:
        # Vault 1.21 hangs for good in "stopping raft active node" when it is restored in its first second.
        wait_until("autopilot to be at work", partial(_is_healthy, fresh), seconds=30, every=0.5)
        token = tmp_path / "token"
        token.write_text(witness.secret("the fresh root token", fresh.root_token))
        options = ["--target", f"file://{in_folder.path}", "--latest", "--to", fresh.addresses[0]]
        options += ["--ca-file", str(authority.ca_file), "--token-file", str(token), "--yes"]
        refused = site.begin("restore", *options, "--no-safety-backup").wait()
        assert refused.code == 4, refused.err
        assert "RestoreRefused" in refused.err
        assert "different set of unseal keys" in refused.err
        forced = site.begin("restore", *options, "--force").wait(90)
        assert forced.code == 4, forced.err
        assert "RestoreSealed" in forced.err
        assert "unseal keys of the time of the backup" in forced.err
        assert "the way back: bao-backup restore --key default/prod/pre-restore-" in forced.err
        fresh.unseal_key, fresh.root_token = vault.unseal_key, vault.root_token
        fresh.unseal(fresh.nodes[0])
        fresh.wait_for_leader(60)
        assert fresh.read_secret("x") == OLD
        assert fresh.read_secret("y") is None
    assert desk.data == "new", "the cluster of the backup is as it was"


def _is_healthy(cluster: VaultCluster) -> bool:
    state = cluster.ask("GET", "sys/storage/raft/autopilot/state")["data"]
    return state is not None and bool(state["healthy"])


# --- the leader is lost --------------------------------------------------------------------------


def test_the_leader_is_lost_before_the_submission(desk: Desk) -> None:
    """The next one is found and looked at anew, and gets it."""
    with desk.befallen("after:put:1", "HOLD") as restore:
        restore.until_held()
        desk.cluster.kill(desk.cluster.leader())
        restore.go_on()
        code = restore.wait(120)
    assert code == 0, restore.said
    assert desk.settled() == "old"


def test_the_leader_is_lost_while_it_is_sent(desk: Desk) -> None:
    """Cut off: nothing was applied, nothing is sent again, and a person is told so."""
    with desk.befallen(IN_MID_STREAM, "HOLD") as restore:
        restore.until_held()
        desk.cluster.kill(desk.cluster.leader())
        restore.go_on()
        code = restore.wait(120)
    assert code == 4, restore.said
    result = restore.result
    assert result is not None
    assert (result.reason, result.tries) == ("RestoreCutOff", 1)
    assert result.safety_key
    assert restore.said.count("sending ") == 1
    assert desk.settled() == "new"


def test_the_leader_is_lost_when_it_has_it(desk: Desk) -> None:
    """It is killed with its answer: done where the old data is there; where it is not, nobody says done."""
    leader = desk.cluster.leader()  # it says nothing any more once it applies the snapshot
    with desk.befallen("after:restore:1", "HOLD", settle_wait=10.0) as restore:
        restore.until_held()
        desk.cluster.kill(leader)
        restore.go_on()
        code = restore.wait(120)
    result = restore.result
    assert result is not None
    assert code in {0, 9}, restore.said
    assert restore.said.count("sending ") == 1
    assert result.safety_key
    if code == 9:
        assert "look at the server's data before doing anything else" in result.message
    data = desk.settled()
    assert data == "old" if code == 0 else data in {"old", "new"}


# --- the executor is ended -----------------------------------------------------------------------


#: Each step that comes before the submission.
BEFORE = [
    "before:head:1",
    "before:find_leader:1",
    "after:login:1",
    "after:capabilities:1",
    "before:snapshot:1",
    "after:put-chunk:5",
    "after:put:1",
    "before:restore:1",
    "before:restore-chunk:1",
]


def test_killed_at_each_step_before_it_is_sent(desk: Desk) -> None:
    """The three servers have what they had, and the next restore is as good as the first would have been."""
    for where in BEFORE:
        with desk.befallen(where, "KILL") as restore:
            code = restore.wait(120)
        assert code == -signal.SIGKILL, f"{where}: {restore.said}"
        assert restore.result is None
        assert desk.data == "new", where
    with desk.befallen("never", "KILL") as restore:
        assert restore.wait(120) == 0, restore.said
    assert desk.settled() == "old"


@pytest.mark.parametrize("what", ["KILL", "TERM"])
def test_ended_while_it_is_sent(desk: Desk, what: str) -> None:
    """The server has what it had; who was told to end says so."""
    with desk.befallen(IN_MID_STREAM, what) as restore:
        code = restore.wait(120)
    assert code == (-signal.SIGKILL if what == "KILL" else 7), restore.said
    result = restore.result
    assert (result is None) == (what == "KILL")
    if result is not None:
        assert (result.reason, result.tries) == ("Interrupted", 1)
        assert result.safety_key
    assert desk.settled() == "new"


def test_told_to_end_while_the_store_hangs(own: VaultCluster, site: Site, in_bucket: BucketPlace) -> None:
    """Within seconds, though the object stops coming in the middle; the server has what it had."""
    own.heal()
    with FaultyProxy(in_bucket.minio.url) as proxy:
        desk = Desk(site, own, in_bucket, endpoint=proxy.url)
        with desk.befallen("before:restore:1", "HOLD") as restore:
            restore.until_held()
            proxy.set(CallFault(CallFaultKind.STALL, Call.GET, times=None))
            restore.go_on()
            assert proxy.reached.wait(60)
            restore.signal(signal.SIGTERM)
            code = restore.wait(15)
        proxy.release()
    result = restore.result
    assert result is not None
    assert (code, result.reason) == (7, "Interrupted"), restore.said
    assert desk.settled() == "new"


@pytest.mark.parametrize("what", ["KILL", "TERM"])
def test_ended_when_the_server_has_it(desk: Desk, what: str) -> None:
    """The server applies it all the same; who was told to end does not know, and says what to do."""
    with desk.befallen("after:restore:1", what) as restore:
        code = restore.wait(120)
    assert code == (-signal.SIGKILL if what == "KILL" else 9), restore.said
    result = restore.result
    if result is not None:
        assert "the outcome is unknown" in result.message
        assert result.safety_key
    wait_until("the old data", partial(_has_old, desk), seconds=60, every=0.5)


def _has_old(desk: Desk) -> bool:
    return desk.settled() == "old"
