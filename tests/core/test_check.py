"""What a check makes of what it found: tables of capabilities, clocks, slots, facts and results."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bao_backup.core.check import (
    CheckReport,
    Line,
    LineState,
    clock_offset,
    failed,
    in_one_line,
    is_probe,
    judge_capabilities,
    judge_server_clock,
    judge_slot,
    judge_store_clock,
    not_permitted,
    passed,
    probe_keys,
    result_of,
    skipped,
)
from bao_backup.core.check_store import FACTS, WantedOfStore, judge_facts, kept_days
from bao_backup.core.errors import LoginError
from bao_backup.core.model import Leader
from bao_backup.core.naming import backup_key_of_receipt, parse_key
from bao_backup.core.restore_checks import SNAPSHOT_PATH, Capabilities
from bao_backup.core.result import LARGEST_RESULT, decode_result, encode_result
from bao_backup.core.retention import ClassPolicy, RetentionPolicy
from bao_backup.core.storage import check_key
from bao_backup.core.storage_errors import StorageDeniedError
from bao_backup.core.store_facts import ExpiryRule, StoreFacts, Unseen

NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
LEADER = Leader(address="https://bao-0:8200")
PREFIX = "team/default/prod"
P, F, N, S = LineState.PASSED, LineState.FAILED, LineState.NOT_PERMITTED, LineState.SKIPPED


def seconds(count: float) -> timedelta:
    """So many."""
    return timedelta(seconds=count)


# --- the server --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (None, N, "may not ask"),
        ({}, F, "may not read"),
        ({SNAPSHOT_PATH: frozenset({"deny"})}, F, "may not read"),
        ({SNAPSHOT_PATH: frozenset({"update"})}, F, "may not read"),
        ({SNAPSHOT_PATH: frozenset({"read"})}, P, f"may read {SNAPSHOT_PATH}"),
        ({SNAPSHOT_PATH: frozenset({"root"})}, P, "more than a backup needs: root"),
        ({SNAPSHOT_PATH: frozenset({"read", "update"})}, P, "more than a backup needs: read, update"),
    ],
)
def test_capabilities(found: Capabilities, state: LineState, words: str) -> None:
    """To read the snapshot's path is needed; to do more is told; not to be allowed to ask is no failure."""
    line = judge_capabilities(found, LEADER, known=True)
    assert line.state is state
    assert words in line.words
    assert bool(line.remedy) == (line.words != f"the login may read {SNAPSHOT_PATH}")
    if state is F:
        assert (line.reason, line.exit_code) == ("SnapshotDenied", 4)
        assert f'path "{SNAPSHOT_PATH}" {{ capabilities = ["read"] }}' in line.remedy


def test_an_unknown_token() -> None:
    """Who lets a token ask nothing may not know it at all: that is a failure of the login."""
    line = judge_capabilities(None, LEADER, known=False)
    assert (line.state, line.reason, line.exit_code) == (F, "LoginFailed", 2)
    assert "sys/capabilities-self" in line.remedy


# --- clocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "offset"),
    [(-5, -4), (-1, 0), (-0.5, 0), (0, 0), (3, 0), (4, 0), (5, 1), (100, 96)],
)
def test_offset(theirs: float, offset: float) -> None:
    """What lies between question and answer is no difference, and a clock of whole seconds may be late."""
    assert clock_offset(NOW, NOW + seconds(theirs), NOW + seconds(4)) == seconds(offset)


@pytest.mark.parametrize(
    ("offset", "state", "words", "remedy"),
    [
        (None, S, "does not tell", False),
        (0, P, "agree", False),
        (1.9, P, "agree", False),
        (2, P, "2.0s ahead of", False),
        (-30, P, "30s behind", False),
        (31, P, "31s ahead of", True),
        (-60, P, "1m behind", True),
        (61, F, "1m 1s ahead of", True),
        (-900, F, "15m behind", True),
    ],
)
def test_clocks(offset: float | None, state: LineState, words: str, remedy: bool) -> None:
    """Up to half a minute is nothing, up to one is worth a look, and more is what logins break on."""
    apart = None if offset is None else seconds(offset)
    line = judge_server_clock(apart)
    assert (line.name, line.state, bool(line.remedy)) == ("serverClock", state, remedy)
    assert words in line.words
    if apart is None:
        return
    of_store = judge_store_clock(apart)
    assert (of_store.state, bool(of_store.remedy)) == (state, remedy)
    if state is F:
        assert (line.reason, line.exit_code) == ("ServerClockSkewed", 2)
        assert (of_store.reason, of_store.exit_code) == ("StorageClockSkewed", 5)


def test_slots() -> None:
    """The next one is told in words; that none will count, too; no schedule is no failure."""
    assert judge_slot(NOW + seconds(3600), NOW).words == "2026-11-22 03:00:00Z, in 1h"
    assert judge_slot(None, NOW).state is S
    suspended = judge_slot(NOW + seconds(3600), NOW, suspended=True)
    assert suspended.words.startswith("none: spec.backup.suspend is true")
    assert suspended.remedy


# --- probes ------------------------------------------------------------------------------------


@given(number=st.integers(0, 2**32 - 1), prefix=st.sampled_from(["default/prod", "a b/ü/default/prod"]))
def test_a_probe_is_never_a_backup(number: int, prefix: str) -> None:
    """Nothing that lists backups or receipts takes one for its own; every store can hold its key."""
    keys = probe_keys(prefix, number)
    assert len(set(keys)) == 2
    for key in keys:
        assert is_probe(key, prefix)
        assert check_key(key) == key
        assert parse_key(key, prefix) is None
        assert backup_key_of_receipt(key) is None
        assert not is_probe(key, "default/other")


@pytest.mark.parametrize(
    "name",
    [
        ".bao-backup-check-0123456",
        ".bao-backup-check-0123456G",
        ".bao-backup-check-01234567.snap",
        "bao-backup-check-01234567",
        "below/.bao-backup-check-01234567",
        "2026-11-22T02-00-00Z-00000002.snap",
    ],
)
def test_what_is_no_probe(name: str) -> None:
    """Only exactly such a name, directly in the folder, is one that may be removed."""
    assert not is_probe(f"default/prod/{name}", "default/prod")


# --- facts -------------------------------------------------------------------------------------


def line_of(name: str, facts: StoreFacts, **wanted: Any) -> Line:
    """The line of that name."""
    lines = judge_facts(facts, WantedOfStore(prefix=PREFIX, **wanted))
    assert [line.name for line in lines] == list(FACTS)
    return lines[FACTS.index(name)]


DROPS = RetentionPolicy(max_count=3)


@pytest.mark.parametrize("name", FACTS)
def test_nothing_is_told(name: str) -> None:
    """What a store has not, or does not tell, is skipped; what may not be seen is no failure."""
    assert line_of(name, StoreFacts()).state is S
    unseen = Unseen.NOT_PERMITTED
    facts = StoreFacts(versioning=unseen, lock=unseen, lifecycle=unseen, abandoned=unseen, encryption=unseen)
    assert line_of(name, facts).state is (S if name == "space" else N)


@pytest.mark.parametrize(
    ("versioning", "retention", "words", "remedy"),
    [
        (False, None, "off", False),
        (True, None, "on", False),
        (True, RetentionPolicy(), "on", False),
        (True, DROPS, "stays as an old version", True),
        (False, DROPS, "gone", False),
    ],
)
def test_versioning(versioning: bool, retention: RetentionPolicy | None, words: str, remedy: bool) -> None:
    """Old versions cost money only where something is dropped."""
    line = line_of("versioning", StoreFacts(versioning=versioning), retention=retention)
    assert (line.state, bool(line.remedy)) == (P, remedy)
    assert words in line.words


@pytest.mark.parametrize(
    ("lock", "days", "state", "words"),
    [
        (False, 0, P, "off"),
        (False, 7, F, "asks for 7 days, and the store locks nothing"),
        (True, 0, P, "on, and nothing asks for it"),
        (True, 7, P, "each backup is locked for 7 days"),
        (Unseen.NOT_PERMITTED, 7, N, "may not see"),
        (Unseen.NOT_OFFERED, 7, N, "does not tell"),
        (Unseen.NOT_OFFERED, 0, S, "does not tell"),
    ],
)
def test_locks(lock: bool | Unseen, days: int, state: LineState, words: str) -> None:
    """A lock that is asked for and cannot be is a failure; one that nobody can see is told."""
    line = line_of("lock", StoreFacts(lock=lock), lock_days=days)
    assert line.state is state
    assert words in line.words
    assert bool(line.remedy) or state in (P, S)


def test_a_lock_of_the_store() -> None:
    """What the store does by itself is told."""
    facts = StoreFacts(lock=True, lock_default="GOVERNANCE for 3 days")
    assert "by itself the store locks each object: GOVERNANCE for 3 days" in line_of("lock", facts).words


KEPT: list[tuple[ClassPolicy | None, float | None]] = [
    (None, None),
    (RetentionPolicy(), None),
    (DROPS, None),
    (RetentionPolicy(max_age=timedelta(days=7)), 7),
    (RetentionPolicy(max_age=timedelta(days=7), max_count=3), 7),
    (RetentionPolicy(keep_daily=7), 7),
    (RetentionPolicy(keep_daily=7, keep_weekly=4), 28),
    (RetentionPolicy(keep_monthly=12, max_age=timedelta(days=30)), 372),
    (RetentionPolicy(keep_yearly=2), 732),
    (RetentionPolicy(keep_daily=7, max_count=3), None),
]


@pytest.mark.parametrize(("policy", "days"), KEPT)
def test_how_long_a_policy_keeps(policy: ClassPolicy | None, days: float | None) -> None:
    """By age, or by the longest of its keep rules; without either nobody can say."""
    assert kept_days(policy) == days


WEEK = RetentionPolicy(max_age=timedelta(days=7))


@pytest.mark.parametrize(
    ("rule", "retention", "words", "remedy"),
    [
        (ExpiryRule(prefix="other/", days=1), WEEK, "no rule", False),
        (ExpiryRule(prefix="team/default/prod-2", days=1), WEEK, "no rule", False),
        (ExpiryRule(days=7), WEEK, "after 7 days: not before", False),
        (ExpiryRule(id="r", days=6), WEEK, "the rule r removes objects after 6 days, and backups", True),
        (ExpiryRule(prefix="team/", days=6), WEEK, "to be kept for 7 days", True),
        (ExpiryRule(prefix=f"{PREFIX}/20", days=6), WEEK, "to be kept for 7 days", True),
        (ExpiryRule(prefix=f"{PREFIX}/pre-upgrade-", days=6), WEEK, "not before", False),
        (
            ExpiryRule(prefix=f"{PREFIX}/pre-upgrade-", days=6),
            replace(WEEK, pre_upgrade=ClassPolicy(max_age=timedelta(days=30))),
            "of the class pre-upgrade are to be kept for 30 days",
            True,
        ),
        (ExpiryRule(days=400, conditional=True), None, "removes some objects after 400 days", True),
        (ExpiryRule(days=400), DROPS, "without a limit of age", True),
    ],
)
def test_lifecycle(rule: ExpiryRule, retention: RetentionPolicy | None, words: str, remedy: bool) -> None:
    """A rule of the store that takes what the policy keeps is told, with what to do."""
    line = line_of("lifecycle", StoreFacts(lifecycle=(rule,)), retention=retention)
    assert (line.state, bool(line.remedy)) == (P, remedy)
    assert words in line.words


@pytest.mark.parametrize(
    ("rules", "words", "remedy"),
    [
        ((), "no rule removes", False),
        ((ExpiryRule(prefix="other/", days=1),), "no rule removes", False),
        ((ExpiryRule(days=7), ExpiryRule(prefix="team/", days=3)), "after 3 days", False),
        ((ExpiryRule(days=1),), "after 1 day", True),
    ],
)
def test_abandoned_uploads(rules: tuple[ExpiryRule, ...], words: str, remedy: bool) -> None:
    """The earliest rule that concerns the folder counts, and must not come before a run's deadline."""
    line = line_of("uploads", StoreFacts(abandoned=rules), deadline_seconds=100_000)
    assert (line.state, bool(line.remedy)) == (P, remedy)
    assert words in line.words


def test_encryption() -> None:
    """What the upload asks for counts before what the store does by itself."""
    facts = StoreFacts(encryption="AES256")
    assert line_of("encryption", facts).words == "by the store itself: AES256"
    assert line_of("encryption", facts, encryption="aws:kms").words.endswith("each upload: aws:kms")
    assert line_of("encryption", StoreFacts(encryption="")).words == "none"


def test_space() -> None:
    """Less than the largest backup is worth a look; the folder's owner is told."""
    facts = StoreFacts(free=2 << 30, access="owner 0")
    assert line_of("space", facts).words == "2.0 GiB are free; owner 0"
    assert not line_of("space", facts, largest=2 << 30).remedy
    assert line_of("space", facts, largest=3 << 30).remedy


# --- the report --------------------------------------------------------------------------------

LINES = (
    passed("leader", "here"),
    failed("login", LoginError("log in", "refused", hint="another role")),
    not_permitted("lifecycle", "not seen"),
    skipped("snapshot", "needs the login"),
    failed("write", StorageDeniedError("create x", "denied", hint="allow it")),
)


def test_a_report_fails_with_its_first_line_that_did() -> None:
    """Its exit code and reason; every line that failed is in the message, with its remedy."""
    report = CheckReport(namespace="default", name="prod", lines=LINES)
    assert report.exit_code == 2
    result = result_of(report, started=NOW, finished=NOW)
    assert (result.outcome, result.reason, result.exit_code) == ("Failed", "LoginFailed", 2)
    assert result.message == "login: log in: refused; another role | write: create x: denied; allow it"


def test_a_report_without_a_failure_proves_the_configuration() -> None:
    """What was not permitted or skipped is no failure."""
    report = CheckReport(namespace="default", name="prod", lines=(LINES[0], LINES[2], LINES[3]))
    result = result_of(report, started=NOW, finished=NOW)
    assert (report.exit_code, result.outcome, result.reason) == (0, "Succeeded", "ConfigurationProven")
    assert result.message == "the configuration is proven: 1 passed, 1 not permitted"


def test_the_result_fits_a_termination_message() -> None:
    """However many lines failed, and with however long words."""
    long = tuple(failed("write", StorageDeniedError("ü" * 800, "denied", hint="x" * 800)) for _ in range(9))
    report = CheckReport(namespace="default", name="prod", lines=long)
    body = encode_result(result_of(report, started=NOW, finished=NOW))
    assert len(body) <= LARGEST_RESULT
    decoded = decode_result(body)
    assert decoded is not None
    assert decoded.reason == "StorageDenied"
    assert in_one_line(long).startswith(decoded.message.removesuffix("…"))
