"""What the CRDs' schemas say in CEL: the checks of single texts, and the rules between fields.

Both say what the structs' own checks and `faults` say, so that a wrong document is refused when it
is applied. What CEL cannot say (whether a time zone is in the database, say) the manager still tells
in a condition. A rule must never refuse what the structs accept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bao_backup.adapters.kubernetes.crd_rule import Rule, has
from bao_backup.adapters.kubernetes.crd_target_rules import TARGET_RULES
from bao_backup.core.backup_spec import Backup
from bao_backup.core.connection import parse_address
from bao_backup.core.documents import Check
from bao_backup.core.fields import (
    check_age,
    check_bucket,
    check_endpoint,
    check_folder,
    check_host,
    check_mount,
    check_object_name,
    check_proxy,
    check_schedule,
    check_secret_key,
)
from bao_backup.core.login import Auth
from bao_backup.core.model import Value
from bao_backup.core.naming import checked_path_prefix
from bao_backup.core.restore_spec import RestoreSource, RestoreSpec, check_digest
from bao_backup.core.schedule import check_time_zone
from bao_backup.core.servers import Connection
from bao_backup.core.storage import check_key
from bao_backup.core.store_options import check_storage_class


class TextRule(NamedTuple):
    """What a text that is not empty must look like. The patterns mean the same to RE2 and Python."""

    #: What people are told.
    expected: str
    #: The whole of it matches this.
    right: str
    #: No part of it matches this.
    wrong: str = ""
    #: Characters; None where the struct has the bound.
    longest: int | None = None

    def cel(self) -> dict[str, str]:
        """The rule as the schema has it."""
        rule = f"self == '' || self.matches(r'^(?:{self.right})$')"
        if self.wrong:
            rule = f"self == '' || (self.matches(r'^(?:{self.right})$') && !self.matches(r'{self.wrong}'))"
        return {"rule": rule, "message": self.expected}


_NAME = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]+\])"
_SCHEME = r"[hH][tT][tT][pP][sS]?"
_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h)"
_STEP = r"(?:^|/)\.\.?(?:/|$)"

#: The check of a struct's field -> the same for the API server.
TEXTS: Mapping[Check, TextRule] = {
    check_object_name: TextRule(
        "expected a Kubernetes name: lower-case letters, digits, - and .",
        rf"{_NAME}(?:\.{_NAME})*",
        longest=253,
    ),
    check_bucket: TextRule(
        "expected a bucket's name: letters, digits, ., _ and -", r"[A-Za-z0-9][A-Za-z0-9._-]*"
    ),
    check_secret_key: TextRule(
        "expected a key of a Secret: letters, digits, ., _ and -", r"[A-Za-z0-9._-]+", r"^\.\.?$"
    ),
    check_mount: TextRule(
        'expected a mount such as "jwt" or "team/jwt", without "auth/" before it',
        r"[^/ ]+(?:/[^/ ]+)*/?",
        r"^auth/",
    ),
    check_folder: TextRule('expected an absolute path, without ".."', r"/.*", r"(?:^|/)\.\.(?:/|$)"),
    check_endpoint: TextRule(
        'expected a URL like "https://s3.example.com", without user name, query or fragment',
        rf"{_SCHEME}://{_HOST}(?::0*[1-9][0-9]{{0,4}})?(?:/[^?# ]*)?\??#?",
    ),
    check_proxy: TextRule(
        'expected a URL like "http://proxy.example.com:3128", without user name or path',
        rf"[hH][tT][tT][pP]://{_HOST}(?::0*[1-9][0-9]{{0,4}})?/?\??#?",
    ),
    check_storage_class: TextRule(
        'expected a name such as "STANDARD_IA" or "Cool"', r"[A-Za-z][A-Za-z0-9_-]*"
    ),
    check_host: TextRule('expected a host\'s name, as "bao.example.com"', _HOST),
    check_age: TextRule(
        'expected a Go duration of more than 0, like "168h" or "1h30m" (there is no d or w)',
        rf"\+?(?:{_NUMBER})+",
        r"^[^1-9]*$",
        longest=100,
    ),
    check_schedule: TextRule(
        "expected five fields (minute hour day-of-month month day-of-week), @hourly, @daily, @weekly, "
        '@monthly, @yearly, or "@every 5m"',
        r" *(?:(?:CRON_)?TZ=[^ ]+ +)?(?:@[A-Za-z]+(?: .*)?|[^ @]+(?: +[^ ]+){4}) *",
        longest=256,
    ),
    check_time_zone: TextRule(
        'expected a name of the IANA time zone database, as "UTC" or "Europe/Berlin"',
        r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*",
        longest=100,
    ),
    parse_address: TextRule(
        'expected a URL like "https://host:8200", without user name or path',
        rf" *{_SCHEME}://[^/?#@]+/?\??#?",
    ),
    checked_path_prefix: TextRule(
        'expected a path of folders, none of them empty, "." or ".."',
        r"/*(?:[^/]+(?:/[^/]+)*)?/*",
        _STEP,
    ),
    check_key: TextRule(
        'expected a key like "prefix/namespace/cluster/name.snap", no part of it empty, "." or ".."',
        r"[^/]+(?:/[^/]+)*",
        _STEP,
    ),
    check_digest: TextRule('expected "sha256:" and 64 lower-case hex digits', r"sha256:[a-f0-9]{64}"),
}


def _names_secret(field: str) -> str:
    return f"(has(self.{field}) && has(self.{field}.name) && self.{field}.name != '')"


_SHOWS_A_JWT = "self.method in ['jwt', 'kubernetes']"
_TIME_ZONES_AGREE = (
    "!self.schedule.matches(r'^ *(CRON_)?TZ=') || !has(self.timeZone) || self.timeZone == 'UTC' || "
    "self.schedule.contains('TZ=' + self.timeZone + ' ')"
)


_ONE_LOGIN = (
    Rule(
        "jwtAuthRole",
        f"!has(self.auth) || !{has('jwtAuthRole')}",
        "expected one login, and there is auth beside it",
    ),
    Rule(
        "tokenSecretRef",
        f"!(has(self.auth) || {has('jwtAuthRole')}) || !{_names_secret('tokenSecretRef')}",
        "expected one login, and there is auth or jwtAuthRole beside it",
    ),
)

#: What `faults` of a struct says, as far as CEL can say it.
RULES: Mapping[type[Value], tuple[Rule, ...]] = {
    **TARGET_RULES,
    Backup: (
        Rule(
            "retentionPolicy",
            "!has(self.retention) || !has(self.retentionPolicy)",
            "expected either retention or retentionPolicy: they are the same",
        ),
        *_ONE_LOGIN,
        Rule(
            "timeZone", _TIME_ZONES_AGREE, "expected one time zone, and the schedule names another beside it"
        ),
    ),
    Auth: (
        Rule(
            "role",
            f"!({_SHOWS_A_JWT}) || {has('role')}",
            "expected the role, for method jwt or kubernetes",
        ),
        Rule(
            "secretRef",
            f"!({_SHOWS_A_JWT}) || !{_names_secret('secretRef')}",
            "expected only with method approle, userpass or token",
        ),
        Rule(
            "role",
            f"{_SHOWS_A_JWT} || !{has('role')}",
            "expected only with method jwt or kubernetes",
        ),
        Rule(
            "audience",
            f"{_SHOWS_A_JWT} || !{has('audience')}",
            "expected only with method jwt or kubernetes",
        ),
        Rule(
            "",
            f"{_SHOWS_A_JWT} || {_names_secret('secretRef')} != {has('file')}",
            "expected either secretRef or file, for method approle, userpass or token",
        ),
    ),
    Connection: (
        Rule(
            "",
            "(has(self.addresses) && self.addresses.size() > 0) != has(self.service)",
            "expected either addresses or service",
        ),
        Rule(
            "caFile",
            f"!has(self.caSecretRef) || !{has('caFile')}",
            "expected either caSecretRef or caFile",
        ),
    ),
    RestoreSource: (
        Rule(
            "",
            f"[{has('key')}, has(self.latest) && self.latest, has(self.before)]"
            ".filter(each, each).size() == 1",
            "expected one of key, latest and before",
        ),
    ),
    RestoreSpec: (
        *_ONE_LOGIN,
        Rule(
            "overrideOperationLock",
            "!self.overrideOperationLock || self.force",
            "expected only with force: true",
        ),
        Rule("", "self == oldSelf", "expected no change: a restore is made once, by a document of its own"),
    ),
}
