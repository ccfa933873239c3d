"""The port of OpenBao and Vault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from bao_backup.core.model import Leader, Node, Seal


class SnapshotStream(Protocol):
    """The bytes of one snapshot call, as they arrive."""

    def __iter__(self) -> Iterator[bytes]:
        """Fresh chunks of at most 1 MiB.

        Raises SnapshotCutOffError when the stream ends before its end, SnapshotStalledError when
        no byte came for the stall limit.
        """
        ...

    def close(self) -> None:
        """End the connection, from any thread; a read under way then raises SnapshotCutOffError."""
        ...


class Bao(Protocol):
    """One OpenBao or Vault cluster, and at most one login to it. Its token never leaves the adapter."""

    def find_leader(self) -> Leader:
        """Ask every address once for `sys/health`, and give the active one.

        Raises LeaderError (each address with what it answered), ServerUntrustedError when no
        address answered and at least one certificate did not verify.
        """
        ...

    def login(self, leader: Leader) -> None:
        """Obtain a token as configured; the same login serves every later leader.

        Raises LoginError when it is refused, LeaderLostError when the leader cannot serve it.
        """
        ...

    def snapshot(self, leader: Leader) -> SnapshotStream:
        """Begin the snapshot: the answer's head was 200 when this returns.

        Raises SnapshotDeniedError, LeaderLostError, SnapshotStalledError or SnapshotError.
        """
        ...

    def interrupt(self) -> None:
        """End a `snapshot` or `restore` call that is under way, from any thread; it then raises.

        Nothing else is ended by it: the other calls are short, a stream has its own `close`.
        """
        ...

    def revoke(self, leader: Leader) -> None:
        """Revoke the token if `login` obtained it (a configured token stays). Raises LoginError."""
        ...

    def capabilities(self, leader: Leader, paths: Sequence[str]) -> Mapping[str, frozenset[str]] | None:
        """What the login may do at each path ("sys/storage/raft/snapshot"); None: it may not even ask.

        The words are the server's: "read", "update", "sudo", "root", "deny". Raises LeaderLostError.
        """
        ...

    def seal(self, leader: Leader) -> Seal:
        """The seal's type and shares, which needs no login. Raises LeaderLostError."""
        ...

    def server_time(self, leader: Leader) -> datetime | None:
        """The leader's clock, in whole seconds, which needs no login; None where it does not tell.

        Raises LeaderLostError.
        """
        ...

    def nodes(self) -> tuple[Node, ...]:
        """Ask every address what it is now. That one does not answer is an answer."""
        ...

    def knows_login(self, leader: Leader) -> bool:
        """Whether the server still knows the login's token: a restore to an earlier time forgets it.

        Raises LeaderLostError when the server cannot say.
        """
        ...

    def login_is_stored(self) -> bool:
        """Whether `login` obtained a token that the server keeps in its data, where a restore reaches it.

        A configured one may be older than any backup, and a batch token is kept nowhere.
        """
        ...

    def restore(self, leader: Leader, chunks: Iterator[bytes], size: int, *, force: bool) -> None:
        """Send a snapshot of `size` bytes; its return means accepted: the server applies it afterwards.

        When `chunks` raises or ends early, the connection is cut, the server applies nothing, and that
        exception surfaces (RestoreCutOffError for an early end). Raises RestoreDeniedError,
        RestoreRefusedError, RestoreCutOffError or LeaderLostError where nothing was applied, and
        RestoreUnknownError when the connection ended after the last byte and before the answer.
        """
        ...
