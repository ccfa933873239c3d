"""The objects of runs, judged by a real API server in a namespace that enforces Pod Security."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from tests.adapters.manifests import CASES, RESTORE_CASES, made, objects_of, objects_of_restore
from tests.harness.client import Answer
from tests.harness.control_plane import ControlPlane

pytestmark = pytest.mark.servers

NAMESPACE = "manifests-restricted"
PATHS = {
    "ServiceAccount": f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
    "NetworkPolicy": f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies",
    "Job": f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs",
    "Pod": f"/api/v1/namespaces/{NAMESPACE}/pods",
}

Submit = Callable[[dict[str, Any]], Answer]


@pytest.fixture(scope="module")
def submit(control_plane: ControlPlane) -> Submit:
    """Ask the server whether it would create an object, and whether it knows each of its fields."""
    control_plane.create_namespace(NAMESPACE, {"pod-security.kubernetes.io/enforce": "restricted"})

    def ask(manifest: dict[str, Any]) -> Answer:
        query = "?dryRun=All&fieldValidation=Strict"
        return control_plane.request("POST", PATHS[manifest["kind"]] + query, manifest)

    return ask


def objects(case: str) -> list[dict[str, Any]]:
    """The case's objects, in the namespace here."""
    found = deepcopy(made(objects_of_restore(case) if case in RESTORE_CASES else objects_of(case)))
    for each in found:
        each["metadata"]["namespace"] = NAMESPACE
    return found


def pod(control_plane: ControlPlane, case: str) -> dict[str, Any]:
    """The pod that the controller would make of the case's Job; its ServiceAccount is there."""
    job = objects(case)[-1]
    template = job["spec"]["template"]
    account = {"name": template["spec"]["serviceAccountName"], "namespace": NAMESPACE}
    control_plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    metadata = {"name": job["metadata"]["name"], "namespace": NAMESPACE} | template["metadata"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.mark.parametrize("case", [*CASES, *RESTORE_CASES])
def test_the_server_takes_every_object_as_it_is(submit: Submit, case: str) -> None:
    """No field that it does not know, and no value that it refuses."""
    for each in objects(case):
        answer = submit(each)
        assert answer.status == 201, answer.body.decode()


@pytest.mark.parametrize("case", [*CASES, *RESTORE_CASES])
def test_the_pod_is_admitted_at_the_restricted_level(
    control_plane: ControlPlane, submit: Submit, case: str
) -> None:
    """A Job is only warned about: it is its pod that is refused."""
    answer = submit(pod(control_plane, case))
    assert answer.status == 201, answer.body.decode()


def test_a_pod_that_is_less_hardened_is_refused(control_plane: ControlPlane, submit: Submit) -> None:
    """So what admits ours does look."""
    less = pod(control_plane, "managed")
    less["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    answer = submit(less)
    assert answer.status == 403
    assert b"allowPrivilegeEscalation" in answer.body


def test_a_field_that_does_not_exist_is_found(submit: Submit) -> None:
    """So a misspelt one in ours would be, too."""
    job = objects("managed")[-1]
    job["spec"]["template"]["spec"]["enableServiceLink"] = False
    answer = submit(job)
    assert answer.status == 400
    assert b"enableServiceLink" in answer.body


def test_what_the_server_adds_does_not_change_what_we_said(submit: Submit) -> None:
    """Each field of the Job is stored as it was sent; an empty text is the same as none."""
    job = objects("everything")[-1]
    stored = submit(job).json()
    assert _missing(job, stored) == []


def _missing(sent: Any, stored: Any, path: str = "") -> list[str]:
    """The paths of what was sent and is not stored."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        return [
            found
            for name, value in sent.items()
            if value != ""
            for found in _missing(value, stored.get(name), f"{path}.{name}")
        ]
    if isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        return [
            found
            for number, (one, other) in enumerate(zip(sent, stored, strict=True))
            for found in _missing(one, other, f"{path}[{number}]")
        ]
    return [] if sent == stored else [path]
