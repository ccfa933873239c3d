"""The manager as it is installed: two pods from the chart, with the image, in a node that runs them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.e2e_manager import NAMESPACE, RELEASE, Release
from tests.cluster.e2e_site import NodeSite
from tests.harness import client
from tests.harness.errors import HarnessError

pytestmark = pytest.mark.servers

DEPLOYMENT = f"deployment/{RELEASE}"
SELECTOR = f"app.kubernetes.io/instance={RELEASE}"
#: How long a manager may take to end; Kubernetes would kill it after 30 s.
ENDS_WITHIN = 20.0


@pytest.fixture(scope="module")
def installed(node_site: NodeSite, operator_image: str) -> Iterator[Release]:
    """Two managers. There is no kube-proxy: the API server is at the node's address, not at its Service's."""
    plane = node_site.plane
    assert plane.network is not None
    repository, tag = operator_image.split(":")
    values = {
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "extraEnv": [
            {"name": "KUBERNETES_SERVICE_HOST", "value": plane.network.address},
            {"name": "KUBERNETES_SERVICE_PORT", "value": str(plane.port)},
        ],
    }
    with Release(plane, values) as release:
        rolled_out(node_site)
        yield release


def rolled_out(site: NodeSite) -> None:
    """Wait until all managers are ready; an error says what their pods do instead."""
    try:
        site.plane.kubectl("rollout", "status", DEPLOYMENT, "-n", NAMESPACE, "--timeout=90s")
    except HarnessError as error:
        said = site.plane.kubectl("describe", "pods", "-n", NAMESPACE)
        raise HarnessError(f"{error}; {said[-3000:]}") from error


def pods(site: NodeSite) -> dict[str, Any]:
    """The managers' pods that are not about to go, by their names."""
    found = site.plane.objects("pods", NAMESPACE, SELECTOR)
    return {each["metadata"]["name"]: each for each in found if "deletionTimestamp" not in each["metadata"]}


def leader(site: NodeSite) -> str:
    """The name of the pod that decides, by the Lease; empty while none does."""
    lease = site.plane.find("lease", RELEASE, NAMESPACE)
    holder = (lease or {}).get("spec", {}).get("holderIdentity") or ""
    return next((name for name in pods(site) if name in holder), "")


def get(site: NodeSite, pod: str, path: str) -> client.Answer:
    """Ask a manager, as its probes and Prometheus do."""
    return client.request("GET", f"http://{pods(site)[pod]['status']['podIP']}:9180{path}")


def show_logs(site: NodeSite) -> None:
    """What the managers said so far goes before the witness; a defect is an error."""
    for name in pods(site):
        log = site.plane.kubectl("logs", name, "-n", NAMESPACE)
        assert "Traceback" not in log
        assert '"InternalError"' not in log
        site.witness.saw(f"log of {name}", log)


def test_two_are_ready_and_one_decides(node_site: NodeSite, installed: Release) -> None:
    """Both answer their probes, with the account's token and the cluster's CA; neither was started twice."""
    assert len(pods(node_site)) == 2
    node_site.until("one to lead", lambda: leader(node_site))
    for name, pod in pods(node_site).items():
        assert [get(node_site, name, path).status for path in ("/healthz", "/readyz")] == [200, 200]
        (status,) = pod["status"]["containerStatuses"]
        assert status["restartCount"] == 0
    asked_from = {each["sourceIPs"][0] for each in node_site.plane.requests(installed.user)}
    assert {pod["status"]["podIP"] for pod in pods(node_site).values()} <= asked_from


@pytest.mark.usefixtures("installed")
def test_a_request_becomes_a_backup(node_site: NodeSite) -> None:
    """The Job is made of the image that the manager itself is of, and the one that decides tells of it."""
    node_site.add("bao", trigger="please")
    node_site.until_over("bao")
    node_site.proven("bao")
    told = get(node_site, leader(node_site), "/metrics").body.decode()
    assert f'namespace="{node_site.namespace}"' in told
    assert "openbao_backup_last_success_timestamp{" in told
    show_logs(node_site)


@pytest.mark.usefixtures("installed")
def test_the_other_takes_over(node_site: NodeSite) -> None:
    """A leader that is asked to end does so long before it would be killed; the other takes requests."""
    node_site.until("one to lead", lambda: leader(node_site))
    first = leader(node_site)
    began = time.monotonic()
    node_site.plane.delete("pod", first, NAMESPACE)
    assert time.monotonic() - began < ENDS_WITHIN
    node_site.add("after", trigger="please")
    node_site.until_over("after")
    node_site.proven("after")
    assert leader(node_site) not in ("", first)


@pytest.mark.usefixtures("installed")
def test_a_rollout_loses_nothing(node_site: NodeSite) -> None:
    """A request that comes while all managers are replaced becomes one backup."""
    before = set(pods(node_site))
    node_site.plane.kubectl("rollout", "restart", DEPLOYMENT, "-n", NAMESPACE)
    node_site.add("meanwhile", trigger="please")
    rolled_out(node_site)
    node_site.until_over("meanwhile")
    node_site.proven("meanwhile")
    assert not before & set(pods(node_site))
    assert len(node_site.jobs("meanwhile")) == 1
    show_logs(node_site)


def test_it_goes_without_a_trace_but_the_lease(node_site: NodeSite, installed: Release) -> None:
    """After the uninstall the clusters' documents and status are there, and of the manager its Lease."""
    installed.remove()
    node_site.until("the pods to end", lambda: not node_site.plane.objects("pods", NAMESPACE, SELECTOR))
    assert node_site.backup("bao")["successfulBackups"] == 1
    left = node_site.plane.kubectl(
        "get", "deployments,services,serviceaccounts,roles,leases", "-n", NAMESPACE, "-o", "name"
    )
    assert left.split() == ["serviceaccount/default", f"lease.coordination.k8s.io/{RELEASE}"]
