"""A Job whose Pod cannot start is ended with its reason; one that may still come to something is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.adapters.jobs import (
    MOUNT,
    NAME,
    PULL,
    UNSCHEDULED,
    Json,
    active_job,
    after,
    at,
    condition,
    event,
    failed_job,
    job,
    pod,
    running,
    terminated,
    waiting,
)

from bao_backup.adapters.kubernetes.outcome import (
    START_LIMIT,
    could_not_start,
)

NOW = after(700)
READY = condition("PodReadyToStartContainers", seconds=4)
REFUSED = f'Error creating: pods "{NAME}-" is forbidden: '
SCHEDULED = condition("PodScheduled", seconds=1)
CREATING = pod(waiting(), conditions=(SCHEDULED,))
FAILED_MOUNT = event("FailedMount", MOUNT, first=5, last=100)
NO_KEY = event(
    "FailedMount", 'MountVolume.SetUp failed for volume "ca" : references non-existent secret key: ca.crt'
)
SUMMED_UP = event(
    "FailedMount",
    "Unable to attach or mount volumes: unmounted volumes=[credentials]: context deadline exceeded",
    first=124,
)
TAG = '"registry.example/bao-backup:1.0.0"'
CONFIG = "CreateContainerConfigError"
ROOT = "container has runAsNonRoot and image will run as root"
NO_KEY_OF_VARIABLE = "couldn't find key t in Secret vault/a"
NO_ACCOUNT = event(
    "FailedCreate",
    f'{REFUSED}error looking up service account vault/a: serviceaccount "a" not found',
    kind="Job",
)
SECURITY = event(
    "FailedCreate",
    f'{REFUSED}violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
    kind="Job",
)

NO_SECRET = pod(waiting(CONFIG, 'secret "a" not found'), conditions=(READY,))


@pytest.mark.parametrize(
    ("of", "pods", "events", "first", "reason", "words"),
    [
        (active_job(), [CREATING], [FAILED_MOUNT], 5, "SecretNotFound", 'there is no Secret "prod-s3"'),
        (active_job(), [CREATING], [NO_KEY], 5, "SecretKeyNotFound", '"prod-ca" has no key "ca.crt"'),
        (active_job(), [CREATING], [FAILED_MOUNT, SUMMED_UP], 5, "SecretNotFound", '"prod-s3"'),
        (active_job(), [CREATING], [SUMMED_UP], 124, "VolumeNotMounted", "unmounted volumes=[credentials]"),
        (active_job(), [NO_SECRET], [], 4, "SecretNotFound", 'there is no Secret "a"'),
        (
            active_job(),
            [pod(waiting(CONFIG, NO_KEY_OF_VARIABLE))],
            [event("Failed", f"Error: {NO_KEY_OF_VARIABLE}", first=9)],
            9,
            "SecretKeyNotFound",
            'the Secret "a" has no key "t"',
        ),
        (
            active_job(),
            [pod(waiting(CONFIG, ROOT))],
            [],
            1,
            "ContainerRefused",
            f"{ROOT}; correct spec.backup.image",
        ),
        (
            active_job(),
            [pod(waiting("CreateContainerError", "no user"))],
            [],
            1,
            "ContainerRefused",
            "no user",
        ),
        (
            active_job(),
            [pod(waiting("ErrImagePull", PULL))],
            [],
            1,
            "ImageNotFound",
            f"{TAG}: {PULL}; correct",
        ),
        (
            active_job(),
            [pod(waiting("ImagePullBackOff", PULL))],
            [event("Failed", "Error: ErrImagePull", first=30, last=90)],
            30,
            "ImageNotFound",
            PULL,
        ),
        (active_job(), [pod(waiting("InvalidImageName", "parse"))], [], 1, "ImageNotFound", "parse"),
        (active_job(), [pod(waiting("ErrImageNeverPull", "Never"))], [], 1, "ImageNotFound", "Never"),
        (job(), [], [NO_ACCOUNT], 5, "ServiceAccountNotFound", 'there is no ServiceAccount "a"'),
        (job(), [], [SECURITY], 5, "PodRefused", 'violates PodSecurity "restricted'),
    ],
)
def test_a_job_whose_pod_cannot_start_is_ended(
    of: Json, pods: list[Json], events: list[Json], first: float, reason: str, words: str
) -> None:
    """Two minutes after the trouble was first seen, not before; the words name what is missing."""
    assert could_not_start(of, pods, events, after(first) + START_LIMIT - timedelta(seconds=1)) is None
    verdict = could_not_start(of, pods, events, after(first) + START_LIMIT)
    assert verdict is not None
    assert verdict[0] == reason
    assert words in verdict[1]


@pytest.mark.parametrize(
    ("of", "pods", "events"),
    [
        (active_job(), [], []),
        (active_job(), [CREATING], []),
        (active_job(), [], [SECURITY]),
        (job(), [], [SECURITY, event("SuccessfulCreate", "", kind="Job")]),
        (active_job(), [pod(running(), phase="Running")], [FAILED_MOUNT]),
        (active_job(ready=1), [CREATING], [FAILED_MOUNT]),
        (active_job(), [pod(terminated(1), phase="Failed")], [FAILED_MOUNT]),
        (active_job(), [pod(waiting(), conditions=(SCHEDULED, READY))], [FAILED_MOUNT]),
        (active_job(), [CREATING], [FAILED_MOUNT, event("Pulling", "", first=101)]),
        (active_job(), [pod(waiting(), deleted=100)], [FAILED_MOUNT]),
        (failed_job(), [CREATING], [FAILED_MOUNT]),
        (active_job(), [CREATING], [event("FailedCreatePodSandBox", "network not ready")]),
        (
            active_job(),
            [pod(conditions=(condition("PodScheduled", "Unschedulable", 1, "False", UNSCHEDULED),))],
            [event("FailedScheduling", UNSCHEDULED)],
        ),
    ],
)
def test_a_job_that_may_still_come_to_something_goes_on(
    of: Json, pods: list[Json], events: list[Json]
) -> None:
    """It runs, or ran, or is past its trouble, or waits for a node."""
    assert could_not_start(of, pods, events, NOW) is None


def test_a_job_that_is_being_deleted_is_not_ended() -> None:
    """Somebody else did so already."""
    of = active_job()
    of["metadata"]["deletionTimestamp"] = at(50)
    assert could_not_start(of, [CREATING], [FAILED_MOUNT], NOW) is None


def test_the_newest_trouble_is_told() -> None:
    """In whichever order Events come; the scheduler's have other times than the kubelet's."""
    newer = event("FailedMount", MOUNT.replace("prod-s3", "newer"), first=150, last=200)
    verdict = could_not_start(active_job(), [CREATING], [newer, FAILED_MOUNT], NOW)
    assert verdict is not None
    assert '"newer"' in verdict[1]
    series: Json = {"firstTimestamp": None, "lastTimestamp": None, "eventTime": "2026-11-22T02:00:06.000001Z"}
    series |= {"series": {"count": 9, "lastObservedTime": at(210)}}
    verdict = could_not_start(active_job(), [CREATING], [newer, FAILED_MOUNT | series], NOW)
    assert verdict is not None
    assert '"prod-s3"' in verdict[1]
