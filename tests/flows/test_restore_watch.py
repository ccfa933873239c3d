"""What befalls the looks at a server that was sent a snapshot: none of it says what the server took."""

from __future__ import annotations

from typing import Any

import pytest
from tests.flows.restore_site import RestoreSite

from bao_backup.adapters.memory_bao import MemoryBao
from bao_backup.core.errors import (
    BaoBackupError,
    ConfigurationError,
    InternalError,
    RestoreUnknownError,
    ServerUntrustedError,
)

FAILURES: dict[str, BaoBackupError] = {
    "a CA file that is being replaced": ConfigurationError("read the CA file ca.crt", "no such file"),
    "another certificate": ServerUntrustedError("connect to it", "its certificate is refused"),
    "a defect": InternalError("look", "IndexError"),
}


class Failing(MemoryBao):
    """Whose looks fail from the submission on, for so many calls."""

    def __init__(self, site: RestoreSite, method: str, error: BaoBackupError, times: int) -> None:
        super().__init__(site.cluster)
        self._site, self._method, self._error, self._left = site, method, error, times

    def _fail(self, method: str) -> None:
        if method == self._method and self._site.cluster.submissions and self._left:
            self._left -= 1
            raise self._error

    def nodes(self) -> Any:
        self._site.clock.pass_(1)
        self._site.cluster.look()
        self._fail("nodes")
        return super().nodes()

    def knows_login(self, leader: Any) -> bool:
        self._fail("knows_login")
        return super().knows_login(leader)


@pytest.mark.parametrize("error", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("method", ["nodes", "knows_login"])
def test_a_look_that_fails_for_a_while_is_no_end(method: str, error: BaoBackupError) -> None:
    """The next ones show that the snapshot was applied."""
    site = RestoreSite()
    site.run(bao=Failing(site, method, error, 3))
    site.check(data="old", submissions=1, safety=True)


@pytest.mark.parametrize("error", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("method", ["nodes", "knows_login"])
def test_looks_that_all_fail_leave_it_unknown(method: str, error: BaoBackupError) -> None:
    """The server has the snapshot's data: nothing may say that it has what it had."""
    site = RestoreSite()
    with pytest.raises(RestoreUnknownError, match="the server took the snapshot") as caught:
        site.run(bao=Failing(site, method, error, 1000))
    assert error.why in caught.value.why
    assert (site.data(), site.cluster.submissions) == ("old", 1)
