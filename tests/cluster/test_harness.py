"""The tests' own Kubernetes: each part of it does what the tests of the operator count on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from tests.harness import account_logins, build, client, jobs, lost_node, network
from tests.harness.certificates import Authority
from tests.harness.control_plane import ControlPlane
from tests.harness.errors import HarnessError
from tests.harness.kubernetes_fixtures import KEYS_AUDIENCE, KEYS_POLICY, minio_openid
from tests.harness.logins import AUDIENCE, allow_snapshots
from tests.harness.minio import Minio
from tests.harness.node import Node
from tests.harness.process import wait_until
from tests.harness.s3 import S3, Keys
from tests.harness.vault import VaultCluster

pytestmark = pytest.mark.servers

STS = {"sts": "https://sts.amazonaws.com/doc/2011-06-15/"}
#: What a container of a hardened pod finds out about itself.
LOOK = """
import base64, json, os, pathlib
found = {"uid": os.getuid()}
status = pathlib.Path("/proc/self/status").read_text().splitlines()
found |= {name: value.strip() for name, value in (line.split(":", 1) for line in status) if name in
          ("CapEff", "NoNewPrivs", "Seccomp")}
try:
    pathlib.Path("/written").write_text("x")
except OSError as error:
    found["root"] = error.strerror
pathlib.Path("/tmp/written").write_text("x")
token = pathlib.Path("/var/run/secrets/tokens/openbao-token").read_text()
claims = token.split(".")[1]
found["audience"] = json.loads(base64.urlsafe_b64decode(claims + "=="))["aud"]
print("said to the log")
pathlib.Path("/dev/termination-log").write_text(json.dumps(found))
"""
#: As `LOOK`, but it reaches a server on the host and checks its certificate.
REACH = """
import pathlib, ssl, sys, urllib.request
context = ssl.create_default_context(cafile="/etc/bao/tls/ca.crt")
answer = urllib.request.urlopen(sys.argv[1], timeout=10, context=context)
pathlib.Path("/dev/termination-log").write_text(str(answer.status))
"""


def job(name: str, image: str, **container: Any) -> dict[str, Any]:
    """A hardened Job of one container, with a projected token and a folder to write in."""
    source = {"serviceAccountToken": {"audience": AUDIENCE, "path": "openbao-token"}}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "main",
                "image": image,
                "imagePullPolicy": "Never",
                "securityContext": {
                    "readOnlyRootFilesystem": True,
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "tokens", "mountPath": "/var/run/secrets/tokens", "readOnly": True},
                    {"name": "trust", "mountPath": "/etc/bao/tls", "readOnly": True},
                    {"name": "temporary", "mountPath": "/tmp"},
                ],
                **container,
            }
        ],
        "volumes": [
            {"name": "tokens", "projected": {"sources": [source]}},
            {"name": "trust", "configMap": {"name": "trust", "optional": True}},
            {"name": "temporary", "emptyDir": {}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def run(control_plane: ControlPlane, manifest: dict[str, Any]) -> str:
    """Run a Job to its end; gives its termination message."""
    name = manifest["metadata"]["name"]
    control_plane.apply(manifest)
    assert jobs.condition(jobs.ended(control_plane, name), "Complete"), jobs.pods(control_plane, name)
    return jobs.message(control_plane, name)


# --- the control plane -----------------------------------------------------------------------------


def test_anyone_may_read_the_keys_that_prove_tokens(control_plane: ControlPlane) -> None:
    """Discovery and keys are there without credentials, and nothing else is."""
    context = control_plane.authority.client_context()

    def ask(path: str) -> client.Answer:
        return client.request("GET", control_plane.url + path, context=context)

    document = ask("/.well-known/openid-configuration").json()
    assert document["issuer"] == control_plane.issuer
    assert ask("/openid/v1/jwks").json()["keys"]
    assert ask("/api/v1/namespaces").status == 403


def test_objects_outlive_the_api_server(control_plane: ControlPlane) -> None:
    """What was stored is there after a restart and after a crash, and the other parts go on."""
    metadata = {"name": "kept", "namespace": "default"}
    control_plane.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}})
    control_plane.restart_api_server()
    assert control_plane.get("configmap", "kept")["data"] == {"a": "b"}
    control_plane.kill_api_server()
    assert not control_plane.answers()
    control_plane.start_api_server()
    assert control_plane.get("configmap", "kept")["data"] == {"a": "b"}
    # That its default ServiceAccount comes is the controller manager's doing.
    control_plane.create_namespace("after-the-crash")
    control_plane.delete("configmap", "kept")
    assert control_plane.find("configmap", "kept") is None


def test_an_account_may_do_what_its_roles_say_and_no_more(control_plane: ControlPlane) -> None:
    """A ServiceAccount's kubeconfig is refused what no role allows, and what it asks is written down."""
    namespace = control_plane.create_namespace("limited", {"team": "a"})
    subject = control_plane.create_service_account("reader", namespace)
    control_plane.kubectl(
        *("create", "rolebinding", "reader", "--clusterrole=view", f"--serviceaccount={namespace}:reader"),
        *("-n", namespace),
    )
    mine = control_plane.service_account_kubeconfig("reader", namespace)
    assert control_plane.kubectl("get", "configmaps", "-o", "name", kubeconfig=mine)
    with pytest.raises(HarnessError, match="Forbidden"):
        control_plane.kubectl("get", "secrets", kubeconfig=mine)
    asked = [(each["verb"], each["objectRef"]["resource"]) for each in requests_for(control_plane, subject)]
    assert asked == [("list", "configmaps"), ("list", "secrets")]


def requests_for(control_plane: ControlPlane, user: str) -> list[dict[str, Any]]:
    """What a user asked for, without the questions that kubectl has about the API itself."""
    return [each for each in control_plane.requests(user) if "objectRef" in each]


def test_pod_security_is_enforced(control_plane: ControlPlane) -> None:
    """In a namespace that is restricted a pod without hardening is refused."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = control_plane.create_namespace("strict", labels)
    with pytest.raises(HarnessError, match="violates PodSecurity"):
        control_plane.kubectl("run", "soft", "--image=localhost/none", "-n", namespace)


def test_two_control_planes_at_once(control_plane: ControlPlane, tmp_path: Path) -> None:
    """A second one beside the first has its own objects, and trusts none of its tokens and certificates."""
    control_plane.create_namespace("only-in-the-first")
    with network.claimed() as second, ControlPlane(tmp_path, network=second, parts=()) as other:
        assert second != control_plane.network
        assert control_plane.answers()
        assert other.request("GET", "/api/v1/namespaces/default").status == 200
        assert other.request("GET", "/api/v1/namespaces/only-in-the-first").status == 404
        with pytest.raises(HarnessError, match="certificate"):
            control_plane.kubectl("get", "namespaces", "--server", other.url)


def test_a_network_is_free_again_afterwards() -> None:
    """A network that was given back is the next one to be claimed."""
    with network.claimed() as first, network.claimed() as second:
        assert first.subnet != second.subnet
    with network.claimed() as again:
        assert again == first


# --- those who trust its tokens --------------------------------------------------------------------


@pytest.fixture(scope="module")
def trusting_vault(servers_folder: Path, vault_binary: Path, authority: Authority) -> Iterator[VaultCluster]:
    """A cluster on loopback that may use the plugin."""
    folder = servers_folder / f"{vault_binary.name}-trusting"
    plugins = account_logins.plugin_folder()
    with VaultCluster(folder, vault_binary, authority=authority, plugins=plugins) as cluster:
        yield cluster


@pytest.mark.parametrize("method", ["jwt", "kubernetes"])
def test_a_token_of_an_account_logs_in(
    control_plane: ControlPlane, trusting_vault: VaultCluster, method: str
) -> None:
    """A ServiceAccount's token for the right audience buys a token that reads snapshots; others do not."""
    subject = control_plane.create_service_account("backup")
    control_plane.create_service_account("stranger")
    policies = [allow_snapshots(trusting_vault)]
    if method == "jwt":
        account_logins.trust_issuer(trusting_vault, policies, control_plane, subject=subject)
    else:
        account_logins.review_tokens(trusting_vault, policies, control_plane, account="backup")
    leader = trusting_vault.leader()
    path = f"auth/{'jwt-operator' if method == 'jwt' else 'kubernetes'}/login"

    def log_in(token: str) -> client.Answer:
        return leader.request("PUT", path, {"role": "backup", "jwt": token})

    answer = log_in(control_plane.token("backup", audience=AUDIENCE))
    assert answer.status == 200, answer.body
    bought = answer.json()["auth"]["client_token"]
    assert leader.request("GET", "sys/storage/raft/snapshot", token=bought).body[:2] == b"\x1f\x8b"
    assert leader.request("GET", "sys/mounts", token=bought).status == 403
    assert log_in(control_plane.token("backup", audience="another")).status in (400, 403)
    assert log_in(control_plane.token("stranger", audience=AUDIENCE)).status in (400, 403)


def test_a_token_of_an_account_buys_keys(
    control_plane: ControlPlane, authority: Authority, tmp_path: Path
) -> None:
    """MinIO gives keys for a token of the right audience; they may do what its role's policy allows."""
    openid = minio_openid(control_plane)
    with Minio(tmp_path, build.binary("minio"), authority, openid) as minio:
        minio.root.make_bucket("backups")
        minio.root.make_bucket("others")
        minio.add_policy(KEYS_POLICY, ["s3:PutObject", "s3:GetObject"], ["backups"])
        control_plane.create_service_account("backup")

        def ask(audience: str) -> client.Answer:
            token = control_plane.token("backup", audience=audience)
            form = {
                "Action": "AssumeRoleWithWebIdentity",
                "Version": "2011-06-15",
                "RoleArn": openid.role,
                "RoleSessionName": "test",
                "WebIdentityToken": token,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            body = urlencode(form).encode()
            context = authority.client_context()
            return client.request("POST", minio.url + "/", body=body, headers=headers, context=context)

        assert ask(AUDIENCE).status == 400
        answer = ask(KEYS_AUDIENCE)
        assert answer.status == 200, answer.body
        given = ET.fromstring(answer.body).find(".//sts:Credentials", STS)
        assert given is not None
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        access, secret, session = (given.findtext(f"sts:{name}", "", STS) for name in names)
        keys = Keys(access, secret, session)
        store = S3(minio.url, keys, authority.client_context())
        store.put("backups", "key", b"content")
        assert store.get("backups", "key") == b"content"
        assert store.request("PUT", "/others/key", body=b"content").status == 403


# --- the node --------------------------------------------------------------------------------------


def test_a_hardened_pod_runs(control_plane: ControlPlane, operator_image: str) -> None:
    """A Job's pod has no right that it does not need, reads its token, and says its last word."""
    python = ["/usr/local/bin/python3", "-c", LOOK]
    found = json.loads(run(control_plane, job("hardened", operator_image, command=python)))
    assert found["uid"] == 1000
    assert int(found["CapEff"], 16) == 0
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert found["root"] == "Read-only file system"
    assert found["audience"] == [AUDIENCE]
    assert control_plane.kubectl("logs", "job/hardened") == "said to the log\n"


def test_the_image_runs_the_program(control_plane: ControlPlane, operator_image: str) -> None:
    """The image's own program is bao-backup, and has the libraries of the operator beside it."""
    control_plane.apply(job("program", operator_image, args=["--version"]))
    assert jobs.condition(jobs.ended(control_plane, "program"), "Complete")
    assert control_plane.kubectl("logs", "job/program").startswith("bao-backup, version ")
    imports = ["/usr/local/bin/python3", "-c", "import kopf, kubernetes_asyncio, obstore, ssl, sqlite3"]
    run(control_plane, job("libraries", operator_image, command=imports))


@pytest.mark.parametrize("server", ["vault", "minio", "api-server"])
def test_a_pod_reaches_servers_on_the_host(
    control_plane: ControlPlane,
    operator_image: str,
    pod_vault: VaultCluster,
    pod_minio: Minio,
    server: str,
) -> None:
    """A pod reaches Vault, MinIO and the API server at the node's address, and their certificates name it."""
    assert control_plane.network is not None
    url, ca_file = {
        "vault": (f"{pod_vault.leader().url}/v1/sys/health", pod_vault.ca_file),
        "minio": (f"{pod_minio.url}/minio/health/live", pod_minio.ca_file),
        "api-server": (
            f"https://{control_plane.network.address}:{control_plane.port}/openid/v1/jwks",
            control_plane.ca_file,
        ),
    }[server]
    assert ca_file is not None
    metadata = {"name": "trust", "namespace": "default"}
    trust = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}
    trust["data"] = {"ca.crt": ca_file.read_text(encoding="ascii")}
    control_plane.apply(trust)
    command = ["/usr/local/bin/python3", "-c", REACH, url]
    assert run(control_plane, job(f"reaches-{server}", operator_image, command=command)) == "200"


def test_a_lost_node_is_noticed(control_plane: ControlPlane, real_node: Node, operator_image: str) -> None:
    """When a kubelet is gone its pods are given up; when it is back it is ready and ends them."""
    sleep = ["/usr/local/bin/python3", "-c", "import time; time.sleep(600)"]
    control_plane.apply(job("lost", operator_image, command=sleep))
    wait_until(
        "the pod to run",
        lambda: [each["status"]["phase"] for each in jobs.pods(control_plane, "lost")] == ["Running"],
        seconds=30,
        every=0.2,
    )
    with lost_node.lost(real_node):
        wait_until(
            "the pod to be given up",
            lambda: "deletionTimestamp" in jobs.pods(control_plane, "lost")[0]["metadata"],
            seconds=20,
            every=0.2,
        )
        assert not real_node.ready()
        control_plane.kubectl("delete", "job", "lost", "--wait=false")
    assert real_node.ready()
    wait_until("the pod to end", lambda: not jobs.pods(control_plane, "lost"), seconds=60, every=0.2)
