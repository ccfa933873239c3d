"""Documents for the tests of the reader."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from enum import Enum
from typing import Any

from bao_backup.core.errors import DocumentError, Problem
from bao_backup.core.spec import parse_cluster

#: The least that a document with backups has.
LEAST: Mapping[str, Any] = {
    "apiVersion": "openbao.org/v1alpha1",
    "kind": "OpenBaoCluster",
    "metadata": {"name": "prod"},
    "spec": {"backup": {"schedule": "0 2 * * *", "target": {"bucket": "backups"}}},
}


class Marker(Enum):
    """Stands for something that is not there; its name is the same in every process."""

    DELETE = "DELETE"


DELETE = Marker.DELETE


def document(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The least document with changes, each a path and its value; DELETE takes the field away."""
    changed: dict[str, Any] = deepcopy(dict(LEAST))
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        place = changed
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is DELETE:
            del place[last]
        else:
            place[last] = deepcopy(value)
    return changed


def problems_of(changed: object, *, strict: bool = True) -> dict[str, str]:
    """Path -> what is expected, of each problem; empty when the document is right."""
    problems: tuple[Problem, ...] = ()
    try:
        parse_cluster(changed, strict=strict)  # type: ignore[arg-type] # anything may be in a file
    except DocumentError as error:
        problems = error.problems or (Problem("", "an error without a problem"),)
    found = {problem.path: problem.expected for problem in problems}
    assert len(found) == len(problems), "a path was named twice"
    return found
