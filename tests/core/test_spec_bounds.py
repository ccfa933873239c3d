"""Every bound and rule of a document: a wrong value is told with its path and what is expected."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.documents import document, problems_of
from tests.core.spec_cases import NUMBERS, RIGHT, WRONG, T, with_service

from bao_backup.core.errors import DocumentError
from bao_backup.core.spec import OpenBaoCluster, parse_cluster


@pytest.mark.parametrize(("path", "least", "most"), NUMBERS)
def test_a_number_has_its_bounds(path: str, least: int, most: int) -> None:
    """Both ends are right; one beyond either is told with both of them, and so is any other kind."""
    for value in (least, most):
        assert problems_of(with_service(path, value)) == {}
    others: tuple[object, ...] = (least - 1, most + 1, str(least), least + 0.5, True, [], {})
    for wrong in others:
        found = problems_of(with_service(path, wrong))
        assert found == {path: f"expected a whole number from {least} to {most}"}


@pytest.mark.parametrize(("changes", "expected"), WRONG, ids=str)
def test_a_wrong_value_is_told_with_its_path(changes: dict[str, Any], expected: dict[str, str]) -> None:
    """Exactly those problems, no more."""
    found = problems_of(document(changes))
    assert set(found) == set(expected)
    assert all(part in found[path] for path, part in expected.items()), found


@pytest.mark.parametrize("changes", RIGHT, ids=str)
def test_a_right_document_survives_being_written_and_read(changes: dict[str, Any]) -> None:
    """Through JSON, by this reader and by msgspec's own, which knows the same types and bounds."""
    cluster = parse_cluster(document(changes), strict=True)
    written = msgspec.json.encode(cluster)
    assert parse_cluster(msgspec.json.decode(written), strict=True) == cluster
    assert msgspec.json.decode(written, type=OpenBaoCluster) == cluster


# --- any document ------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)
more_paths = {"spec.selfInit", "spec.selfInit.oidc.enabled", "spec.upgrade", "status", f"{T}.azure.container"}
paths = st.sampled_from(
    sorted({path for changes, _ in WRONG for path in changes} | {path for path, *_ in NUMBERS} | more_paths)
)
values = st.sampled_from(sorted({str(v) for changes, _ in WRONG for v in changes.values()})) | anything


@given(anything, st.booleans())
def test_no_input_at_all_surprises_the_reader(value: object, strict: bool) -> None:
    """Whatever YAML or JSON holds, the answer is a document or a DocumentError."""
    try:
        parse_cluster(value, strict=strict)  # type: ignore[arg-type] # anything may be in a file
    except DocumentError as error:
        named = bool(error.problems)
    else:
        named = True
    assert named


@given(st.dictionaries(paths, values, max_size=4), st.booleans())
def test_no_value_in_any_field_surprises_the_reader(changes: dict[str, object], strict: bool) -> None:
    """A near-miss is told by path; what is accepted survives being written and read."""
    changed = document()
    for path, value in changes.items():
        *parents, last = path.split(".")
        place: Any = changed
        for parent in parents:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[last] = value
    if problems_of(changed, strict=strict):
        return
    cluster = parse_cluster(changed, strict=strict)
    assert parse_cluster(msgspec.to_builtins(cluster), strict=True) == cluster
