"""An API in memory with one cluster, and a runtime on Kubernetes that has seen it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.adapters.api_in_memory import Answer, ApiInMemory, client_of, served
from tests.adapters.hand_clock import HandClock
from tests.adapters.jobs import KEY, START
from tests.harness.api_request import ApiRequest
from tests.harness.api_rules import failure

from bao_backup.adapters.kubernetes.api import CLUSTERS, JOBS
from bao_backup.adapters.kubernetes.names import CLUSTER, CLUSTER_UID, MANAGED_BY, OURS
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.adapters.kubernetes.runtime import KubernetesRuntime
from bao_backup.core.model import Trigger
from bao_backup.core.observed import Emit, Observed, StartRun
from bao_backup.core.status import Attempt, BackupStatus, OperationLock

Json = dict[str, Any]
NAMESPACE, NAME, RUN = "vault", "prod", "backup-prod-20261122-020000"
STATUS = BackupStatus(consecutive_failures=3, last_attempt_time=START)
OUR_LOCK = OperationLock(operation="Backup", holder="openbaocluster/backup", message=RUN, acquired_at=START)
THE_RUN = StartRun(name=RUN, key=KEY, slot=START, trigger=Trigger.SCHEDULED, number=1)
UNDER_WAY = BackupStatus(
    attempt=Attempt(name=RUN, key=KEY, slot=START, trigger=Trigger.SCHEDULED, accepted=START)
)


def cluster(**backup: Any) -> Json:
    """A cluster's object; `backup` are more fields of spec.backup."""
    target = {"bucket": "backups", "credentialsSecretRef": {"name": "keys"}}
    spec = {"schedule": "0 2 * * *", "target": target, "jwtAuthRole": "backup", **backup}
    return {
        "metadata": {"namespace": NAMESPACE, "name": NAME},
        "spec": {"connection": {"addresses": ["https://bao.example"]}, "backup": spec},
    }


class Site:
    """An API with one cluster, and a runtime that has seen it."""

    def __init__(
        self, document: Json | None = None, *, status: Json | None = None, most_runs: int = 0
    ) -> None:
        self.server = ApiInMemory()
        stored = self.put(document or cluster(), status)
        self.uid: str = stored["metadata"]["uid"]
        self.changed: list[str] = []
        self.gone: list[str] = []
        self.told: list[Emit] = []
        self._most_runs = most_runs
        self.runtime: KubernetesRuntime

    def put(self, document: Json, status: Json | None = None) -> Json:
        """What somebody else makes of the cluster, of which no event comes."""
        known = self.server.find(CLUSTERS, NAMESPACE, NAME) or {}
        merged = {**known, **document, "metadata": {**known.get("metadata", {}), **document["metadata"]}}
        return self.server.put(CLUSTERS, merged | ({} if status is None else {"status": status}))

    def there(self) -> Json:
        """The cluster's object."""
        found = self.server.find(CLUSTERS, NAMESPACE, NAME)
        assert found is not None
        return found

    def put_job(self, body: Json, name: str = RUN) -> None:
        """One of the cluster's Jobs, as the API has it."""
        labels = {CLUSTER: NAME, MANAGED_BY: OURS, "openbao.org/component": "backup"}
        annotations = body["metadata"]["annotations"] | {CLUSTER_UID: self.uid}
        metadata = body["metadata"] | {
            "name": name,
            "uid": name,
            "labels": labels,
            "annotations": annotations,
        }
        self.server.put(JOBS, body | {"metadata": metadata})

    def failing(self, method: str, resource: str, code: int) -> None:
        """From now on these requests fail."""

        async def befall(request: ApiRequest) -> Answer | None:
            fits = (request.method, request.resource) == (method, resource)
            return (code, failure(code)) if fits else None

        self.server.befall = befall

    def well(self) -> None:
        """All is well from now on."""

        async def befall(_: ApiRequest) -> Answer | None:
            return None

        self.server.befall = befall

    async def see(self) -> Observed:
        """What is observed of the cluster."""
        return (await self.runtime.observe(self.uid))[0]

    async def version(self) -> str:
        """The version to save by."""
        return (await self.runtime.observe(self.uid))[1]

    def run(self, work: Callable[[Site], Awaitable[None]]) -> None:
        """Do it with the runtime."""

        async def whole() -> None:
            async with served(self.server.handle) as url, client_of(url) as api:
                self.runtime = KubernetesRuntime(
                    api,
                    clock=HandClock(START),
                    options=JobOptions(image="registry.example/bao-backup:1"),
                    tell=lambda _, event: self.told.append(event),
                    changed=self.changed.append,
                    gone=self.gone.append,
                    most_runs=self._most_runs,
                )
                await self.runtime.begin([NAMESPACE])
                self.changed.clear()
                await work(self)

        asyncio.run(whole())
