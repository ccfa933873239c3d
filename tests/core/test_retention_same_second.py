"""Two backups of the same second: the one that was stored later is the newer one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bao_backup.core.model import Backup
from bao_backup.core.retention import RetentionPolicy, plan_retention

TAKEN = datetime(2026, 11, 22, 2, tzinfo=UTC)


@pytest.mark.parametrize("ids", [("00000001", "ffffffff"), ("ffffffff", "00000001")])
def test_the_one_stored_later_is_kept(ids: tuple[str, str]) -> None:
    """Whatever digits their names end with."""
    earlier, later = (
        Backup(
            key=f"default/prod/2026-11-22T02-00-00Z-{each}.snap",
            taken=TAKEN,
            size=1,
            modified=TAKEN + timedelta(milliseconds=number),
            proven=True,
        )
        for number, each in enumerate(ids)
    )
    plan = plan_retention([later, earlier], RetentionPolicy(max_count=1), TAKEN + timedelta(hours=1))
    assert [decision.backup for decision in plan.kept] == [later]
    assert [decision.backup for decision in plan.dropped] == [earlier]
