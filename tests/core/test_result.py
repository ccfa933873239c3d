"""Results: small enough for Kubernetes whatever their texts are, and read back without surprise."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.core.test_receipt import KEY, genuine

from bao_backup.core.errors import (
    BaoBackupError,
    DeadlineError,
    LoginError,
    RestoreUnknownError,
    SnapshotCutOffError,
    one_line,
)
from bao_backup.core.model import Leader, Outcome, Result, RetentionOutcome, Trigger, VerifyLevel
from bao_backup.core.restore_outcome import Restored
from bao_backup.core.result import LARGEST_RESULT, decode_result, encode_result, failed, restored, succeeded
from bao_backup.core.storage_errors import StorageDeniedError

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SAFETY_KEY = "default/prod/pre-restore-2026-11-22T12-00-00Z-0123abcd.snap"
# All that Python calls a text: control characters, half characters, emoji.
long_texts = st.builds(
    lambda text, times: text * times, st.text(st.characters(), max_size=12), st.integers(1, 700)
)
lines = st.builds(
    lambda some, times: tuple(some) * times, st.lists(long_texts, max_size=4), st.integers(1, 50)
)
results = st.builds(
    Result,
    outcome=st.sampled_from(Outcome),
    reason=long_texts,
    message=long_texts,
    exit_code=st.integers(0, 9),
    key=long_texts,
    size=st.integers(0, 2**60),
    sha256=st.text(st.characters(), max_size=200),
    started=st.just(NOON),
    finished=st.just(NOON + MINUTE),
    slot=st.none() | st.just(NOON),
    trigger=st.sampled_from(Trigger),
    tries=st.integers(0, 3),
    raft_index=st.integers(0, 2**60),
    raft_term=st.integers(0, 2**60),
    server_version=long_texts,
    verification=st.none() | st.sampled_from(VerifyLevel),
    retention=st.none()
    | st.builds(RetentionOutcome, kept=st.integers(0, 10**6), dropped=lines, failed=lines),
    warnings=lines,
    safety_key=long_texts,
)


@pytest.mark.thorough
@given(results)
def test_a_result_fits_and_tells_what_decides(result: Result) -> None:
    """At most 3,500 bytes of valid JSON; outcome, sizes, times and counts are never cut."""
    body = encode_result(result)
    assert len(body) <= LARGEST_RESULT
    json.loads(body)
    read = decode_result(body)
    assert read is not None
    for field in ("outcome", "exit_code", "size", "started", "finished", "slot", "trigger", "tries"):
        assert getattr(read, field) == getattr(result, field)
    assert (read.raft_index, read.raft_term) == (result.raft_index, result.raft_term)
    assert read.key in (result.key, ""), "a part of a key would be another key"
    assert read.safety_key in (result.safety_key, "")
    assert (read.retention is None) == (result.retention is None)
    if read.retention is not None and result.retention is not None:
        assert read.retention.kept == result.retention.kept
        assert read.retention.dropped_count == len(result.retention.dropped)
        assert read.retention.failed_count == len(result.retention.failed)


def small(**changes: object) -> Result:
    """A result as most are."""
    result = succeeded(genuine(), started=NOON, finished=NOON + MINUTE, tries=1, warnings=(), retention=None)
    return Result(**{**{f: getattr(result, f) for f in result.__struct_fields__}, **changes})


def test_a_small_result_is_whole() -> None:
    """What fits is not touched."""
    result = small(
        warnings=("one", "two ü"), retention=RetentionOutcome(kept=3, dropped=("a",), failed=("b: no",))
    )
    assert decode_result(encode_result(result)) == result


def test_long_texts_are_cut_and_lists_shortened() -> None:
    """The first words and lines stay; a mark and a count stand for the rest."""
    result = small(message="m" * 5000, warnings=tuple(f"warning {n} " + "w" * 500 for n in range(9)))
    read = decode_result(encode_result(result))
    assert read is not None
    assert read.message.startswith("mmm")
    assert read.message.endswith("…")
    assert len(read.message) > 900
    assert read.warnings[0].startswith("warning 0 www")
    assert read.warnings[-1] == "and 6 more"
    assert read.key == KEY


def test_a_success_tells_what_the_receipt_says() -> None:
    """Also of a run that found the receipt of an earlier start: then its times are those."""
    receipt = genuine()
    result = small()
    assert (result.outcome, result.reason, result.exit_code) == (Outcome.SUCCEEDED, "BackupSucceeded", 0)
    assert (result.key, result.size, result.sha256) == (KEY, receipt.size, receipt.sha256)
    assert (result.raft_index, result.raft_term) == (receipt.snapshot.index, receipt.snapshot.term)
    assert (result.started, result.finished) == (NOON, NOON + MINUTE)
    assert (result.server_version, result.verification) == ("2.4.4", VerifyLevel.FULL)


@pytest.mark.parametrize(
    "error",
    [
        LoginError("log in", "refused"),
        StorageDeniedError("upload s3://bucket/key", "403"),
        SnapshotCutOffError("stream", "cut off"),
        DeadlineError("run", "its deadline passed"),
    ],
)
def test_a_failure_tells_what_the_error_is(error: BaoBackupError) -> None:
    """Reason and exit code are the type's, the message is the whole error on one line."""
    result = failed(error, started=NOON, finished=NOON, key=KEY, tries=2, warnings=("left over",))
    assert (result.reason, result.exit_code) == (error.reason, error.exit_code)
    assert result.message == one_line(error.message)
    assert (result.outcome, result.succeeded, result.tries) == (Outcome.FAILED, False, 2)
    assert result.warnings == ("left over",)


def done(**changes: object) -> Restored:
    """A restore as most are."""
    restored_ = Restored(
        namespace="default",
        name="prod",
        key=KEY,
        size=12_713,
        sha256="ab" * 32,
        raft_index=70,
        raft_term=3,
        leader=Leader(address="https://a:8200", version="2.4.4"),
        started=NOON,
        finished=NOON + MINUTE,
        safety_key=SAFETY_KEY,
        next_steps=("log in anew",),
        warnings=("a standby is away",),
    )
    return replace(restored_, **changes)


def test_a_restore_tells_what_is_there_now_and_the_way_back() -> None:
    """Sizes and Raft position are the snapshot's; the message says what to do next."""
    result = restored(done())
    assert (result.outcome, result.reason, result.exit_code) == (Outcome.SUCCEEDED, "RestoreSucceeded", 0)
    assert (result.key, result.size, result.sha256) == (KEY, 12_713, "ab" * 32)
    assert (result.raft_index, result.raft_term, result.server_version) == (70, 3, "2.4.4")
    assert (result.started, result.finished) == (NOON, NOON + MINUTE)
    assert (result.safety_key, result.warnings) == (SAFETY_KEY, ("a standby is away",))
    assert result.message == f"{KEY} is restored to default/prod; log in anew"
    assert decode_result(encode_result(result)) == result


def test_a_restore_that_fails_still_tells_the_way_back() -> None:
    """Above all then."""
    error = RestoreUnknownError("restore", "the server's answer was lost")
    result = failed(error, started=NOON, finished=NOON, key=KEY, safety_key=SAFETY_KEY)
    assert (result.exit_code, result.reason, result.safety_key) == (9, "RestoreUnknown", SAFETY_KEY)
    assert b'"safetyKey":"default/prod/pre-restore-' in encode_result(result)


def test_of_two_keys_that_do_not_both_fit_the_way_back_stays() -> None:
    """The other one is in the document, or was typed."""
    long = '"' * 1024
    read = decode_result(encode_result(restored(done(key=long, safety_key=long, next_steps=("x" * 9000,)))))
    assert read is not None
    assert (read.key, read.safety_key) == ("", long)


JUNK: dict[str, bytes] = {
    "nothing": b"",
    "a log line": b"Error: OOMKilled",
    "cut off": encode_result(small())[:-1],
    "another JSON": b'{"outcome": "Succeeded"}',
    "an unknown outcome": encode_result(small()).replace(b'"Succeeded"', b'"Fine"'),
    "no time zone": encode_result(small()).replace(b"12:00:00Z", b"12:00:00"),
    "not UTF-8": encode_result(small()).replace(b"is stored", b"\xff\xfe"),
    "too deep": b'{"x": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", JUNK.values(), ids=JUNK)
def test_what_is_no_result_is_none(body: bytes) -> None:
    """A termination message may hold anything: then there is no result, and no crash."""
    assert decode_result(body) is None


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_result(body: bytes) -> None:
    """Nor do they raise."""
    assert decode_result(body) is None
