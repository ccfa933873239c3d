"""Whether a proven backup is the one that is expected, and fits the server that it would go to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from bao_backup.core.errors import LeaderError
from bao_backup.core.inventory import version_order
from bao_backup.core.model import Contents, Leader, Node, NodeState, Seal
from bao_backup.core.receipt import Receipt
from bao_backup.core.restore_errors import (
    BackupUnexpectedError,
    RestoreDeniedError,
    SafetyBackupError,
    SnapshotNewerError,
)
from bao_backup.core.restore_settings import Wanted

SNAPSHOT_PATH = "sys/storage/raft/snapshot"
FORCE_PATH = "sys/storage/raft/snapshot-force"
#: Seconds; a server reads a request for 30 by default (docs/decisions/0017-how-a-restore-ends.md).
LONG_TO_READ = 20.0
_ENTERPRISE = "+ent"
Capabilities = Mapping[str, frozenset[str]] | None


# --- is it the expected one? -------------------------------------------------------------------


def check_expected(what: str, wanted: Wanted, contents: Contents, receipt: Receipt | None) -> None:
    """BackupUnexpectedError for the first thing that is not as expected; `what` names the backup."""
    cluster_id = receipt.cluster.id if receipt else ""
    pairs = (
        ("SHA-256", wanted.sha256, contents.sha256),
        ("size", _text(wanted.size), _text(contents.size)),
        ("cluster id", wanted.cluster_id, cluster_id),
        ("version", _plain(wanted.version), _plain(snapshot_version(contents, receipt))),
    )
    for name, expected, found in pairs:
        if expected and expected != found:
            why = f"its {name} is {found}" if found else f"its {name} is not known"
            raise BackupUnexpectedError(
                f"compare {what} with what is expected", f"{why}, expected {expected}"
            )


def snapshot_version(contents: Contents, receipt: Receipt | None) -> str:
    """The newest server version that the snapshot or its receipt names; empty when none does."""
    said = receipt.cluster.server_version if receipt else ""
    return max((contents.inventory.server_version, said), key=version_order)


def _text(size: int | None) -> str:
    return "" if size is None else str(size)


def _plain(version: str) -> str:
    """As people write it, with or without a "v" before it."""
    return version.removeprefix("v")


# --- does it fit the server? -------------------------------------------------------------------


def compare_versions(what: str, snapshot: str, server: str, *, force: bool) -> tuple[str, ...]:
    """What a person should know of the two versions; SnapshotNewerError for a newer one without force.

    Versions are compared as numbers; what they are built with ("+ent") does not make one newer.
    """
    snapshot, server = _plain(snapshot), _plain(server)
    ours, theirs = version_order(snapshot), version_order(server)
    if not ours or not theirs:
        both = f"the snapshot's is {snapshot or 'unknown'}, the server's {server or 'unknown'}"
        return (f"versions are not compared: {both}",)
    warnings: list[str] = []
    if ours > theirs:
        if not force:
            raise SnapshotNewerError(
                f"restore {what}", f"it is of version {snapshot}, and the server is of the older {server}"
            )
        warnings.append(f"the snapshot is of version {snapshot}, newer than the server's {server}")
    if ours[0] != theirs[0]:
        warnings.append(
            f"the snapshot is of version {snapshot}, the server's is {server}: another generation or product"
        )
    if _ENTERPRISE in snapshot and _ENTERPRISE not in server:
        warnings.append(
            f"the snapshot is of an Enterprise server ({snapshot}), the target is none ({server})"
        )
    return tuple(warnings)


def compare_seals(snapshot: Seal | None, server: Seal) -> tuple[str, ...]:
    """What a person should know of the two seals. Equal ones do not prove that the keys are equal."""
    if snapshot is None:
        return (f"the snapshot does not tell its seal; the server's is {_seal(server)}",)
    if snapshot != server:
        both = f"the snapshot's seal is {_seal(snapshot)}, the server's is {_seal(server)}"
        return (f"{both}: after the restore it is unsealed with the snapshot's keys",)
    return ()


def compare_clusters(receipt: Receipt | None, leader: Leader, *, own: bool, force: bool) -> tuple[str, ...]:
    """What a person should know of where the backup is from; `own`: it lies in the cluster's folder."""
    if receipt is None:
        return ("it has no receipt: it is proven by its own checksums alone, its cluster is not known",)
    there = receipt.cluster
    if there.id and leader.cluster_id and there.id != leader.cluster_id:
        words = f"it is of another cluster ({there.namespace}/{there.name}, id {there.id})"
        refused = "a server with other keys is likely to refuse it without force: true (--force)"
        return (words if force else f"{words}: {refused}",)
    if not own:
        return (f"it is of another folder than the cluster's own ({there.namespace}/{there.name})",)
    return ()


def compare_members(
    contents: Contents, receipt: Receipt | None, leader: Leader, nodes: Sequence[Node], *, force: bool
) -> tuple[str, ...]:
    """What a person should know of the nodes in the snapshot, where it may be of another cluster.

    Unsealed with it, a standby looks for the leader there, and one that still lives turns it away for
    good (docs/decisions/0017-how-a-restore-ends.md).
    """
    of_this_one = receipt is not None and bool(leader.cluster_id) and receipt.cluster.id == leader.cluster_id
    if not force or of_this_one or len(nodes) < 2:
        return ()
    named = ", ".join(server.address for server in contents.meta.servers) or "it does not name them"
    return (f"the nodes in the snapshot ({named}) must be gone, or out of reach of the cluster's own",)


def _seal(seal: Seal) -> str:
    shares = f" with {seal.threshold} of {seal.shares} shares" if seal.shares else ""
    return f"{seal.type}{shares}"


def slow_source(seconds: float) -> tuple[str, ...]:
    """What a person should know of a backup that took so long to read and prove."""
    if seconds < LONG_TO_READ:
        return ()
    unless = "unless the http_read_timeout of its listener is longer"
    return (f"reading it took {seconds:.0f} s: a server that has it not within 30 s refuses it, {unless}",)


# --- what may the login? -----------------------------------------------------------------------


def restore_path(*, force: bool) -> str:
    """The path that the snapshot is sent to."""
    return FORCE_PATH if force else SNAPSHOT_PATH


def check_may_restore(capabilities: Capabilities, leader: Leader, *, force: bool) -> tuple[str, ...]:
    """Warnings; RestoreDeniedError, with the line that the policy lacks, when it may not."""
    path = restore_path(force=force)
    if capabilities is None:
        return (
            f"the login may not ask what it may do: only the server's answer tells whether {path} is allowed",
        )
    if not capabilities.get(path, frozenset()) & {"update", "root"}:
        raise RestoreDeniedError(
            f"restore at {leader.address}",
            f"the login may not update {path}",
            hint=f'the policy needs: path "{path}" {{ capabilities = ["update"] }}',
        )
    return ()


class Safety(StrEnum):
    """Whether what is there is backed up first."""

    TAKE = "take"
    NONE = "none"


class SafetyDecision(NamedTuple):
    """And what a person should know of it."""

    safety: Safety
    warnings: tuple[str, ...] = ()


def decide_safety(
    capabilities: Capabilities, nodes: Sequence[Node], leader: Leader, *, wanted: bool
) -> SafetyDecision:
    """Back up what is there where it is wanted and the server can; SafetyBackupError when it may not."""
    if not wanted:
        return SafetyDecision(Safety.NONE, ("what is there is not backed up first: there is no way back",))
    if not any(node.state is NodeState.ACTIVE for node in nodes):
        said = ", ".join(f"{node.address} is {node.state.value}" for node in nodes) or "no node answers"
        return SafetyDecision(Safety.NONE, (f"what is there cannot be backed up first: {said}",))
    if capabilities is not None and not capabilities.get(SNAPSHOT_PATH, frozenset()) & {"read", "root"}:
        raise SafetyBackupError(
            f"back up what is at {leader.address}",
            f"the login may not read {SNAPSHOT_PATH}",
            hint=f'the policy needs: path "{SNAPSHOT_PATH}" {{ capabilities = ["read", "update"] }}; '
            "or give up the way back: safetyBackup: false (--no-safety-backup)",
        )
    return SafetyDecision(Safety.TAKE)


# --- the nodes before --------------------------------------------------------------------------


def absent_nodes(nodes: Sequence[Node]) -> tuple[str, ...]:
    """A warning for each node that is not there to take part."""
    return tuple(
        f"{node.address} takes no part now ({node.said or node.state.value}): it follows when it is back"
        for node in nodes
        if node.state not in {NodeState.ACTIVE, NodeState.STANDBY}
    )


def nobody_leads(nodes: Sequence[Node], error: LeaderError) -> LeaderError:
    """The same failure, with what to do where the nodes wait for a person."""
    states = {node.state for node in nodes} - {NodeState.UNREACHABLE}
    if states and states <= {NodeState.NOT_INITIALISED}:
        hint = "initialise one server and unseal it, then restore into it with force: true (--force)"
    elif states and states <= {NodeState.SEALED, NodeState.NOT_INITIALISED}:
        hint = "unseal the cluster first: only an active server takes a snapshot"
    else:
        return error
    return type(error)(error.doing, error.why, hint=hint, details=error.details)
