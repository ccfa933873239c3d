"""A node that is lost: its kubelet says nothing any more, as when the machine is gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.harness.control_plane import ControlPlane
from tests.harness.errors import HarnessError
from tests.harness.node import Node
from tests.harness.node_files import LEASE_SECONDS
from tests.harness.process import wait_until

_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


@contextmanager
def lost(node: Node) -> Iterator[None]:
    """Within, the node is lost: its taint is there from the start, its pods are given up some 5 s later.

    Another node, which takes no pods, stays ready meanwhile: when all nodes are lost the controller
    manager takes itself for the one that is cut off, and gives up no pod at all. Afterwards the node is
    ready again; that it ends its old pods is what the API server told it meanwhile.
    """
    with _ready_node(node.control_plane, f"{node.network.bridge}-other"):
        node.kill_kubelet()
        try:
            wait_until("the node to be counted as lost", lambda: _unreachable(node), seconds=60, every=0.2)
            yield
        finally:
            node.start_kubelet()


def _unreachable(node: Node) -> bool:
    taints = node.control_plane.get("node", node.name)["spec"].get("taints", [])
    return any(
        each["key"] == "node.kubernetes.io/unreachable" and each["effect"] == "NoExecute" for each in taints
    )


@contextmanager
def _ready_node(control_plane: ControlPlane, name: str) -> Iterator[None]:
    """A node that says that it is ready, and is nothing else."""
    ended = threading.Event()
    control_plane.create("/api/v1/nodes", {"metadata": {"name": name}, "spec": {"unschedulable": True}})
    lease = control_plane.create(_LEASES, {"metadata": {"name": name}, "spec": _renewed(name)})
    thread = threading.Thread(target=_renew, args=(control_plane, lease, ended), name=name)
    thread.start()
    try:
        _say_ready(control_plane, name)
        yield
    finally:
        ended.set()
        thread.join()
        control_plane.request("DELETE", f"/api/v1/nodes/{name}")
        control_plane.request("DELETE", f"{_LEASES}/{name}")


def _say_ready(control_plane: ControlPlane, name: str) -> None:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    times = {"lastHeartbeatTime": moment, "lastTransitionTime": moment}
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", **times}

    def said() -> bool:
        # Others write to it, too: again with what they wrote.
        item = control_plane.request("GET", f"/api/v1/nodes/{name}").json()
        item["status"]["conditions"] = [condition]
        return control_plane.request("PUT", f"/api/v1/nodes/{name}/status", item).status == 200

    wait_until(f"{name} to be ready", said, seconds=10)


def _renew(control_plane: ControlPlane, lease: dict[str, Any], ended: threading.Event) -> None:
    name = lease["metadata"]["name"]
    while not ended.wait(LEASE_SECONDS / 4):
        lease["spec"] = _renewed(name)
        try:
            answer = control_plane.request("PUT", f"{_LEASES}/{name}", lease)
        except HarnessError:  # the API server may be restarted meanwhile
            continue
        if answer.status == 200:
            lease = answer.json()


def _renewed(name: str) -> dict[str, Any]:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": moment}
