"""The chart, rendered and checked by the real Helm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.deploy.installs import DIGEST, INSTALLS, LEASE, RIGHTS
from tests.deploy.rendering import (
    CHART,
    IMAGE,
    call_helm,
    container_of,
    of_kind,
    pod_of,
    render,
    rights_of,
    the_only,
)

from bao_backup.entry.commands.operator import operator_command

pytestmark = pytest.mark.servers

#: Values that are wrong, and the field that the refusal must name.
WRONG: dict[str, tuple[Mapping[str, Any], str]] = {
    "misspelt": ({"replica": 3}, "replica"),
    "misspelt-inside": ({"metrics": {"ports": 1}}, "metrics"),
    "words-for-a-number": ({"replicas": "two"}, "replicas"),
    "negative": ({"maxRuns": -1}, "maxRuns"),
    "no-such-policy": ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    "no-such-format": ({"logFormat": "xml"}, "logFormat"),
    "short-digest": ({"image": {"digest": "sha256:12"}}, "digest"),
    "one-namespace-as-text": ({"namespaces": "team-a"}, "namespaces"),
    "no-namespace": ({"namespaces": ["Team A"]}, "namespaces"),
    "twice": ({"namespaces": ["a", "a"]}, "namespaces"),
    "objects-for-names": ({"imagePullSecrets": [{"name": "pull"}]}, "imagePullSecrets"),
    "privileged-port": ({"metrics": {"port": 80}}, "port"),
    "variable-without-a-name": ({"extraEnv": [{"value": "x"}]}, "extraEnv"),
    "number-as-label": ({"podLabels": {"team": 1}}, "podLabels"),
    "replicas-without-lease": ({"lease": {"enabled": False}}, "replicas"),
    "monitor-without-service": (
        {"metrics": {"service": False, "serviceMonitor": True}},
        "metrics.serviceMonitor",
    ),
}

installs = pytest.mark.parametrize("values", INSTALLS.values(), ids=INSTALLS)


@installs
def test_helm_finds_no_fault_with_the_chart(values: dict[str, Any]) -> None:
    """`helm lint --strict`, for each way to install it."""
    done = call_helm("lint", "--strict", CHART, "--values", "-", values=IMAGE | values)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@installs
def test_every_object_has_its_place(values: dict[str, Any]) -> None:
    """No two objects have one name; those with a namespace name it, and carry the release's labels."""
    objects = [each for each in render(values) if each["kind"] != "CustomResourceDefinition"]
    names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects]
    assert len(set(names)) == len(names)
    wide = {"ClusterRole", "ClusterRoleBinding"}
    assert [name for name in names if (name[1] is None) != (name[0] in wide)] == []
    labels = [each["metadata"]["labels"] for each in objects]
    assert {(each["app.kubernetes.io/name"], each["app.kubernetes.io/instance"]) for each in labels} == {
        ("bao-backup", "bao-backup")
    }


@installs
def test_no_role_has_a_verb_on_secrets_or_a_wildcard(values: dict[str, Any]) -> None:
    """However it is installed."""
    roles = [each for each in render(values) if each["kind"] in {"Role", "ClusterRole"}]
    rights = {right for role in roles for right in rights_of(role["rules"])}
    assert rights
    assert [right for right in rights if "*" in right or right[1].startswith("secrets")] == []


@installs
def test_the_pod_asks_for_nothing(values: dict[str, Any]) -> None:
    """The settings of the Pod Security level `restricted`, and a root that nobody can write."""
    objects = render(values)
    pod, container = pod_of(objects), container_of(objects)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["terminationGracePeriodSeconds"] == 30
    # On OpenShift the namespace chooses the user.
    assert ("runAsUser" in pod["securityContext"]) == (not values.get("openshift"))


def test_without_names_it_looks_after_all_namespaces() -> None:
    """One ClusterRole with exactly these rights, and a Role for the Lease alone."""
    objects = render({})
    assert rights_of(the_only(objects, "ClusterRole")["rules"]) == RIGHTS
    role = the_only(objects, "Role")
    assert rights_of(role["rules"]) == LEASE
    assert role["metadata"]["namespace"] == "bao-backup"
    assert not [word for word in container_of(objects)["args"] if word.startswith("--namespace")]


def test_with_names_there_are_only_roles() -> None:
    """A Role and its binding in each namespace, and nothing of the whole cluster's."""
    objects = render({"namespaces": ["team-a", "team-b"]})
    assert of_kind(objects, "ClusterRole") + of_kind(objects, "ClusterRoleBinding") == []
    roles = {role["metadata"]["namespace"]: rights_of(role["rules"]) for role in of_kind(objects, "Role")}
    assert roles == {"team-a": RIGHTS, "team-b": RIGHTS, "bao-backup": LEASE}
    account = the_only(objects, "ServiceAccount")["metadata"]
    for binding in of_kind(objects, "RoleBinding"):
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account["name"], "namespace": "bao-backup"}
        ]
    assert {"--namespace=team-a", "--namespace=team-b"} <= set(container_of(objects)["args"])


def test_only_its_own_lease_may_be_changed() -> None:
    """Creating has no name to limit; reading and changing have."""
    (role,) = of_kind(render({}), "Role")
    named = [rule for rule in role["rules"] if "create" not in rule["verbs"]]
    assert [rule["resourceNames"] for rule in named] == [["bao-backup"]]
    assert "--lease-name=bao-backup" in container_of(render({}))["args"]


def test_without_the_lease_there_is_no_right_to_any() -> None:
    """And the old manager ends before the new one begins."""
    objects = render(INSTALLS["no-lease"])
    assert of_kind(objects, "Role") == []
    assert "--no-lease" in container_of(objects)["args"]
    assert the_only(objects, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_two_releases_in_one_namespace_do_not_meet() -> None:
    """Neither in an object's name, nor in the Lease, nor in whose pods are whose."""
    values = {"namespaces": ["team-a"], "crds": {"install": False}}
    first, second = render(values, release="one"), render(values, release="two")
    names = [{(each["kind"], each["metadata"]["name"]) for each in objects} for objects in (first, second)]
    assert names[0].isdisjoint(names[1])
    assert "--lease-name=one-bao-backup" in container_of(first)["args"]
    selectors = [the_only(objects, "Deployment")["spec"]["selector"] for objects in (first, second)]
    assert selectors[0] != selectors[1]


def test_every_value_reaches_the_manager() -> None:
    """Arguments, variables and the pod's own settings."""
    objects = render(INSTALLS["everything"])
    pod, container = pod_of(objects), container_of(objects)
    assert container["image"] == f"registry.example:5000/team/bao-backup@{DIGEST}"
    assert container["imagePullPolicy"] == "Always"
    assert container["args"] == [
        "operator",
        "--listen=0.0.0.0:9999",
        "--log-format=text",
        "--image=registry.example/runs:1",
        "--image-pull-policy=Never",
        "--image-pull-secret=run-pull",
        "--max-runs=20",
        "--lease-name=bao-backup",
        "--no-network-policy",
        "--verbose",
    ]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert variables == {
        "POD_NAME": None,
        "POD_NAMESPACE": None,
        "OPENBAO_JWT_AUDIENCE": "openbao",
        "HTTPS_PROXY": "http://proxy.example:3128",
    }
    assert container["resources"] == {
        "limits": {"memory": "1Gi"},
        "requests": {"cpu": "50m", "memory": "128Mi"},
    }
    assert pod["serviceAccountName"] == "keeper"
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert pod["topologySpreadConstraints"] == INSTALLS["everything"]["topologySpreadConstraints"]
    for name in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert pod[name] == INSTALLS["everything"][name]
    template = the_only(objects, "Deployment")["spec"]["template"]["metadata"]
    assert template["annotations"] == {"example.com/why": "backup"}
    assert template["labels"]["team"] == "platform"
    assert the_only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 2
    assert the_only(objects, "ServiceAccount")["metadata"]["annotations"] == {"example.com/owner": "platform"}
    assert the_only(objects, "ServiceMonitor")["metadata"]["labels"]["release"] == "prometheus"
    assert the_only(objects, "Service")["spec"]["ports"][0]["port"] == 9999


@installs
def test_the_program_understands_its_arguments(values: dict[str, Any]) -> None:
    """As the command parses them, from the names of options on."""
    first, *rest = container_of(render(values))["args"]
    context = operator_command.make_context(first, list(rest))
    assert first == operator_command.name
    assert context.params["namespaces"] == tuple(values.get("namespaces", ()))
    assert context.params["lease"] == values.get("lease", {}).get("enabled", True)
    assert context.params["network_policy"] == values.get("networkPolicy", {}).get("runs", True)
    assert context.params["openshift"] == values.get("openshift", False)
    assert context.params["image"]


def test_the_runs_have_the_managers_image_unless_told() -> None:
    """With its pull policy and its pull secrets."""
    container = container_of(render({"image": IMAGE["image"] | {"tag": "2"}, "imagePullSecrets": ["pull"]}))
    assert container["image"] == "registry.example/bao-backup:2"
    wanted = {
        "--image=registry.example/bao-backup:2",
        "--image-pull-policy=IfNotPresent",
        "--image-pull-secret=pull",
    }
    assert wanted <= set(container["args"])


def test_labels_of_a_person_do_not_take_pods_out_of_the_selector() -> None:
    """What the Deployment, the Service and the budget choose pods by is the chart's own."""
    objects = render(INSTALLS["everything"])
    labels = the_only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        the_only(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        the_only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        the_only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        the_only(objects, "Service")["spec"]["selector"],
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()


def test_a_single_manager_has_no_budget_that_would_stop_a_drain() -> None:
    """With one replica there is no PodDisruptionBudget; with two there is."""
    assert of_kind(render({"replicas": 1}), "PodDisruptionBudget") == []
    assert the_only(render({}), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_probes_ask_the_port_that_it_listens_on() -> None:
    """All three by the port's name."""
    container = container_of(render({}))
    assert container["ports"] == [{"name": "http", "containerPort": 9180}]
    paths = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert {container[probe]["httpGet"]["port"] for probe in paths} == {"http"}


def test_the_definitions_come_with_it_and_stay_when_it_goes() -> None:
    """Unless another operator's are there: `crds.install` is false then."""
    kept = of_kind(render({}), "CustomResourceDefinition")
    assert {crd["metadata"]["name"] for crd in kept} == {
        "openbaoclusters.openbao.org",
        "openbaorestores.openbao.org",
    }
    assert {crd["metadata"]["annotations"]["helm.sh/resource-policy"] for crd in kept} == {"keep"}
    assert of_kind(render(INSTALLS["no-crds"]), "CustomResourceDefinition") == []


@pytest.mark.parametrize(("values", "field"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_and_named(values: Mapping[str, Any], field: str) -> None:
    """Before anything is sent to a cluster."""
    done = call_helm("template", "x", CHART, "--values", "-", values=IMAGE | dict(values))
    assert done.returncode != 0
    assert field in done.stderr
    assert done.stdout == ""


def test_without_an_image_it_says_what_is_missing() -> None:
    """There is no registry that it could take one from by itself."""
    done = call_helm("template", "x", CHART)
    assert done.returncode != 0
    assert "image.repository" in done.stderr


@installs
def test_the_notes_can_be_written(values: dict[str, Any]) -> None:
    """`helm install --dry-run=client` shows them, with the commands of this install."""
    done = call_helm(
        *("install", "bao-backup", CHART, "--namespace", "bao-backup", "--dry-run=client", "--values", "-"),
        values=IMAGE | values,
    )
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    assert "kubectl -n bao-backup rollout status deployment/bao-backup" in notes
    assert (values.get("namespaces") or ["all namespaces"])[0] in notes
