"""Runs that fail on a real node: what the status says of each, and that the next one after a repair succeeds.

All fail at the same time, since two of them take two minutes: their pods cannot start.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.cluster.e2e_site import NodeSite
from tests.cluster.operator_program import Operator
from tests.harness import jobs, lost_node
from tests.harness.node import Node

pytestmark = pytest.mark.servers

NO_IMAGE = "localhost/none:1"
LITTLE_MEMORY = "16Mi"
#: As long as it takes until a pod that cannot start is given up, and some more for a busy machine.
GIVEN_UP = 200.0


@pytest.fixture(scope="module")
def silent_server(real_node: Node) -> Iterator[str]:
    """The URL of a server that takes connections, and says nothing."""
    with socket.create_server((real_node.address, 0), backlog=64) as server:
        yield f"https://{real_node.address}:{server.getsockname()[1]}"


def to(address: str) -> dict[str, Any]:
    """A `spec.connection` with this address alone."""
    return {"addresses": [address], "caSecretRef": {"name": "bao-ca"}}


@pytest.fixture(scope="module")
def site(node_site: NodeSite, manager: Operator, silent_server: str) -> NodeSite:
    """A cluster for each failure; all are asked for a run at once."""
    assert manager.running
    node_site.add("no-image", trigger="please", image=NO_IMAGE)
    forgotten = node_site.target(credentialsSecretRef={"name": "forgotten"})
    node_site.add("no-secret", trigger="please", target=forgotten)
    wrong = node_site.trust("wrong-role") | {"role": "nobody"}
    node_site.add("wrong-role", trigger="please", auth=wrong)
    limits = {"limits": {"memory": LITTLE_MEMORY}, "requests": {"memory": LITTLE_MEMORY}}
    node_site.add("little-memory", trigger="please", jobTemplate={"resources": limits})
    node_site.add(
        "too-slow",
        trigger="please",
        activeDeadlineSeconds=60,
        spec={"connection": to(silent_server)},
    )
    return node_site


def failed(site: NodeSite, name: str, reason: str, seconds: float = 120) -> str:
    """The only run of the cluster has failed for this reason, as everything says; gives the message."""
    backup = site.until_over(name, seconds=seconds)
    message: str = backup["lastFailureMessage"]
    assert backup["lastFailureReason"] == reason, message
    assert backup["lastFailureTime"] >= backup["lastAttemptTime"]
    assert "lastSuccessfulBackup" not in backup
    ready = site.condition(name, "BackupReady")
    assert (ready["status"], ready["reason"]) == ("False", reason)
    site.until("the event", lambda: "BackupFailed" in dict(site.told(name)))
    assert dict(site.told(name))["BackupFailed"] == f"{reason}: {message}"
    assert site.keys_of(name) == []
    return message


def succeeds(site: NodeSite, name: str) -> None:
    """The next request ends in a proven backup."""
    site.ask(name, "again")
    backup = site.until_over(name, runs=2)
    assert backup["consecutiveFailures"] == 0
    assert site.condition(name, "BackupReady")["status"] == "True"
    site.proven(name)


def test_a_wrong_role(site: NodeSite) -> None:
    """What the executor says in its last message stands in the status, with method, mount and server."""
    message = failed(site, "wrong-role", "LoginFailed")
    assert f"{site.vault.addresses[0]} by jwt at auth/jwt-operator: refused" in message
    site.change("wrong-role", {"spec": {"backup": {"auth": site.trust("wrong-role")}}})
    succeeds(site, "wrong-role")


def test_too_little_memory(site: NodeSite) -> None:
    """A container that was killed for its memory left no word; the limit is named."""
    message = failed(site, "little-memory", "OutOfMemory")
    assert f"its limit of {LITTLE_MEMORY}" in message
    site.change("little-memory", {"spec": {"backup": {"jobTemplate": None}}})
    succeeds(site, "little-memory")


def test_a_deadline(site: NodeSite, silent_server: str) -> None:
    """The executor gives up before Kubernetes would delete its pod, so that it can say what was slow."""
    message = failed(site, "too-slow", "NoLeader")
    assert f"{silent_server} no answer" in message
    connection = {"addresses": site.vault.addresses}
    site.change("too-slow", {"spec": {"connection": connection, "backup": {"activeDeadlineSeconds": 600}}})
    succeeds(site, "too-slow")


@pytest.mark.thorough
def test_no_such_image(site: NodeSite) -> None:
    """A pod whose image the node does not have is given up after two minutes, and the image is named."""
    message = failed(site, "no-image", "ImageNotFound", GIVEN_UP)
    assert f'"{NO_IMAGE}"' in message
    site.change("no-image", {"spec": {"backup": {"image": None}}})
    succeeds(site, "no-image")


@pytest.mark.thorough
def test_no_such_secret(site: NodeSite) -> None:
    """A pod that waits for a Secret is given up after two minutes, and the Secret is named."""
    message = failed(site, "no-secret", "SecretNotFound", GIVEN_UP)
    assert '"forgotten"' in message
    site.secret("forgotten", {**site.keys, "caCert": site.ca})
    succeeds(site, "no-secret")


@contextmanager
def out_of_service(site: NodeSite, node: Node) -> Iterator[None]:
    """What Kubernetes asks people to tell it of a node that is gone: only then its pods end without it.

    https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown
    """
    taint = "node.kubernetes.io/out-of-service"
    site.plane.kubectl("taint", "node", node.name, f"{taint}=nodeshutdown:NoExecute")
    try:
        yield
    finally:
        site.plane.kubectl("taint", "node", node.name, f"{taint}-")


def test_a_lost_node(site: NodeSite, real_node: Node, silent_server: str) -> None:
    """The run of a node that is gone is told as that, and its lock is free while the node is still gone."""
    name = "on-lost-node"
    site.add(name, trigger="please", spec={"connection": to(silent_server)})

    def runs() -> bool:
        made = [job["metadata"]["name"] for job in site.jobs(name)]
        pods = [pod for each in made for pod in jobs.pods(site.plane, each, site.namespace)]
        return [pod["status"]["phase"] for pod in pods] == ["Running"]

    site.until("the pod to run", runs, seconds=60)
    with lost_node.lost(real_node), out_of_service(site, real_node):
        message = failed(site, name, "NodeLost", GIVEN_UP)
    assert "lost" in message
    site.change(name, {"spec": {"connection": {"addresses": site.vault.addresses}}})
    succeeds(site, name)
