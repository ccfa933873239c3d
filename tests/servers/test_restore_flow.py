"""The restore flow on real servers: what they do after they took a snapshot is judged as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flows.restore_site import sha256
from tests.flows.site import Listener
from tests.harness.certificates import Authority
from tests.harness.logins import AppRole, create_token, enable_approle
from tests.harness.process import wait_until
from tests.harness.vault import VaultCluster

from bao_backup.adapters.bao import HttpBao
from bao_backup.adapters.memory_store import MemoryStore
from bao_backup.adapters.system import SystemClock
from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.model import VerifyLevel
from bao_backup.core.restore_errors import RestoreRefusedError, RestoreSealedError
from bao_backup.core.restore_outcome import Restored
from bao_backup.core.restore_settings import Place, RestoreSettings, Wanted
from bao_backup.core.storage import StoreSettings
from bao_backup.flows.backup import BackupFlow
from bao_backup.flows.own_backup import BackupOrder
from bao_backup.flows.read import read_whole
from bao_backup.flows.restore import RestoreFlow
from bao_backup.flows.stop import Stop

pytestmark = pytest.mark.servers

RULES = """
path "sys/storage/raft/snapshot" { capabilities = ["read", "update"] }
path "sys/storage/raft/snapshot-force" { capabilities = ["update"] }
"""
PREFIX = "default/prod"
KEY = f"{PREFIX}/2026-11-22T02-00-00Z-00000001.snap"
PLACE = Place(store=StoreSettings(provider="s3", bucket="bucket"), prefix=PREFIX)


class Desk:
    """A cluster, a bucket in memory, and the ways to log in."""

    def __init__(self, folder: Path, cluster: VaultCluster) -> None:
        self.cluster = cluster
        self.store = MemoryStore()
        self.reporter = Listener()
        self._folder = folder

    def approle(self) -> BaoAuth:
        """A login that each restore obtains anew, made before any backup of it."""
        self.cluster.policy("restore", RULES)
        return self._files(enable_approle(self.cluster, ["restore"], role="restore"))

    def token(self) -> BaoAuth:
        """A configured token, older than any backup."""
        self.cluster.policy("restore", RULES)
        file = self._folder / "token"
        file.write_text(create_token(self.cluster, ["restore"]))
        return BaoAuth(method=AuthMethod.TOKEN, token_file=str(file))

    def back_up(self, auth: BaoAuth) -> None:
        """What the cluster has now, at KEY."""
        BackupFlow(
            BackupOrder(namespace="default", name="prod", prefix=PREFIX, key=KEY, verify=VerifyLevel.FULL),
            bao=HttpBao(self._settings(auth)),
            store=self.store,
            clock=SystemClock(),
            stop=Stop(SystemClock()),
            reporter=self.reporter,
        ).take()

    def restore(self, auth: BaoAuth, *, force: bool = False) -> Restored:
        """KEY into the cluster, with a safety backup."""
        settings = RestoreSettings(
            namespace="default",
            name="prod",
            bao=self._settings(auth),
            wanted=Wanted(key=KEY),
            source=PLACE,
            force=force,
            safety=PLACE,
        )
        with RestoreFlow(
            settings,
            bao=HttpBao(settings.bao),
            source=self.store,
            safety=self.store,
            clock=SystemClock(),
            stop=Stop(SystemClock(), 300),
            reporter=self.reporter,
        ) as flow:
            return flow.carry_out(flow.prove())

    def way_back(self, key: str) -> None:
        """The safety backup is whole."""
        contents = read_whole(self.store, self.store.head(key), Stop(SystemClock()), self.reporter)
        assert contents.sha256 == sha256(b"".join(self.store.get(key)))

    def _settings(self, auth: BaoAuth) -> BaoSettings:
        return BaoSettings(
            addresses=tuple(self.cluster.addresses), auth=auth, ca_file=str(self.cluster.ca_file or "")
        )

    def _files(self, role: AppRole) -> BaoAuth:
        folder = self._folder / "approle"
        folder.mkdir(exist_ok=True)
        (folder / "role_id").write_text(role.role_id)
        (folder / "secret_id").write_text(role.secret_id)
        return BaoAuth(method=AuthMethod.APPROLE, secret_folder=str(folder))


@pytest.fixture(scope="module")
def own(
    tmp_path_factory: pytest.TempPathFactory, vault_binary: Path, authority: Authority
) -> Iterator[VaultCluster]:
    """Three nodes that only these tests restore into."""
    with VaultCluster(tmp_path_factory.mktemp("own"), vault_binary, count=3, authority=authority) as cluster:
        yield cluster


@pytest.mark.parametrize("login", ["approle", "token"])
def test_the_old_data_is_back_and_the_new_is_gone(own: VaultCluster, tmp_path: Path, login: str) -> None:
    """On three nodes; a login of this restore leaves no doubt, a configured token does."""
    desk = Desk(tmp_path, own)
    auth = desk.approle() if login == "approle" else desk.token()
    own.write_secret("x", {"data": "old"})
    desk.back_up(auth)
    own.write_secret("x", {"data": "new"})
    own.write_secret("y", {"data": "new"})
    restored = desk.restore(auth)
    doubts = [warning for warning in restored.warnings if "Raft index" in warning]
    assert bool(doubts) == (login == "token")
    assert list(restored.warnings) == doubts, "the standbys are there again"
    assert own.read_secret("x") == {"data": "old"}
    assert own.read_secret("y") is None
    desk.way_back(restored.safety_key)


def test_other_keys_are_refused_and_by_force_taken_and_sealed(
    own: VaultCluster, tmp_path: Path, vault_binary: Path, authority: Authority
) -> None:
    """Then the old keys open it; the cluster that the snapshot is of is gone by then."""
    with VaultCluster(tmp_path / "source", vault_binary, authority=authority) as source:
        before = Desk(tmp_path, source)
        source.write_secret("x", {"data": "of the source"})
        before.back_up(before.token())
    desk = Desk(tmp_path, own)
    desk.store = before.store
    auth = desk.approle()
    with pytest.raises(RestoreRefusedError, match="different set of unseal keys"):
        desk.restore(auth)
    with pytest.raises(RestoreSealedError) as caught:
        desk.restore(auth, force=True)
    assert "unseal keys of the time of the backup" in caught.value.hint
    own.unseal_key, own.root_token = source.unseal_key, source.root_token
    for node in own.nodes:
        own.unseal(node)
    wait_until("a leader", lambda: own.find_leader() is not None, seconds=60)
    assert own.read_secret("x") == {"data": "of the source"}
