"""What is known of the API's objects, whenever and in whatever order it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.api_in_memory import Answer, ApiInMemory, with_api
from tests.harness.api_request import ApiRequest
from tests.harness.api_rules import failure

from bao_backup.adapters.kubernetes.api import CLUSTERS, JOBS, RESTORES, KubernetesApi
from bao_backup.adapters.kubernetes.known_objects import KnownObjects
from bao_backup.adapters.kubernetes.names import (
    CLUSTER,
    CLUSTER_UID,
    COMPONENT,
    MANAGED_BY,
    OURS,
    RECORDED,
    label_value,
)
from bao_backup.core.errors import (
    InternalError,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesError,
)

Json = dict[str, Any]
LONG = "a-cluster-with-a-name-that-is-longer-than-any-label-may-be-on-kubernetes"


class Told:
    """What is known, and of which clusters there was news."""

    def __init__(self) -> None:
        self.changed: list[str] = []
        self.gone: list[str] = []
        self.known = KnownObjects(self.changed.append, self.gone.append)

    def clusters(self) -> dict[str, str]:
        """Uid and version of each cluster that is known."""
        return {uid: known.version for uid, known in self.known.clusters.items()}

    def restore(self, uid: str = "u-1") -> str:
        """The unfinished restore of a cluster."""
        return self.known.restore_of(self.known.cluster(uid))


def cluster(version: int, uid: str = "u-1", name: str = "bao") -> Json:
    """A cluster at a version."""
    metadata = {"namespace": "vault", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"replicas": version}}


def job(
    version: int,
    name: str = "backup-bao-1",
    uid: str = "j-1",
    *,
    of: str = "u-1",
    of_name: str = "bao",
    done: bool = False,
    kept: int | None = None,
    recorded: bool = False,
) -> Json:
    """One of our Jobs at a version; `of=""`: of another manager."""
    labels = {CLUSTER: label_value(of_name), COMPONENT: "backup", MANAGED_BY: OURS if of else "other"}
    return {
        "metadata": {
            "namespace": "vault",
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "labels": labels,
            "annotations": ({CLUSTER_UID: of} if of else {}) | ({RECORDED: "true"} if recorded else {}),
            "managedFields": [{"manager": "x"}],
        },
        "spec": {"template": {"spec": {"containers": [{"name": "backup", "image": "x" * 1000}]}}}
        | ({} if kept is None else {"ttlSecondsAfterFinished": kept}),
        "status": {"conditions": [{"type": "Complete", "status": "True"}]} if done else {"active": 1},
    }


def restore(
    version: int, phase: str | None = None, name: str = "back", uid: str = "r-1", **spec: Any
) -> Json:
    """A restore of the cluster at a version."""
    metadata = {"namespace": "vault", "name": name, "uid": uid, "resourceVersion": str(version)}
    status = {"status": {"phase": phase}} if phase else {}
    return {"metadata": metadata, "spec": {"cluster": "bao"} | spec, **status}


def in_any_order(events: list[Json]) -> st.SearchStrategy[list[Json]]:
    """All of them at least once, in any order, some several times."""
    more = st.lists(st.sampled_from(events), max_size=6)
    return more.flatmap(lambda repeated: st.permutations([*events, *repeated]))


# --- clusters ----------------------------------------------------------------------------------


def test_an_unknown_cluster_is_a_defect() -> None:
    """Whoever asks has a uid of something that was never there, or is gone."""
    told = Told()
    with pytest.raises(InternalError):
        told.known.cluster("u-1")
    told.known.take_cluster(cluster(1))
    told.known.drop_cluster(cluster(2))
    with pytest.raises(InternalError):
        told.known.cluster("u-1")
    assert told.gone == ["u-1"]


@given(in_any_order([cluster(version) for version in range(8, 13)]))
def test_the_newest_cluster_is_known(events: list[Json]) -> None:
    """In whatever order events come, and however often; and only what is new is told."""
    told = Told()
    highest, news = 0, 0
    for event in events:
        told.known.take_cluster(event)
        news += int(event["metadata"]["resourceVersion"]) > highest
        highest = max(highest, int(event["metadata"]["resourceVersion"]))
    assert told.clusters() == {"u-1": "12"}
    assert told.known.cluster("u-1").spec == msgspec.json.encode({"replicas": 12})
    assert (told.changed, told.gone) == (["u-1"] * news, [])


@given(in_any_order([cluster(8), cluster(9), cluster(10, "u-2"), cluster(11, "u-2")]), st.integers(0, 4))
def test_a_cluster_that_was_made_anew_is_the_new_one(events: list[Json], deleted_at: int) -> None:
    """A late word of the old one, or of its end, harms nothing."""
    told = Told()
    for number, event in enumerate(events):
        if number == deleted_at:
            told.known.drop_cluster(cluster(9))
        told.known.take_cluster(event)
    assert told.clusters() == {"u-2": "11"}
    assert set(told.gone) <= {"u-1"}


def test_nobody_is_told_of_our_own_writes() -> None:
    """Nor of the event that repeats them."""
    told = Told()
    told.known.take_cluster(cluster(1))
    told.known.take_cluster(cluster(2), by_us=True)
    told.known.take_cluster(cluster(2))
    assert told.changed == ["u-1"]
    told.known.take_cluster(cluster(3))
    assert told.changed == ["u-1", "u-1"]


def test_a_late_answer_does_not_revive_what_is_gone() -> None:
    """The object was deleted before the answer to our patch of it came."""
    told = Told()
    told.known.take_cluster(cluster(1))
    told.known.drop_cluster(cluster(3))
    told.known.take_cluster(cluster(2), by_us=True)
    assert told.clusters() == {}


# --- Jobs --------------------------------------------------------------------------------------


@given(
    in_any_order(
        [job(8), job(9), job(10, done=True), job(11, uid="j-2"), job(12, uid="j-2", done=True, kept=9)]
    ),
    st.integers(0, 5),
)
def test_the_newest_job_is_known(events: list[Json], deleted_at: int) -> None:
    """Also when it was removed and made anew, and whenever that was told."""
    told = Told()
    told.known.take_cluster(cluster(1))
    for number, event in enumerate(events):
        if number == deleted_at:
            told.known.drop_job(job(10))
        told.known.take_job(event)
    (found,) = told.known.jobs.of("vault", "bao")
    assert (found["metadata"]["uid"], found["metadata"]["resourceVersion"]) == ("j-2", "12")
    assert told.known.jobs.get("vault", "bao", "backup-bao-1") == found


def test_jobs_are_news_for_their_cluster() -> None:
    """Ours by the cluster's uid, another manager's by its label, and of a cluster that is gone for nobody."""
    told = Told()
    told.known.take_cluster(cluster(1))
    told.known.take_cluster(cluster(2, "u-9", LONG))
    told.changed.clear()
    told.known.take_job(job(3))
    told.known.take_job(job(4, "other", "j-2", of=""))
    told.known.take_job(job(5, "long", "j-3", of="", of_name=LONG))
    told.known.take_job(job(6, "older", "j-4", of="u-0"))
    told.known.take_job(job(7, "mine", "j-5"), by_us=True)
    assert told.changed == ["u-1", "u-1", "u-9"]
    told.known.drop_job(job(8, "other", "j-2", of=""))
    assert told.changed[3:] == ["u-1"]
    names = {each["metadata"]["name"] for each in told.known.jobs.of("vault", "bao")}
    assert names == {"backup-bao-1", "older", "mine"}
    assert [each["metadata"]["name"] for each in told.known.jobs.of("vault", LONG)] == ["long"]


def test_jobs_are_kept_small() -> None:
    """Of one whose end is in the status hardly more than its name is left."""
    told = Told()
    told.known.take_job(job(1))
    (under_way,) = told.known.jobs.all()
    assert "managedFields" not in under_way["metadata"]
    assert under_way["spec"] == job(1)["spec"]
    told.known.take_job(job(2, done=True, kept=600))
    (not_recorded,) = told.known.jobs.all()
    assert "template" in not_recorded["spec"], "somebody else may have set a time to live"
    told.known.take_job(job(3, done=True, kept=86400, recorded=True))
    (forgotten,) = told.known.jobs.all()
    assert forgotten["spec"] == {"ttlSecondsAfterFinished": 86400}
    assert len(msgspec.json.encode(forgotten)) < 500
    told.known.take_job(job(4, done=True, kept=0, of=""))
    (of_others,) = told.known.jobs.all()
    assert of_others["spec"] == job(4, kept=0)["spec"]


def test_what_was_asked_for_just_now_counts_whatever_its_version() -> None:
    """After a restore of the API server's own data, versions go back; events of older ones still do not."""
    told = Told()
    told.known.take_cluster(cluster(1000))
    told.known.take_cluster(cluster(50))
    assert told.known.cluster("u-1").version == "1000"
    told.known.take_cluster(cluster(50), as_it_is=True)
    assert told.known.cluster("u-1").version == "50"


# --- restores ----------------------------------------------------------------------------------


@given(
    in_any_order(
        [restore(8), restore(9, "Validating"), restore(10, "Running"), restore(11, "Failed"), cluster(3)]
    )
)
def test_a_restore_that_is_over_blocks_nothing(events: list[Json]) -> None:
    """Whatever is told late of it."""
    told = Told()
    told.known.take_cluster(cluster(2))
    for event in events:
        (told.known.take_restore if "cluster" in event["spec"] else told.known.take_cluster)(event)
    assert told.restore() == ""


@pytest.mark.parametrize("phase", [None, "Pending", "Validating", "Running", "Unknown", "Later"])
@pytest.mark.parametrize("end", ["Completed", "Failed", "deleted"])
def test_an_unfinished_restore_is_news_twice(phase: str | None, end: str) -> None:
    """When it comes, and when it is over."""
    told = Told()
    told.known.take_cluster(cluster(1))
    told.changed.clear()
    told.known.take_restore(restore(2, phase))
    assert (told.restore(), told.changed) == ("back", ["u-1"])
    told.known.take_restore(restore(3, phase, more="x"))
    assert told.changed == ["u-1"]
    if end == "deleted":
        told.known.take_restore(restore(4, phase), gone=True)
    else:
        told.known.take_restore(restore(4, end))
    assert (told.restore(), told.changed) == ("", ["u-1", "u-1"])


def test_restores_of_several_and_of_none() -> None:
    """Each blocks its own cluster; a wrong document, or one of a cluster that is not there, none."""
    told = Told()
    for uid, name in (("u-1", "bao"), ("u-2", "other")):
        told.known.take_cluster(cluster(1, uid, name))
    told.known.take_restore(restore(2, name="b", uid="r-1"))
    told.known.take_restore(restore(3, name="a", uid="r-2"))
    told.known.take_restore(restore(4, name="c", uid="r-3", cluster="nowhere"))
    told.known.take_restore(restore(5, name="d", uid="r-4", cluster=["bao"]))
    assert (told.restore("u-1"), told.restore("u-2")) == ("a", "")
    told.known.take_restore(restore(6, "Completed", name="a", uid="r-2"))
    assert told.restore("u-1") == "b"


def test_a_restore_that_was_made_anew_blocks() -> None:
    """The old one's end is told late."""
    told = Told()
    told.known.take_cluster(cluster(1))
    told.known.take_restore(restore(2, "Running", uid="r-1"))
    told.known.take_restore(restore(5, uid="r-2"))
    told.known.take_restore(restore(4, "Running", uid="r-1"), gone=True)
    assert told.restore() == "back"


# --- all of it ---------------------------------------------------------------------------------


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
