"""Jobs on a real node that fail in every way, and what the manager makes of each, as it happens."""

from __future__ import annotations

import pytest
from tests.adapters.job_verdicts import check
from tests.adapters.recorded_jobs import EXPECTED, Seen
from tests.cluster.job_cases import CASES
from tests.cluster.job_rounds import play
from tests.harness.control_plane import ControlPlane

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def seen(control_plane: ControlPlane, operator_image: str) -> dict[str, list[Seen]]:
    """What became of all cases, which run at once."""
    return play(control_plane, CASES, operator_image)


@pytest.mark.parametrize("case", EXPECTED)
def test_a_job_is_told_for_what_it_was(seen: dict[str, list[Seen]], case: str) -> None:
    """The texts that name a Secret, an image or a limit are this Kubernetes' own."""
    check(case, seen[case])
