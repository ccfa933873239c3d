"""A release of the chart in a real cluster: installed, changed, removed; no pod runs here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.deploy.rendering import CHART, IMAGE, Values, call_helm
from tests.harness.control_plane import ControlPlane

pytestmark = pytest.mark.servers

NAMESPACE, TEAM = "bao-backup-release", "release-team"
CRDS = ("openbaoclusters.openbao.org", "openbaorestores.openbao.org")
#: Nothing is waited for, since there need be no node.
NO_PODS: Values = IMAGE | {"replicas": 0}


class Release:
    """Helm, with the administrator's kubeconfig."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane

    def call(self, action: str, *arguments: str, values: Values | None = None) -> tuple[int, str]:
        """One of Helm's commands in this namespace: its exit code, and what it said."""
        where = ("--namespace", NAMESPACE, "--kubeconfig", str(self.plane.kubeconfig))
        given = ("--values", "-") if values is not None else ()
        done = call_helm(action, *arguments, *where, *given, values=values)
        return done.returncode, done.stdout + done.stderr

    def install(self, name: str, values: Values, *arguments: str) -> tuple[int, str]:
        """`helm install`."""
        return self.call("install", name, str(CHART), *arguments, values=values)

    def has(self, kind: str, name: str, namespace: str = NAMESPACE) -> bool:
        """Whether an object is there."""
        return self.plane.find(kind, name, namespace) is not None


@pytest.fixture
def release(control_plane: ControlPlane) -> Iterator[Release]:
    """No release is there; definitions that were not there before are removed again."""
    for name in (NAMESPACE, TEAM):
        control_plane.create_namespace(name)
    release = Release(control_plane)
    there = [crd for crd in CRDS if release.has("crd", crd)]
    yield release
    for name in ("bao-backup", "second"):
        release.call("uninstall", name, "--ignore-not-found")
    for crd in set(CRDS) - set(there):
        control_plane.delete("crd", crd)


def test_a_release_is_installed_changed_and_removed(release: Release) -> None:
    """The definitions stay when it goes: with them would go every document."""
    # Where another test has applied the definitions, the release takes them over.
    code, said = release.install("bao-backup", NO_PODS, "--take-ownership", "--force-conflicts")
    assert code == 0, said
    assert release.has("deployment", "bao-backup")
    assert release.has("clusterrole", "bao-backup")
    assert all(release.has("crd", crd) for crd in CRDS)

    narrowed = {**NO_PODS, "namespaces": [TEAM]}
    code, said = release.call("upgrade", "bao-backup", str(CHART), values=narrowed)
    assert code == 0, said
    assert not release.has("clusterrole", "bao-backup")
    assert not release.has("clusterrolebinding", "bao-backup")
    assert release.has("role", "bao-backup", TEAM)

    code, said = release.call("uninstall", "bao-backup")
    assert code == 0, said
    assert not release.has("deployment", "bao-backup")
    assert not release.has("role", "bao-backup", TEAM)
    assert all(release.has("crd", crd) for crd in CRDS)


def test_definitions_that_are_somebody_elses_are_left_alone(release: Release) -> None:
    """Helm refuses, and nothing is installed; without them in the chart it is."""
    crd = release.plane.find("crd", CRDS[0])
    if crd is None:
        folder = CHART / "files" / "crds"
        release.plane.apply((folder / "openbaoclusters.yaml").read_text(encoding="utf-8"))
    release.plane.kubectl(
        "annotate", "crd", CRDS[0], "meta.helm.sh/release-name-", "meta.helm.sh/release-namespace-"
    )
    code, said = release.install("second", NO_PODS)
    assert code != 0
    assert CRDS[0] in said
    assert not release.has("deployment", "second-bao-backup")

    code, said = release.install("second", {**NO_PODS, "crds": {"install": False}}, "--replace")
    assert code == 0, said
    assert release.has("deployment", "second-bao-backup")
