"""What a restore would do, as a person is shown it, and what one has done."""

from __future__ import annotations

from bao_backup.core.model import Contents, Leader, Moment, Node, Seal, Stored, Value
from bao_backup.core.receipt import Receipt
from bao_backup.core.restore_checks import restore_path, snapshot_version
from bao_backup.core.words import size_in_words, time_in_words


class Proposal(Value, frozen=True, kw_only=True):
    """A backup that is proven, and the server that it would overwrite. Nothing was changed yet."""

    namespace: str
    name: str
    #: The server as it is now.
    leader: Leader
    nodes: tuple[Node, ...]
    seal: Seal
    #: The one immutable object: its key and size, and its ETag where the store gives one.
    stored: Stored
    #: Where it is, for people: "s3://bucket/key".
    location: str
    contents: Contents
    receipt: Receipt | None = None
    force: bool = False
    #: Where what is there is backed up first: "s3://bucket/prefix"; empty: it is not.
    safety: str = ""
    #: What a person should know before saying yes.
    warnings: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where the snapshot is sent to: "sys/storage/raft/snapshot-force"."""
        return restore_path(force=self.force)

    @property
    def version(self) -> str:
        """The newest server version that the snapshot names; empty when it names none."""
        return snapshot_version(self.contents, self.receipt)

    def lines(self) -> tuple[str, ...]:
        """What would be overwritten by what, a line each; warnings last."""
        target = self.leader
        names = f" ({target.cluster_name})" if target.cluster_name else ""
        taken = self.receipt.taken if self.receipt else None
        since = f", taken {time_in_words(taken)}" if taken else ""
        size, index = size_in_words(self.contents.size), self.contents.meta.index
        safety = f"it is backed up first, to {self.safety}" if self.safety else "it is NOT backed up first"
        there = f"{target.address} leads {len(self.nodes)} nodes, version {target.version or 'unknown'}"
        what = f"{size}, Raft index {index}, version {self.version or 'unknown'}, proven"
        return (
            f"overwrites: {self.namespace}/{self.name}{names}, all of its data: {there}",
            f"with:       {self.location}{since}, {what}",
            f"before:     {safety}",
            f"sent to:    {self.path}",
            *(f"warning:    {warning}" for warning in self.warnings),
        )


class Restored(Value, frozen=True, kw_only=True):
    """A restore that is done: a settled leader has the snapshot's data."""

    namespace: str
    name: str
    key: str
    size: int
    sha256: str
    #: Of the snapshot.
    raft_index: int
    raft_term: int
    #: Who leads now.
    leader: Leader
    started: Moment
    finished: Moment
    #: The backup of what was there before; empty when there is none.
    safety_key: str = ""
    #: What a person does next.
    next_steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
