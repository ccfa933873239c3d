"""Documents for the tests of the reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from enum import Enum
from typing import Any

from bao_backup.core.errors import DocumentError, Problem
from bao_backup.core.restore_spec import parse_restore
from bao_backup.core.spec import parse_cluster

#: The least that a document with backups has.
LEAST: Mapping[str, Any] = {
    "apiVersion": "openbao.org/v1alpha1",
    "kind": "OpenBaoCluster",
    "metadata": {"name": "prod"},
    "spec": {"backup": {"schedule": "0 2 * * *", "target": {"bucket": "backups"}}},
}
#: The least that a restore has.
LEAST_RESTORE: Mapping[str, Any] = {
    "apiVersion": "openbao.org/v1alpha1",
    "kind": "OpenBaoRestore",
    "metadata": {"name": "back"},
    "spec": {"cluster": "prod", "source": {"latest": True}},
}


class Marker(Enum):
    """Stands for something that is not there; its name is the same in every process."""

    DELETE = "DELETE"


DELETE = Marker.DELETE


def document(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The least document with changes, each a path and its value; DELETE takes the field away."""
    return _changed(LEAST, changes or {})


def restore_document(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The least restore with changes, as `document` takes them."""
    return _changed(LEAST_RESTORE, changes or {})


def _changed(least: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = deepcopy(dict(least))
    for path, value in changes.items():
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
    return _problems(lambda: parse_cluster(changed, strict=strict))  # type: ignore[arg-type] # anything may be in a file


def problems_of_restore(changed: object, *, strict: bool = True) -> dict[str, str]:
    """The same for a restore."""
    return _problems(lambda: parse_restore(changed, strict=strict))  # type: ignore[arg-type] # anything may be in a file


def _problems(read: Callable[[], object]) -> dict[str, str]:
    problems: tuple[Problem, ...] = ()
    try:
        read()
    except DocumentError as error:
        problems = error.problems or (Problem("", "an error without a problem"),)
    found = {problem.path: problem.expected for problem in problems}
    assert len(found) == len(problems), "a path was named twice"
    return found
