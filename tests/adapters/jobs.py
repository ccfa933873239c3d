"""Jobs, Pods and Events in the shape in which Kubernetes 1.36 gives them, as short as may be.

Those of a real node are recorded in `tests/data/jobs`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bao_backup.core.model import Outcome, Result
from bao_backup.core.result import encode_result

NAME = "backup-prod-20261122-020000"
UID = "0b1c8a5e-7a51-4f0e-8f4a-0d5ad3c6a001"
CLUSTER_UID = "0b1c8a5e-7a51-4f0e-8f4a-0d5ad3c6a000"
POD_UID = "0b1c8a5e-7a51-4f0e-8f4a-0d5ad3c6a002"
KEY = "vault/prod/2026-11-22T02-00-00Z-1a2b3c4d.snap"
IMAGE = "registry.example/bao-backup:1.0.0"
START = datetime(2026, 11, 22, 2, 0, 1, tzinfo=UTC)
#: What kubelet and scheduler say.
PULL = 'failed to resolve reference "registry.example/bao-backup:1.0.0": not found'
MOUNT = 'MountVolume.SetUp failed for volume "credentials" : secret "prod-s3" not found'
UNSCHEDULED = "0/3 nodes are available: 3 Insufficient memory."

Json = dict[str, Any]


def at(seconds: float) -> str:
    """So long after the Job's start, as Kubernetes writes times."""
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def after(seconds: float) -> datetime:
    """So long after the Job's start."""
    return START + timedelta(seconds=seconds)


def pod_spec() -> Json:
    """A run's Pod: a limit of memory, the credentials as a Secret."""
    return {
        "containers": [
            {
                "name": "backup",
                "image": IMAGE,
                "resources": {"limits": {"cpu": "500m", "memory": "512Mi"}},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "restartPolicy": "Never",
        "serviceAccountName": "prod-backup",
        "terminationGracePeriodSeconds": 60,
        "volumes": [
            {"name": "credentials", "secret": {"secretName": "prod-s3", "defaultMode": 256}},
            {
                "name": "ca",
                "projected": {
                    "sources": [
                        {"secret": {"name": "prod-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
                    ]
                },
            },
        ],
    }


def job(*conditions: Json, annotations: Json | None = None, **status: Any) -> Json:
    """A Job that started at `START`; the rest of its status as given."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": NAME,
            "namespace": "vault",
            "uid": UID,
            "creationTimestamp": at(0),
            "labels": {
                "app.kubernetes.io/managed-by": "bao-backup",
                "openbao.org/cluster": "prod",
                "openbao.org/backup-type": "manual",
            },
            "annotations": {
                "openbao.org/backup-key": KEY,
                "openbao.org/cluster-uid": CLUSTER_UID,
                "openbao.org/slot": "2026-11-22T02:00:00Z",
            }
            | (annotations or {}),
        },
        "spec": {"backoffLimit": 0, "activeDeadlineSeconds": 14400, "template": {"spec": pod_spec()}},
        "status": {"startTime": at(0), "terminating": 0, "uncountedTerminatedPods": {}}
        | status
        | ({"conditions": list(conditions)} if conditions else {}),
    }


def condition(
    kind: str, reason: str = "", seconds: float = 600, status: str = "True", message: str = ""
) -> Json:
    """A condition that changed so long after the start."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": at(seconds),
    }


def failed_job(reason: str = "BackoffLimitExceeded", **more: Any) -> Json:
    """A Job that failed ten minutes after its start."""
    return job(condition("FailureTarget", reason), condition("Failed", reason), failed=1, ready=0, **more)


def complete_job(**more: Any) -> Json:
    """A Job that is complete ten minutes after its start."""
    done = (
        condition("SuccessCriteriaMet", "CompletionsReached"),
        condition("Complete", "CompletionsReached"),
    )
    return job(*done, succeeded=1, ready=0, completionTime=at(600), **more)


def active_job(**more: Any) -> Json:
    """A Job whose Pod is not ready."""
    return job(**({"active": 1, "ready": 0} | more))


def pod(
    state: Json | None = None,
    *,
    phase: str = "Pending",
    conditions: tuple[Json, ...] = (),
    deleted: float | None = None,
    uid: str = POD_UID,
    **status: Any,
) -> Json:
    """A Pod of the Job, whose container has this state; `deleted`: when it should be gone."""
    statuses = [{"name": "backup", "image": IMAGE, "state": state, "lastState": {}, "restartCount": 0}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{NAME}-x7k2p",
            "namespace": "vault",
            "uid": uid,
            "creationTimestamp": at(0),
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": NAME, "uid": UID}],
        }
        | ({} if deleted is None else {"deletionTimestamp": at(deleted), "deletionGracePeriodSeconds": 60}),
        "spec": pod_spec() | {"nodeName": "node-1"},
        "status": {"phase": phase, "startTime": at(1), "conditions": list(conditions)}
        | ({} if state is None else {"containerStatuses": statuses})
        | status,
    }


def waiting(reason: str = "ContainerCreating", message: str = "") -> Json:
    """The state of a container that waits."""
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def running() -> Json:
    """The state of a container that runs."""
    return {"running": {"startedAt": at(3)}}


def terminated(exit_code: int, reason: str = "Error", message: str = "", **more: Any) -> Json:
    """The state of a container that ended 590 seconds after the Job's start."""
    return {
        "terminated": {"exitCode": exit_code, "reason": reason, "startedAt": at(3), "finishedAt": at(590)}
        | ({"message": message} if message else {})
        | more
    }


def event(
    reason: str, message: str, *, first: float = 5, last: float | None = None, kind: str = "Pod", **more: Any
) -> Json:
    """An Event of the older recorder about the Pod (or the Job)."""
    about = {"kind": kind, "namespace": "vault"}
    about |= {"name": NAME, "uid": UID} if kind == "Job" else {"name": f"{NAME}-x7k2p", "uid": POD_UID}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{NAME}.1", "namespace": "vault", "creationTimestamp": at(first)},
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "type": "Warning",
        "firstTimestamp": at(first),
        "lastTimestamp": at(first if last is None else last),
        "eventTime": None,
        "count": 1,
    } | more


def result(outcome: Outcome = Outcome.SUCCEEDED, *, key: str = KEY, finished: float = 590) -> Result:
    """What an executor ends with."""
    good = outcome is Outcome.SUCCEEDED
    return Result(
        outcome=outcome,
        reason="BackupSucceeded" if good else "StorageDenied",
        message="said by the executor",
        exit_code=0 if good else 5,
        key=key,
        size=7 if good else 0,
        started=after(3),
        finished=after(finished),
    )


def message(said: Result) -> str:
    """The result as a termination message."""
    return encode_result(said).decode()


def lost(**more: Any) -> Json:
    """A Pod of a node that does not answer, which is to be deleted."""
    target = condition("DisruptionTarget", "DeletionByTaintManager", 300)
    return pod(running(), phase="Running", conditions=(target,), **more)
