"""What is known of the API's objects, whenever and in whatever order it is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.known_told import LONG, Told, cluster, job, restore

from bao_backup.core.errors import (
    InternalError,
)

Json = dict[str, Any]


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
    """Ours by the cluster's uid; another manager's, and of an earlier cluster of the name, by the label."""
    told = Told()
    told.known.take_cluster(cluster(1))
    told.known.take_cluster(cluster(2, "u-9", LONG))
    told.changed.clear()
    told.known.take_job(job(3))
    told.known.take_job(job(4, "other", "j-2", of=""))
    told.known.take_job(job(5, "long", "j-3", of="", of_name=LONG))
    told.known.take_job(job(6, "older", "j-4", of="u-0"))
    told.known.take_job(job(7, "mine", "j-5"), by_us=True)
    assert told.changed == ["u-1", "u-1", "u-9", "u-1"]
    told.known.drop_job(job(8, "other", "j-2", of=""))
    assert told.changed[4:] == ["u-1"]
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
        told.known.drop_restore(restore(4, phase))
    else:
        told.known.take_restore(restore(4, end))
    assert (told.restore(), told.changed) == ("", ["u-1", "u-1"])


@pytest.mark.parametrize(("phase", "name"), [(None, ""), ("Validating", ""), ("Running", "back")])
def test_a_restore_that_is_kept_while_it_is_deleted(phase: str | None, name: str) -> None:
    """Before it began it blocks nothing any more, which is news; afterwards it does until its end."""
    told = Told()
    told.known.take_cluster(cluster(1))
    told.known.take_restore(restore(2, phase))
    told.changed.clear()
    leaving = restore(3, phase)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-26T02:00:00Z"
    told.known.take_restore(leaving)
    assert (told.restore(), told.changed) == (name, [] if name else ["u-1"])


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
    told.known.drop_restore(restore(4, "Running", uid="r-1"))
    assert told.restore() == "back"
