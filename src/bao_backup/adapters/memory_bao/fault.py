"""What may befall a call, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bao_backup.adapters.memory_bao.cluster import MemoryCluster

Method = Literal[
    "find_leader",
    "login",
    "snapshot",
    "revoke",
    "capabilities",
    "seal",
    "server_time",
    "nodes",
    "knows_login",
    "restore",
]


@dataclass(frozen=True, kw_only=True)
class BaoFault:
    """What befalls one call of one method, or the stream that it begins.

    Without `after` the call itself is meant: `error` is raised before it has any effect. With it the
    stream is meant, when so many bytes of it went through.
    """

    method: Method
    #: Which call of this method it befalls, from 1, and how many in a row.
    call: int = 1
    times: int = 1
    #: For a restore in mid-stream None stands for RestoreCutOffError, or for RestoreUnknownError where
    #: the last byte was handed over.
    error: BaseException | None = None
    #: Only for "snapshot" and "restore": befalls the stream after so many bytes. A restore that has
    #: handed over all of them ends without an answer, and the server does not take it.
    after: int | None = None
    #: Only with `after`: no byte goes through any more, until the stall limit or until it is closed.
    stall: bool = False
    #: The call takes effect, and only then fails: its answer was lost. For a restore without `error`
    #: that is RestoreUnknownError, and the snapshot is taken.
    lost_answer: bool = False
    #: This address leads from now on; "" for nobody.
    elects: str | None = None


def happen(cluster: MemoryCluster, fault: BaoFault) -> None:
    """Let a fault take effect: first the election, then the error."""
    if fault.elects is not None:
        cluster.elect(fault.elects)
    if fault.error is not None:
        raise fault.error
