"""What the facts of a store mean for backups: each becomes a line of a check."""

from __future__ import annotations

import math
from datetime import timedelta

from bao_backup.core.check import Line, failed, not_permitted, passed, skipped
from bao_backup.core.errors import StorageError
from bao_backup.core.model import Value
from bao_backup.core.naming import PRE_UPGRADE_KIND
from bao_backup.core.policies.lifecycle import CENTURY
from bao_backup.core.retention import ClassPolicy, RetentionPolicy
from bao_backup.core.store_facts import ExpiryRule, StoreFacts, Unseen
from bao_backup.core.words import count_in_words, size_in_words

#: The lines that the facts give, in their order.
FACTS = ("versioning", "lock", "lifecycle", "uploads", "encryption", "space")
_DAY = 24 * 3600
#: Days that a count of a keep rule stands for, at most.
_LENGTHS = {"hourly": 1 / 24, "daily": 1, "weekly": 7, "monthly": 31, "yearly": 366}


class WantedOfStore(Value, frozen=True, kw_only=True):
    """What the configuration expects of the store."""

    #: The folder of the backups.
    prefix: str
    retention: RetentionPolicy | None = None
    #: Days that each object is to be locked; 0: it is not.
    lock_days: int = 0
    #: How the uploads ask to be encrypted; empty: as the store likes.
    encryption: str = ""
    #: How long a run may take, in seconds.
    deadline_seconds: float = 0
    #: Bytes of the largest backup that is there; 0: there is none.
    largest: int = 0


def judge_facts(facts: StoreFacts, wanted: WantedOfStore) -> tuple[Line, ...]:
    """A line for each fact."""
    return (
        _versioning(facts, wanted),
        _lock(facts, wanted),
        _lifecycle(facts, wanted),
        _uploads(facts, wanted),
        _encryption(facts, wanted),
        _space(facts, wanted),
    )


def _unseen(name: str, what: str, why: Unseen) -> Line:
    if why is Unseen.NOT_PERMITTED:
        return not_permitted(
            name,
            f"the identity may not see {what}",
            "nothing needs it but this check; whoever owns the store knows",
        )
    return skipped(name, f"the store does not tell {what}")


def _versioning(facts: StoreFacts, wanted: WantedOfStore) -> Line:
    name = "versioning"
    if isinstance(facts.versioning, Unseen):
        return _unseen(name, "whether it keeps old versions", facts.versioning)
    if not facts.versioning:
        return passed(name, "off: what is deleted is gone")
    stays = "on: what retention drops stays as an old version" if drops(wanted.retention) else "on"
    remedy = "let a rule of the store remove old versions after some days" if drops(wanted.retention) else ""
    return passed(name, stays, remedy)


def _lock(facts: StoreFacts, wanted: WantedOfStore) -> Line:
    name = "lock"
    if isinstance(facts.lock, Unseen):
        line = _unseen(name, "whether objects can be locked", facts.lock)
        if not wanted.lock_days:
            return line
        return not_permitted(name, line.words, "the first backup shows whether objectLock works there")
    if not facts.lock:
        if not wanted.lock_days:
            return passed(name, "off: whoever may delete can delete backups")
        why = f"objectLock asks for {count_in_words(wanted.lock_days, 'day')}, and the store locks nothing"
        hint = "make a bucket with object lock, or take objectLock out of spec.backup.target"
        return failed(name, StorageError("look at the store's object lock", why, hint=hint))
    by_itself = f"; by itself the store locks each object: {facts.lock_default}" if facts.lock_default else ""
    if wanted.lock_days:
        asked = f"on, and each backup is locked for {count_in_words(wanted.lock_days, 'day')}"
        return passed(name, f"{asked}{by_itself}; the right to lock is shown by the first backup")
    return passed(name, f"on{by_itself or ', and nothing asks for it'}")


def _lifecycle(facts: StoreFacts, wanted: WantedOfStore) -> Line:
    name = "lifecycle"
    if isinstance(facts.lifecycle, Unseen):
        return _unseen(name, "its rules for old objects", facts.lifecycle)
    concerned = [rule for rule in facts.lifecycle if _concerns(rule, f"{wanted.prefix}/")]
    if not concerned:
        return passed(name, "no rule of the store removes backups")
    told = ", ".join(_told(rule) for rule in concerned)
    early = [words for rule in concerned for words in _too_early(rule, wanted)]
    if not early:
        return passed(name, f"{told}: not before the retention does")
    remedy = "make the rule later than the retention, or take it away: a rule never keeps the last good one"
    return passed(name, f"{told}, and {'; '.join(early)}", remedy)


def _told(rule: ExpiryRule) -> str:
    named = f"the rule {rule.id}" if rule.id else "a rule"
    some = " some" if rule.conditional else ""
    return f"{named} removes{some} objects after {count_in_words(rule.days, 'day')}"


def _concerns(rule: ExpiryRule, beginning: str) -> bool:
    """Whether it may take objects whose keys begin so."""
    return beginning.startswith(rule.prefix) or rule.prefix.startswith(beginning)


def _too_early(rule: ExpiryRule, wanted: WantedOfStore) -> list[str]:
    """What of the policy the rule takes away, for each class that it concerns."""
    retention = wanted.retention
    classes: list[tuple[str, str, ClassPolicy | None]] = [("", CENTURY, retention)]
    if retention is not None and retention.pre_upgrade is not None:
        classes.append((f" of the class {PRE_UPGRADE_KIND}", f"{PRE_UPGRADE_KIND}-", retention.pre_upgrade))
    found: list[str] = []
    for whose, beginning, policy in classes:
        if not _concerns(rule, f"{wanted.prefix}/{beginning}"):
            continue
        kept = kept_days(policy)
        if kept is None:
            found.append(f"backups{whose} are to be kept without a limit of age")
        elif rule.days < kept:
            found.append(f"backups{whose} are to be kept for {count_in_words(math.ceil(kept), 'day')}")
    return found


def kept_days(policy: ClassPolicy | None) -> float | None:
    """For how many days the policy may keep a backup; None: for as long as it likes."""
    if policy is None or not (policy.has_limit or policy.keep_rules):
        return None
    if policy.has_limit and policy.max_age is None:
        return None  # maxCount alone: nobody knows how long so many take
    by_age = policy.max_age / timedelta(days=1) if policy.max_age is not None else 0.0
    return max([by_age, *(_LENGTHS[rule] * count for rule, count, _ in policy.keep_rules)])


def _uploads(facts: StoreFacts, wanted: WantedOfStore) -> Line:
    name = "uploads"
    if isinstance(facts.abandoned, Unseen):
        return _unseen(name, "what becomes of unfinished uploads", facts.abandoned)
    concerned = [rule.days for rule in facts.abandoned if _concerns(rule, f"{wanted.prefix}/")]
    if not concerned:
        return passed(name, "no rule removes unfinished uploads: each run removes those of its own cluster")
    days = min(concerned)
    words = f"unfinished uploads are removed after {count_in_words(days, 'day')}"
    if days * _DAY < wanted.deadline_seconds:
        return passed(name, words, "that is before a run must end: make the rule later")
    return passed(name, words)


def _encryption(facts: StoreFacts, wanted: WantedOfStore) -> Line:
    name = "encryption"
    if wanted.encryption:
        return passed(name, f"asked for with each upload: {wanted.encryption}")
    if isinstance(facts.encryption, Unseen):
        return _unseen(name, "how it encrypts", facts.encryption)
    return passed(name, f"by the store itself: {facts.encryption}" if facts.encryption else "none")


def _space(facts: StoreFacts, wanted: WantedOfStore) -> Line:
    name = "space"
    if facts.free is None:
        return skipped(name, "the store does not tell how much is free")
    words = "; ".join(part for part in (f"{size_in_words(facts.free)} are free", facts.access) if part)
    if facts.free < wanted.largest:
        needed = f"the largest backup has {size_in_words(wanted.largest)}: free space, or keep fewer"
        return passed(name, words, needed)
    return passed(name, words)


def drops(retention: RetentionPolicy | None) -> bool:
    """Whether anything is ever dropped by it."""
    if retention is None:
        return False
    policies = (retention, retention.pre_upgrade)
    return any(policy is not None and (policy.has_limit or policy.keep_rules) for policy in policies)
