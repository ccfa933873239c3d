"""The runtime of restores on Kubernetes, for its contract: on an API in memory, and on a real API server."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from tests.adapters.api_in_memory import ApiInMemory, client_of, served
from tests.adapters.jobs import condition
from tests.cluster.crd_server import with_our_crds
from tests.contracts.kubernetes_runtime import CLUSTERS as CLUSTERS_PATH
from tests.contracts.kubernetes_runtime import EVENTS as EVENTS_PATH
from tests.contracts.kubernetes_runtime import JOBS as JOBS_PATH
from tests.contracts.kubernetes_runtime import OPTIONS, document
from tests.harness.control_plane import ControlPlane
from tests.harness.pod_fates import SaysNothing, Succeeds, ended
from tests.harness.process import wait_until
from tests.harness.stand_in_node import StandInNode

from bao_backup.adapters.kubernetes.api import CLUSTERS, EVENTS, JOBS, PODS, RESTORES, KubernetesApi
from bao_backup.adapters.kubernetes.connection import connect, open_client
from bao_backup.adapters.kubernetes.restore_runtime import KubernetesRestores
from bao_backup.adapters.kubernetes.runtime import KubernetesRuntime
from bao_backup.adapters.system import SystemClock
from bao_backup.core.observed import Emit

T = TypeVar("T")
Json = dict[str, Any]
NAME, CLUSTER, RUN = "back", "bao", "restore-back"
KEY = "default/bao/2026-11-22T02-00-00Z-0123abcd.snap"
SAFETY = "default/bao/pre-restore-2026-11-23T02-00-00Z-0123abcd.snap"
WELL, SILENT = Succeeds(key=KEY, safety_key=SAFETY, size=5), SaysNothing()
RESTORES_PATH = "/apis/openbao.org/v1alpha1/namespaces/{}/openbaorestores"


class _Stage(ABC):
    """A namespace with one cluster and one restore; what happens there is shown as a watch would."""

    namespace: str

    def __init__(self) -> None:
        # One loop for all calls: a connection belongs to the loop that opened it.
        self._loop = asyncio.Runner()
        self._open_things = AsyncExitStack()
        self._api = self.do(self._connect(self._open_things))
        self.cluster_uid = self._create(CLUSTERS_PATH, document(self.namespace))
        self._begun: set[str] = set()
        #: uids of restores that there was news of, and that went
        self.changed: list[str] = []
        self.gone: list[str] = []
        self.again()
        self.uid = self.ask()

    @abstractmethod
    async def _connect(self, things: AsyncExitStack) -> KubernetesApi: ...

    @abstractmethod
    def _create(self, path: str, body: Json) -> str:
        """Create it; gives its uid."""

    @abstractmethod
    def _delete(self, path: str, name: str) -> None:
        """And what it owns."""

    @abstractmethod
    def _items(self, path: str) -> list[Json]: ...

    @abstractmethod
    def _end_run(self, *, well: bool) -> None: ...

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(call)

    def close(self) -> None:
        """End the connections."""
        self.do(self._open_things.aclose())
        self._loop.close()

    def again(self) -> None:
        clock = SystemClock()
        self.clusters = KubernetesRuntime(
            self._api,
            clock=clock,
            options=OPTIONS,
            tell=lambda *_: None,
            changed=lambda _: None,
            gone=lambda _: None,
        )
        self.runtime = KubernetesRestores(
            self._api,
            self.clusters,
            clock=clock,
            options=OPTIONS,
            tell=lambda *_: None,
            changed=self.changed.append,
            gone=self.gone.append,
        )
        self._see()

    def _see(self) -> None:
        self.do(self.clusters.known.take_all(self._api, [self.namespace]))

    def ask(self, name: str = NAME, **spec: object) -> str:
        source = {"target": {"bucket": "backups"}, "latest": True}
        body = {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": "OpenBaoRestore",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"cluster": CLUSTER, "source": source, "jwtAuthRole": "restore", **spec},
        }
        uid = self._create(RESTORES_PATH, body)
        self._see()
        return uid

    def remove_document(self, uid: str) -> None:
        (name,) = {
            each["metadata"]["name"] for each in self._items(RESTORES_PATH) if each["metadata"]["uid"] == uid
        }
        self._delete(RESTORES_PATH, name)
        self._see()

    def remove_cluster(self) -> None:
        self._delete(CLUSTERS_PATH, CLUSTER)
        self._see()

    def remove_run(self) -> None:
        self._delete(JOBS_PATH, RUN)
        self._see()

    def begun(self) -> int:
        self._begun |= {job["metadata"]["uid"] for job in self._items(JOBS_PATH)}
        return len(self._begun)

    def end(self, *, well: bool) -> None:
        self.begun()
        self._end_run(well=well)
        self._see()

    def told(self, uid: str) -> list[Emit]:
        events = [each for each in self._items(EVENTS_PATH) if each["involvedObject"].get("uid") == uid]
        return [
            Emit(reason=each["reason"], message=each["message"], warning=each["type"] == "Warning")
            for each in sorted(events, key=lambda each: int(each["metadata"]["resourceVersion"]))
        ]


class OnApiInMemory(_Stage):
    """Whatever a controller or a kubelet would write is written by the test."""

    namespace = "vault"
    _kinds: ClassVar = {
        CLUSTERS_PATH: CLUSTERS,
        RESTORES_PATH: RESTORES,
        JOBS_PATH: JOBS,
        EVENTS_PATH: EVENTS,
    }

    def __init__(self) -> None:
        self.server = ApiInMemory()
        super().__init__()

    async def _connect(self, things: AsyncExitStack) -> KubernetesApi:
        url = await things.enter_async_context(served(self.server.handle))
        return await things.enter_async_context(client_of(url))

    def _create(self, path: str, body: Json) -> str:
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        stored = body | {"metadata": body["metadata"] | {"creationTimestamp": created, "generation": 1}}
        uid: str = self.server.put(self._kinds[path], stored)["metadata"]["uid"]
        return uid

    def _delete(self, path: str, name: str) -> None:
        found = self.server.find(self._kinds[path], self.namespace, name)
        assert found is not None
        self.server.remove(self._kinds[path], self.namespace, name)
        for kind in (JOBS, PODS):
            for each in self.server.all(kind):
                owners = each["metadata"].get("ownerReferences", ())
                if any(owner["uid"] == found["metadata"]["uid"] for owner in owners):
                    self.server.remove(kind, self.namespace, each["metadata"]["name"])

    def _items(self, path: str) -> list[Json]:
        return self.server.all(self._kinds[path])

    def _end_run(self, *, well: bool) -> None:
        job = self.server.find(JOBS, self.namespace, RUN)
        assert job is not None
        finished = datetime.now(UTC)
        template = job["spec"]["template"]
        pod: Json = {
            "metadata": {
                **template["metadata"],
                "name": f"{RUN}-abcde",
                "namespace": self.namespace,
                "ownerReferences": [{"uid": job["metadata"]["uid"]}],
            },
            "spec": template["spec"],
        }
        pod["metadata"]["labels"] |= {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}
        started = finished - timedelta(seconds=1)
        self.server.put(PODS, pod | ended(pod, WELL if well else SILENT, started, finished))
        over = condition("Complete", "", 0) if well else condition("Failed", "BackoffLimitExceeded", 0)
        self.server.put(JOBS, job | {"status": {"conditions": [over]} | ({"succeeded": 1} if well else {})})


class OnKubernetes(_Stage):
    """A real API server with its controllers, and pods that end when they are told to."""

    def __init__(self, plane: ControlPlane, node: StandInNode, namespace: str) -> None:
        self._plane, self._node = plane, node
        self.namespace = plane.create_namespace(namespace)
        super().__init__()

    async def _connect(self, things: AsyncExitStack) -> KubernetesApi:
        configuration = await connect(str(self._plane.kubeconfig))
        return KubernetesApi(await things.enter_async_context(open_client(configuration)))

    def _create(self, path: str, body: Json) -> str:
        uid: str = self._plane.create(path.format(self.namespace), body)["metadata"]["uid"]
        return uid

    def _delete(self, path: str, name: str) -> None:
        place = f"{path.format(self.namespace)}/{name}"
        owned = {
            job["metadata"]["name"]
            for job in self._items(JOBS_PATH)
            if any(owner["name"] == name for owner in job["metadata"]["ownerReferences"])
        }
        answer = self._plane.request("DELETE", place, {"propagationPolicy": "Background"})
        assert answer.status in (200, 202), answer.body
        wait_until(f"{name} to be gone", lambda: self._plane.request("GET", place).status == 404, seconds=30)
        wait_until(
            f"what {name} owned to be gone",
            lambda: not owned & {job["metadata"]["name"] for job in self._items(JOBS_PATH)},
            seconds=60,
        )

    def _items(self, path: str) -> list[Json]:
        items: list[Json] = self._plane.request("GET", path.format(self.namespace)).json()["items"]
        return items

    def _end_run(self, *, well: bool) -> None:
        self._node.decide(self.namespace, CLUSTER, WELL if well else SILENT)
        wait_until(f"{RUN} to end", self._is_over, seconds=30)

    def _is_over(self) -> bool:
        (job,) = [job for job in self._items(JOBS_PATH) if job["metadata"]["name"] == RUN]
        conditions: tuple[Mapping[str, str], ...] = job["status"].get("conditions", ())
        return any(each["type"] in ("Complete", "Failed") for each in conditions)

    def close(self) -> None:
        """End the connections, and remove the cluster and its Jobs."""
        super().close()
        for path in (RESTORES_PATH, CLUSTERS_PATH):
            self._plane.request("DELETE", path.format(self.namespace))


@contextmanager
def on_api_in_memory(_: pytest.FixtureRequest, _folder: Path) -> Iterator[OnApiInMemory]:
    """The manager's on Kubernetes, with an API server that only keeps objects."""
    stage = OnApiInMemory()
    try:
        yield stage
    finally:
        stage.close()


@contextmanager
def on_kubernetes(request: pytest.FixtureRequest, _: Path) -> Iterator[OnKubernetes]:
    """The manager's on Kubernetes."""
    plane: ControlPlane = request.getfixturevalue("control_plane")
    node: StandInNode = request.getfixturevalue("node_of_runs")
    with_our_crds(plane)
    stage = OnKubernetes(plane, node, f"restores-{abs(hash(request.node.nodeid)) % 0xFFFFFFFF:08x}")
    try:
        yield stage
    finally:
        stage.close()
