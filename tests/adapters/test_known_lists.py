"""Everything is listed anew while events go on, and what is gone is dropped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.adapters.api_in_memory import Answer, ApiInMemory, with_api
from tests.adapters.known_told import Told, cluster, job, restore
from tests.harness.api_request import ApiRequest
from tests.harness.api_rules import failure

from bao_backup.adapters.kubernetes.api import CLUSTERS, JOBS, RESTORES, KubernetesApi
from bao_backup.adapters.kubernetes.names import (
    COMPONENT,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesError,
)

Json = dict[str, Any]


def take_all(told: Told, server: ApiInMemory, namespaces: tuple[str, ...] = ("",)) -> None:
    """List everything."""
    with_api(server, lambda api: told.known.take_all(api, namespaces))


def filled() -> ApiInMemory:
    """A server with two clusters, a Job and a restore of one."""
    server = ApiInMemory()
    server.put(CLUSTERS, cluster(1))
    server.put(CLUSTERS, cluster(1, "u-2", "other"))
    server.put(JOBS, job(1))
    server.put(RESTORES, restore(1))
    return server


def test_everything_is_listed() -> None:
    """Clusters, restores, and Jobs of backups only."""
    server, told = filled(), Told()
    others = job(1, "of-another-program", "j-9")
    others["metadata"]["labels"][COMPONENT] = "else"
    server.put(JOBS, others)
    take_all(told, server)
    assert set(told.clusters()) == {"u-1", "u-2"}
    assert [each["metadata"]["name"] for each in told.known.jobs.all()] == ["backup-bao-1"]
    assert told.restore() == "back"
    assert set(told.changed) == {"u-1", "u-2"}


def test_named_namespaces_are_listed_one_by_one() -> None:
    """And no others."""
    server, told = filled(), Told()
    elsewhere = cluster(1, "u-3")
    elsewhere["metadata"]["namespace"] = "elsewhere"
    server.put(CLUSTERS, elsewhere)
    take_all(told, server, ("vault", "empty"))
    assert set(told.clusters()) == {"u-1", "u-2"}
    assert {each.namespace for each in server.requests} == {"vault", "empty"}


@pytest.mark.parametrize("code", [403, 404])
def test_a_namespace_that_refuses_keeps_no_other_from_being_managed(code: int) -> None:
    """It was deleted, and its Role with it. Where all refuse, that is an error."""
    server, told = filled(), Told()

    async def refuse(request: ApiRequest) -> tuple[int, Json] | None:
        return (code, failure(code)) if request.namespace == "gone" else None

    server.befall = refuse
    refused = with_api(server, lambda api: told.known.take_all(api, ("gone", "vault")))
    assert list(refused) == ["gone"]
    assert set(told.clusters()) == {"u-1", "u-2"}
    with pytest.raises(KubernetesError):
        take_all(told, server, ("gone",))


@pytest.mark.parametrize("resource", ["jobs", "openbaorestores", "openbaoclusters"])
def test_a_cluster_is_known_with_its_jobs_and_restores_or_not_at_all(resource: str) -> None:
    """Otherwise a run would start beside one that nobody may see."""
    server, told = filled(), Told()
    elsewhere = cluster(1, "u-3")
    elsewhere["metadata"]["namespace"] = "elsewhere"
    server.put(CLUSTERS, elsewhere)
    take_all(told, server, ("elsewhere", "vault"))

    async def refuse(request: ApiRequest) -> Answer | None:
        refused = (request.namespace, request.resource) == ("vault", resource)
        return (403, failure(403)) if refused else None

    server.befall = refuse
    for manager in (told, Told()):
        take_all(manager, server, ("elsewhere", "vault"))
        assert set(manager.clusters()) == {"u-3"}


def test_what_is_gone_is_dropped() -> None:
    """Though nobody saw it go; and what is still there is no news."""
    server, told = filled(), Told()
    take_all(told, server)
    told.changed.clear()
    take_all(told, server)
    assert told.changed == []
    server.remove(JOBS, "vault", "backup-bao-1")
    server.remove(RESTORES, "vault", "back")
    server.remove(CLUSTERS, "vault", "other")
    take_all(told, server)
    assert (told.gone, set(told.changed)) == (["u-2"], {"u-1"})
    assert (list(told.known.jobs.all()), told.restore()) == ([], "")


def test_a_cluster_without_the_kind_of_restores() -> None:
    """There are none then."""
    server, told = filled(), Told()
    take_all(told, server)
    server.befall = answering("openbaorestores", (404, failure(404)))
    take_all(told, server)
    assert told.restore() == ""


@pytest.mark.parametrize(
    ("resource", "code"), [("openbaoclusters", 404), ("openbaorestores", 403), ("jobs", 500)]
)
def test_a_list_that_fails_drops_nothing(resource: str, code: int) -> None:
    """It is an error, and what was known stays known."""
    server, told = filled(), Told()
    take_all(told, server)
    server.befall = answering(resource, (code, failure(code)))
    with pytest.raises(KubernetesError):
        take_all(told, server)
    assert (set(told.clusters()), told.restore(), told.gone) == ({"u-1", "u-2"}, "back", [])
    assert len(list(told.known.jobs.all())) == 1


def test_events_go_on_while_everything_is_listed() -> None:
    """What comes meanwhile stays, what goes meanwhile stays away, and what is over stays over."""
    server, told = filled(), Told()
    take_all(told, server)

    def meanwhile() -> None:
        told.known.take_cluster(cluster(900, "u-3", "new"))
        told.known.take_job(job(901, "new", "j-3", of="u-3", of_name="new"))
        told.known.take_restore(restore(902, name="new", uid="r-3", cluster="new"))
        told.known.take_restore(restore(903, "Completed"))
        told.known.drop_cluster(cluster(904, "u-2", "other"))
        told.known.drop_job(job(905))

    for resource in ("openbaoclusters", "openbaorestores", "jobs"):
        told = Told()
        server.befall = answering("", None)
        take_all(told, server)
        server.befall = once(resource, meanwhile)
        take_all(told, server)
        assert set(told.clusters()) == {"u-1", "u-3"}
        assert [each["metadata"]["name"] for each in told.known.jobs.all()] == ["new"]
        assert (told.restore("u-1"), told.restore("u-3")) == ("", "new")
        assert told.gone == ["u-2"]


def answering(resource: str, answer: Answer | None) -> Callable[[ApiRequest], Awaitable[Answer | None]]:
    """This answer to requests for the resource."""

    async def befall(request: ApiRequest) -> Answer | None:
        return answer if request.resource == resource else None

    return befall


def once(resource: str, happens: Callable[[], None]) -> Callable[[ApiRequest], Awaitable[Answer | None]]:
    """Something happens just before the resource is listed; the lists know nothing of it."""

    async def befall(request: ApiRequest) -> Answer | None:
        if request.resource == resource:
            happens()
        return None

    return befall


def test_a_list_of_many_pages() -> None:
    """None is lost between two pages."""
    server, told = ApiInMemory(), Told()
    for number in range(1201):
        server.put(CLUSTERS, cluster(1, f"u-{number}", f"bao-{number}"))

    async def work(api: KubernetesApi) -> None:
        await told.known.take_all(api, ("",))

    with_api(server, work)
    assert len(told.clusters()) == 1201
    assert len(server.asked()) == 3 + 1 + 1
