"""The one login of a restore: shared with its safety backup, renewed where it ran out, revoked at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from bao_backup.core.errors import BaoBackupError, LeaderLostError
from bao_backup.core.model import Leader, Node, Seal
from bao_backup.ports import Bao, SnapshotStream


class RestoreLogin:
    """A Bao whose `login` keeps a login that still holds, and whose `revoke` waits for `give_back`.

    A backup flow that works with it neither uses up a credential that may be used once, nor takes the
    login away from what comes after it.
    """

    def __init__(self, bao: Bao) -> None:
        self._bao = bao
        self._logged_in = False

    def login(self, leader: Leader) -> None:
        """Log in, unless the login of before still holds."""
        if self._logged_in and self._bao.knows_login(leader):
            return
        self._logged_in = False
        self._bao.login(leader)
        self._logged_in = True

    def revoke(self, leader: Leader) -> None:
        """Not yet."""

    def forget(self) -> None:
        """The server that knew it is no more."""
        self._logged_in = False

    def give_back(self, *, may_be_gone: bool) -> str:
        """Revoke the token; answers why that failed, with nothing where the server does not know it any more.

        Args:
            may_be_gone: a snapshot was sent, which may know no such login.
        """
        if not self._logged_in:
            return ""
        self._logged_in = False
        try:
            leader = self._bao.find_leader()
            if not may_be_gone or self._bao.knows_login(leader):
                self._bao.revoke(leader)
        except BaoBackupError as error:
            return error.why
        return ""

    def still_known(self, leader: Leader) -> bool | None:
        """Whether this leader knows the login; None where it does not say."""
        try:
            return self._bao.knows_login(leader)
        except LeaderLostError:
            return None

    # --- the rest of the port, unchanged -------------------------------------------------------

    def find_leader(self) -> Leader:
        """As of the port."""
        return self._bao.find_leader()

    def snapshot(self, leader: Leader) -> SnapshotStream:
        """As of the port."""
        return self._bao.snapshot(leader)

    def interrupt(self) -> None:
        """As of the port."""
        self._bao.interrupt()

    def capabilities(self, leader: Leader, paths: Sequence[str]) -> Mapping[str, frozenset[str]] | None:
        """As of the port."""
        return self._bao.capabilities(leader, paths)

    def seal(self, leader: Leader) -> Seal:
        """As of the port."""
        return self._bao.seal(leader)

    def server_time(self, leader: Leader) -> datetime | None:
        """As of the port."""
        return self._bao.server_time(leader)

    def nodes(self) -> tuple[Node, ...]:
        """As of the port."""
        return self._bao.nodes()

    def knows_login(self, leader: Leader) -> bool:
        """As of the port."""
        return self._bao.knows_login(leader)

    def login_is_stored(self) -> bool:
        """As of the port."""
        return self._bao.login_is_stored()

    def restore(self, leader: Leader, chunks: Iterator[bytes], size: int, *, force: bool) -> None:
        """As of the port."""
        self._bao.restore(leader, chunks, size, force=force)
