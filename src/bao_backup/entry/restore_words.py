"""What a restore would do and has done, as a person reads it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime

from bao_backup.core.errors import BaoBackupError, one_line
from bao_backup.core.model import Result, Seal
from bao_backup.core.restore_outcome import Proposal
from bao_backup.core.restore_settings import RestoreSettings
from bao_backup.core.words import age_in_words, count_in_words, size_in_words, time_in_words
from bao_backup.entry.restore_settings import Choice
from bao_backup.entry.source import Source

_WIDTH = 16


def proposal_in_words(proposal: Proposal, now: datetime) -> list[str]:
    """What would be overwritten by what, a line each."""
    return [
        "This restore overwrites everything in",
        *(_pair(*pair) for pair in _overwritten(proposal)),
        "with the backup",
        *(_pair(*pair) for pair in _backup(proposal, now)),
        *_areas(proposal),
        *(f"warning: {one_line(warning)}" for warning in proposal.warnings),
        _first(proposal),
    ]


def _pair(name: str, value: str) -> str:
    return f"  {name:<{_WIDTH}} {one_line(value)}"


def _overwritten(proposal: Proposal) -> Iterator[tuple[str, str]]:
    leader, named = proposal.leader, f"{proposal.namespace}/{proposal.name}"
    yield "cluster", f"{named} ({leader.cluster_name})" if leader.cluster_name else named
    yield "cluster id", leader.cluster_id or "unknown"
    yield "leader", f"{leader.address}, of {count_in_words(len(proposal.nodes), 'node')}"
    yield "version", leader.version or "unknown"
    yield "seal", _seal(proposal.seal)


def _backup(proposal: Proposal, now: datetime) -> Iterator[tuple[str, str]]:
    contents, receipt = proposal.contents, proposal.receipt
    yield "key", proposal.location
    if receipt is not None and receipt.taken is not None:
        yield "taken", f"{time_in_words(receipt.taken)}, {age_in_words(receipt.taken, now)}"
    else:
        modified = proposal.stored.modified
        yield "taken", f"unknown; stored {time_in_words(modified)}, {age_in_words(modified, now)}"
    yield "size", f"{size_in_words(contents.size)} ({contents.size} bytes)"
    yield "sha256", f"{contents.sha256}, proven just now"
    if receipt is not None:
        there = receipt.cluster
        yield "of cluster", f"{there.namespace}/{there.name}, id {there.id or 'unknown'}"
    yield "version", proposal.version or "unknown"
    yield "seal", _seal(contents.inventory.seal)
    yield "Raft index", str(contents.meta.index)
    inventory = contents.inventory
    yield "holds", f"{inventory.entries} entries, {size_in_words(inventory.size)}"


def _areas(proposal: Proposal) -> Iterator[str]:
    areas = sorted(proposal.contents.inventory.areas, key=lambda area: -area.size)
    width = max((len(str(area.entries)) for area in areas), default=0)
    for area in areas:
        yield f"  {'':<{_WIDTH}} {area.entries:>{width}} {area.name}, {size_in_words(area.size)}"


def _first(proposal: Proposal) -> str:
    sent = f"then the backup is sent to {proposal.path}"
    if proposal.safety:
        return f"First what is there is backed up to {proposal.safety}, {sent}."
    return (
        f"What is there is NOT backed up first: there is no way back. The backup is sent to {proposal.path}."
    )


def _seal(seal: Seal | None) -> str:
    if seal is None:
        return "unknown"
    return f"{seal.type}, {seal.threshold} of {seal.shares} shares" if seal.shares else seal.type


# --- the way back ------------------------------------------------------------------------------


def way_back(
    source: Source, choice: Choice, settings: RestoreSettings, safety_key: str, state: str
) -> list[str]:
    """The command line that restores what was there before, and before it what it needs, a line each.

    It leads to the same servers, in the same way. A token of now may be younger than the backup, and then
    it is gone with the rest.

    Args:
        source: where the backup was that was restored.
        choice: the options of that restore.
        settings: what it worked with.
        safety_key: the backup of what was there before.
        state: the folder of a manager, where one was given.
    """
    words = ["bao-backup", "restore", "--key", safety_key, *_place(source)]
    words += ["--cluster", f"{settings.namespace}/{settings.name}"]
    for address in choice.to:
        words += ["--to", address]
    for name, value in (
        ("--ca-file", choice.ca_file),
        ("--server-name", choice.server_name),
        ("--token-file", choice.token_file),
        ("--deadline", choice.deadline),
        ("--state", state),
    ):
        if value:
            words += [name, str(value)]
    if choice.force:  # the keys of what is there now may be others than those of before
        words.append("--force")
    needs = []
    if choice.token_file:
        needs = [f"the way back needs a token that the restored data knows: put it into {choice.token_file}"]
    return [*needs, f"the way back: {shlex.join(words)}"]


def _place(source: Source) -> Sequence[str]:
    """Where the safety backup is: the document's target where there is one, else the source's."""
    if source.config is not None and (source.target is None or source.config_by_hand):
        secrets = ["--secrets", str(source.secrets)] if source.secrets is not None else []
        return ["--config", str(source.config), *secrets]
    folder = ["--credentials", str(source.credentials)] if source.credentials is not None else []
    return ["--target", source.target or "", *folder]


def done_in_words(result: Result, leader: str, next_steps: Sequence[str], back: Sequence[str]) -> list[str]:
    """What was done, what to do next, and the way back."""
    return [
        f"{result.key} is restored; {leader} leads with its data",
        *(f"next: {step}" for step in next_steps),
        *back,
    ]


def may_be_new_in_words(
    error: BaoBackupError, before: str, safety_key: str, back: Sequence[str]
) -> list[str]:
    """What was there before, and last what to do next, where the server has the backup or may have it.

    Args:
        error: what the restore ended with; its hint says what to do.
        before: the name of the cluster that was there, as servers have one; may be empty.
        safety_key: the backup of what was there; empty where there is none.
        back: the way there.
    """
    named = f", the cluster {one_line(before)}," if before else ""
    kept = [f"what was there before{named} is in {safety_key}, and the way back leads to that"]
    return [*(kept if safety_key else []), *back, f"next: {error.hint}"]
