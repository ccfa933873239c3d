"""What became of a Job on a real cluster: whether it ended well, and what its container said."""

from __future__ import annotations

from typing import Any

from tests.harness.control_plane import ControlPlane
from tests.harness.errors import HarnessError
from tests.harness.process import wait_until


def ended(
    control_plane: ControlPlane, name: str, namespace: str = "default", *, seconds: float = 60
) -> dict[str, Any]:
    """The Job, as soon as it is complete or has failed; raises HarnessError when that takes too long."""
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
    job: dict[str, Any] = {}

    def is_over() -> bool:
        nonlocal job
        job = control_plane.request("GET", path).json()
        return condition(job, "Complete") or condition(job, "Failed")

    try:
        wait_until(f"the Job {name} to end", is_over, seconds=seconds, every=0.1)
    except HarnessError as error:
        raise HarnessError(f"{error}; its pods: {_said_of_pods(control_plane, name, namespace)}") from error
    return job


def condition(item: dict[str, Any], kind: str) -> bool:
    """Whether this condition of an object is true now."""
    conditions = item.get("status", {}).get("conditions", [])
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def message(control_plane: ControlPlane, name: str, namespace: str = "default") -> str:
    """The termination message of a Job's only pod; nothing when it left none."""
    (pod,) = pods(control_plane, name, namespace)
    (container,) = pod["status"]["containerStatuses"]
    said: str = container["state"]["terminated"].get("message", "")
    return said


def pods(control_plane: ControlPlane, name: str, namespace: str = "default") -> list[dict[str, Any]]:
    """The pods of a Job."""
    return control_plane.objects("pods", namespace, f"batch.kubernetes.io/job-name={name}")


def _said_of_pods(control_plane: ControlPlane, name: str, namespace: str) -> str:
    """Their states and events, to go into an error."""
    states = [pod["status"] for pod in pods(control_plane, name, namespace)]
    events = control_plane.kubectl("get", "events", "-n", namespace, "--sort-by=.lastTimestamp")
    return f"{states}; events:\n{events[-2000:]}"
