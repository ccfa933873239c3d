"""What a real Kubernetes 1.36 showed of Jobs, by case (`tests/data/jobs`), and what must be made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "data" / "jobs"


@dataclass(frozen=True)
class Seen:
    """What the API showed of a Job at one time."""

    at: datetime
    job: dict[str, Any]
    pods: list[dict[str, Any]]
    events: list[dict[str, Any]]


@dataclass(frozen=True)
class Expected:
    """The reason, and words that the message must hold."""

    reason: str
    words: str
    #: Whether its Pod does not start, and the manager ends it.
    stuck: bool = False


EXPECTED = {
    "success": Expected("BackupSucceeded", "said by the executor"),
    "failure": Expected("StorageDenied", "said by the executor"),
    "silent": Expected("NoResult", "with exit code 3 without a result"),
    "memory": Expected("OutOfMemory", "its limit of 32Mi"),
    "deadline": Expected("DeadlineExceeded", "not finished within 5s"),
    "deleted": Expected("PodDeleted", "its pod is gone"),
    "evicted": Expected("PodDeleted", "its pod is gone"),
    "no-program": Expected("ContainerRefused", "/nowhere"),
    "no-image": Expected("ImageNotFound", '"127.0.0.1:1/none:1"', stuck=True),
    "image-not-here": Expected("ImageNotFound", '"localhost/none:1"', stuck=True),
    "no-image-name": Expected("ImageNotFound", '"NONE:1"', stuck=True),
    "no-secret": Expected("SecretNotFound", 'no Secret "none"', stuck=True),
    "no-secret-for-variable": Expected("SecretNotFound", 'no Secret "none"', stuck=True),
    "no-key": Expected("SecretKeyNotFound", 'the Secret "empty" has no key "ca.crt"', stuck=True),
    "no-projected-key": Expected("SecretKeyNotFound", '"empty" has no key "ca.crt"', stuck=True),
    "no-key-for-variable": Expected("SecretKeyNotFound", 'the Secret "empty" has no key "token"', stuck=True),
    "root": Expected("ContainerRefused", "root", stuck=True),
    "unschedulable": Expected("Unschedulable", "node"),
    "no-account": Expected("ServiceAccountNotFound", 'no ServiceAccount "none"', stuck=True),
    "pod-security": Expected("PodRefused", 'violates PodSecurity "restricted:latest"', stuck=True),
    "quota": Expected("PodRefused", "exceeded quota: few", stuck=True),
    "lost": Expected("NodeLost", "its node ghost is lost"),
}


def recorded(case: str) -> list[Seen]:
    """The case's moments, in their order."""
    return [
        Seen(datetime.fromisoformat(each["at"]), each["job"], each["pods"], each["events"])
        for each in json.loads((FOLDER / f"{case}.json").read_text(encoding="utf-8"))
    ]


def cases() -> list[str]:
    """The names of what is recorded."""
    return sorted(file.stem for file in FOLDER.glob("*.json"))
