"""Jobs as a real Kubernetes 1.36 showed them: each is told for what it was."""

from __future__ import annotations

import pytest
from tests.adapters.job_verdicts import check
from tests.adapters.recorded_jobs import EXPECTED, cases, recorded


@pytest.mark.parametrize("case", cases())
def test_a_recorded_job_is_told_for_what_it_was(case: str) -> None:
    """The reason, the words, and when the manager ends it."""
    check(case, recorded(case))


def test_every_case_is_recorded() -> None:
    """Each that is expected, and no other."""
    assert cases() == sorted(EXPECTED)
