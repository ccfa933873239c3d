"""What the flows need of the world: one protocol each, and what every implementation promises.

Only types here: never an implementation, never a vendor's name. Each port has one conformance
suite in `tests/contracts`, which every adapter joins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from bao_backup.core.errors import StorageError
from bao_backup.core.model import Leader, Node, Seal, Stored
from bao_backup.core.store_facts import StoreFacts

if TYPE_CHECKING:  # the manager's side: an executor never loads it
    from bao_backup.core.observed import ClearTrigger, Emit, ForgetRun, Health, Observed, StartCheck, StartRun
    from bao_backup.core.restore_spec import RestoreStatus
    from bao_backup.core.restoring import (
        DiscardRun,
        ObservedRestore,
        ReleaseRun,
        RestoreVersions,
        StartRestore,
    )
    from bao_backup.core.status import BackupStatus, OperationLock


class Store(Protocol):
    """Where backups are kept: one bucket, container or folder. Keys are slash-separated, relative.

    All failures are `core.errors.StorageError` types, but for a key that not every store can hold
    (`core.storage.check_key`): that is a ConfigurationError. Retries of single requests are the store's
    own business, and are over when a method raises. Nothing here creates a bucket.
    """

    @property
    def location(self) -> str:
        """Where this is, for people: "s3://bucket", "file:///backups". Never a credential."""
        ...

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        """Stream `chunks` (each a fresh `bytes`) into `key`, in memory that does not grow with them.

        The object becomes visible at once and whole, only after the iterator ended normally. When
        the iterator raises, the upload is aborted and that exception surfaces unchanged; when the
        store fails, the upload is aborted, the iterator is closed, and a StorageError is raised.
        What it answers is what was sent, and until when it is locked where the target locks objects;
        `head` says what is stored. Where the store's own checksum is not that of what was sent, the
        object does not stay, and StoredDiffersError is raised.
        """
        ...

    def create(self, key: str, body: bytes) -> Stored:
        """Write a small object, only if there is none: else ObjectExistsError, and nothing changes.

        After a lost answer, the object that exists may be the one of this very call.
        """
        ...

    def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Read an object in chunks, going on where a broken connection left off.

        Every chunk is of the same object, `etag`'s where given: else ObjectChangedError. A missing
        one is ObjectNotFoundError, raised at the first chunk at the latest.
        """
        ...

    def head(self, key: str) -> Stored:
        """Describe an object, or raise ObjectNotFoundError."""
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """All objects below the folder `prefix` ("" for all), by key, in pages; none is no error."""
        ...

    def delete(self, key: str) -> None:
        """Delete an object. That it is not there is no error."""
        ...

    def delete_many(self, keys: Sequence[str]) -> Mapping[str, StorageError]:
        """Delete objects, in no order, many with one request where the store takes that.

        What it gives are the keys of those that may still be there, and why; nothing that the store
        refuses is raised.
        """
        ...

    def sweep(self, prefix: str) -> int:
        """Remove what uploads that were killed left behind below `prefix`, invisible to `list`.

        Returns how many. Never touches an upload that may still be under way.
        """
        ...

    def describe(self) -> StoreFacts:
        """What the store tells of itself: versions, locks, its own rules; nothing is changed by asking.

        What the identity may not see, or the store has not, is a fact, too (`Unseen`). Raises StorageError
        where the store does not answer at all, or not to this identity.
        """
        ...


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


class Clock(Protocol):
    """The time, and waiting."""

    def now(self) -> datetime:
        """Aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds, for durations and deadlines."""
        ...


class Reporter(Protocol):
    """Where a run says what it is doing: a terminal, a log, or nothing."""

    def say(self, words: str) -> None:
        """One thing that happened, or begins, in words."""
        ...

    def moved(self, size: int) -> None:
        """How many bytes went through so far, in this try; called for each chunk, so be quick."""
        ...


class Runtime(Protocol):
    """Where documents, status and runs live: the Kubernetes API, or the local machine.

    A cluster is named by its `uid`. Every method may be repeated: a start that happened, a run that
    is forgotten, a request that is cleared are found so, and are no error.
    """

    async def observe(self, uid: str) -> tuple[Observed, str]:
        """All that is known of the cluster now, and the version that `save` compares with."""
        ...

    async def ask_health(self, uid: str) -> Health:
        """Ask the server itself; only where `Observed.can_ask_health`."""
        ...

    async def save(self, uid: str, version: str, status: BackupStatus, lock: OperationLock | None) -> bool:
        """Write both at once, unless the version is not the newest any more: then False."""
        ...

    async def start(self, uid: str, run: StartRun) -> None:
        """Start the run, unless one of that name exists, whatever became of it."""
        ...

    async def start_check(self, uid: str, run: StartCheck) -> None:
        """Start the check, unless one of that name exists: with a backup's identity, and none of its locks.

        One that can never begin as it is, is observed as ended, with why.
        """
        ...

    async def forget(self, uid: str, run: ForgetRun) -> None:
        """The run's (or check's) end is in the status: keep its traces only as history.

        A restore's run that is held, which nobody will release, is removed.
        """
        ...

    async def clear_trigger(self, uid: str, request: ClearTrigger) -> None:
        """Clear the request for a manual run, if it still has this value."""
        ...

    async def emit(self, uid: str, event: Emit) -> None:
        """Tell people what happened."""
        ...


class RestoreRuntime(Protocol):
    """Where documents of restores, their status and their runs live. It goes with a `Runtime`.

    A restore is named by its document's `uid`. Every method may be repeated, as a `Runtime`'s. A run
    belongs to the restore's cluster: it goes on when the document is deleted, and the cluster's
    `Runtime` shows it in `Observed.restore_runs` and forgets it.
    """

    async def observe(self, uid: str) -> tuple[ObservedRestore, RestoreVersions]:
        """All that is known of the restore and its cluster now, and what the writes compare with.

        Of a run that began and ended without a word of its executor, nobody knows what the server
        took: the result's exit code is `RestoreUnknownError`'s (9).
        """
        ...

    async def save(self, uid: str, versions: RestoreVersions, status: RestoreStatus) -> bool:
        """Write the restore's status, unless its version is not the newest any more: then False."""
        ...

    async def save_lock(self, uid: str, versions: RestoreVersions, lock: OperationLock | None) -> bool:
        """Write the lock of its cluster, unless the version of that is not the newest: then False."""
        ...

    async def start(self, uid: str, run: StartRestore) -> None:
        """Make the run, held, unless one of that name exists, whatever became of it.

        One that can never begin as it is (no login, no source, refused) is observed as ended, with why.
        """
        ...

    async def release(self, uid: str, run: ReleaseRun) -> None:
        """Let the run begin, if it is the one of that uid, and held; else nothing happens.

        Once it was released it is never held again, and never begins again, whoever stops it.
        """
        ...

    async def forget(self, uid: str, run: ForgetRun) -> None:
        """The run's end is in the status: keep its traces only as history. Its name stays taken."""
        ...

    async def discard(self, uid: str, run: DiscardRun) -> None:
        """Remove the run that has this name, if it is held, or finished and another document's.

        One under way stays, also when it was released only just now.
        """
        ...

    async def emit(self, uid: str, event: Emit) -> None:
        """Tell people what happened, at the restore."""
        ...
