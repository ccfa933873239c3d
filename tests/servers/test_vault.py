"""The Vault and OpenBao clusters of the harness."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path

import pytest
from tests.harness import client
from tests.harness.logins import (
    AUDIENCE,
    SUBJECT,
    TokenIssuer,
    allow_snapshots,
    create_token,
    enable_approle,
    enable_jwt,
    enable_userpass,
)
from tests.harness.process import wait_until
from tests.harness.proxy import ByteFault, ByteFaultKind, TcpProxy, Way
from tests.harness.vault import VaultCluster
from tests.harness.vault_node import ACTIVE, SEALED, STANDBY

pytestmark = pytest.mark.servers

SNAPSHOT = "sys/storage/raft/snapshot"


def log_in(cluster: VaultCluster, path: str, body: dict[str, str]) -> str:
    """Log in by a method; gives the token."""
    token: str = cluster.ask("PUT", f"auth/{path}", body, token="")["auth"]["client_token"]
    return token


def status_of_snapshot(cluster: VaultCluster, token: str) -> int:
    """The status that the snapshot call answers to this token."""
    return cluster.leader().request("GET", SNAPSHOT, token=token).status


def test_three_nodes(vault_cluster: VaultCluster) -> None:
    """Three nodes vote, and one of them leads."""
    assert vault_cluster.voters() == 3
    assert sorted(node.health() or 0 for node in vault_cluster.nodes) == [ACTIVE, STANDBY, STANDBY]


def test_failover(vault_cluster: VaultCluster) -> None:
    """Another node leads after the leader was killed, and the killed one comes back as a standby."""
    vault_cluster.write_secret("kept", {"value": "1"})
    old = vault_cluster.leader()
    vault_cluster.kill(old)
    new = vault_cluster.wait_for_leader()
    assert new is not old
    assert vault_cluster.read_secret("kept") == {"value": "1"}
    vault_cluster.revive(old)
    assert old.health() == STANDBY


def test_seal(vault_cluster: VaultCluster) -> None:
    """Sealed nodes say so, and are healed."""
    leader, standby = vault_cluster.leader(), vault_cluster.standbys()[0]
    vault_cluster.seal(standby)
    assert standby.health() == SEALED
    vault_cluster.seal(leader)
    assert leader.health() == SEALED
    vault_cluster.heal()
    assert all(node.unsealed for node in vault_cluster.nodes)


def test_leader_dies_in_mid_stream(vault_cluster: VaultCluster) -> None:
    """A throttled snapshot breaks off when the leader is killed, since most of it is with the leader."""
    vault_cluster.fill(6 << 20)
    leader = vault_cluster.leader()
    with TcpProxy(leader.url) as proxy:
        proxy.throttle(1 << 20)
        proxy.set(ByteFault(ByteFaultKind.WATCH, at=200_000))
        connection = client.connect(proxy.url, leader.context)
        connection.request("GET", f"/v1/{SNAPSHOT}", headers={"X-Vault-Token": vault_cluster.root_token})
        response = connection.getresponse()
        received = len(response.read(300_000))
        assert proxy.reached.is_set()
        vault_cluster.kill(leader)
        proxy.throttle(None)
        with pytest.raises((OSError, HTTPException)):
            response.read()
        connection.close()
        assert received < proxy.passed[Way.DOWN] < 5 << 20
    assert vault_cluster.wait_for_leader() is not leader


def test_step_down(vault_cluster: VaultCluster) -> None:
    """A leader that steps down becomes a standby, and another one leads."""
    old = vault_cluster.leader()
    vault_cluster.step_down()
    wait_until("the leader to be a standby", lambda: old.health() == STANDBY, seconds=10)
    assert vault_cluster.wait_for_leader() is not old


def test_restore(vault: VaultCluster, tmp_path: Path) -> None:
    """A snapshot brings a secret back to its own server."""
    vault.write_secret("restored", {"value": "before"})
    (tmp_path / "a.snap").write_bytes(vault.leader().request("GET", SNAPSHOT, token=vault.root_token).body)
    vault.write_secret("restored", {"value": "after"})
    vault.restore(tmp_path / "a.snap")
    assert vault.read_secret("restored") == {"value": "before"}


def test_restore_elsewhere(vault: VaultCluster, vault_binary: Path, tmp_path: Path) -> None:
    """A snapshot brings a secret to a fresh server."""
    vault.write_secret("moved", {"value": "1"})
    (tmp_path / "a.snap").write_bytes(vault.leader().request("GET", SNAPSHOT, token=vault.root_token).body)
    with VaultCluster(tmp_path / "fresh", vault_binary, tls=False) as fresh:
        assert fresh.read_secret("moved") is None
        fresh.restore(tmp_path / "a.snap", source=vault)
        assert fresh.read_secret("moved") == {"value": "1"}


def test_logins(vault: VaultCluster) -> None:
    """Each way to log in gives a token for snapshots and for nothing else."""
    policies = [allow_snapshots(vault)]
    role = enable_approle(vault, policies)
    enable_userpass(vault, policies, name="backup", password="a password")
    issuer = TokenIssuer()
    for mount in ("jwt-operator", "kubernetes"):
        enable_jwt(vault, policies, issuer, mount=mount)
    bearer = {"role": "backup", "jwt": issuer.issue()}
    tokens = [
        create_token(vault, policies),
        log_in(vault, "approle/login", {"role_id": role.role_id, "secret_id": role.secret_id}),
        log_in(vault, "userpass/login/backup", {"password": "a password"}),
        log_in(vault, "jwt-operator/login", bearer),
        log_in(vault, "kubernetes/login", bearer),
    ]
    assert [status_of_snapshot(vault, token) for token in tokens] == [200] * 5
    assert [vault.leader().request("GET", "secret/any", token=token).status for token in tokens] == [403] * 5
    assert status_of_snapshot(vault, create_token(vault, ["default"])) == 403


@pytest.mark.parametrize(
    ("audience", "subject", "seconds"),
    [("another", SUBJECT, 600), (AUDIENCE, "another", 600), (AUDIENCE, SUBJECT, -600)],
)
def test_wrong_token(vault: VaultCluster, audience: str, subject: str, seconds: int) -> None:
    """A JSON web token of another audience, of another subject or of the past is refused."""
    issuer = TokenIssuer()
    enable_jwt(vault, [allow_snapshots(vault)], issuer, mount="jwt-strict")
    right = {"role": "backup", "jwt": issuer.issue()}
    assert vault.leader().request("PUT", "auth/jwt-strict/login", right).status == 200
    body = {"role": "backup", "jwt": issuer.issue(subject, audience, seconds)}
    assert vault.leader().request("PUT", "auth/jwt-strict/login", body).status in (400, 403)


def test_plain_http(vault_binary: Path, tmp_path: Path) -> None:
    """It serves plain HTTP where it is told to."""
    with VaultCluster(tmp_path, vault_binary, tls=False) as cluster:
        assert cluster.addresses[0].startswith("http://")
        assert cluster.ca_file is None
        assert cluster.leader().health() == ACTIVE
