"""Each way to log in, end to end: the right one backs up and leaves no token, the wrong one is exit 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.harness import logins
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.certificates import Authority
from tests.harness.http_proxy import FaultyProxy
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace, assert_backup, assert_failed, assert_untouched
from tests.servers.program import Site

pytestmark = pytest.mark.servers

PASSWORD = "correct-horse-battery"

Login = Callable[[VaultCluster, Site, list[str]], dict[str, Any]]


def jwt(
    cluster: VaultCluster, site: Site, policies: list[str], mount: str = "jwt-operator"
) -> dict[str, Any]:
    """A JWT of a trusted issuer, from a file as Kubernetes projects it."""
    issuer = logins.TokenIssuer()
    logins.enable_jwt(cluster, policies, issuer, mount=mount)
    site.secret("projected", jwt=issuer.issue())
    method = "kubernetes" if mount == "kubernetes" else "jwt"
    return {"method": method, "role": "backup", "file": str(site.secrets / "projected" / "jwt")}


def kubernetes(cluster: VaultCluster, site: Site, policies: list[str]) -> dict[str, Any]:
    """The same at the mount and by the method of Kubernetes."""
    return jwt(cluster, site, policies, mount="kubernetes")


def approle(cluster: VaultCluster, site: Site, policies: list[str]) -> dict[str, Any]:
    """A role id and a secret id."""
    role = logins.enable_approle(cluster, policies)
    site.secret("approle", role_id=role.role_id, secret_id=role.secret_id)
    return {"method": "approle", "secretRef": {"name": "approle"}}


def userpass(cluster: VaultCluster, site: Site, policies: list[str]) -> dict[str, Any]:
    """A user and his password."""
    logins.enable_userpass(cluster, policies, name="backup-user", password=PASSWORD)
    site.secret("userpass", username="backup-user", password=PASSWORD)
    return {"method": "userpass", "secretRef": {"name": "userpass"}}


def at_another_mount(cluster: VaultCluster, site: Site, policies: list[str]) -> dict[str, Any]:
    """A method that is mounted under a name of one's own."""
    role = logins.enable_approle(cluster, policies, mount="machines/backup")
    site.secret("approle", role_id=role.role_id, secret_id=role.secret_id)
    return {"method": "approle", "mountPath": "machines/backup", "secretRef": {"name": "approle"}}


EACH = [jwt, kubernetes, approle, userpass, at_another_mount]


def accessors(cluster: VaultCluster) -> set[str]:
    """The tokens that the server knows, by their accessors."""
    return set(cluster.ask("LIST", "auth/token/accessors")["data"]["keys"])


@pytest.mark.parametrize("login", EACH, ids=lambda login: str(login.__name__))
def test_logs_in_and_gives_the_token_back(
    full_vault: VaultCluster, site: Site, in_bucket: BucketPlace, login: Login
) -> None:
    """The backup is there, and the server knows no token more than before."""
    auth = login(full_vault, site, [logins.allow_snapshots(full_vault)])
    site.describe("login", full_vault, in_bucket.target(site), auth=auth)
    before = accessors(full_vault)
    ended = site.begin_job(site.job("login")).wait()
    assert_backup(in_bucket, ended)
    assert ended.result["warnings"] == []
    assert accessors(full_vault) == before


@pytest.mark.parametrize("login", EACH, ids=lambda login: str(login.__name__))
def test_token_without_the_policy(
    full_vault: VaultCluster, site: Site, in_bucket: BucketPlace, login: Login
) -> None:
    """Exit 4, SnapshotDenied, names the policy that is missing, is not repeated, gives the token back."""
    auth = login(full_vault, site, ["default"])
    site.describe("login", full_vault, in_bucket.target(site), auth=auth)
    before = accessors(full_vault)
    ended = site.begin_job(site.job("login")).wait()
    message = assert_failed(ended, 4, "SnapshotDenied")
    assert 'path "sys/storage/raft/snapshot" { capabilities = ["read"] }' in message
    assert ended.result["tries"] == 1
    assert accessors(full_vault) == before
    assert_untouched(in_bucket)


def test_token_that_was_configured_stays(
    full_vault: VaultCluster, site: Site, in_bucket: BucketPlace
) -> None:
    """A token of somebody else's is used, and lives on."""
    site.describe("token", full_vault, in_bucket.target(site), auth=site.token(full_vault))
    before = accessors(full_vault)
    assert_backup(in_bucket, site.begin_job(site.job("token")).wait())
    assert accessors(full_vault) == before
    token = (site.secrets / "bao-token" / "token").read_text(encoding="utf-8").strip()
    assert full_vault.ask("GET", "auth/token/lookup-self", token=token)["data"]["ttl"] > 0


def test_configured_token_without_the_policy(
    full_vault: VaultCluster, site: Site, in_bucket: BucketPlace
) -> None:
    """The same as for those that log in: exit 4 and the policy's text."""
    site.describe("token", full_vault, in_bucket.target(site), auth=site.token(full_vault, ["default"]))
    ended = site.begin_job(site.job("token")).wait()
    assert "sys/storage/raft/snapshot" in assert_failed(ended, 4, "SnapshotDenied")
    assert_untouched(in_bucket)


def wrong_jwt(cluster: VaultCluster, site: Site) -> dict[str, Any]:
    """One of an issuer whom the cluster does not trust."""
    auth = jwt(cluster, site, [])
    site.secret("projected", jwt=logins.TokenIssuer().issue())
    return auth


def expired_jwt(cluster: VaultCluster, site: Site) -> dict[str, Any]:
    """One whose time is over."""
    issuer = logins.TokenIssuer()
    logins.enable_jwt(cluster, [], issuer)
    site.secret("projected", jwt=issuer.issue(seconds=-300))
    return {"method": "jwt", "role": "backup", "file": str(site.secrets / "projected" / "jwt")}


def unknown_role(cluster: VaultCluster, site: Site) -> dict[str, Any]:
    """A good JWT for a role that is not there."""
    return jwt(cluster, site, []) | {"role": "nobody"}


def wrong_secret_id(cluster: VaultCluster, site: Site) -> dict[str, Any]:
    """A secret id that was never given out."""
    auth = approle(cluster, site, [])
    site.secret("approle", secret_id="00000000-1111-2222-3333-444444444444")
    return auth


def wrong_password(cluster: VaultCluster, site: Site) -> dict[str, Any]:
    """Not his password."""
    auth = userpass(cluster, site, [])
    site.secret("userpass", password="wrong-horse-battery")
    return auth


def no_such_mount(cluster: VaultCluster, site: Site) -> dict[str, Any]:
    """Nothing is mounted there."""
    return userpass(cluster, site, []) | {"mountPath": "nowhere"}


def empty_token(cluster: VaultCluster, site: Site) -> dict[str, Any]:
    """The file of the token is empty."""
    auth = site.token(cluster)
    (site.secrets / "bao-token" / "token").write_text("\n", encoding="utf-8")
    return auth


def missing_secret(_cluster: VaultCluster, _site: Site) -> dict[str, Any]:
    """There is no such Secret."""
    return {"method": "approle", "secretRef": {"name": "not-there"}}


WRONG = [
    wrong_jwt,
    expired_jwt,
    unknown_role,
    wrong_secret_id,
    wrong_password,
    no_such_mount,
    empty_token,
    missing_secret,
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong.__name__))
def test_wrong_login(
    full_vault: VaultCluster,
    site: Site,
    in_bucket: BucketPlace,
    wrong: Callable[[VaultCluster, Site], dict[str, Any]],
) -> None:
    """Exit 2, LoginFailed, at once, and no stream was begun."""
    site.describe("wrong", full_vault, in_bucket.target(site), auth=wrong(full_vault, site))
    ended = site.begin_job(site.job("wrong")).wait(20)
    assert_failed(ended, 2, "LoginFailed")
    assert_untouched(in_bucket)


def test_wrong_configured_token(full_vault: VaultCluster, site: Site, in_bucket: BucketPlace) -> None:
    """A server does not tell an unknown token from one without rights, so both are SnapshotDenied."""
    auth = site.token(full_vault)
    site.secret("bao-token", token="hvs.AAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    site.describe("wrong", full_vault, in_bucket.target(site), auth=auth)
    assert_failed(site.begin_job(site.job("wrong")).wait(), 4, "SnapshotDenied")
    assert_untouched(in_bucket)


def test_token_that_cannot_be_revoked_is_a_warning(
    full_vault: VaultCluster, authority: Authority, site: Site, in_bucket: BucketPlace
) -> None:
    """The backup is a success; the result says that a token lives on."""
    auth = userpass(full_vault, site, [logins.allow_snapshots(full_vault)])
    with FaultyProxy(full_vault.addresses[0], authority) as proxy:
        proxy.set(CallFault(CallFaultKind.ANSWER, Call.REVOKE, status=500, code="no", times=None))
        site.describe("warned", full_vault, in_bucket.target(site), addresses=[proxy.url], auth=auth)
        ended = site.begin_job(site.job("warned")).wait()
    assert_backup(in_bucket, ended)
    assert ["not revoked" in warning for warning in ended.result["warnings"]] == [True]


def test_token_is_given_back_after_a_failure(
    full_vault: VaultCluster, authority: Authority, site: Site, in_bucket: BucketPlace
) -> None:
    """Three broken streams need one login, and leave no token."""
    auth = userpass(full_vault, site, [logins.allow_snapshots(full_vault)])
    before = accessors(full_vault)
    with FaultyProxy(full_vault.addresses[0], authority) as proxy:
        proxy.set(CallFault(CallFaultKind.CLOSE, Call.SNAPSHOT, times=None))
        site.describe("broken", full_vault, in_bucket.target(site), addresses=[proxy.url], auth=auth)
        assert_failed(site.begin_job(site.job("broken")).wait(), 4, "SnapshotCutOff")
        assert proxy.count(Call.LOGIN) == 1
        assert proxy.count(Call.SNAPSHOT) == 3
    assert accessors(full_vault) == before
