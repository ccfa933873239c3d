"""The runtime on Kubernetes where something goes wrong between it and the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.adapters.api_in_memory import Answer, ApiInMemory, client_of, served
from tests.adapters.hand_clock import HandClock
from tests.adapters.jobs import KEY, START, at, complete_job, message, pod, result, terminated
from tests.harness.api_request import ApiRequest
from tests.harness.api_rules import failure

from bao_backup.adapters.kubernetes.api import CLUSTERS, EVENTS, JOBS, PODS
from bao_backup.adapters.kubernetes.names import CLUSTER, CLUSTER_UID, MANAGED_BY, OURS, TRIGGER
from bao_backup.adapters.kubernetes.options import JobOptions
from bao_backup.adapters.kubernetes.runtime import Counted, KubernetesRuntime
from bao_backup.core.errors import (
    DocumentError,
    InternalError,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesError,
)
from bao_backup.core.model import RetentionOutcome, Trigger
from bao_backup.core.observed import ClearTrigger, Emit, ForgetRun, Observed, RunState, StartRun
from bao_backup.core.status import Attempt, BackupStatus, OperationLock

Json = dict[str, Any]
NAMESPACE, NAME, RUN = "vault", "prod", "backup-prod-20261122-020000"
STATUS = BackupStatus(consecutive_failures=3, last_attempt_time=START)
OUR_LOCK = OperationLock(operation="Backup", holder="openbaocluster/backup", message=RUN, acquired_at=START)
THE_RUN = StartRun(name=RUN, key=KEY, slot=START, trigger=Trigger.SCHEDULED, number=1)
UNDER_WAY = BackupStatus(
    attempt=Attempt(name=RUN, key=KEY, slot=START, trigger=Trigger.SCHEDULED, accepted=START)
)


def cluster(**backup: Any) -> Json:
    """A cluster's object; `backup` are more fields of spec.backup."""
    target = {"bucket": "backups", "credentialsSecretRef": {"name": "keys"}}
    spec = {"schedule": "0 2 * * *", "target": target, "jwtAuthRole": "backup", **backup}
    return {
        "metadata": {"namespace": NAMESPACE, "name": NAME},
        "spec": {"connection": {"addresses": ["https://bao.example"]}, "backup": spec},
    }


class Site:
    """An API with one cluster, and a runtime that has seen it."""

    def __init__(
        self, document: Json | None = None, *, status: Json | None = None, most_runs: int = 0
    ) -> None:
        self.server = ApiInMemory()
        stored = self.put(document or cluster(), status)
        self.uid: str = stored["metadata"]["uid"]
        self.changed: list[str] = []
        self.gone: list[str] = []
        self.told: list[Emit] = []
        self._most_runs = most_runs
        self.runtime: KubernetesRuntime

    def put(self, document: Json, status: Json | None = None) -> Json:
        """What somebody else makes of the cluster, of which no event comes."""
        known = self.server.find(CLUSTERS, NAMESPACE, NAME) or {}
        merged = {**known, **document, "metadata": {**known.get("metadata", {}), **document["metadata"]}}
        return self.server.put(CLUSTERS, merged | ({} if status is None else {"status": status}))

    def there(self) -> Json:
        """The cluster's object."""
        found = self.server.find(CLUSTERS, NAMESPACE, NAME)
        assert found is not None
        return found

    def put_job(self, body: Json, name: str = RUN) -> None:
        """One of the cluster's Jobs, as the API has it."""
        labels = {CLUSTER: NAME, MANAGED_BY: OURS, "openbao.org/component": "backup"}
        annotations = body["metadata"]["annotations"] | {CLUSTER_UID: self.uid}
        metadata = body["metadata"] | {
            "name": name,
            "uid": name,
            "labels": labels,
            "annotations": annotations,
        }
        self.server.put(JOBS, body | {"metadata": metadata})

    def failing(self, method: str, resource: str, code: int) -> None:
        """From now on these requests fail."""

        async def befall(request: ApiRequest) -> Answer | None:
            fits = (request.method, request.resource) == (method, resource)
            return (code, failure(code)) if fits else None

        self.server.befall = befall

    def well(self) -> None:
        """All is well from now on."""

        async def befall(_: ApiRequest) -> Answer | None:
            return None

        self.server.befall = befall

    async def see(self) -> Observed:
        """What is observed of the cluster."""
        return (await self.runtime.observe(self.uid))[0]

    async def version(self) -> str:
        """The version to save by."""
        return (await self.runtime.observe(self.uid))[1]

    def run(self, work: Callable[[Site], Awaitable[None]]) -> None:
        """Do it with the runtime."""

        async def whole() -> None:
            async with served(self.server.handle) as url, client_of(url) as api:
                self.runtime = KubernetesRuntime(
                    api,
                    clock=HandClock(START),
                    options=JobOptions(image="registry.example/bao-backup:1"),
                    tell=lambda _, event: self.told.append(event),
                    changed=self.changed.append,
                    gone=self.gone.append,
                    most_runs=self._most_runs,
                )
                await self.runtime.begin([NAMESPACE])
                self.changed.clear()
                await work(self)

        asyncio.run(whole())


# --- save --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lock",
    [
        {"operation": "Upgrade", "holder": "openbaocluster/upgrade", "acquiredAt": at(0)},
        {
            "operation": "Restore",
            "holder": "x",
            "acquiredAt": "2026-11-22T02:00:00.123456+01:00",
            "more": {"a": 1},
        },
        {"operation": "Backup", "holder": "another/backup", "message": RUN, "renewedAt": at(5)},
        {"holder": 5},
        "locked",
    ],
)
def test_another_holder_s_lock_is_never_touched(lock: Any) -> None:
    """Whatever its form: it stays as it is, and is in no request."""
    site = Site(status={"operationLock": lock, "phase": "Running"})

    async def work(site: Site) -> None:
        for status in (STATUS, BackupStatus()):
            seen, version = await site.runtime.observe(site.uid)
            assert await site.runtime.save(site.uid, version, status, seen.lock)
        assert site.there()["status"]["operationLock"] == lock
        assert site.there()["status"]["phase"] == "Running"
        patches = [each for each in site.server.requests if each.method == "PATCH"]
        assert len(patches) == 2
        assert not [each for each in patches if b"operationLock" in each.body]

    site.run(work)


def test_nothing_is_written_when_nothing_differs() -> None:
    """A status that is saved again costs no request."""

    async def work(site: Site) -> None:
        assert await site.runtime.save(site.uid, await site.version(), STATUS, OUR_LOCK)
        before = len(site.server.requests)
        assert await site.runtime.save(site.uid, await site.version(), STATUS, OUR_LOCK)
        assert len(site.server.requests) == before
        assert site.changed == []

    Site().run(work)


def test_a_status_over_a_change_that_was_not_told() -> None:
    """It is refused, and what is there now is known then."""

    async def work(site: Site) -> None:
        version = await site.version()
        site.put(cluster(schedule="0 3 * * *"), {"operationLock": {"operation": "Upgrade", "holder": "x"}})
        assert not await site.runtime.save(site.uid, version, STATUS, OUR_LOCK)
        seen = await site.see()
        assert seen.document is not None
        assert seen.document.spec.backup is not None
        assert seen.document.spec.backup.schedule == "0 3 * * *"
        assert seen.lock is not None
        assert seen.lock.holder == "x"
        assert "backup" not in site.there()["status"]

    Site().run(work)


def test_a_cluster_that_was_deleted_meanwhile() -> None:
    """Nothing is saved, and it is known to be gone."""

    async def work(site: Site) -> None:
        version = await site.version()
        site.server.remove(CLUSTERS, NAMESPACE, NAME)
        assert not await site.runtime.save(site.uid, version, STATUS, OUR_LOCK)
        assert site.gone == [site.uid]
        with pytest.raises(InternalError):
            await site.see()

    Site().run(work)


def test_a_save_that_fails_takes_no_place() -> None:
    """It is an error, and another cluster may start."""

    async def work(site: Site) -> None:
        site.failing("PATCH", "openbaoclusters", 503)
        with pytest.raises(KubernetesError):
            await site.runtime.save(site.uid, await site.version(), UNDER_WAY, OUR_LOCK)
        site.well()
        other = cluster()
        other["metadata"] |= {"name": "other", "uid": "u-2", "resourceVersion": "900"}
        site.runtime.known.take_cluster(other)
        assert (await site.runtime.observe("u-2"))[0].room

    Site(most_runs=1).run(work)


# --- runs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"), [(403, "KubernetesDenied"), (422, "KubernetesRefused"), (400, "KubernetesRefused")]
)
@pytest.mark.parametrize("resource", ["jobs", "serviceaccounts", "networkpolicies"])
def test_a_run_that_the_api_server_refuses_has_failed(resource: str, code: int, reason: str) -> None:
    """It is told as its end, is not tried again by itself, and counts once it is forgotten."""

    async def work(site: Site) -> None:
        site.failing("POST", resource, code)
        await site.runtime.start(site.uid, THE_RUN)
        (run,) = (await site.see()).runs
        assert (run.name, run.state, run.ours) == (RUN, RunState.FINISHED, True)
        assert run.result is not None
        assert (run.result.reason, run.result.exit_code, run.result.key) == (reason, 1, KEY)
        assert site.changed == [site.uid]
        await site.runtime.forget(site.uid, ForgetRun(name=RUN))
        assert (await site.see()).runs == ()
        assert site.runtime.counted == {site.uid: Counted(failed=1)}

    Site().run(work)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_start_that_fails_for_a_while_is_repeated(code: int) -> None:
    """The error is the caller's; the next start makes the Job."""

    async def work(site: Site) -> None:
        site.failing("POST", "jobs", code)
        with pytest.raises(KubernetesError):
            await site.runtime.start(site.uid, THE_RUN)
        assert (await site.see()).runs == ()
        site.well()
        await site.runtime.start(site.uid, THE_RUN)
        (run,) = (await site.see()).runs
        assert (run.name, run.state) == (RUN, RunState.UNFINISHED)

    Site().run(work)


def test_a_job_that_nobody_told_of_is_found() -> None:
    """It was made before, by whoever crashed then: it is taken as it is."""

    async def work(site: Site) -> None:
        site.put_job(complete_job())
        await site.runtime.start(site.uid, THE_RUN)
        (run,) = (await site.see()).runs
        assert (run.name, run.state) == (RUN, RunState.FINISHED)
        assert site.changed == [site.uid]

    Site().run(work)


def test_no_run_starts_by_a_wrong_document() -> None:
    """Its fields are named."""

    async def work(site: Site) -> None:
        with pytest.raises(DocumentError) as caught:
            await site.runtime.start(site.uid, THE_RUN)
        assert [each.path for each in caught.value.problems] == ["spec.backup.historyLimit"]
        assert site.server.asked("POST") == []

    Site(cluster(historyLimit=-1)).run(work)


def test_a_run_s_end_is_worked_out_once() -> None:
    """What its executor said is kept until it is forgotten, and then counted."""
    site = Site()
    said = result()
    said = type(said)(
        **{name: getattr(said, name) for name in said.__struct_fields__}
        | {"retention": RetentionOutcome(kept=2, dropped=("a", "b"), more_dropped=3)}
    )
    site.put_job(complete_job())
    ended = pod(terminated(0, message=message(said)), phase="Succeeded")
    ended["metadata"] |= {"labels": {"batch.kubernetes.io/controller-uid": RUN}}
    ended["metadata"]["ownerReferences"][0] |= {"uid": RUN}
    site.server.put(PODS, ended)

    async def work(site: Site) -> None:
        for _ in range(3):
            (run,) = (await site.see()).runs
            assert run.result == said
        assert site.server.asked("GET").count(("GET", "pods")) == 1
        await site.runtime.forget(site.uid, ForgetRun(name=RUN))
        assert (await site.see()).runs == ()
        assert site.runtime.counted == {site.uid: Counted(succeeded=1, dropped=5)}
        await site.runtime.forget(site.uid, ForgetRun(name=RUN))
        assert site.runtime.counted[site.uid].succeeded == 1

    site.run(work)


@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (2, 2), (5, 5), (100, 6)])
def test_the_newest_ended_runs_are_kept(limit: int, kept: int) -> None:
    """As many as the document says; Kubernetes removes the others at once."""
    site = Site(cluster(historyLimit=limit))
    names = [f"backup-prod-{number}" for number in range(6)]
    for number, name in enumerate(names):
        done = complete_job()
        done["status"]["conditions"][-1]["lastTransitionTime"] = at(number)
        done["status"]["conditions"][0]["lastTransitionTime"] = at(0)
        site.put_job(done, name)

    async def work(site: Site) -> None:
        await site.see()
        for name in names:
            await site.runtime.forget(site.uid, ForgetRun(name=name))
        lives = {}
        for name in names:
            found = site.server.find(JOBS, NAMESPACE, name)
            assert found is not None
            lives[name] = found["spec"]["ttlSecondsAfterFinished"]
        assert [name for name, seconds in lives.items() if seconds] == names[6 - kept :]

    site.run(work)


# --- requests and events -----------------------------------------------------------------------


def test_a_request_that_changed_meanwhile_is_not_cleared() -> None:
    """Nobody told of the new one; it is seen then."""
    document = cluster()
    document["metadata"]["annotations"] = {TRIGGER: "first"}
    newer = cluster()
    newer["metadata"]["annotations"] = {TRIGGER: "second"}

    async def work(site: Site) -> None:
        site.put(newer)
        await site.runtime.clear_trigger(site.uid, ClearTrigger(value="first"))
        assert site.there()["metadata"]["annotations"] == {TRIGGER: "second"}
        assert (await site.see()).trigger == "second"

    Site(document).run(work)


def test_an_event_that_cannot_be_written_is_told_at_least() -> None:
    """And nothing fails for it."""

    async def work(site: Site) -> None:
        site.failing("POST", "events", 403)
        event = Emit(reason="BackupStarted", message="it began")
        await site.runtime.emit(site.uid, event)
        assert site.told[0] == event
        assert (site.told[1].reason, site.told[1].warning) == ("EventNotWritten", True)
        site.well()
        await site.runtime.emit(site.uid, Emit(reason="BackupFailed", message="x" * 5000, warning=True))
        (written,) = [each for each in site.server.requests if each.resource == EVENTS[1]][1:]
        body = written.json()
        assert (body["type"], body["reason"], body["involvedObject"]["uid"]) == (
            "Warning",
            "BackupFailed",
            site.uid,
        )
        assert len(body["message"]) <= 1024

    Site().run(work)
