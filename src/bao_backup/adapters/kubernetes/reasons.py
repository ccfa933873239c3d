"""Why a run ended without a word of its own: the reasons for machines, and the words for people.

What a container, the kubelet or the API server says is cut, and never has the part of an address
that may hold a secret.
"""

from __future__ import annotations

import re

from bao_backup.core.errors import RestoreUnknownError, one_line
from bao_backup.core.model import Value

#: So much of a foreign text is told, in characters.
LONGEST_SAID = 400
_LONGEST_ENDED_BECAUSE = 1_000

#: User and password, and the query, of an address: a registry's answer may name signed ones.
_USER = re.compile(r"(?<=://)[^\s/@\"']*@")
_QUERY = re.compile(r"(://[^\s?\"']*)\?[^\s\"']*")


class Meaning(Value, frozen=True, kw_only=True):
    """What a reason means to a script, and what to do about it."""

    exit_code: int
    hint: str


#: docs/errors.md explains each.
REASONS = {
    "ImageNotFound": Meaning(
        exit_code=1,
        hint="correct spec.backup.image, or let the nodes pull it: registry, network, imagePullSecrets",
    ),
    "SecretNotFound": Meaning(exit_code=1, hint="create it in the cluster's namespace, or correct its name"),
    "SecretKeyNotFound": Meaning(exit_code=1, hint="add the key to the Secret, or correct its name"),
    "ServiceAccountNotFound": Meaning(
        exit_code=1, hint="create it, or correct spec.backup.jobTemplate.serviceAccountName"
    ),
    "PodRefused": Meaning(
        exit_code=1, hint="change the rule that refuses it, or spec.backup.jobTemplate so that it fits"
    ),
    "ContainerRefused": Meaning(
        exit_code=1,
        hint="correct spec.backup.image and spec.backup.jobTemplate so that the container may start",
    ),
    "VolumeNotMounted": Meaning(exit_code=8, hint="look at the events of the Job's pod, and at its node"),
    "Unschedulable": Meaning(
        exit_code=8, hint="add room, or correct spec.backup.jobTemplate: resources, nodeSelector, tolerations"
    ),
    "PodNotStarted": Meaning(exit_code=8, hint="look at the events of the Job's pod, and at its node"),
    "OutOfMemory": Meaning(exit_code=8, hint="raise spec.backup.jobTemplate.resources.limits.memory"),
    "Evicted": Meaning(
        exit_code=7, hint="it is tried again; if it happens often, give it requests or a priorityClassName"
    ),
    "NodeLost": Meaning(exit_code=7, hint="look at the node; it is tried again on another one"),
    "PodDeleted": Meaning(
        exit_code=7,
        hint="was it deleted by hand, or its node drained? What a run stored, bao-backup list shows",
    ),
    "DeadlineExceeded": Meaning(
        exit_code=7, hint="raise spec.backup.activeDeadlineSeconds, or look for what is slow"
    ),
    "NoResult": Meaning(exit_code=8, hint="look at the log of the Job's pod"),
}


#: Of a restore's run these words are others: its fields are elsewhere, and it is never tried again.
_HINTS_OF_RESTORES = {
    "ImageNotFound": "correct spec.image, or let the nodes pull it: registry, network, imagePullSecrets",
    "ServiceAccountNotFound": "create it, or correct spec.jobTemplate.serviceAccountName",
    "PodRefused": "change the rule that refuses it, or spec.jobTemplate so that it fits",
    "ContainerRefused": "correct spec.image and spec.jobTemplate so that the container may start",
    "Unschedulable": "add room, or correct spec.jobTemplate: resources, nodeSelector, tolerations",
    "OutOfMemory": "raise spec.jobTemplate.resources.limits.memory",
    "Evicted": "give it requests or a priorityClassName",
    "NodeLost": "look at the node",
    "PodDeleted": "was it deleted by hand, or its node drained?",
    "DeadlineExceeded": "raise spec.activeDeadlineSeconds, or look for what is slow",
}
#: With these the executor never began: nothing was sent to any server.
NEVER_BEGAN = frozenset(
    {
        "ImageNotFound",
        "SecretNotFound",
        "SecretKeyNotFound",
        "ServiceAccountNotFound",
        "PodRefused",
        "ContainerRefused",
        "VolumeNotMounted",
        "Unschedulable",
        "PodNotStarted",
    }
)


class Account(Value, frozen=True, kw_only=True):
    """How a run ended, or why it cannot start."""

    #: One of `REASONS`.
    reason: str
    #: What failed, and why, on one line; what to do next comes from the reason.
    said: str
    #: What to do next, where that of the reason is too general.
    hint: str = ""

    @property
    def message(self) -> str:
        """The whole on one line."""
        return f"{one_line(self.said)}; {self.hint or REASONS[self.reason].hint}"

    @property
    def message_of_restore(self) -> str:
        """The same of a restore's run."""
        hint = _HINTS_OF_RESTORES.get(self.reason, REASONS[self.reason].hint)
        began = "" if self.reason not in NEVER_BEGAN else "; then make another OpenBaoRestore"
        return f"{one_line(self.said)}; {hint}{began}"


def exit_code_of_restore(reason: str, *, began: bool) -> int:
    """The exit code that fits: a restore that may have begun, and left no word, may have done anything."""
    if began or reason not in NEVER_BEGAN:
        return RestoreUnknownError.exit_code
    return REASONS[reason].exit_code


def quoted(text: str) -> str:
    """What somebody else said, fit for a message: one line, cut, without what may be secret in addresses."""
    text = one_line(text).rstrip(".")
    text = _QUERY.sub(r"\1?…", _USER.sub("", text))
    return text if len(text) <= LONGEST_SAID else text[: LONGEST_SAID - 1] + "…"


def ended_because(reason: str, message: str) -> str:
    """The value of the annotation `ENDED_BECAUSE`: "REASON: MESSAGE", the message cut."""
    text = f"{reason}: {one_line(message)}"
    return text if len(text) <= _LONGEST_ENDED_BECAUSE else text[: _LONGEST_ENDED_BECAUSE - 1] + "…"


def parse_ended_because(value: str) -> tuple[str, str] | None:
    """Reason and message of the annotation; None where it is not one of ours."""
    reason, colon, message = value.partition(": ")
    if not colon or reason not in REASONS or not message:
        return None
    return reason, one_line(message)[:_LONGEST_ENDED_BECAUSE]
