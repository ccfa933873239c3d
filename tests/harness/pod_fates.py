"""What becomes of a run's pod: its status as a kubelet would write it, and the result in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bao_backup.adapters.kubernetes.names import (
    BACKUP_TYPE,
    CHECK_TYPE,
    COMPONENT,
    KEY,
    RESTORE_COMPONENT,
)
from bao_backup.core.check import CheckReport, result_of
from bao_backup.core.model import Outcome, Result, RetentionOutcome, Trigger, VerifyLevel
from bao_backup.core.result import encode_result

SIZE, SHA256, RAFT_INDEX = 123_456, "ab" * 32, 4711
_TRIGGERS = {"scheduled": Trigger.SCHEDULED, "manual": Trigger.MANUAL, "pre-upgrade": Trigger.PRE_UPGRADE}

Json = dict[str, Any]


@dataclass(frozen=True)
class Succeeds:
    """It ends well, with the result of a proven backup at the Job's key, of a restore, or of a check."""

    #: Of a restore: the key of its source where the Job names none, and of what was there before.
    key: str = ""
    safety_key: str = ""
    size: int = SIZE
    retention: RetentionOutcome | None = None
    #: Seconds in which it is seen running.
    after: float = 0.0


@dataclass(frozen=True)
class Fails:
    """It ends with an executor's error as its result."""

    reason: str = "SnapshotFailed"
    message: str = "read the snapshot: as the test wants it"
    exit_code: int = 4
    after: float = 0.0


@dataclass(frozen=True)
class SaysNothing:
    """It ends without a result; `reason` is the runtime's, as OOMKilled."""

    exit_code: int = 1
    reason: str = "Error"
    after: float = 0.0


@dataclass(frozen=True)
class NeverStarts:
    """Its image cannot be pulled."""

    reason: str = "ImagePullBackOff"
    message: str = "failed to pull and unpack image: not found"


@dataclass(frozen=True)
class Hangs:
    """It runs until something else is decided."""


Fate = Succeeds | Fails | SaysNothing | NeverStarts | Hangs


def ran_for(fate: Fate) -> float:
    """For how many seconds it runs before it ends by itself."""
    return 0.0 if isinstance(fate, NeverStarts | Hangs) else fate.after


def running(pod: Mapping[str, Any], started: datetime) -> Json:
    """The status of a pod whose container runs."""
    state = {"running": {"startedAt": _moment(started)}}
    return _status(pod, "Running", state, started, ready=True)


def waiting(pod: Mapping[str, Any], fate: NeverStarts, started: datetime) -> Json:
    """The status of a pod whose container cannot be started."""
    state = {"waiting": {"reason": fate.reason, "message": fate.message}}
    return _status(pod, "Pending", state, started, ready=False)


def ended(pod: Mapping[str, Any], fate: Fate, started: datetime, finished: datetime) -> Json:
    """The status of a pod whose container has ended."""
    code, reason, message = 0, "Completed", ""
    match fate:
        case Succeeds():
            message = encode_result(_success(pod, fate, started, finished)).decode()
        case Fails():
            code, reason = fate.exit_code, "Error"
            message = encode_result(_failure(pod, fate, started, finished)).decode()
        case SaysNothing():
            code, reason = fate.exit_code, fate.reason
        case _:
            code, reason = 143, "Error"  # it was told to end
    terminated = {
        "exitCode": code,
        "reason": reason,
        "message": message,
        "startedAt": _moment(started),
        "finishedAt": _moment(finished),
    }
    phase = "Failed" if code else "Succeeded"
    return _status(pod, phase, {"terminated": terminated}, started, ready=False)


def pulling_failed(pod: Mapping[str, Any], node: str, at: datetime) -> Json:
    """The event by which a kubelet tells of it."""
    metadata = pod["metadata"]
    container = pod["spec"]["containers"][0]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata['name'][:50]}.", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "fieldPath": f"spec.containers{{{container['name']}}}",
        },
        "type": "Warning",
        "reason": "Failed",
        "message": f'Failed to pull image "{container["image"]}": not found',
        "source": {"component": "kubelet", "host": node},
        "firstTimestamp": _moment(at),
        "lastTimestamp": _moment(at),
        "count": 1,
    }


def _success(pod: Mapping[str, Any], fate: Succeeds, started: datetime, finished: datetime) -> Result:
    if pod["metadata"]["labels"].get(BACKUP_TYPE) == CHECK_TYPE:
        report = CheckReport(namespace="any", name="any", lines=())
        return result_of(report, started=started, finished=finished)
    key = _key(pod) or fate.key
    restored = pod["metadata"]["labels"][COMPONENT] == RESTORE_COMPONENT
    return Result(
        outcome=Outcome.SUCCEEDED,
        reason="RestoreSucceeded" if restored else "BackupSucceeded",
        message=f"{key} is restored" if restored else f"{key} is stored and proven",
        exit_code=0,
        key=key,
        safety_key=fate.safety_key,
        size=fate.size,
        sha256=SHA256,
        started=started,
        finished=finished,
        trigger=_trigger(pod),
        tries=1,
        raft_index=RAFT_INDEX,
        raft_term=3,
        server_version="2.4.4",
        verification=VerifyLevel.HEAD,
        retention=fate.retention,
    )


def _failure(pod: Mapping[str, Any], fate: Fails, started: datetime, finished: datetime) -> Result:
    return Result(
        outcome=Outcome.FAILED,
        reason=fate.reason,
        message=fate.message,
        exit_code=fate.exit_code,
        key=_key(pod),
        started=started,
        finished=finished,
        trigger=_trigger(pod),
        tries=1,
    )


def _status(pod: Mapping[str, Any], phase: str, state: Json, started: datetime, *, ready: bool) -> Json:
    container, at = pod["spec"]["containers"][0], _moment(started)
    conditions = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": at},
        {"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": at},
        {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": at},
    ]
    status = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "restartCount": 0,
        "ready": ready,
        "state": state,
    }
    return {
        "status": {
            "phase": phase,
            "startTime": at,
            "conditions": conditions,
            "containerStatuses": [status],
        }
    }


def _key(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"].get("annotations", {}).get(KEY, ""))


def _trigger(pod: Mapping[str, Any]) -> Trigger:
    return _TRIGGERS.get(pod["metadata"]["labels"].get(BACKUP_TYPE, ""), Trigger.SCHEDULED)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
