"""An API server with our CRDs."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.core.documents import document, restore_document
from tests.core.restore_cases import S
from tests.harness.client import Answer
from tests.harness.control_plane import ControlPlane
from tests.harness.process import wait_until

from bao_backup.adapters.kubernetes.crd import crds

CRDS = tuple(crds().values())
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Server(NamedTuple):
    """The API server, with our CRDs."""

    plane: ControlPlane

    def create(self, what: dict[str, Any], *, keep: bool = False, strict: bool = False) -> Answer:
        """Try to create a document; nothing is stored unless it is to be kept."""
        options = [] if keep else ["dryRun=All"]
        options += ["fieldValidation=Strict"] if strict else []
        return self.plane.request("POST", f"{collection(what)}?{'&'.join(options)}", what)

    def wrong_fields(self, what: dict[str, Any]) -> dict[str, str]:
        """The fields for which a document is refused, with what is said of each; empty when it is taken."""
        answer = self.create(what)
        if answer.status == 201:
            return {}
        assert answer.status == 422, answer.body
        causes = answer.json()["details"]["causes"]
        # One that belongs to no field says that rules were not looked at, since there is more to say.
        return {cause["field"]: cause["message"] for cause in causes if cause["field"] != "<nil>"}

    def stored(self, what: dict[str, Any]) -> dict[str, Any]:
        """A right document as it would be stored."""
        answer = self.create(what)
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.json()
        return found


def collection(what: dict[str, Any]) -> str:
    """Where documents of its kind and namespace are."""
    namespace = what["metadata"].get("namespace", "default")
    return f"/apis/openbao.org/v1alpha1/namespaces/{namespace}/{what['kind'].lower()}s"


def with_our_crds(plane: ControlPlane) -> Server:
    """With our CRDs in force, whichever others a test before may have used."""
    server = Server(plane)
    changed = [_put(plane, crd) for crd in CRDS]
    if any(changed):
        wrong = document({"spec.backup.target.s3": {"kmsKeyId": "k"}}), restore_document({S: {"key": "/a"}})
        wait_until("the schema", lambda: all(server.create(each).status == 422 for each in wrong), seconds=30)
    return server


def _put(plane: ControlPlane, crd: dict[str, Any]) -> bool:
    """See that the CRD is there, in place of another of its name; whether anything was to be done."""
    path = f"{DEFINITIONS}/{crd['metadata']['name']}"
    there = plane.request("GET", path)
    if there.status == 404:
        plane.create(DEFINITIONS, crd)
        return True
    found = there.json()
    if found["spec"]["versions"] == crd["spec"]["versions"]:
        return False
    version = {"resourceVersion": found["metadata"]["resourceVersion"]}
    ours = {**crd, "metadata": crd["metadata"] | version}
    answer = plane.request("PUT", path, ours)
    assert answer.status == 200, answer.body
    return True
