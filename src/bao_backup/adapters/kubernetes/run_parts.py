"""What a run's Job needs beside it: its ServiceAccount and its NetworkPolicy, made before the Job."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from bao_backup.adapters.kubernetes.api import (
    NETWORK_POLICIES,
    SERVICE_ACCOUNTS,
    Json,
    Kind,
    KubernetesApi,
)
from bao_backup.adapters.kubernetes.manifests import RunObjects
from bao_backup.adapters.kubernetes.names import MANAGED_BY, OURS
from bao_backup.core.kubernetes_errors import (
    KubernetesConflictError,
)
from bao_backup.ports import Clock

#: Annotations of a ServiceAccount by which a cloud gives its pods an identity.
IDENTITIES = (
    "eks.amazonaws.com/role-arn",
    "iam.gke.io/gcp-service-account",
    "azure.workload.identity/client-id",
    "azure.workload.identity/tenant-id",
)
#: So long they are believed to be there still, in seconds: somebody may remove them.
BELIEVED_FOR = 3600.0


class RunParts:
    """Makes them, and remembers for a while which are as they must be, so that nothing is asked twice."""

    def __init__(self, api: KubernetesApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        #: cluster's uid -> name of a NetworkPolicy or ServiceAccount -> digest of both as they were last
        #: made sure of, and until when; backups and restores have their own
        self._ensured: dict[str, dict[str, tuple[bytes, float]]] = {}

    async def ensure(self, uid: str, namespace: str, objects: RunObjects) -> None:
        """See that both are there, as `objects` has them; raises a KubernetesError."""
        wanted = sha256(msgspec.json.encode((objects.service_account, objects.network_policy))).digest()
        part = objects.network_policy or objects.service_account
        name = part["metadata"]["name"] if part is not None else ""
        known, until = self._ensured.get(uid, {}).get(name, (b"", 0.0))
        if known == wanted and self._clock.monotonic() < until:
            return
        for kind, body in (
            (SERVICE_ACCOUNTS, objects.service_account),
            (NETWORK_POLICIES, objects.network_policy),
        ):
            if body is not None:
                await self._ensure(kind, namespace, body)
        self._ensured.setdefault(uid, {})[name] = wanted, self._clock.monotonic() + BELIEVED_FOR

    def let_go(self, uid: str) -> None:
        """The cluster is gone, and they are with their owner; or one of them may be why a run failed."""
        self._ensured.pop(uid, None)

    async def _ensure(self, kind: Kind, namespace: str, body: Json) -> None:
        try:
            await self._api.create(kind, namespace, body)
        except KubernetesConflictError:
            name = body["metadata"]["name"]
            known = await self._api.get(kind, namespace, name)
            wanted = _without_other_identities(body) if kind == SERVICE_ACCOUNTS else body
            if not _holds(known, wanted) and (known["metadata"].get("labels") or {}).get(MANAGED_BY) == OURS:
                await self._api.patch(kind, namespace, name, wanted)


def _without_other_identities(body: Json) -> Json:
    """With each cloud identity's annotation taken away that the document does not ask for (any more)."""
    metadata = body["metadata"]
    annotations = dict.fromkeys(IDENTITIES) | (metadata.get("annotations") or {})
    return body | {"metadata": metadata | {"annotations": annotations}}


def _holds(known: Any, wanted: Any) -> bool:
    """Whether all of `wanted` is in `known`; others may have added to it.

    The API server stores nothing for what is empty.
    """
    if isinstance(wanted, dict):
        there = {} if known is None else known
        return isinstance(there, dict) and all(_holds(there.get(k), v) for k, v in wanted.items())
    if isinstance(wanted, list):
        there = [] if known is None else known
        same = isinstance(there, list) and len(there) == len(wanted)
        return same and all(_holds(k, w) for k, w in zip(there, wanted, strict=True))
    return bool(known == wanted)
