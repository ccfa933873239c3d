"""The runtime of restores on Kubernetes where something goes wrong between it and the API server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.adapters.api_in_memory import Answer
from tests.contracts.kubernetes_restores import CLUSTER, NAME, RUN, OnApiInMemory
from tests.harness.api_request import ApiRequest
from tests.harness.api_rules import failure

from bao_backup.adapters.kubernetes.api import CLUSTERS, JOBS, RESTORES
from bao_backup.adapters.kubernetes.known_restores import KnownRestore
from bao_backup.adapters.kubernetes.restore_counts import RestoreCounts, last_durations
from bao_backup.core.errors import InternalError
from bao_backup.core.kubernetes_errors import KubernetesError
from bao_backup.core.observed import Emit, ForgetRun, RunState
from bao_backup.core.restore_settings import from_environment
from bao_backup.core.restore_spec import RestorePhase, RestoreStatus
from bao_backup.core.restoring import (
    DiscardRun,
    ObservedRestore,
    ReleaseRun,
    RestoreVersions,
    StartRestore,
)
from bao_backup.core.status import Condition, OperationLock

START = StartRestore(name=RUN)
WAITS = RestoreStatus(phase=RestorePhase.VALIDATING, reason="OperationLocked", message="it waits")
ENDED = datetime(2026, 11, 22, 2, 5, tzinfo=UTC)
LOCK = OperationLock(operation="Restore", holder=f"openbaorestore/{NAME}", message=RUN)
Json = dict[str, Any]


@pytest.fixture
def stage() -> Iterator[OnApiInMemory]:
    """An API with one cluster and one restore, and runtimes that have seen both."""
    opened = OnApiInMemory()
    yield opened
    opened.close()


def look(stage: OnApiInMemory) -> tuple[ObservedRestore, RestoreVersions]:
    """What is observed of the restore now."""
    return stage.do(stage.runtime.observe(stage.uid))


def there(stage: OnApiInMemory) -> Json:
    """The restore's object."""
    found = stage.server.find(RESTORES, stage.namespace, NAME)
    assert found is not None
    return found


def failing(stage: OnApiInMemory, method: str, resource: str, code: int) -> None:
    """From now on these requests fail."""

    async def befall(request: ApiRequest) -> Answer | None:
        fits = (request.method, request.resource) == (method, resource)
        return (code, failure(code, "", "as the test wants it")) if fits else None

    stage.server.befall = befall


# --- save --------------------------------------------------------------------------------------


def test_a_status_over_a_change_that_was_not_told(stage: OnApiInMemory) -> None:
    """It is refused, changes nothing, and what is there now is known then."""
    _, versions = look(stage)
    stage.server.put(RESTORES, there(stage) | {"status": {"phase": "Unknown"}})
    assert not stage.do(stage.runtime.save(stage.uid, versions, WAITS))
    assert there(stage)["status"] == {"phase": "Unknown"}
    observed, versions = look(stage)
    assert observed.status.phase is RestorePhase.UNKNOWN
    assert stage.do(stage.runtime.save(stage.uid, versions, WAITS))


def test_a_restore_that_was_deleted_and_not_told(stage: OnApiInMemory) -> None:
    """Nothing is saved, and it is known to be gone; its cluster is not waiting for it any more."""
    _, versions = look(stage)
    stage.server.remove(RESTORES, stage.namespace, NAME)
    assert not stage.do(stage.runtime.save(stage.uid, versions, WAITS))
    with pytest.raises(InternalError):
        look(stage)
    observed, _ = stage.do(stage.clusters.observe(stage.cluster_uid))
    assert observed.restores == ()


def test_what_others_wrote_beside_it_stays(stage: OnApiInMemory) -> None:
    """Fields of a later version are theirs."""
    theirs = {"execution": {"stage": "Prepared"}}
    stage.server.put(RESTORES, there(stage) | {"status": {"phase": "Pending", **theirs}})
    stage.again()
    assert stage.do(stage.runtime.save(stage.uid, look(stage)[1], WAITS))
    assert there(stage)["status"] == theirs | {
        "phase": "Validating",
        "reason": "OperationLocked",
        "message": "it waits",
    }


def test_a_status_that_the_schema_has_no_room_for_settles(stage: OnApiInMemory) -> None:
    """The existing operator's CRD drops our fields: they are remembered, and not sent again and again."""

    async def prune(request: ApiRequest) -> Answer | None:
        if (request.method, request.resource) != ("PATCH", "openbaorestores"):
            return None
        kept = {name: value for name, value in request.json()["status"].items() if name != "reason"}
        return 200, stage.server.put(RESTORES, there(stage) | {"status": kept})

    stage.server.befall = prune
    assert stage.do(stage.runtime.save(stage.uid, look(stage)[1], WAITS))
    observed, versions = look(stage)
    assert observed.status == WAITS
    before = len(stage.server.requests)
    assert stage.do(stage.runtime.save(stage.uid, versions, WAITS))
    assert len(stage.server.requests) == before
    stage.server.put(RESTORES, there(stage) | {"status": {"phase": "Completed"}})
    stage._see()
    assert look(stage)[0].status == RestoreStatus(phase=RestorePhase.COMPLETED)


@pytest.mark.parametrize("code", [403, 500])
def test_a_save_that_fails_is_an_error(stage: OnApiInMemory, code: int) -> None:
    """And is tried again by whoever asked."""
    failing(stage, "PATCH", "openbaorestores", code)
    with pytest.raises(KubernetesError):
        stage.do(stage.runtime.save(stage.uid, look(stage)[1], WAITS))


# unknown, sealed, failed otherwise, succeeded: how it ended, and the condition's reason -> the counts
ENDS: list[tuple[RestorePhase, str, RestoreCounts]] = [
    (RestorePhase.COMPLETED, "RestoreSucceeded", RestoreCounts(succeeded=1)),
    (RestorePhase.FAILED, "RestoreFailed", RestoreCounts(failed=1)),
    (RestorePhase.FAILED, "RestoreUnknown", RestoreCounts(failed=1, unknown=1)),
    (RestorePhase.FAILED, "RestoreSealed", RestoreCounts(failed=1, sealed=1)),
]


@pytest.mark.parametrize(("phase", "reason", "counts"), ENDS)
def test_an_end_is_counted_once(
    stage: OnApiInMemory, phase: RestorePhase, reason: str, counts: RestoreCounts
) -> None:
    """When it is written, and not when it is written again, or found so."""
    told = Condition(
        type="RestoreComplete", status="False", reason=reason, message="x", last_transition_time=ENDED
    )
    status = RestoreStatus(
        phase=phase, start_time=ENDED - timedelta(seconds=90), completion_time=ENDED, conditions=(told,)
    )
    for each in (WAITS, status, replace(status, message="again"), status):
        assert stage.do(stage.runtime.save(stage.uid, look(stage)[1], each))
    assert dict(stage.runtime.counted) == {(stage.namespace, CLUSTER): counts}
    stage.again()
    assert dict(stage.runtime.counted) == {}
    lasted = {(stage.namespace, CLUSTER): timedelta(seconds=90)} if counts.succeeded else {}
    assert last_durations(stage.clusters.known.all_restores()) == lasted


def test_an_end_that_is_refused_is_not_counted(stage: OnApiInMemory) -> None:
    """It is not written; the next look decides anew."""
    _, versions = look(stage)
    stage.server.put(RESTORES, there(stage) | {"status": {"phase": "Validating"}})
    assert not stage.do(stage.runtime.save(stage.uid, versions, RestoreStatus(phase=RestorePhase.FAILED)))
    assert dict(stage.runtime.counted) == {}


def test_the_last_duration_is_that_of_the_newest_success() -> None:
    """Whatever order the restores come in; one that failed, or says no times, has none."""
    ended = [("a", 5, 10, "Completed"), ("b", 9, 20, "Completed"), ("c", 12, 30, "Failed"), ("d", 7, 40, "")]
    known = [
        KnownRestore.of(
            {
                "metadata": {"name": name, "namespace": "vault", "uid": name, "resourceVersion": "1"},
                "spec": {"cluster": CLUSTER},
                "status": {
                    "phase": phase,
                    "startTime": f"2026-11-22T02:{minute:02}:00Z",
                    "completionTime": f"2026-11-22T02:{minute:02}:{seconds:02}Z",
                },
            }
        )
        for name, minute, seconds, phase in ended
    ]
    for restores in (known, known[::-1]):
        assert last_durations(restores) == {("vault", CLUSTER): timedelta(seconds=20)}


# --- the lock ----------------------------------------------------------------------------------


def test_a_lock_over_a_change_that_was_not_told(stage: OnApiInMemory) -> None:
    """Another holder's lock is never overwritten unseen."""
    _, versions = look(stage)
    cluster = stage.server.find(CLUSTERS, stage.namespace, CLUSTER)
    assert cluster is not None
    upgrade = {"operation": "Upgrade", "holder": "openbaocluster/upgrade"}
    stage.server.put(CLUSTERS, cluster | {"status": {"operationLock": upgrade}})
    assert not stage.do(stage.runtime.save_lock(stage.uid, versions, LOCK))
    observed, versions = look(stage)
    assert observed.cluster is not None
    assert observed.cluster.lock is not None
    assert observed.cluster.lock.holder == "openbaocluster/upgrade"
    assert stage.do(stage.runtime.save_lock(stage.uid, versions, LOCK))
    changed = stage.server.find(CLUSTERS, stage.namespace, CLUSTER)
    assert changed is not None
    assert changed["status"] == {
        "operationLock": {"operation": "Restore", "holder": LOCK.holder, "message": RUN}
    }


def test_a_cluster_that_was_deleted_and_not_told(stage: OnApiInMemory) -> None:
    """No lock is written, and the restore sees that its cluster is gone."""
    _, versions = look(stage)
    stage.server.remove(CLUSTERS, stage.namespace, CLUSTER)
    assert not stage.do(stage.runtime.save_lock(stage.uid, versions, LOCK))
    assert look(stage)[0].cluster is None


# --- runs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [403, 422])
@pytest.mark.parametrize("resource", ["jobs", "serviceaccounts", "networkpolicies"])
def test_a_run_that_is_refused_has_ended(stage: OnApiInMemory, resource: str, code: int) -> None:
    """By a quota, a webhook, a missing right: with what was said, until it is forgotten."""
    failing(stage, "POST", resource, code)
    stage.do(stage.runtime.start(stage.uid, START))
    run = look(stage)[0].run
    assert run is not None
    assert (run.name, run.state) == (RUN, RunState.FINISHED)
    assert run.result is not None
    assert not run.result.succeeded
    assert "as the test wants it" in run.result.message
    stage.do(stage.runtime.start(stage.uid, START))
    assert stage.begun() == 0
    stage.do(stage.runtime.forget(stage.uid, ForgetRun(name=RUN)))
    assert look(stage)[0].run is None


def test_a_document_that_cannot_run_on_kubernetes_has_ended(stage: OnApiInMemory) -> None:
    """It names each field."""
    uid = stage.ask("nobody", jwtAuthRole="")
    stage.do(stage.runtime.start(uid, StartRestore(name="restore-nobody")))
    run = stage.do(stage.runtime.observe(uid))[0].run
    assert run is not None
    assert run.result is not None
    assert (run.result.reason, run.result.exit_code) == ("InvalidDocument", 1)
    assert "spec.auth" in run.result.message
    assert stage.begun() == 0


def cluster_with(stage: OnApiInMemory, backup: Json, **status: object) -> None:
    """The cluster's backups are these now."""
    cluster = stage.server.find(CLUSTERS, stage.namespace, CLUSTER)
    assert cluster is not None
    stage.server.put(CLUSTERS, cluster | {"spec": cluster["spec"] | {"backup": backup}, "status": status})
    stage._see()


def test_a_cluster_that_is_wrong_for_backups_alone(stage: OnApiInMemory) -> None:
    """What is right of it is enough for the restore, with the status as it is; the Job is made by it."""
    target = {"provider": "s3", "bucket": "own"}
    cluster_with(stage, {"schedule": "0 0 30 2 *", "target": target}, upgrade={"to": "2.5.0"})
    observed, _ = look(stage)
    assert observed.cluster is not None
    assert (observed.cluster.document, observed.cluster_problems) == (None, ())
    assert observed.cluster_document is not None
    assert observed.cluster_document.status.upgrade is not None
    stage.do(stage.runtime.start(stage.uid, START))
    job = stage.server.find(JOBS, stage.namespace, RUN)
    assert job is not None
    settings = from_environment({each["name"]: each["value"] for each in containers(job)[0]["env"]})
    assert settings.safety is not None
    assert settings.safety.store.bucket == "own"


def test_a_cluster_that_is_wrong_where_the_restore_needs_it(stage: OnApiInMemory) -> None:
    """Where the safety backup would go is not known: nothing is made, and each field is named."""
    cluster_with(stage, {"schedule": "@daily", "target": {"provider": "s3"}})
    observed, _ = look(stage)
    assert observed.cluster_document is None
    assert "spec.backup.target.bucket" in {problem.path for problem in observed.cluster_problems}
    uid = stage.ask("alone", safetyBackup=False, jobTemplate={})
    assert stage.do(stage.runtime.observe(uid))[0].cluster_document is not None


def test_a_start_that_fails_is_tried_again(stage: OnApiInMemory) -> None:
    """An API server that is out of order says nothing about the restore; why it waits is told once."""
    failing(stage, "POST", "jobs", 503)
    for _ in range(2):
        with pytest.raises(KubernetesError):
            stage.do(stage.runtime.start(stage.uid, START))
    assert look(stage)[0].run is None
    (event,) = stage.told(stage.uid)
    assert (event.reason, event.warning) == ("RestoreStartFailed", True)
    assert "as the test wants it" in event.message


@pytest.mark.parametrize("component", ["restore", "backup", None])
def test_a_job_of_somebody_else_has_the_name(stage: OnApiInMemory, component: str | None) -> None:
    """It is told, never taken for ours, and noticed when it goes, though no watch may tell."""
    labels = {"openbao.org/component": component} if component else {}
    names = {"name": RUN, "namespace": stage.namespace, "labels": labels}
    stage.server.put(JOBS, {"metadata": names, "spec": {}, "status": {}})
    stage.do(stage.runtime.start(stage.uid, START))
    observed, _ = look(stage)
    assert observed.run is None
    assert observed.namesake is not None
    assert (observed.namesake.ours, observed.namesake.state) == (False, RunState.UNFINISHED)
    stage.do(stage.runtime.discard(stage.uid, DiscardRun(name=RUN)))
    assert stage.begun() == 1, "one under way stays"
    stage.server.remove(JOBS, stage.namespace, RUN)
    if component:
        stage._see()
    assert look(stage)[0].namesake is None


def test_another_job_took_its_place_before_it_was_discarded(stage: OnApiInMemory) -> None:
    """What is removed is the Job that was seen, and no other of its name."""
    stage.do(stage.runtime.start(stage.uid, START))
    stage.end(well=True)
    stage.remove_document(stage.uid)
    uid = stage.ask()
    job = stage.server.find(JOBS, stage.namespace, RUN)
    assert job is not None
    other = {**job["metadata"], "uid": "another"}
    stage.server.put(JOBS, job | {"metadata": other})
    stage.do(stage.runtime.discard(uid, DiscardRun(name=RUN)))
    assert stage.server.find(JOBS, stage.namespace, RUN) is not None


def made(stage: OnApiInMemory) -> ReleaseRun:
    """Make the run; answers with what would release it."""
    stage.do(stage.runtime.start(stage.uid, START))
    run = look(stage)[0].run
    assert run is not None
    return ReleaseRun(name=RUN, uid=run.uid)


def test_a_release_says_that_it_was_one(stage: OnApiInMemory) -> None:
    """So that a Job which somebody suspends in mid-restore is not taken for one that never began."""
    stage.do(stage.runtime.release(stage.uid, made(stage)))
    job = stage.server.find(JOBS, stage.namespace, RUN)
    assert job is not None
    assert job["spec"]["suspend"] is False
    run = look(stage)[0].run
    assert run is not None
    assert not run.suspended
    stage.server.put(JOBS, job | {"spec": {**job["spec"], "suspend": True}})
    stage._see()
    run = look(stage)[0].run
    assert run is not None
    assert (run.held, run.suspended, run.state) == (False, True, RunState.UNFINISHED)
    before = len(stage.server.requests)
    stage.do(stage.runtime.release(stage.uid, ReleaseRun(name=RUN, uid=run.uid)))
    stage.do(stage.runtime.discard(stage.uid, DiscardRun(name=RUN)))
    assert len(stage.server.requests) == before


@pytest.mark.parametrize("again", [False, True])
def test_a_release_of_a_job_that_was_deleted_and_not_told(stage: OnApiInMemory, *, again: bool) -> None:
    """Another of its name is not released in its place."""
    release = made(stage)
    job = stage.server.find(JOBS, stage.namespace, RUN)
    assert job is not None
    stage.server.remove(JOBS, stage.namespace, RUN)
    if again:
        stage.server.put(JOBS, job | {"metadata": job["metadata"] | {"uid": "another"}})
    stage.do(stage.runtime.release(stage.uid, release))
    run = look(stage)[0].run
    assert (run is not None) == again
    assert run is None or (run.held and run.uid == "another")


@pytest.mark.parametrize("code", [403, 409, 422, 503])
def test_a_release_that_fails_is_tried_again(stage: OnApiInMemory, code: int) -> None:
    """The Job is held still, and somebody is told, once; a conflict passes by itself."""
    release = made(stage)
    failing(stage, "PATCH", "jobs", code)
    for _ in range(2):
        with pytest.raises(KubernetesError):
            stage.do(stage.runtime.release(stage.uid, release))
    run = look(stage)[0].run
    assert run is not None
    assert run.held
    assert [event.reason for event in stage.told(stage.uid)] == ["RestoreStartFailed"] * (code != 409)


def test_a_start_and_a_release_that_fail_are_told_each(stage: OnApiInMemory) -> None:
    """The one says nothing of why the other does."""
    works = stage.server.befall
    failing(stage, "POST", "jobs", 503)
    with pytest.raises(KubernetesError):
        stage.do(stage.runtime.start(stage.uid, START))
    stage.server.befall = works
    release = made(stage)
    failing(stage, "PATCH", "jobs", 403)
    with pytest.raises(KubernetesError):
        stage.do(stage.runtime.release(stage.uid, release))
    assert [event.reason for event in stage.told(stage.uid)] == ["RestoreStartFailed"] * 2


def test_a_held_job_that_another_released_is_not_removed(stage: OnApiInMemory) -> None:
    """A manager that stopped for long saw it held: what it is now is seen first."""
    made(stage)
    job = stage.server.find(JOBS, stage.namespace, RUN)
    assert job is not None
    stage.server.put(JOBS, job | {"spec": {**job["spec"], "suspend": False}})
    stage.do(stage.runtime.discard(stage.uid, DiscardRun(name=RUN)))
    stage.do(stage.clusters.forget(stage.cluster_uid, ForgetRun(name=RUN)))
    run = look(stage)[0].run
    assert run is not None
    assert not run.held


def test_a_run_is_asked_for_before_it_is_said_to_be_gone(stage: OnApiInMemory) -> None:
    """Jobs are listed before restores: one that was released in between is not in the list."""
    stage.do(stage.runtime.release(stage.uid, made(stage)))
    job = stage.server.find(JOBS, stage.namespace, RUN)
    assert job is not None
    running = RestoreStatus(phase=RestorePhase.RUNNING, run_uid=job["metadata"]["uid"])
    assert stage.do(stage.runtime.save(stage.uid, look(stage)[1], running))
    stage.clusters.known.drop_job(job)
    assert look(stage)[0].run is not None
    stage.server.remove(JOBS, stage.namespace, RUN)
    stage.clusters.known.drop_job(job)
    assert look(stage)[0].run is None


# --- who is told -------------------------------------------------------------------------------


def test_the_loop_of_restores_is_told(stage: OnApiInMemory) -> None:
    """Of a change of the document, of a run that was refused, and of its end; not of our own status."""
    stage.changed.clear()
    assert stage.do(stage.runtime.save(stage.uid, look(stage)[1], WAITS))
    stage._see()
    assert stage.changed == []
    stage.server.put(RESTORES, there(stage) | {"spec": there(stage)["spec"]})
    stage._see()
    assert stage.changed == [stage.uid]
    failing(stage, "POST", "jobs", 403)
    stage.do(stage.runtime.start(stage.uid, START))
    assert stage.changed == [stage.uid] * 2
    stage.server.remove(RESTORES, stage.namespace, NAME)
    stage._see()
    assert stage.gone == [stage.uid]


# --- the rest ----------------------------------------------------------------------------------


def test_an_event_that_is_refused_stops_nothing(stage: OnApiInMemory) -> None:
    """What matters is in the status, and the log has it."""
    failing(stage, "POST", "events", 403)
    stage.do(stage.runtime.emit(stage.uid, Emit(reason="RestoreStarted", message=RUN)))


def test_where_there_are_no_restores_nothing_is_said_of_them(stage: OnApiInMemory) -> None:
    """Without the kind, a lock of a restore is somebody else's to judge."""
    observed, _ = stage.do(stage.clusters.observe(stage.cluster_uid))
    assert observed.restores is not None
    failing(stage, "GET", "openbaorestores", 404)
    stage.again()
    observed, _ = stage.do(stage.clusters.observe(stage.cluster_uid))
    assert observed.restores is None


def test_the_job_is_the_clusters_and_of_the_restore(stage: OnApiInMemory) -> None:
    """It names both, and its policy and account are those for restores."""
    stage.do(stage.runtime.start(stage.uid, START))
    job = stage.server.find(JOBS, stage.namespace, RUN)
    assert job is not None
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("OpenBaoCluster", stage.cluster_uid)
    assert job["metadata"]["annotations"]["openbao.org/restore-uid"] == stage.uid
    made = stage.server.asked("POST")
    assert [resource for _, resource in made] == ["serviceaccounts", "networkpolicies", "jobs"]


def test_every_start_of_a_restore_works_with_the_same_settings(stage: OnApiInMemory) -> None:
    """Also when its Job had to be made once more, by another manager: it finds what it did before."""
    settings = []
    for _ in range(2):
        stage.do(stage.runtime.start(stage.uid, START))
        job = stage.server.find(JOBS, stage.namespace, RUN)
        assert job is not None
        variables = {each["name"]: each["value"] for each in containers(job)[0]["env"]}
        settings.append(from_environment(variables))
        stage.remove_run()
        stage.again()
    assert settings[0] == settings[1]
    assert settings[0].accepted == datetime.fromisoformat(there(stage)["metadata"]["creationTimestamp"])


def containers(job: Json) -> list[Json]:
    """Those of the Job's pod."""
    found: list[Json] = job["spec"]["template"]["spec"]["containers"]
    return found


def test_a_status_is_read_as_far_as_it_can_be(stage: OnApiInMemory) -> None:
    """A surprise in it is no success, and no reason to begin again."""
    stage.server.put(RESTORES, there(stage) | {"status": {"phase": "Failed", "snapshotSize": "much"}})
    stage._see()
    assert look(stage)[0].status == replace(RestoreStatus(), phase=RestorePhase.FAILED)
