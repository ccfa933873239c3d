"""Receipts: what is written is read back, and nothing else passes for one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.archives import GENUINE, prove

from bao_backup.core.archive import ArchiveReader
from bao_backup.core.errors import VerificationError
from bao_backup.core.model import (
    Area,
    Inventory,
    Leader,
    Seal,
    Server,
    SnapshotMeta,
    Trigger,
    VerifyLevel,
)
from bao_backup.core.receipt import (
    MAXIMUM_RECEIPT_SIZE,
    ClusterIdentity,
    Receipt,
    Verification,
    adopted_receipt,
    decode_receipt,
    encode_receipt,
    identity_of,
)

KEY = "default/prod/2026-11-22T02-00-00Z-0123abcd.snap"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

texts = st.text(st.characters(codec="utf-8"), max_size=30)
counts = st.integers(0, 2**53)
moments = st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1))  # noqa: DTZ001 - they add it
receipts = st.builds(
    Receipt,
    receipt=st.just(1),
    key=st.just(KEY),
    size=counts,
    sha256=texts,
    started=st.none() | moments,
    stream_started=st.none() | moments,
    finished=st.none() | moments,
    slot=st.none() | moments,
    trigger=st.none() | st.sampled_from(Trigger),
    cluster=st.builds(
        ClusterIdentity, namespace=texts, name=texts, id=texts, cluster_name=texts, server_version=texts
    ),
    snapshot=st.builds(
        SnapshotMeta,
        id=texts,
        index=counts,
        term=counts,
        version=counts,
        size=counts,
        configuration_index=counts,
        servers=st.lists(st.builds(Server, id=texts, address=texts, suffrage=texts), max_size=3).map(tuple),
    ),
    members=st.dictionaries(texts, texts, max_size=4),
    inventory=st.builds(
        Inventory,
        entries=counts,
        size=counts,
        areas=st.lists(st.builds(Area, name=texts, entries=counts, size=counts), max_size=3).map(tuple),
        seal=st.none() | st.builds(Seal, type=texts, shares=counts, threshold=counts),
        barrier_term=counts,
        server_version=texts,
        complete=st.booleans(),
    ),
    verification=st.builds(Verification, level=st.sampled_from(VerifyLevel), time=moments),
    tool=texts,
)


def genuine() -> Receipt:
    """A receipt for the genuine snapshot."""
    cluster = identity_of("default", "prod", Leader(address="https://bao:8200", version="2.4.4"))
    proven = Verification(level=VerifyLevel.FULL, time=NOON)
    return adopted_receipt(KEY, prove(GENUINE.read_bytes()), cluster, proven, "bao-backup 0.1.0")


def changed(**changes: Any) -> bytes:
    """A receipt's bytes with some fields changed."""
    content: dict[str, Any] = {**json.loads(encode_receipt(genuine())), **changes}
    return json.dumps(content).encode()


def refusal(body: bytes) -> VerificationError:
    """How the reader refuses it."""
    with pytest.raises(VerificationError) as caught:
        decode_receipt(body, KEY)
    return caught.value


@given(receipts)
def test_what_is_written_is_read_back(receipt: Receipt) -> None:
    """Every field, whatever it holds."""
    assert decode_receipt(encode_receipt(receipt), KEY) == receipt


def test_a_receipt_is_json_for_people_and_other_tools() -> None:
    """Indented, in camelCase, with its version first, UTC times, and a line end at the end."""
    body = encode_receipt(genuine())
    assert body.startswith(b'{\n  "receipt": 1,\n  "key": "default/prod/')
    assert body.endswith(b"}\n")
    content = json.loads(body)
    assert content["cluster"]["serverVersion"] == "2.4.4"
    assert content["verification"] == {"level": "Full", "time": "2026-11-22T12:00:00Z"}
    assert set(content["members"]) == {"meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed"}
    assert content["snapshot"]["index"] > 0
    assert content["inventory"]["entries"] > 0


def test_a_receipt_of_a_real_snapshot_is_small_and_names_no_key_of_it() -> None:
    """Counts by area, never single names."""
    body = encode_receipt(genuine())
    assert len(body) < 16_384
    keys: list[bytes] = []
    reader = ArchiveReader(on_key=lambda key, _size: keys.append(bytes(key)))
    reader.feed(GENUINE.read_bytes())
    reader.finish()
    assert len(keys) == genuine().inventory.entries
    assert not [key for key in keys if key in body]


def test_fields_of_a_later_minor_change_are_accepted() -> None:
    """A reader passes over what it does not know, at any depth."""
    content = json.loads(encode_receipt(genuine()))
    content["cluster"]["flavour"] = "vanilla"
    content["extra"] = {"deep": [1, 2]}
    assert decode_receipt(json.dumps(content).encode(), KEY) == genuine()


@pytest.mark.parametrize("version", [0, 2, 1000])
def test_another_version_is_refused_by_its_number(version: int) -> None:
    """Also where nothing else of it could be read."""
    error = refusal(json.dumps({"receipt": version, "new": True}).encode())
    assert error.why == f"its version is {version}, known is 1"
    assert error.reason == "ReceiptTooNew"
    assert error.hint == "use the bao-backup that wrote it, or a newer one"


def test_a_receipt_of_another_backup_is_refused() -> None:
    """A copied or renamed one proves nothing here."""
    other = KEY.replace("02-00", "03-00")
    assert refusal(changed(key=other)).why == f"it speaks of another backup, {other}"


JUNK: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"junk",
    "a list": b"[]",
    "no version": b"{}",
    "the version as a text": b'{"receipt": "1"}',
    "only the version": b'{"receipt": 1}',
    "cut off": encode_receipt(genuine())[:-20],
    "followed by something": encode_receipt(genuine()) + b"{}",
    "not UTF-8": encode_receipt(genuine()).replace(b"bao-backup 0.1.0", b"bao-backup \xff"),
    "not UTF-8 where nobody looks": changed(note="x").replace(b'"x"', b'"\xff"') + b"{",
    "too deep": b'{"receipt": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "too deep before its version": b"[" * 100_000,
    "no time zone": changed(finished="2026-11-22T12:00:00"),
    "a size that is a text": changed(size="12"),
    "an unknown trigger": changed(trigger="Sometimes"),
    "too large": changed(note="x" * MAXIMUM_RECEIPT_SIZE),
}


@pytest.mark.parametrize("body", JUNK.values(), ids=JUNK)
def test_what_is_no_receipt_is_refused_as_such(body: bytes) -> None:
    """One error of the tree, that names the backup and says what to do."""
    error = refusal(body)
    assert error.exit_code == 6
    assert KEY in error.doing
    assert error.why.startswith("not a receipt: ")
    assert "verify" in error.hint


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_receipt(body: bytes) -> None:
    """Nothing but the one error comes of them."""
    refusal(body)
