"""What a check of a configuration found: its lines, what each came to, and the exit code.

A later line is tried also when an earlier one failed, unless it needs what that one did.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from bao_backup.core.errors import BaoBackupError, LoginError, ServerClockError, SnapshotDeniedError
from bao_backup.core.model import Leader, Outcome, Result, Trigger, Value
from bao_backup.core.restore_checks import SNAPSHOT_PATH, Capabilities
from bao_backup.core.storage import check_prefix
from bao_backup.core.storage_errors import StorageClockError
from bao_backup.core.words import age_in_words, duration_in_words, time_in_words

#: Clocks so far apart are no fault yet, but somebody should look.
SUSPICIOUS = timedelta(seconds=30)
#: What the servers' JWT logins tolerate (OpenBao documentation, "JWT/OIDC auth method", `clock_skew_leeway`);
#: S3 tolerates 15 minutes.
TOLERATED = timedelta(seconds=60)
#: Probes of other checks that are older than this were left by ones that were killed.
DEAD_AFTER = timedelta(minutes=15)

_PROBE = re.compile(r"\.bao-backup-check-[0-9a-f]{8}(?:-stream)?")


class LineState(StrEnum):
    """What a line came to."""

    PASSED = "Passed"
    FAILED = "Failed"
    #: The identity may not do or see it, and runs do without.
    NOT_PERMITTED = "NotPermitted"
    #: It was not tried, or does not apply.
    SKIPPED = "Skipped"


class Line(Value, frozen=True, kw_only=True):
    """One thing that was checked."""

    name: str
    state: LineState
    #: What was found, in words.
    words: str
    #: What to do about it; also of a line that passed, where somebody should look.
    remedy: str = ""
    #: The error's reason and exit code, of a line that failed.
    reason: str = ""
    exit_code: int = 0


class CheckReport(Value, frozen=True, kw_only=True):
    """All lines of one check, in the order in which they were tried."""

    namespace: str
    name: str
    lines: tuple[Line, ...]

    @property
    def failed(self) -> tuple[Line, ...]:
        """The lines that failed."""
        return tuple(line for line in self.lines if line.state is LineState.FAILED)

    @property
    def exit_code(self) -> int:
        """That of the first line that failed; 0 where none did."""
        return next((line.exit_code for line in self.failed), 0)


# --- lines -------------------------------------------------------------------------------------


def passed(name: str, words: str, remedy: str = "") -> Line:
    """It works; `remedy` where somebody should look nevertheless."""
    return Line(name=name, state=LineState.PASSED, words=words, remedy=remedy)


def failed(name: str, error: BaoBackupError) -> Line:
    """It does not, as the error says."""
    return Line(
        name=name,
        state=LineState.FAILED,
        words=f"{error.doing}: {error.why}",
        remedy=error.hint,
        reason=error.reason,
        exit_code=error.exit_code,
    )


def not_permitted(name: str, words: str, remedy: str = "") -> Line:
    """The identity may not, and runs do without."""
    return Line(name=name, state=LineState.NOT_PERMITTED, words=words, remedy=remedy)


def skipped(name: str, words: str) -> Line:
    """It was not tried."""
    return Line(name=name, state=LineState.SKIPPED, words=words)


# --- probes ------------------------------------------------------------------------------------


def probe_keys(prefix: str, number: int) -> tuple[str, str]:
    """The keys of a check's two probes: what is created at once, and what is streamed.

    No name of a probe is one of a backup, whatever lists the folder. `number` has at most 32 bits.
    """
    key = f"{check_prefix(prefix)}/.bao-backup-check-{number:08x}"
    return key, f"{key}-stream"


def is_probe(key: str, prefix: str) -> bool:
    """Whether this is the key of any check's probe directly in the folder `prefix`."""
    folder, _, name = key.rpartition("/")
    return folder == prefix and _PROBE.fullmatch(name) is not None


# --- what is judged ----------------------------------------------------------------------------


def judge_capabilities(capabilities: Capabilities, leader: Leader, *, known: bool) -> Line:
    """Whether the login may read snapshots; `known`: the server is sure to know its token."""
    name = "snapshot"
    if capabilities is None and not known:
        why = "the server does not know the token, or lets it ask for nothing, not even what it may do"
        hint = (
            "give a token that is valid; if it is, its policy needs: "
            'path "sys/capabilities-self" { capabilities = ["update"] }'
        )
        return failed(name, LoginError(f"ask {leader.address} what the login may do", why, hint=hint))
    if capabilities is None:
        return not_permitted(
            name,
            f"the login may not ask what it may do: only a run shows whether it may read {SNAPSHOT_PATH}",
            'the policy needs: path "sys/capabilities-self" { capabilities = ["update"] }',
        )
    found = capabilities.get(SNAPSHOT_PATH, frozenset())
    if not found & {"read", "root"}:
        doing = f"read the snapshot of {leader.address}"
        return failed(name, SnapshotDeniedError(doing, f"the login may not read {SNAPSHOT_PATH}"))
    more = "" if found <= {"read"} else f", and more than a backup needs: {', '.join(sorted(found))}"
    remedy = "" if not more else "give runs a login of their own; bao-backup policy prints the least rights"
    return passed(name, f"the login may read {SNAPSHOT_PATH}{more}", remedy)


def clock_offset(before: datetime, theirs: datetime, after: datetime) -> timedelta:
    """How far the other clock is ahead of ours (below zero: behind), at least.

    Args:
        before: by our clock, when the question was sent.
        theirs: what the other clock said, perhaps in whole seconds.
        after: by our clock, when the answer was here.
    """
    if theirs > after:
        return theirs - after
    return min(theirs + timedelta(seconds=1) - before, timedelta())


def judge_server_clock(offset: timedelta | None) -> Line:
    """Whether logins will be refused for the clocks' difference; None: the server does not tell its time."""
    doing = "compare this machine's clock with the server's"
    return _judge_clock("serverClock", "server", offset, lambda why: ServerClockError(doing, why))


def judge_store_clock(offset: timedelta) -> Line:
    """Whether requests will be refused for the clocks' difference."""
    doing = "compare this machine's clock with the store's"
    return _judge_clock("storeClock", "store", offset, lambda why: StorageClockError(doing, why))


def _judge_clock(
    name: str, whose: str, offset: timedelta | None, error: Callable[[str], BaoBackupError]
) -> Line:
    if offset is None:
        return skipped(name, f"the {whose} does not tell its time")
    apart = abs(offset)
    if apart < timedelta(seconds=2):
        return passed(name, f"the clocks of this machine and the {whose} agree")
    ahead = "ahead of" if offset > timedelta() else "behind"
    words = f"the {whose}'s clock is {duration_in_words(apart)} {ahead} this machine's"
    if apart > TOLERATED:
        return failed(name, error(words))
    remedy = "set both clocks (NTP): further apart, logins are refused" if apart > SUSPICIOUS else ""
    return passed(name, words, remedy)


def judge_slot(next_start: datetime | None, now: datetime, *, suspended: bool = False) -> Line:
    """When the next backup comes; None: nobody here knows the schedule."""
    if next_start is None:
        return skipped("nextSlot", "no schedule is known here: only a document has one")
    words = f"{time_in_words(next_start)}, {age_in_words(next_start, now)}"
    if suspended:
        remedy = "set spec.backup.suspend to false when backups shall be taken"
        return passed("nextSlot", f"none: spec.backup.suspend is true; else {words}", remedy)
    return passed("nextSlot", words)


def not_given_back(error: BaoBackupError) -> Line:
    """A token that lives on costs a warning, no backup."""
    remedy = 'the policy needs: path "auth/token/revoke-self" { capabilities = ["update"] }'
    return not_permitted("revoke", f"the login's token is not given back: {error.why}", remedy)


# --- the result of a check that runs as a Job ---------------------------------------------------


def result_of(report: CheckReport, *, started: datetime, finished: datetime) -> Result:
    """The report as an executor's result: what failed, each with its remedy, else that all is proven."""
    bad = report.failed
    counts = ", ".join(
        f"{count} {words}"
        for state, words in ((LineState.PASSED, "passed"), (LineState.NOT_PERMITTED, "not permitted"))
        if (count := sum(line.state is state for line in report.lines))
    )
    return Result(
        outcome=Outcome.FAILED if bad else Outcome.SUCCEEDED,
        reason=bad[0].reason if bad else "ConfigurationProven",
        message=in_one_line(bad) if bad else f"the configuration is proven: {counts}",
        exit_code=report.exit_code,
        started=started,
        finished=finished,
        trigger=Trigger.MANUAL,
    )


def in_one_line(lines: Sequence[Line]) -> str:
    """Lines with their remedies, one behind the other."""
    told = (
        f"{line.name}: {line.words}; {line.remedy}" if line.remedy else f"{line.name}: {line.words}"
        for line in lines
    )
    return " | ".join(told)
