"""What looks at a server say after a snapshot was sent to it: taken, sealed, or not to be told yet.

A server that takes a snapshot answers at once and applies it afterwards, silent meanwhile; when that
fails it seals itself (docs/decisions/0017-how-a-restore-ends.md). What counts is what the nodes show:

- The login of this very restore is younger than any backup, so a server that has applied the snapshot
  does not know it. A configured token may be older, and a batch token is kept nowhere: that such a one
  is known says nothing. That it is not any more says the same as of each other.
- The cluster's id becomes the snapshot's.
- The Raft index moves by two at least, as it also does by other writes: seen alone, it is told as a doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from bao_backup.core.errors import RestoreUnknownError
from bao_backup.core.model import Leader, Node, NodeState, Value
from bao_backup.core.restore_errors import RestoreSealedError

#: A leader, or a seal, is settled when so many looks in a row show it.
SETTLED_LOOKS = 3
#: Where only the Raft index tells of a change.
SETTLED_LOOKS_BY_INDEX = 6
#: So long a leader waits for those that followed it before; they lose sight of it for some seconds.
LONGEST_LOOKS = 15
#: The snapshot's own index and a no-op behind it.
LEAST_MOVE = 2


class Look(Value, frozen=True, kw_only=True):
    """What the nodes say at one moment."""

    nodes: tuple[Node, ...]
    #: Whether the leader knows the login; None where it did not say.
    knows_login: bool | None = None

    @property
    def leader(self) -> Leader | None:
        """The one active node; None where there is none, or where two say that they are.

        One that is reached by two addresses, as by IPv4 and IPv6, is one.
        """
        active = self._active
        same = len({node.leadership for node in active}) == 1 and active[0].leadership
        return active[0].leader if len(active) == 1 or same else None

    @property
    def _active(self) -> tuple[Node, ...]:
        """All that say that they lead."""
        return tuple(node for node in self.nodes if node.state is NodeState.ACTIVE and node.leader)

    @property
    def leadership(self) -> str:
        """Who leads since when; empty where it is not known."""
        return self._active[0].leadership if self.leader is not None else ""

    @property
    def index(self) -> int:
        """The Raft index that the leader has applied; 0 where it is not known."""
        leader = self.leader
        found = [node.applied_index for node in self.nodes if node.leader is not None]
        return found[0] if leader is not None and found else 0

    def led_by(self, leader: Leader) -> bool:
        """Whether this very node is the one that leads; a Service's name stands for several."""
        if self.leader is None:
            return False
        return any((node.address, node.ip) == (leader.address, leader.ip) for node in self._active)

    def state_of(self, address: str, ip: str) -> NodeState:
        """What this node is; UNREACHABLE where nobody asked it."""
        states = [node.state for node in self.nodes if (node.address, node.ip) == (address, ip)]
        return states[0] if states else NodeState.UNREACHABLE


class Sent(Value, frozen=True, kw_only=True):
    """What was sent, and what was there before it."""

    before: Look
    #: Who was sent it.
    leader: Leader
    #: The server said that it takes it; False where its answer was lost.
    accepted: bool
    #: The login was obtained for this restore, and is kept by the server: no backup can know it.
    fresh_login: bool


class Verdict(StrEnum):
    """What the looks say together."""

    #: A leader that has settled has the snapshot's data.
    DONE = "done"
    #: Who was sent it is sealed now.
    SEALED = "sealed"
    NOT_YET = "not yet"


class Judgement(NamedTuple):
    """A verdict, and why, in words for people."""

    verdict: Verdict
    why: str


class Evidence(StrEnum):
    """What one look says of whose data the leader has."""

    NEW = "new"
    OLD = "old"
    #: Only the Raft index tells, or nothing.
    MAYBE = "maybe"
    NONE = "none"


def judge(sent: Sent, looks: Sequence[Look]) -> Judgement:
    """The meaning of the looks since the submission, the newest last; at least one."""
    newest = looks[-1]
    if _held(looks, SETTLED_LOOKS, lambda look: _sealed(sent, look)):
        return Judgement(Verdict.SEALED, _states(newest))
    leader = newest.leader
    if leader is None:
        return Judgement(Verdict.NOT_YET, f"no leader answers ({_states(newest)})")
    evidence = evidence_of(sent, newest)
    if evidence in {Evidence.OLD, Evidence.NONE}:
        shows = {
            Evidence.OLD: "still knows the login of this restore, as before it",
            Evidence.NONE: "shows no change",
        }
        return Judgement(Verdict.NOT_YET, f"{leader.address} leads, and {shows[evidence]}")
    enough = SETTLED_LOOKS if evidence is Evidence.NEW else SETTLED_LOOKS_BY_INDEX
    if not _held(looks, enough, lambda look: look.led_by(leader)):
        return Judgement(Verdict.NOT_YET, f"{leader.address} leads, and has not settled")
    if _followed_as_before(sent, newest) or _held(looks, LONGEST_LOOKS, lambda look: look.led_by(leader)):
        return Judgement(Verdict.DONE, f"{leader.address} leads, with the snapshot's data")
    return Judgement(
        Verdict.NOT_YET, f"{leader.address} leads, and not all follow it yet ({_states(newest)})"
    )


def evidence_of(sent: Sent, look: Look) -> Evidence:
    """What this look says of whose data the leader has."""
    leader, before = look.leader, sent.before
    if leader is None:
        return Evidence.NONE
    if leader.cluster_id and sent.leader.cluster_id and leader.cluster_id != sent.leader.cluster_id:
        return Evidence.NEW
    moved = _moved(before.index, look.index)
    was_known = before.knows_login is True
    asked = sent.fresh_login and was_known
    if asked and look.knows_login is True:
        return Evidence.OLD
    if was_known and look.knows_login is False and (sent.accepted or moved):
        return Evidence.NEW
    same = look.led_by(sent.leader) and not _leads_anew(before, look)
    return Evidence.MAYBE if sent.accepted and same and moved and not asked else Evidence.NONE


def _leads_anew(before: Look, now: Look) -> bool:
    """Whether the leader began anew since, perhaps with what was there before: a restore does not do that."""
    return bool(before.leadership and now.leadership) and before.leadership != now.leadership


def _moved(before: int, now: int) -> bool:
    """Whether the index has moved as far as a restore moves it; where a node does not say it, it may have."""
    return not before or not now or now >= before + LEAST_MOVE


def _sealed(sent: Sent, look: Look) -> bool:
    """Whether who was sent it is sealed, or all that answer are, and were not before."""
    if look.state_of(sent.leader.address, sent.leader.ip) is NodeState.SEALED:
        return True
    answering = [node for node in look.nodes if node.state is not NodeState.UNREACHABLE]
    sealed = [node for node in answering if node.state is NodeState.SEALED]
    anew = [node for node in sealed if sent.before.state_of(node.address, node.ip) is not NodeState.SEALED]
    return bool(anew) and sealed == answering


def _followed_as_before(sent: Sent, look: Look) -> bool:
    """Whether each node that was well before is well again, or waits for its keys."""
    well = {NodeState.ACTIVE, NodeState.STANDBY}
    return all(
        look.state_of(node.address, node.ip) in well | {NodeState.SEALED}
        for node in sent.before.nodes
        if node.state in well
    )


def _held(looks: Sequence[Look], count: int, shows: Callable[[Look], bool]) -> bool:
    return len(looks) >= count and all(shows(look) for look in looks[-count:])


def _states(look: Look) -> str:
    return ", ".join(f"{node.address}: {node.said or node.state.value}" for node in look.nodes)


# --- what a person does next -------------------------------------------------------------------

_LOOK = (
    "look at the server's data before doing anything else: where it knows a login of after the backup, other "
    "than a batch token, it has what was there before; do not submit again without having looked"
)
_EITHER_KEYS = (
    "unseal every node with the unseal keys of the time of the backup, or, where these are not taken, with "
    "those of before, and look at the data: it may be what was there before; do not submit again"
)
_GONE = (
    "logins and leases since the time of the backup are gone: log in anew, and end what dynamic secrets "
    "gave out since then where it was given out"
)


def next_steps(look: Look) -> tuple[str, ...]:
    """What is left to do when the snapshot's data is there."""
    sealed = [node.address for node in look.nodes if node.state is NodeState.SEALED]
    unseal = (f"unseal {', '.join(sealed)} with the unseal keys of the time of the backup",) if sealed else ()
    return (*unseal, _GONE)


def doubts(sent: Sent, look: Look) -> tuple[str, ...]:
    """What a person should know of how it was seen that the snapshot was applied."""
    if evidence_of(sent, look) is not Evidence.MAYBE:
        return ()
    moved = f"the Raft index, {sent.before.index} before and {look.index} now"
    return (
        f"that it was applied is seen from {moved} alone, since the login says nothing: look at the data",
    )


def sealed_error(doing: str, sent: Sent, judgement: Judgement, look: Look) -> RestoreSealedError:
    """The end that needs unsealing.

    Whose answer was lost may have been killed before it took anything, and be sealed since its new start.
    """
    leader = look.leader
    if leader is None and sent.accepted:
        return RestoreSealedError(doing, judgement.why)
    if leader is None:
        return RestoreSealedError(doing, f"the server's answer was lost; {judgement.why}", hint=_EITHER_KEYS)
    hint = (
        f"unseal what is sealed with the unseal keys of the time of the backup, and look at the data "
        f"at {leader.address}: it may be what was there before; do not submit again"
    )
    return RestoreSealedError(doing, judgement.why, hint=hint)


def unknown_error(doing: str, sent: Sent, judgement: Judgement, ended: str) -> RestoreUnknownError:
    """The end of which nobody knows; `ended` says why nobody looks any longer."""
    began = "the server took the snapshot" if sent.accepted else "the server's answer was lost"
    why = f"{began}, and {ended}, the outcome is unknown; the last look: {judgement.why}"
    return RestoreUnknownError(doing, why, hint=_LOOK)
