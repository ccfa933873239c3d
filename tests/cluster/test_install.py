"""An install of the chart, as the real API server takes it, and what the manager may do then."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import pytest
from tests.deploy import manifests
from tests.deploy.installs import INSTALLS, LEASE, RIGHTS
from tests.deploy.rendering import Object, Values, of_kind, pod_of, render, the_only
from tests.harness.control_plane import ControlPlane
from tests.harness.errors import HarnessError

pytestmark = pytest.mark.servers

#: What the API server itself, and kubectl by a warning, say of pods that are not of this level.
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
OWN, LOOKED_AFTER, OTHER = "bao-backup", "team-a", "somebody-else"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
#: Of a kind that the API server does not know here: the Prometheus operator's.
NOT_HERE = ("ServiceMonitor",)

Right = tuple[str, str, str]


class Namespaces(NamedTuple):
    """The control plane, with the namespaces of these tests in it."""

    control_plane: ControlPlane

    def apply(self, objects: Sequence[Object], *arguments: str) -> str:
        """Send objects; raises HarnessError when one is refused, or warned of."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self.control_plane.kubectl(
            *("apply", "--server-side", "--warnings-as-errors", *arguments, "-f", "-"),
            stdin=json.dumps(listed),
        )

    def remove(self, objects: Sequence[Object]) -> None:
        """Take back what `apply` sent."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.control_plane.kubectl(
            "delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=json.dumps(listed)
        )

    def may(self, user: str, right: Right, namespace: str, name: str = "") -> bool:
        """What the API server answers to a SubjectAccessReview; in the namespace "": in all at once."""
        group, resource, verb = right
        resource, _, part = resource.partition("/")
        attributes = {"group": group, "resource": resource, "subresource": part, "verb": verb}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{OWN}", "system:authenticated"],
                "resourceAttributes": attributes | {"namespace": namespace, "name": name},
            },
        }
        answer = self.control_plane.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        allowed: bool = answer["status"]["allowed"]
        return allowed

    def rights(self, user: str, namespace: str) -> set[Right]:
        """All that the API server lists as this user's rights in a namespace (kubectl auth can-i --list)."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        answer = self.control_plane.kubectl(
            "create", "--as", user, "--validate=false", "-o", "json", "-f", "-", stdin=json.dumps(review)
        )
        return {
            right
            for rule in json.loads(answer)["status"]["resourceRules"]
            for right in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
        }

    def granted(self, objects: Sequence[Object], namespace: str) -> set[Right]:
        """What this install gives its manager in a namespace, beyond what every account may."""
        anybody = f"system:serviceaccount:{OWN}:default"
        return self.rights(manager_of(objects), namespace) - self.rights(anybody, namespace)


def manager_of(objects: Sequence[Object]) -> str:
    """The manager's ServiceAccount, as a user."""
    account = the_only(objects, "ServiceAccount")["metadata"]
    return f"system:serviceaccount:{account['namespace']}:{account['name']}"


@pytest.fixture(scope="module")
def namespaces(control_plane: ControlPlane) -> Namespaces:
    """Namespaces in which the level `restricted` is enforced."""
    for name in (OWN, LOOKED_AFTER, "team-b", OTHER, manifests.SAMPLE_NAMESPACE):
        control_plane.create_namespace(name, RESTRICTED)
    return Namespaces(control_plane)


@pytest.fixture(scope="module", params=["wide", "narrow"])
def installed(namespaces: Namespaces, request: pytest.FixtureRequest) -> Iterator[list[Object]]:
    """What a release of this name installed, and it is there: for all namespaces, and for one."""
    chosen = {"namespaces": [LOOKED_AFTER]} if request.param == "narrow" else {}
    objects = render({**chosen, "crds": {"install": False}, "replicas": 0}, release=request.param)
    namespaces.apply(objects)
    yield objects
    namespaces.remove(objects)


def pod_like(objects: Sequence[Object]) -> Object:
    """A pod of the managers', on its own: a Deployment's is judged only when it is made."""
    labels = the_only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    # The account may be one that is not here.
    specification = pod_of(objects) | {"serviceAccountName": "default"}
    specification.pop("priorityClassName", None)
    metadata = {"name": "probe", "namespace": OWN, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": specification}


@pytest.mark.parametrize("values", INSTALLS.values(), ids=INSTALLS)
def test_each_install_is_taken_without_a_warning(namespaces: Namespaces, values: Values) -> None:
    """Every object and a pod, by a server that checks each field, in namespaces that enforce `restricted`."""
    objects = [each for each in render(values) if each["kind"] not in NOT_HERE]
    namespaces.apply([*objects, pod_like(objects)], "--dry-run=server", "--force-conflicts")


@pytest.mark.parametrize("setting", ["runAsNonRoot", "allowPrivilegeEscalation", "seccompProfile"])
def test_less_would_be_refused(namespaces: Namespaces, setting: str) -> None:
    """The namespace really enforces the level: without one of the settings the pod is refused."""
    pod: Any = deepcopy(pod_like(render({})))
    for part in (pod["spec"], pod["spec"]["containers"][0]):
        part["securityContext"].pop(setting, None)
    with pytest.raises(HarnessError, match="violates PodSecurity"):
        namespaces.apply([pod], "--dry-run=server")


def test_the_manager_may_do_exactly_what_is_written(namespaces: Namespaces, installed: list[Object]) -> None:
    """No more and no less, in the namespaces that it looks after, in its own, and in others."""
    wide = bool(of_kind(installed, "ClusterRole"))
    everywhere = RIGHTS if wide else set()
    assert namespaces.granted(installed, LOOKED_AFTER) == RIGHTS
    assert namespaces.granted(installed, OTHER) == everywhere
    assert namespaces.granted(installed, OWN) == everywhere | LEASE


def test_the_manager_has_no_verb_on_secrets(namespaces: Namespaces, installed: list[Object]) -> None:
    """Asked one by one, in each namespace and in all at once."""
    manager = manager_of(installed)
    places = ("", OWN, LOOKED_AFTER, OTHER, "kube-system")
    secrets = [("", "secrets", verb) for verb in VERBS]
    assert [
        (right, place) for right in secrets for place in places if namespaces.may(manager, right, place)
    ] == []
    # The question is one that can be answered with yes.
    assert namespaces.may(manager, ("", "pods", "list"), LOOKED_AFTER)


def test_only_its_own_lease_is_the_managers(namespaces: Namespaces, installed: list[Object]) -> None:
    """Another one of the same namespace is not."""
    manager = manager_of(installed)
    update = ("coordination.k8s.io", "leases", "update")
    own = the_only(installed, "Deployment")["metadata"]["name"]
    assert namespaces.may(manager, update, OWN, own)
    assert not namespaces.may(manager, update, OWN, "another")
    assert not namespaces.may(manager, update, OTHER, own)


def test_with_named_namespaces_nothing_is_of_the_whole_cluster(namespaces: Namespaces) -> None:
    """No ClusterRole, no binding of one, and no right in a namespace that is not named."""
    values = {"namespaces": [LOOKED_AFTER, "team-b"], "crds": {"install": False}, "replicas": 0}
    objects = render(values, release="several")
    namespaces.apply(objects)
    try:
        bindings = namespaces.control_plane.kubectl("get", "clusterrolebindings", "-o", "json")
        manager = the_only(objects, "ServiceAccount")["metadata"]["name"]
        bound = [
            binding["metadata"]["name"]
            for binding in json.loads(bindings)["items"]
            if any(each.get("name") == manager for each in binding.get("subjects") or ())
        ]
        assert bound == []
        assert namespaces.granted(objects, "team-b") == RIGHTS
        assert namespaces.granted(objects, OTHER) == set()
    finally:
        namespaces.remove(objects)


@pytest.mark.parametrize("name", ["all-namespaces.yaml", "one-namespace.yaml"])
def test_the_plain_manifests_are_taken_as_they_are(namespaces: Namespaces, name: str) -> None:
    """By kubectl, on the client's side as most people do it, without a warning."""
    text = (manifests.MANIFESTS / name).read_text(encoding="utf-8").replace("replicas: 2", "replicas: 0")
    try:
        namespaces.control_plane.kubectl("apply", "--warnings-as-errors", "-f", "-", stdin=text)
    finally:
        kept = [each for each in text.split("\n---\n") if "\nkind: Namespace\n" not in each]
        namespaces.control_plane.kubectl(
            "delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin="\n---\n".join(kept)
        )
