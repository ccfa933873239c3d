"""Whoever deletes a restore's Job, and whenever, also as the manager dies: one pod is made for it at most."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.cluster.operator_program import Operator
from tests.cluster.operator_site import JOBS, Site, of
from tests.cluster.restore_site import (
    ask_for_restore,
    path_of_restore,
    restore_jobs,
    status_of_restore,
    told_at_restore,
    until_unlocked,
)
from tests.harness.api_request import ApiRequest, Match

pytestmark = pytest.mark.servers

Json = dict[str, Any]
#: The requests by which a restore is begun, in order.
WRITES: dict[str, tuple[str, str, Callable[[Json], bool]]] = {
    "validating": ("PATCH", "openbaorestores", lambda body: body["status"].get("phase") == "Validating"),
    "lock": ("PATCH", "openbaoclusters", lambda body: bool(body["status"].get("operationLock"))),
    "job": ("POST", "jobs", lambda body: bool(body["spec"]["suspend"])),
    "running": ("PATCH", "openbaorestores", lambda body: body["status"].get("phase") == "Running"),
    "release": ("PATCH", "jobs", lambda body: body["spec"].get("suspend") is False),
}
POINTS = [
    ("after", "job"),
    ("before", "running"),
    ("after", "running"),
    ("before", "release"),
    ("after", "release"),
]
#: A manager that dies here has not written Running: nothing can have begun.
NEVER_BEGUN = POINTS[:2]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def survivor(shared_site: Site) -> Iterator[Operator]:
    """One manager, which tests kill and start again."""
    with shared_site.operator() as operator:
        yield operator


@pytest.fixture
def operator(shared_site: Site, survivor: Operator) -> Operator:
    """It runs, whatever the test before did to it, and nothing befalls it yet."""
    shared_site.proxy.clear()
    if not survivor.running:
        survivor.start()
    return survivor


def that(site: Site, write: str) -> Match:
    """The write of that name."""
    method, resource, fits = WRITES[write]
    return of(site, resource, method, where=lambda request: fits(request.json()))


def new_cluster(site: Site) -> str:
    """A cluster of its own."""
    name = f"r{next(_numbers)}"
    site.add(name)
    return name


def pods_made(site: Site, name: str) -> int:
    """How many pods were ever made for Jobs of the restore."""
    selector = f"involvedObject.kind=Job,involvedObject.name=restore-{name},reason=SuccessfulCreate"
    path = f"/api/v1/namespaces/{site.namespace}/events?fieldSelector={selector}"
    return sum(each.get("count") or 1 for each in site.plane.request("GET", path).json()["items"])


def until_over(site: Site, name: str) -> Json:
    """Wait for the restore's end, with nothing left of it; gives its status."""
    site.until(
        "the restore's end", lambda: status_of_restore(site, name).get("phase") in {"Completed", "Failed"}
    )
    until_unlocked(site, name)
    site.until_at_rest()
    return status_of_restore(site, name)


def test_the_writes_that_begin_a_restore(shared_site: Site, operator: Operator) -> None:
    """These, in this order, and no others: the other tests leave no moment out."""
    site, name = shared_site, new_cluster(shared_site)
    site.until_at_rest()
    site.proxy.clear()
    ask_for_restore(site, name, name)
    until_over(site, name)
    begun = []
    for request in site.proxy.writes(without=("events", "serviceaccounts", "networkpolicies", "leases")):
        names = [write for write in WRITES if that(site, write).fits(request)]
        if names:
            begun += names
        if "release" in names:
            break
    assert begun == list(WRITES)
    assert pods_made(site, name) == 1
    assert told_at_restore(site, name) == ["RestoreValidationStarted", "RestoreStarted", "RestoreCompleted"]
    told = operator.metrics().splitlines()
    for metric, value in (("total", 1), ("success_total", 1), ("failure_total", 0), ("unknown_total", 0)):
        assert f'openbao_restore_{metric}{{name="{name}",namespace="{site.namespace}"}} {value:.1f}' in told


@pytest.mark.parametrize("killed", [False, True], ids=["lives", "killed"])
@pytest.mark.parametrize(("when", "write"), POINTS, ids=lambda word: word)
def test_somebody_deletes_the_job(
    shared_site: Site, operator: Operator, when: str, write: str, *, killed: bool
) -> None:
    """It is made again as long as it cannot have begun, and never from then on."""
    site, name = shared_site, new_cluster(shared_site)

    def delete(_: ApiRequest) -> None:
        (job,) = restore_jobs(site, name)
        site.delete(f"{JOBS.format(site.namespace)}/{job['metadata']['name']}")
        if killed:
            operator.kill()

    if when == "before":
        site.proxy.before(that(site, write), delete, forward=not killed)
    else:
        site.proxy.after(that(site, write), delete)
    ask_for_restore(site, name, name)
    if killed:
        operator.wait_ended()
        operator.start()
    status = until_over(site, name)
    if status["phase"] == "Completed":
        assert pods_made(site, name) == 1
    else:
        assert status["reason"] == "RestoreUnknown"
        assert pods_made(site, name) <= 1
        assert restore_jobs(site, name) == []
    if killed:  # else it depends on who is faster
        assert (status["phase"] == "Completed") == ((when, write) in NEVER_BEGUN)


def test_a_document_that_goes_before_its_job_is_released(shared_site: Site, operator: Operator) -> None:
    """Nobody would ever release it: it is removed, and backups wait for it no more."""
    site, name = shared_site, new_cluster(shared_site)
    site.proxy.before(that(site, "running"), lambda _: site.delete(path_of_restore(site, name)), forward=True)
    ask_for_restore(site, name, name)
    path = path_of_restore(site, name)
    site.until("the document to be gone", lambda: site.plane.request("GET", path).status == 404)
    until_unlocked(site, name)
    site.until("the Job to be gone", lambda: restore_jobs(site, name) == [])
    assert pods_made(site, name) == 0
    site.ask("please", name)
    assert site.until_settled(name)["successfulBackups"] == 1
    assert operator.running
