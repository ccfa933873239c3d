"""A run from its slot or request to its status, as the API server shows it."""

from __future__ import annotations

import pytest
from tests.cluster.operator_site import Site

pytestmark = pytest.mark.servers


def test_a_request_becomes_a_backup(site: Site) -> None:
    """One Job; the request is cleared, the status is the result's, and no lock is left."""
    site.add(trigger="please")
    with site.managed():
        backup = site.until_settled()
    (job,) = site.jobs()
    key = job["metadata"]["annotations"]["openbao.org/backup-key"]
    assert backup["lastBackupName"] == key
