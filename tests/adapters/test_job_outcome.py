"""What became of a Job is worked out from what Kubernetes says of it, and told so that people can act."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.jobs import (
    KEY,
    MOUNT,
    NAME,
    PULL,
    UNSCHEDULED,
    Json,
    active_job,
    after,
    at,
    complete_job,
    condition,
    event,
    failed_job,
    job,
    lost,
    message,
    pod,
    result,
    terminated,
)

from bao_backup.adapters.kubernetes.names import ENDED_BECAUSE
from bao_backup.adapters.kubernetes.outcome import (
    created_pods,
    is_ours,
    run_of,
)
from bao_backup.adapters.kubernetes.reasons import REASONS, ended_because
from bao_backup.core.errors import one_line
from bao_backup.core.model import Outcome, Result, Trigger
from bao_backup.core.observed import RunState

NOW = after(700)


def result_of(of: Json, *pods: Json, events: tuple[Json, ...] = ()) -> Result:
    """The result of the finished run."""
    run = run_of(of, pods, events, NOW)
    assert run.state is RunState.FINISHED
    assert run.result is not None
    return run.result


# --- the executor's own word -------------------------------------------------------------------


def test_a_message_is_the_result() -> None:
    """As the executor left it, its own times included."""
    ended = pod(terminated(0, "Completed", message(result())), phase="Succeeded")
    run = run_of(complete_job(), [ended], [], NOW)
    assert (run.name, run.state, run.ours, run.result) == (NAME, RunState.FINISHED, True, result())


def test_a_success_is_a_success() -> None:
    """Also when another start of the run failed later, in whichever order they are listed."""
    good = pod(terminated(0, "Completed", message(result())), uid="one")
    bad = pod(terminated(5, message=message(result(Outcome.FAILED, finished=900))), uid="two")
    for pods in ((good, bad), (bad, good)):
        assert result_of(failed_job(), *pods) == result()


def test_the_last_of_two_failures_is_told() -> None:
    """The newer message says how it ended."""
    early, late = result(Outcome.FAILED, finished=100), result(Outcome.FAILED, finished=500)
    pods = [pod(terminated(5, message=message(said))) for said in (late, early)]
    assert result_of(failed_job(), *pods) == late


def test_a_container_beside_the_executor_changes_nothing() -> None:
    """What it says is no result."""
    ended = pod(terminated(5, message=message(result(Outcome.FAILED))))
    beside = {"name": "proxy", "state": terminated(0, message="bye"), "lastState": {}}
    ended["status"]["containerStatuses"].insert(0, beside)
    assert result_of(failed_job(), ended) == result(Outcome.FAILED)


@pytest.mark.parametrize(
    "said",
    [
        message(result())[:-1],
        message(result())[:200],
        "Traceback (most recent call last): token=hvs.SECRET",
        '{"outcome": "Succeeded"}',
        "[]",
        message(result(key="vault/other/2026-11-22T02-00-00Z-1a2b3c4d.snap")),
        message(result(key="")),
        "\ud800",
    ],
)
def test_a_message_that_is_no_result_is_not_trusted(said: str) -> None:
    """Cut, foreign, or about another backup: it is no success, and nothing of it is told."""
    told = result_of(failed_job(), pod(terminated(1, message=said), phase="Failed"))
    assert (told.outcome, told.reason, told.exit_code) == (Outcome.FAILED, "NoResult", 8)
    assert "exit code 1 " in told.message
    assert "SECRET" not in told.message


def test_a_pod_of_another_job_says_nothing() -> None:
    """Whatever the list holds that was asked for."""
    foreign = pod(terminated(0, "Completed", message(result())))
    foreign["metadata"]["ownerReferences"][0]["uid"] = "another"
    assert result_of(complete_job(), foreign).reason == "NoResult"


# --- what is worked out ------------------------------------------------------------------------

KILLED = pod(terminated(137), phase="Failed")
OOM = pod(terminated(137, "OOMKilled"), phase="Failed")
EVICTED = pod(
    terminated(137), phase="Failed", reason="Evicted", message="The node was low on resource: memory. "
)
DRAINED = pod(
    terminated(137),
    phase="Failed",
    conditions=(condition("DisruptionTarget", "EvictionByEvictionAPI", message="Eviction API: evicting"),),
)
NOT_ADMITTED = pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu")
NO_COMMAND = pod(terminated(128, "StartError", 'exec: "bao": not found', startedAt="1970-01-01T00:00:00Z"))
UNKNOWN = pod(terminated(137, "ContainerStatusUnknown", "could not be located"), phase="Failed")
NO_SECRET = event("Failed", 'Error: secret "a" not found')
EVICTION = event("TaintManagerEviction", f"Marking for deletion Pod vault/{NAME}-x7k2p")
OVER = failed_job("DeadlineExceeded")


@pytest.mark.parametrize(
    ("of", "pods", "events", "reason", "words"),
    [
        (failed_job(), [KILLED], [], "NoResult", "with exit code 137, killed by SIGKILL, without"),
        (failed_job(), [UNKNOWN], [], "NoResult", "nothing says how"),
        (complete_job(), [], [], "NoResult", "ended well, but its pod is gone"),
        (complete_job(), [pod(terminated(0, "Completed"))], [], "NoResult", "exit code 0 without a result"),
        (
            failed_job(),
            [OOM],
            [],
            "OutOfMemory",
            "its limit of 512Mi; raise spec.backup.jobTemplate.resources",
        ),
        (failed_job(), [EVICTED], [], "Evicted", "from node node-1: The node was low on resource: memory;"),
        (failed_job(), [DRAINED], [], "Evicted", "Eviction API: evicting"),
        (failed_job(), [], [event("Evicted", "low on memory")], "Evicted", "low on memory"),
        (failed_job(), [NOT_ADMITTED], [], "PodNotStarted", "node node-1 refused it: OutOfcpu: Node didn't"),
        (failed_job(), [NO_COMMAND], [], "ContainerRefused", 'exec: "bao": not found'),
        (failed_job(), [lost()], [], "NodeLost", "its node node-1 is lost"),
        (failed_job(), [pod(phase="Failed", reason="NodeLost")], [], "NodeLost", "node-1"),
        (failed_job(), [], [EVICTION], "NodeLost", "its node was lost"),
        (failed_job(), [], [], "PodDeleted", "its pod is gone"),
        (OVER, [], [event("Started", "Started")], "DeadlineExceeded", "not finished within 4h; raise spec"),
        (OVER, [KILLED], [], "DeadlineExceeded", "not finished within 4h"),
        (OVER, [], [event("FailedScheduling", UNSCHEDULED)], "Unschedulable", "3 Insufficient memory"),
        (OVER, [], [event("FailedMount", MOUNT)], "SecretNotFound", '"prod-s3"'),
        (OVER, [UNKNOWN], [event("FailedMount", MOUNT)], "SecretNotFound", '"prod-s3"'),
        (OVER, [], [event("FailedMount", MOUNT), event("Started", "")], "DeadlineExceeded", "4h"),
        (OVER, [], [event("Failed", f'Failed to pull image "a": {PULL}')], "ImageNotFound", "not found"),
        (OVER, [], [event("Failed", "Error: ErrImagePull")], "DeadlineExceeded", "4h"),
        (OVER, [], [NO_SECRET, event("Started", "")], "DeadlineExceeded", "4h"),
        (OVER, [UNKNOWN], [NO_SECRET], "SecretNotFound", 'no Secret "a"'),
        (failed_job(), [KILLED], [event("FailedMount", MOUNT)], "NoResult", "exit code 137"),
        (failed_job(), [KILLED], [EVICTION], "NoResult", "exit code 137"),
        (failed_job(), [pod(terminated(137), phase="Failed", deleted=10)], [], "PodDeleted", "was deleted"),
        (failed_job(), [], [event("TaintManagerEviction", "Cancelling deletion")], "PodDeleted", "is gone"),
        (OVER, [], [NO_SECRET], "SecretNotFound", 'no Secret "a"'),
    ],
)
def test_without_a_message_the_reason_is_worked_out(
    of: Json, pods: list[Json], events: list[Json], reason: str, words: str
) -> None:
    """From Job, Pods and Events: a reason for machines, and what it was for people."""
    told = result_of(of, *pods, events=tuple(events))
    assert told.reason == reason
    assert words in told.message
    assert NAME in told.message
    assert told.message.endswith(REASONS[reason].hint) or "bao-backup list" in told.message
    assert (told.outcome, told.exit_code) == (Outcome.FAILED, REASONS[reason].exit_code)


def test_memory_without_a_limit_is_the_nodes() -> None:
    """Then it is no use to raise a limit."""
    ended = pod(terminated(137, "OOMKilled"), phase="Failed")
    ended["spec"]["containers"][0]["resources"] = {}
    assert "the node had none left; give it" in result_of(failed_job(), ended).message


def test_what_the_job_was_ended_for_is_told() -> None:
    """Before anything else but the executor's own word."""
    annotation = {ENDED_BECAUSE: ended_because("SecretNotFound", 'there is no Secret "a"; create it')}
    ended = failed_job("DeadlineExceeded", annotations=annotation)
    told = result_of(ended, KILLED)
    assert (told.reason, told.message, told.exit_code) == (
        "SecretNotFound",
        'there is no Secret "a"; create it',
        1,
    )
    assert result_of(ended, pod(terminated(0, "Completed", message(result())))) == result()


@pytest.mark.parametrize("value", ["", "SecretNotFound", "Foreign: words", "SecretNotFound: "])
def test_an_annotation_that_is_none_of_ours_is_passed_over(value: str) -> None:
    """Reasons are a closed list."""
    assert result_of(failed_job(annotations={ENDED_BECAUSE: value}), KILLED).reason == "NoResult"


def test_what_the_job_was_for_is_in_the_result() -> None:
    """Its key, its slot and its kind, from the Job."""
    told = result_of(failed_job(), KILLED)
    assert (told.key, told.slot, told.trigger) == (KEY, after(-1), Trigger.MANUAL)


@pytest.mark.parametrize("slot", ["", "soon", "2026-11-22T02:00:00"])
def test_a_slot_that_is_no_time_is_left_out(slot: str) -> None:
    """Somebody may have changed the annotation."""
    assert result_of(failed_job(annotations={"openbao.org/slot": slot}), KILLED).slot is None


@pytest.mark.parametrize(
    ("of", "pods", "started", "finished"),
    [
        (failed_job(), [KILLED], 3, 590),
        (failed_job(), [NO_COMMAND], 1, 590),
        (failed_job(), [pod(phase="Failed")], 1, 600),
        (failed_job(), [], 0, 600),
        (complete_job(), [], 0, 600),
        (job(condition("FailureTarget")), [lost(deleted=400)], 1, 400),
        (failed_job(startTime=None), [], 0, 600),
        (failed_job(), [pod(phase="Failed", startTime=at(610))], 610, 610),
    ],
)
def test_times_are_those_of_the_api(of: Json, pods: list[Json], started: float, finished: float) -> None:
    """The container's, else the Pod's, else the Job's, and never the moment of the look."""
    told = result_of(of, *pods)
    assert (told.started, told.finished) == (after(started), after(finished))


def test_a_foreign_job_has_no_result() -> None:
    """Only whether it is finished counts."""
    for of, state in ((failed_job(), RunState.FINISHED), (active_job(), RunState.UNFINISHED)):
        of["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "openbao-operator"
        run = run_of(of, [KILLED], [], NOW)
        assert (run.state, run.ours, run.result) == (state, False, None)


def test_an_event_of_an_older_job_says_nothing() -> None:
    """Its Pods had the same name where that is cut."""
    older = event("FailedMount", MOUNT, first=-600, last=-500)
    assert result_of(OVER, events=(older,)).reason == "DeadlineExceeded"
    assert result_of(OVER, events=(older | {"lastTimestamp": at(10)},)).reason == "SecretNotFound"


def test_an_event_of_another_pod_says_nothing() -> None:
    """As long as there is one that the Job owns."""
    other = event("FailedMount", MOUNT)
    other["involvedObject"]["uid"] = "another"
    assert result_of(OVER, UNKNOWN, events=(other,)).reason == "DeadlineExceeded"


def test_pods_that_are_gone_are_known_by_the_jobs_events() -> None:
    """The Job controller says which it made."""
    made = event("SuccessfulCreate", f"Created pod: {NAME}-x7k2p", kind="Job")
    other = event("SuccessfulCreate", "Created pod: other", kind="Job")
    other["involvedObject"]["uid"] = "another"
    events = [made, other, event("Started", ""), event("SuccessfulCreate", "", kind="Job")]
    assert created_pods(failed_job(), events) == (f"{NAME}-x7k2p",)


#: So much may stand in a message: what somebody said, the rest of the sentence, and the hint.
LONGEST_MESSAGE = 1_000


@given(
    st.sampled_from(["OOMKilled", "Error", "StartError", "ContainerStatusUnknown", "Completed"]),
    st.sampled_from(["", "Evicted", "NodeLost", "OutOfcpu"]),
    st.sampled_from(["FailedMount", "Failed", "Evicted", "FailedScheduling", "FailedCreatePodSandBox"]),
    st.text(),
)
def test_whatever_is_said_the_result_is_short_and_of_a_known_reason(
    container: str, of_pod: str, of_event: str, said: str
) -> None:
    """With a Pod and without one, whatever texts are in them; the container's own word is not told."""
    left = pod(terminated(1, container, f"hvs.SECRET {said}"), phase="Failed", reason=of_pod)
    for pods in ([], [left], [pod(phase="Failed", reason=of_pod, message=said)]):
        told = result_of(OVER, *pods, events=(event(of_event, said),))
        assert told.reason in REASONS
        assert one_line(told.message) == told.message
        assert len(told.message) <= LONGEST_MESSAGE
        assert container == "StartError" or "SECRET" not in told.message


# --- whose it is -------------------------------------------------------------------------------


def test_a_job_is_ours_by_its_label() -> None:
    """The existing operator's have another value."""
    of = job()
    assert is_ours(of)
    of["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "openbao-operator"
    assert not is_ours(of)
    del of["metadata"]["labels"]
    assert not is_ours(of)
