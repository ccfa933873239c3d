"""Names as Kubernetes has them: the existing operator's Jobs, and a Service in front of all nodes.

Nothing resolves these names here, so the program runs where /etc/hosts is another file: in a mount
namespace of its own, which needs root. The nodes are on loopback addresses of their own, port 8200.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.harness.logins import TokenIssuer, allow_snapshots, create_token, enable_jwt
from tests.harness.minio import Minio
from tests.harness.proxy import TcpProxy
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace, FolderPlace, assert_backup, assert_failed
from tests.servers.program import PART, Site

pytestmark = pytest.mark.servers

PORT = 8200
PODS = [f"pods-{index}.pods.default.svc" for index in range(3)]
SERVICE = "pods.default.svc"
#: Puts the file $1 in the place of /etc/hosts, for itself alone, and becomes the rest.
WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


@pytest.fixture
def pods(vault_cluster: VaultCluster) -> Iterator[dict[str, str]]:
    """The three nodes, each on an address of its own: the pod's name -> the address."""
    with ExitStack() as stack:
        found = {}
        for number, (name, node) in enumerate(zip(PODS, vault_cluster.nodes, strict=True)):
            host = f"127.0.0.{number + 2}"
            try:
                stack.enter_context(TcpProxy(node.url, host=host, port=PORT))
            except OSError as error:
                pytest.skip(f"{host}:{PORT}: {error.strerror}")
            found[name] = host
        yield found


@pytest.fixture
def with_hosts(pods: dict[str, str], tmp_path: Path) -> Sequence[str]:
    """A command that becomes another one, for which the pods' and the Service's names resolve."""
    lines = ["127.0.0.1 localhost"]
    lines += [f"{address} {name}" for name, address in pods.items()]
    lines += [f"{address} {SERVICE}" for address in pods.values()]
    hosts = tmp_path / "hosts"
    hosts.write_text("\n".join(lines) + "\n", encoding="utf-8")
    inside = ["unshare", "--mount", "--propagation", "private", "sh", "-c", WITH_HOSTS, "sh", str(hosts)]
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("no root: the names of Kubernetes resolve nowhere")
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no right to a mount namespace: the names of Kubernetes resolve nowhere")
    return inside


def job(site: Site, cluster: VaultCluster, minio: Minio, bucket: str) -> dict[str, str]:
    """The variables that the existing operator's Jobs have, whatever the login."""
    keys = minio.root.keys
    secret = site.secret("s3", accessKeyId=keys.access_key, secretAccessKey=keys.secret_key)
    return {
        "CLUSTER_NAMESPACE": "default",
        "CLUSTER_NAME": "pods",
        "CLUSTER_REPLICAS": "3",
        "STATEFULSET_NAME": "pods",
        "BACKUP_PROVIDER": "s3",
        "BACKUP_ENDPOINT": minio.url,
        "BACKUP_BUCKET": bucket,
        "BACKUP_REGION": "us-east-1",
        "BACKUP_USE_PATH_STYLE": "true",
        "BACKUP_PATH_PREFIX": "of/operator",
        "BACKUP_PART_SIZE": str(PART),
        "BACKUP_CONCURRENCY": "2",
        "BACKUP_CREDENTIALS_PATH": str(site.secrets / secret),
        "BACKUP_CREDENTIALS_SECRET_NAME": secret,
        "TLS_CA_PATH": str(cluster.ca_file),
        "OPENBAO_CLIENT_QPS": "10",
    }


def test_job_of_the_existing_operator(
    vault_cluster: VaultCluster, minio: Minio, bucket: str, site: Site, with_hosts: Sequence[str]
) -> None:
    """By its variables alone, with JWT, the leader among the StatefulSet's pods is found and backed up."""
    issuer = TokenIssuer()
    enable_jwt(vault_cluster, [allow_snapshots(vault_cluster)], issuer, role="openbao-operator-backup")
    site.secret("projected", token=issuer.issue())
    login = {
        "BACKUP_AUTH_METHOD": "jwt",
        "BACKUP_JWT_AUTH_ROLE": "openbao-operator-backup",
        "JWT_TOKEN_PATH": str(site.secrets / "projected" / "token"),
    }
    ended = site.begin_job(job(site, vault_cluster, minio, bucket) | login, with_hosts).wait()
    assert_backup(BucketPlace(minio, bucket), ended)
    assert ended.result["key"].startswith("of/operator/default/pods/")
    leader = PODS[vault_cluster.nodes.index(vault_cluster.leader())]
    assert f"the leader is https://{leader}:{PORT}," in ended.err


@pytest.mark.parametrize("path", ["bao-token", "bao-token/token"], ids=["folder", "file"])
def test_job_with_a_token(
    vault_cluster: VaultCluster,
    minio: Minio,
    bucket: str,
    site: Site,
    with_hosts: Sequence[str],
    path: str,
) -> None:
    """`BACKUP_TOKEN_PATH` is the token's file, or the folder that the Secret is mounted at."""
    site.secret("bao-token", token=create_token(vault_cluster, [allow_snapshots(vault_cluster)]))
    login = {"BACKUP_AUTH_METHOD": "token", "BACKUP_TOKEN_PATH": str(site.secrets / path)}
    ended = site.begin_job(job(site, vault_cluster, minio, bucket) | login, with_hosts).wait()
    assert_backup(BucketPlace(minio, bucket), ended)


def test_job_before_an_upgrade(
    vault_cluster: VaultCluster, minio: Minio, bucket: str, site: Site, with_hosts: Sequence[str]
) -> None:
    """`BACKUP_FILENAME_PREFIX` is the class in the backup's name."""
    site.secret("bao-token", token=create_token(vault_cluster, [allow_snapshots(vault_cluster)]))
    more = {
        "BACKUP_AUTH_METHOD": "token",
        "BACKUP_TOKEN_PATH": str(site.secrets / "bao-token"),
        "BACKUP_FILENAME_PREFIX": "pre-upgrade-",
    }
    ended = site.begin_job(job(site, vault_cluster, minio, bucket) | more, with_hosts).wait()
    assert_backup(BucketPlace(minio, bucket), ended)
    assert ended.result["key"].startswith("of/operator/default/pods/pre-upgrade-2")


def test_job_without_its_variables(site: Site) -> None:
    """Exit 1 names every variable that is missing, all at once."""
    ended = site.begin_job({"CLUSTER_NAME": "pods"}).wait()
    message = assert_failed(ended, 1, "InvalidConfiguration")
    for name in ("CLUSTER_NAMESPACE", "BACKUP_BUCKET", "BACKUP_JWT_AUTH_ROLE"):
        assert name in message


def test_name_that_stands_for_all_nodes(
    vault_cluster: VaultCluster,
    site: Site,
    in_folder: FolderPlace,
    with_hosts: Sequence[str],
) -> None:
    """Behind a Service's name the leader is found, whichever of its addresses that is."""
    site.describe("service", vault_cluster, in_folder.target(site))
    job = site.job("service", bao={"addresses": (f"https://{SERVICE}:{PORT}",)})
    first = site.begin_job(job, with_hosts).wait()
    assert_backup(in_folder, first)
    before = vault_cluster.leader()
    vault_cluster.kill(before)
    vault_cluster.wait_for_leader()
    second = site.begin_job(job, with_hosts).wait()
    assert second.code == 0, second.err


def test_name_of_standbys_only(
    vault_cluster: VaultCluster,
    site: Site,
    in_folder: FolderPlace,
    pods: dict[str, str],
    with_hosts: Sequence[str],
) -> None:
    """Without a leader behind the name, exit 3 says of each of its addresses what it answers."""
    vault_cluster.kill(vault_cluster.leader())
    vault_cluster.kill(
        vault_cluster.nodes[[node.process.running for node in vault_cluster.nodes].index(True)]
    )
    site.describe("service", vault_cluster, in_folder.target(site), auth={"method": "token", "file": "/x"})
    address = f"https://{SERVICE}:{PORT}"
    job = site.job("service", bao={"addresses": (address,)}, deadline_seconds=3.0)
    message = assert_failed(site.begin_job(job, with_hosts).wait(30), 3, "NoLeader")
    for host in pods.values():
        assert f"{address} ({host}) " in message
