"""The runtime on Kubernetes where something goes wrong between it and the API server."""

from __future__ import annotations

from typing import Any

import pytest
from tests.adapters.jobs import at
from tests.adapters.runtime_site import (
    NAME,
    NAMESPACE,
    OUR_LOCK,
    RUN,
    STATUS,
    UNDER_WAY,
    Site,
    cluster,
)

from bao_backup.adapters.kubernetes.api import CLUSTERS, EVENTS
from bao_backup.adapters.kubernetes.names import TRIGGER
from bao_backup.core.errors import (
    InternalError,
)
from bao_backup.core.kubernetes_errors import (
    KubernetesError,
)
from bao_backup.core.observed import ClearTrigger, Emit
from bao_backup.core.status import BackupStatus

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
