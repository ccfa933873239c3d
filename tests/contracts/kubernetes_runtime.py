"""The runtime on Kubernetes, for the contract: a real API server, and pods that end when they are told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from kubernetes_asyncio.client import ApiClient
from tests.cluster.crd_server import with_our_crds
from tests.harness.control_plane import ControlPlane
from tests.harness.pod_fates import Hangs, SaysNothing, Succeeds
from tests.harness.process import wait_until
from tests.harness.stand_in_node import StandInNode

from bao_backup.adapters.kubernetes.api import KubernetesApi
from bao_backup.adapters.kubernetes.connection import connect
from bao_backup.adapters.kubernetes.names import TRIGGER
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.adapters.kubernetes.runtime import KubernetesRuntime
from bao_backup.adapters.system import SystemClock
from bao_backup.core.observed import Emit, StartRun

T = TypeVar("T")
Json = dict[str, Any]
CLUSTER = "bao"
CLUSTERS = "/apis/openbao.org/v1alpha1/namespaces/{}/openbaoclusters"
JOBS = "/apis/batch/v1/namespaces/{}/jobs"
EVENTS = "/api/v1/namespaces/{}/events"
#: No node has it: a scheduler leaves the pods to the stand-in.
NOWHERE = {"example.com/node": "none"}
OPTIONS = JobOptions(image="registry.example/bao-backup:test")


def document(namespace: str) -> Json:
    """A cluster that nobody else manages."""
    return {
        "apiVersion": "openbao.org/v1alpha1",
        "kind": "OpenBaoCluster",
        "metadata": {"name": CLUSTER, "namespace": namespace},
        "spec": {
            "connection": {"addresses": ["https://bao.example:8200"]},
            "backup": {
                "schedule": "0 2 * * *",
                "target": {"bucket": "backups", "credentialsSecretRef": {"name": "keys"}},
                "jwtAuthRole": "backup",
                "jobTemplate": {"nodeSelector": NOWHERE},
            },
        },
    }


class OnKubernetes:
    """A namespace with one cluster; what happens there is shown to the runtime as a watch would."""

    asks_health = False

    def __init__(self, plane: ControlPlane, node: StandInNode, namespace: str) -> None:
        self._plane, self._node = plane, node
        self.namespace = plane.create_namespace(namespace)
        stored = plane.create(CLUSTERS.format(namespace), document(namespace))
        self.uid: str = stored["metadata"]["uid"]
        # One loop for all calls: a connection belongs to the loop that opened it.
        self._loop = asyncio.Runner()
        self._client = self.do(self._connect())
        self._api = KubernetesApi(self._client)
        self._begun: set[str] = set()
        self.runtime = self._open()

    async def _connect(self) -> ApiClient:
        return ApiClient(await connect(str(self._plane.kubeconfig)))

    def _open(self) -> KubernetesRuntime:
        runtime = KubernetesRuntime(
            self._api,
            clock=SystemClock(),
            options=OPTIONS,
            tell=lambda *_: None,
            changed=lambda _: None,
            gone=lambda _: None,
        )
        self.do(runtime.begin([self.namespace]))
        return runtime

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(call)

    def close(self) -> None:
        """End the connections, and remove the cluster and its Jobs."""
        self.do(self._client.close())
        self._loop.close()
        self._plane.request("DELETE", CLUSTERS.format(self.namespace))

    def _see(self) -> None:
        self.do(self.runtime.known.take_all(self._api, [self.namespace]))

    def change_document(self) -> None:
        self._change({"spec": {"backup": {"schedule": "0 3 * * *"}}})

    def ask(self) -> str:
        self._change({"metadata": {"annotations": {TRIGGER: "please"}}})
        return "please"

    def _change(self, change: Json) -> None:
        merge = ("patch", "openbaoclusters", CLUSTER, "-n", self.namespace, "--type=merge", "-p")
        self._plane.kubectl(*merge, json.dumps(change))
        self._see()

    def begun(self) -> int:
        self._begun |= {job["metadata"]["uid"] for job in self._items(JOBS)}
        return len(self._begun)

    def end(self, run: StartRun, *, well: bool) -> None:
        self._node.decide(self.namespace, CLUSTER, Succeeds() if well else SaysNothing())
        wait_until(f"{run.name} to end", lambda: self._is_over(run.name), seconds=30)
        self._see()

    def end_check(self, name: str) -> None:
        self._node.decide(self.namespace, CLUSTER, Succeeds())
        wait_until(f"{name} to end", lambda: self._is_over(name), seconds=30)
        self._see()

    def _is_over(self, name: str) -> bool:
        (job,) = [job for job in self._items(JOBS) if job["metadata"]["name"] == name]
        conditions = job["status"].get("conditions", ())
        return any(each["type"] in ("Complete", "Failed") for each in conditions)

    def told(self) -> list[Emit]:
        events = [each for each in self._items(EVENTS) if each["involvedObject"].get("uid") == self.uid]
        return [
            Emit(reason=each["reason"], message=each["message"], warning=each["type"] == "Warning")
            for each in sorted(events, key=lambda each: int(each["metadata"]["resourceVersion"]))
        ]

    def again(self) -> None:
        self.runtime = self._open()

    def _items(self, path: str) -> list[Json]:
        items: list[Json] = self._plane.request("GET", path.format(self.namespace)).json()["items"]
        return items


@pytest.fixture(scope="module")
def node_of_runs(control_plane: ControlPlane) -> Iterator[StandInNode]:
    """Ends pods when a test says so; until then they run."""
    with StandInNode(control_plane, default=Hangs(), quick=True) as node:
        yield node


@contextmanager
def on_kubernetes(request: pytest.FixtureRequest, _: Path) -> Iterator[OnKubernetes]:
    """The manager's on Kubernetes."""
    plane: ControlPlane = request.getfixturevalue("control_plane")
    node: StandInNode = request.getfixturevalue("node_of_runs")
    with_our_crds(plane)
    stage = OnKubernetes(plane, node, f"runtime-{abs(hash(request.node.nodeid)) % 0xFFFFFFFF:08x}")
    try:
        yield stage
    finally:
        stage.close()
