"""Events (v1) of a cluster or a restore, as `kubectl describe` shows them."""

from __future__ import annotations

from datetime import datetime

from bao_backup.adapters.kubernetes.api import Json
from bao_backup.adapters.kubernetes.known_cluster import KnownCluster
from bao_backup.adapters.kubernetes.known_restores import KnownRestore
from bao_backup.adapters.kubernetes.names import OURS
from bao_backup.core.observed import Emit

#: What the API server lets a message be long, less what an ellipsis takes.
LONGEST_MESSAGE = 1000


def event_of(kind: str, known: KnownCluster | KnownRestore, event: Emit, now: datetime) -> Json:
    """The event to create, of the object of this kind."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{known.name[:50].rstrip('-.')}.", "namespace": known.namespace},
        "involvedObject": {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": kind,
            "namespace": known.namespace,
            "name": known.name,
            "uid": known.uid,
            "resourceVersion": known.version,
        },
        "type": "Warning" if event.warning else "Normal",
        "reason": event.reason,
        "message": event.message[:LONGEST_MESSAGE],
        "source": {"component": OURS},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
