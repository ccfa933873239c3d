"""Jobs that end, or do not start, in every way that is told apart: made on a real Kubernetes and looked at.

`record_jobs.py` writes down what is seen; `test_job_outcomes.py` holds the node to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.adapters.recorded_jobs import Seen
from tests.harness.control_plane import ControlPlane
from tests.harness.errors import HarnessError

from bao_backup.core.model import Outcome, Result
from bao_backup.core.result import encode_result

Json = dict[str, Any]

PYTHON = "/usr/local/bin/python3"
KEY = "jobs/prod/2026-11-22T02-00-00Z-1a2b3c4d.snap"
#: A node that nobody keeps: no kubelet speaks for it.
GHOST = "ghost"
_WARNINGS = ("FailedMount", "FailedCreate", "FailedScheduling")


def is_over(seen: Seen) -> bool:
    """The Job is finished."""
    conditions = seen.job["status"].get("conditions", [])
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


def is_running(seen: Seen) -> bool:
    """The container of a Pod runs."""
    return any("running" in state for state in _states(seen))


def is_troubled(seen: Seen) -> bool:
    """Its Pod does not start, and something says why."""
    reasons = {state.get("waiting", {}).get("reason", "") for state in _states(seen)}
    return bool(reasons - {"", "ContainerCreating", "PodInitializing"}) or any(
        event["reason"] in _WARNINGS for event in seen.events
    )


def is_lost(seen: Seen) -> bool:
    """Its Pod is to be gone, which only its node could say."""
    return any("deletionTimestamp" in pod["metadata"] for pod in seen.pods)


def _states(seen: Seen) -> list[Json]:
    return [each["state"] for pod in seen.pods for each in pod["status"].get("containerStatuses", [])]


def nothing(plane: ControlPlane, seen: Seen) -> None:
    """Let things take their course."""


def delete_pod(plane: ControlPlane, seen: Seen) -> None:
    """As somebody would by hand."""
    metadata = seen.pods[0]["metadata"]
    plane.request("DELETE", f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}")


def evict_pod(plane: ControlPlane, seen: Seen) -> None:
    """As `kubectl drain` would."""
    metadata = {name: seen.pods[0]["metadata"][name] for name in ("namespace", "name")}
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
    plane.create(path, {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata})


@dataclass(frozen=True)
class Case:
    """A Job, and until when it is waited for."""

    name: str
    #: What the container runs: a program of Python's.
    script: str = ""
    container: Mapping[str, Any] = field(default_factory=dict)
    pod: Mapping[str, Any] = field(default_factory=dict)
    deadline: int = 3600
    #: Looked at when this holds.
    until: Callable[[Seen], bool] = is_over
    #: Done once its container runs.
    act: Callable[[ControlPlane, Seen], None] = nothing
    #: Labels of a namespace of its own, and what is in there.
    labels: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[Json, ...] = ()
    #: Whether it takes a node with a kubelet.
    needs_node: bool = True

    @property
    def namespace(self) -> str:
        """Where it is."""
        return f"job-{self.name}" if self.labels or self.beside else "jobs"

    @property
    def stuck(self) -> bool:
        """Whether its Pod does not start."""
        return self.until is is_troubled


def said(outcome: Outcome) -> str:
    """A script that leaves a result, and ends as the executor would."""
    now, good = datetime(2026, 11, 22, 2, 0, 5, tzinfo=UTC), outcome is Outcome.SUCCEEDED
    result = Result(
        outcome=outcome,
        reason="BackupSucceeded" if good else "StorageDenied",
        message="said by the executor",
        exit_code=0 if good else 5,
        key=KEY,
        size=7 if good else 0,
        started=now,
        finished=now,
    )
    body = encode_result(result).decode()
    return f"open('/dev/termination-log', 'w').write({body!r}); raise SystemExit({result.exit_code})"


#: A volume that no container mounts is not looked at.
MOUNT = {"volumeMounts": [{"name": "credentials", "mountPath": "/credentials", "readOnly": True}]}


def volume(**source: Json) -> Json:
    """A Pod with such a volume."""
    return {"volumes": [{"name": "credentials", **source}]}


def variable(name: str, key: str) -> Json:
    """A container with a key of the Secret as a variable."""
    return {"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}]}


ROOT = {"securityContext": {"runAsUser": 0, "runAsNonRoot": True}}
REMOTE = {"image": "127.0.0.1:1/none:1", "imagePullPolicy": "Always"}
SLEEP = "import time; time.sleep(600)"
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "empty"}, "stringData": {"other": "x"}}
ITEMS = [{"key": "ca.crt", "path": "ca.crt"}]
CA = {"secretName": "empty", "items": ITEMS}
PROJECTED = volume(projected={"sources": [{"secret": {"name": "empty", "items": ITEMS}}]})
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "few"},
    "spec": {"hard": {"pods": "0"}},
}
NOWHERE = {"nodeSelector": {"nowhere": "true"}}
#: A Pod that is on the ghost already, and is given up at once.
ON_GHOST = {
    "nodeName": GHOST,
    "terminationGracePeriodSeconds": 1,
    "tolerations": [
        {
            "key": f"node.kubernetes.io/{what}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 1,
        }
        for what in ("unreachable", "not-ready")
    ],
}

CASES = (
    Case("success", said(Outcome.SUCCEEDED)),
    Case("failure", said(Outcome.FAILED)),
    Case("silent", "raise SystemExit(3)"),
    Case(
        "memory",
        "x = [bytearray(1 << 20) for _ in range(1000)]",
        container={"resources": {"limits": {"memory": "32Mi"}}},
    ),
    Case("deadline", SLEEP, deadline=5),
    Case("deleted", SLEEP, act=delete_pod),
    Case("evicted", SLEEP, act=evict_pod),
    Case("no-program", container={"command": ["/nowhere"]}),
    Case("no-image", container=REMOTE, until=is_troubled),
    Case("image-not-here", container={"image": "localhost/none:1"}, until=is_troubled),
    Case("no-image-name", container={"image": "NONE:1"}, until=is_troubled),
    Case("no-secret", container=MOUNT, pod=volume(secret={"secretName": "none"}), until=is_troubled),
    Case("no-secret-for-variable", container=variable("none", "token"), until=is_troubled),
    Case("no-key", container=MOUNT, pod=volume(secret=CA), beside=(SECRET,), until=is_troubled),
    Case("no-projected-key", container=MOUNT, pod=PROJECTED, beside=(SECRET,), until=is_troubled),
    Case("no-key-for-variable", container=variable("empty", "token"), beside=(SECRET,), until=is_troubled),
    Case("root", container=ROOT, until=is_troubled),
    Case("unschedulable", pod=NOWHERE, deadline=5),
    Case("no-account", pod={"serviceAccountName": "none"}, until=is_troubled, needs_node=False),
    Case(
        "pod-security",
        pod={"hostNetwork": True},
        labels={"pod-security.kubernetes.io/enforce": "restricted"},
        until=is_troubled,
        needs_node=False,
    ),
    Case("quota", beside=(QUOTA,), until=is_troubled, needs_node=False),
    # Where no node is ready, none is given up: it takes a real one beside the ghost.
    Case("lost", SLEEP, pod=ON_GHOST, until=is_lost),
)  # fmt: skip


def name_of(case: Case) -> str:
    """The name of the case's Job."""
    return f"backup-{case.name}-20261122-020000"


def job_of(case: Case, image: str) -> Json:
    """The case's Job; the image has a Python."""
    container: Json = {
        "name": "backup",
        "image": image,
        "imagePullPolicy": "Never",
        "command": [PYTHON, "-c", case.script],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name_of(case),
            "namespace": case.namespace,
            "labels": {"app.kubernetes.io/managed-by": "bao-backup", "openbao.org/backup-type": "scheduled"},
            "annotations": {"openbao.org/backup-key": KEY, "openbao.org/slot": "2026-11-22T02:00:00Z"},
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": case.deadline,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 5,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 1000,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [container | dict(case.container)],
                }
                | dict(case.pod)
            },
        },
    }


def prepare(plane: ControlPlane, cases: Iterable[Case]) -> None:
    """Their namespaces, and the ghost."""
    chosen = list(cases)
    for namespace, labels in {case.namespace: case.labels for case in chosen}.items():
        plane.create_namespace(namespace, labels)
    for case in chosen:
        for each in case.beside:
            plane.apply(each | {"metadata": each["metadata"] | {"namespace": case.namespace}})
    if any(case.pod.get("nodeName") == GHOST for case in chosen):
        _make_ghost(plane)


def _make_ghost(plane: ControlPlane) -> None:
    """A node that was well once: one that never was is waited for, a minute."""
    spec = {"unschedulable": True}
    plane.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": GHOST}, "spec": spec})
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    well = {"type": "Ready", "status": "True", "lastHeartbeatTime": now, "lastTransitionTime": now}
    how = (
        "--subresource=status",
        "--type",
        "merge",
        "--patch",
        json.dumps({"status": {"conditions": [well]}}),
    )
    plane.kubectl("patch", "node", GHOST, *how)


def clear(plane: ControlPlane, cases: Iterable[Case]) -> None:
    """Remove what `prepare` made; Pods of the ghost go with it."""
    plane.delete("node", GHOST)
    for namespace in {case.namespace for case in cases}:
        plane.delete("namespace", namespace)


def look(plane: ControlPlane, case: Case) -> Seen:
    """The Job, its Pods and the Events of both, as they are now."""
    name = name_of(case)
    read = _get(plane, f"/apis/batch/v1/namespaces/{case.namespace}/jobs/{name}")
    selector = f"labelSelector=batch.kubernetes.io/controller-uid={read['metadata']['uid']}"
    pods = _get(plane, f"/api/v1/namespaces/{case.namespace}/pods?{selector}")["items"]
    events = _get(plane, f"/api/v1/namespaces/{case.namespace}/events")["items"]
    about = [event for event in events if event["involvedObject"]["name"].startswith(name)]
    for each in (read, *pods, *about):
        del each["metadata"]["managedFields"]
    return Seen(at=datetime.now(UTC), job=read, pods=pods, events=about)


def end(plane: ControlPlane, case: Case, because: str) -> None:
    """End the Job as the manager does."""
    change = {
        "metadata": {"annotations": {"openbao.org/ended-because": because}},
        "spec": {"activeDeadlineSeconds": 1},
    }
    how = ("--type", "merge", "--patch", json.dumps(change))
    plane.kubectl("patch", "job", name_of(case), "--namespace", case.namespace, *how)


def _get(plane: ControlPlane, path: str) -> Json:
    answer = plane.request("GET", path)
    if answer.status != 200:
        raise HarnessError(f"GET {path}: {answer.status}")
    read: Json = answer.json()
    return read
