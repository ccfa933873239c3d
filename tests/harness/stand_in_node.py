"""Plays scheduler and kubelet for the pods of runs: they start and end, and no container ever runs.

For control planes without a scheduler. What becomes of a pod is decided beforehand, by its cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from tests.harness import pod_fates
from tests.harness.control_plane import ControlPlane
from tests.harness.errors import HarnessError
from tests.harness.loop_thread import LoopThread
from tests.harness.pod_fates import Fate, Hangs, NeverStarts, Succeeds

from bao_backup.adapters.kubernetes.names import CLUSTER, MANAGED_BY, OURS

SELECTOR = f"{MANAGED_BY}={OURS}"
#: Seconds between signs of life; a node that gives none for 12 s is lost to the controller manager.
BEAT_EVERY = 2.0
PAUSE = 0.2
#: What aiohttp's TLS connections need to end in order.
#: https://docs.aiohttp.org/en/stable/client_advanced.html#graceful-shutdown
CLOSING = 0.25
#: How many requests may be under way at once.
AT_ONCE = 32

Json = dict[str, Any]


class StandInNode:
    """A node of one control plane, in a thread of its own.

    `default` becomes of every pod of whose cluster nothing else is decided; it may be changed any time.
    """

    def __init__(
        self, plane: ControlPlane, *, name: str = "stand-in", default: Fate | None = None, quick: bool = False
    ) -> None:
        """With `quick` pods end without having been seen running on a node: one request for each."""
        self.name = name
        self.default: Fate = default or Succeeds()
        #: Names of the pods that were ended here, in order, as "namespace/name".
        self.ended: list[str] = []
        self._quick = quick
        self._url = plane.url
        self._fates: dict[tuple[str, str], Fate] = {}
        owner = plane.authority.issue(f"{name}-of-tests", (), group="system:masters")
        self._context = ssl.create_default_context(cafile=str(plane.ca_file))
        self._context.load_cert_chain(owner.certificate, owner.key)
        #: uid of a pod -> what looks after it
        self._tasks: dict[str, asyncio.Task[None]] = {}
        #: uids of pods that are to go away
        self._leaving: set[str] = set()
        self._decided = asyncio.Condition()
        self._defects: list[BaseException] = []
        self._thread: LoopThread | None = None

    # --- what a test decides -------------------------------------------------------------------

    def decide(self, namespace: str, cluster: str, fate: Fate) -> None:
        """What becomes of the pods of this cluster from now on, and of those that hang."""
        self._fates[namespace, cluster] = fate
        self._tell()

    def decide_for_all(self, fate: Fate) -> None:
        """What becomes of all pods, whatever was decided before."""
        self._fates.clear()
        self.default = fate
        self._tell()

    def _tell(self) -> None:
        if self._thread is not None:
            self._thread.call(self._notify())

    async def _notify(self) -> None:
        async with self._decided:
            self._decided.notify_all()

    # --- its life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Be there; pods that wait already are started."""
        self._thread = LoopThread(self.name)
        self._thread.call(self._begin())

    def stop(self) -> None:
        """Be gone; raises what went wrong here."""
        if self._thread is None:
            return
        self._thread.call(self._end())
        self._thread.stop()
        self._thread = None
        if self._defects:
            raise self._defects[0]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def _begin(self) -> None:
        self._session = ClientSession(
            self._url,
            connector=TCPConnector(ssl=self._context, limit=0),
            timeout=ClientTimeout(total=60, sock_connect=5),
        )
        self._places = asyncio.Semaphore(AT_ONCE)
        if not self._quick:
            await self._join()
            self._keep("beat", self._beat())
        self._keep("watch", self._watch())

    async def _end(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._session.close()
        await asyncio.sleep(CLOSING)

    def _keep(self, key: str, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks[key] = task

        def over(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._defects.append(error)

        task.add_done_callback(over)

    # --- the node ------------------------------------------------------------------------------

    async def _join(self) -> None:
        now = _moment()
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name},
            # A real scheduler is not to choose it: pods are bound here.
            "spec": {"unschedulable": True},
            "status": {
                "capacity": {"cpu": "1000", "memory": "1Ti", "pods": "100000"},
                "allocatable": {"cpu": "1000", "memory": "1Ti", "pods": "100000"},
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "reason": "StandIn",
                        "lastHeartbeatTime": now,
                        "lastTransitionTime": now,
                    }
                ],
            },
        }
        await self._ask("POST", "/api/v1/nodes", node)

    async def _beat(self) -> None:
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": self.name, "leaseDurationSeconds": 40},
        }
        await self._ask("POST", path, lease)
        while True:
            beat = {"spec": {"renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}}
            await self._ask("PATCH", f"{path}/{self.name}", beat)
            await asyncio.sleep(BEAT_EVERY)

    # --- its pods ------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """List and watch, anew whenever the watch ends."""
        while True:
            try:
                listed = await self._ask("GET", f"/api/v1/pods?labelSelector={SELECTOR}")
                for pod in listed["items"]:
                    await self._see(pod)
                async for event in self._events(listed["metadata"]["resourceVersion"]):
                    if event["type"] not in ("ADDED", "MODIFIED"):
                        break
                    await self._see(event["object"])
            except (ClientError, OSError, TimeoutError):
                pass  # the API server is gone: it comes back
            await asyncio.sleep(PAUSE)

    async def _events(self, version: str) -> AsyncIterator[Json]:
        path = f"/api/v1/pods?labelSelector={SELECTOR}&watch=true&resourceVersion={version}"
        timeout = ClientTimeout(total=None, sock_connect=5)
        async with self._session.get(path, timeout=timeout) as answer:
            rest = b""
            async for piece in answer.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] != "DELETED":
                        yield event

    async def _see(self, pod: Json) -> None:
        metadata = pod["metadata"]
        if metadata.get("deletionTimestamp") and metadata["uid"] not in self._leaving:
            self._leaving.add(metadata["uid"])
            await self._notify()
        if metadata["uid"] not in self._tasks and not _is_over(pod):
            self._keep(metadata["uid"], self._look_after(pod))

    async def _look_after(self, pod: Json) -> None:
        """From its start to its end."""
        path, uid = _path(pod), pod["metadata"]["uid"]
        started = datetime.now(UTC)
        if not self._quick:
            target = {"apiVersion": "v1", "kind": "Node", "name": self.name}
            binding = {"metadata": {"name": pod["metadata"]["name"]}, "target": target}
            await self._ask("POST", f"{path}/binding", binding)
        fate = self._fate_of(pod)
        if isinstance(fate, NeverStarts):
            at = datetime.now(UTC)
            events = f"/api/v1/namespaces/{pod['metadata']['namespace']}/events"
            await self._ask("POST", events, pod_fates.pulling_failed(pod, self.name, at))
            await self._ask("PATCH", f"{path}/status", pod_fates.waiting(pod, fate, started))
        elif not self._quick or isinstance(fate, Hangs):
            await self._ask("PATCH", f"{path}/status", pod_fates.running(pod, started))
        fate = await self._fate_at_last(pod)
        finished = datetime.now(UTC)
        await self._ask("PATCH", f"{path}/status", pod_fates.ended(pod, fate, started, finished))
        self.ended.append(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
        if uid in self._leaving:
            await self._ask("DELETE", f"{path}?gracePeriodSeconds=0")

    async def _fate_at_last(self, pod: Json) -> Fate:
        """Wait until it ends by its fate, or has to go."""
        uid = pod["metadata"]["uid"]

        def over() -> bool:
            return uid in self._leaving or not isinstance(self._fate_of(pod), Hangs | NeverStarts)

        async with self._decided:
            await self._decided.wait_for(over)
        fate = self._fate_of(pod)
        if seconds := pod_fates.ran_for(fate):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds), self._decided:
                    await self._decided.wait_for(lambda: uid in self._leaving)
        return Hangs() if uid in self._leaving else fate

    def _fate_of(self, pod: Json) -> Fate:
        metadata = pod["metadata"]
        return self._fates.get((metadata["namespace"], metadata["labels"][CLUSTER]), self.default)

    # --- requests ------------------------------------------------------------------------------

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """Ask until there is an answer; that the object is there, or is gone, is as good as success."""
        form = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = json.dumps(body).encode() if body is not None else None
        while True:
            with contextlib.suppress(ClientError, OSError, TimeoutError):
                headers = {"Content-Type": form}
                async with (
                    self._places,
                    self._session.request(method, path, data=data, headers=headers) as answer,
                ):
                    said = await answer.read()
                if answer.status < 300:
                    found: Json = json.loads(said)
                    return found
                if answer.status in (404, 409):
                    return {}
                if answer.status < 500 and answer.status != 429:
                    raise HarnessError(f"{method} {path}: {answer.status} {said[:300].decode()}")
            await asyncio.sleep(PAUSE)


def _path(pod: Mapping[str, Any]) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _is_over(pod: Mapping[str, Any]) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _moment() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
