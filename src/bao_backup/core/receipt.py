"""The receipt: the small JSON beside a backup, written last, that makes it count.

Format (version 1): one JSON object with the fields of `Receipt`. A reader accepts fields that it
does not know, and refuses a version that it does not know.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from bao_backup.core.errors import ReceiptVersionError, VerificationError
from bao_backup.core.model import (
    Contents,
    Inventory,
    Leader,
    Moment,
    SnapshotMeta,
    Trigger,
    Value,
    VerifyLevel,
)

RECEIPT_VERSION = 1
#: A receipt is a few kilobytes; a larger object of that name is not one.
MAXIMUM_RECEIPT_SIZE = 4 * 1024 * 1024


class ClusterIdentity(Value, frozen=True, kw_only=True, omit_defaults=False):
    """Which cluster the snapshot is of, as the document and `sys/health` said."""

    namespace: str
    name: str
    id: str = ""
    cluster_name: str = ""
    server_version: str = ""


class Verification(Value, frozen=True, kw_only=True, omit_defaults=False):
    """How the stored object was checked, and when."""

    level: VerifyLevel
    time: Moment


class Receipt(Value, frozen=True, kw_only=True, omit_defaults=False):
    """What was stored, its digests, and what is inside it."""

    receipt: int = RECEIPT_VERSION
    key: str
    size: int
    sha256: str
    #: None for a backup that another tool wrote, or whose executor died before its receipt.
    started: Moment | None = None
    #: When the server began to send the snapshot, in the try that succeeded: its data is not younger.
    #: None also for one that an earlier version of this program wrote.
    stream_started: Moment | None = None
    finished: Moment | None = None
    slot: Moment | None = None
    trigger: Trigger | None = None
    cluster: ClusterIdentity
    snapshot: SnapshotMeta
    members: dict[str, str]
    inventory: Inventory
    verification: Verification
    #: Until when nobody may delete the object, where the target locks objects; the receipt is, too.
    locked_until: Moment | None = None
    tool: str

    @property
    def taken(self) -> datetime | None:
        """Of when the data is, as well as it is known: a run may wait for a leader, and try again."""
        return self.stream_started or self.started


def identity_of(namespace: str, name: str, leader: Leader | None) -> ClusterIdentity:
    """The cluster's identity, with what its leader said of itself where one was asked."""
    return ClusterIdentity(
        namespace=namespace,
        name=name,
        id=leader.cluster_id if leader else "",
        cluster_name=leader.cluster_name if leader else "",
        server_version=leader.version if leader else "",
    )


def adopted_receipt(
    key: str, contents: Contents, cluster: ClusterIdentity, verification: Verification, tool: str
) -> Receipt:
    """A receipt for an object that was found without one and proven by reading it all."""
    return Receipt(
        key=key,
        size=contents.size,
        sha256=contents.sha256,
        cluster=cluster,
        snapshot=contents.meta,
        members=contents.members,
        inventory=contents.inventory,
        verification=verification,
        tool=tool,
    )


def encode_receipt(receipt: Receipt) -> bytes:
    """The receipt's bytes: indented JSON, for people who open it in the bucket."""
    return msgspec.json.format(msgspec.json.encode(receipt), indent=2) + b"\n"


class _Version(msgspec.Struct):
    receipt: int


class _Lock(msgspec.Struct, rename="camel"):
    locked_until: Moment | None = None


def locked_until(body: bytes) -> datetime | None:
    """Until when the backup of this receipt is locked; None: not at all, or nobody can read it."""
    try:
        return msgspec.json.decode(body, type=_Lock).locked_until
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def decode_receipt(body: bytes, key: str) -> Receipt:
    """Read a receipt of the backup `key`, or raise VerificationError saying what is wrong."""
    doing = f"read the receipt of {key}"
    hint = "bao-backup verify reads the backup itself; remove the receipt to have it written anew"
    if len(body) > MAXIMUM_RECEIPT_SIZE:
        raise VerificationError(doing, f"not a receipt: larger than {MAXIMUM_RECEIPT_SIZE} bytes", hint=hint)
    try:
        version = msgspec.json.decode(body, type=_Version).receipt
        if version != RECEIPT_VERSION:
            raise ReceiptVersionError(doing, f"its version is {version}, known is {RECEIPT_VERSION}")
        receipt = msgspec.json.decode(body, type=Receipt)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise VerificationError(doing, f"not a receipt: {error}", hint=hint) from error
    if receipt.key != key:
        raise VerificationError(doing, f"it speaks of another backup, {receipt.key}", hint=hint)
    return receipt
