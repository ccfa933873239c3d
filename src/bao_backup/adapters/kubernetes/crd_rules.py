"""What the CRDs' schemas say in CEL: the checks of single texts, and the rules between fields.

Both say what the structs' own checks and `faults` say, so that a wrong document is refused when it
is applied. What CEL cannot say (whether a time zone is in the database, say) the manager still tells
in a condition. A rule must never refuse what the structs accept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

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
from bao_backup.core.store_options import ASLEEP, LACKS, LARGEST_METADATA, check_storage_class
from bao_backup.core.target import NO_CUSTOMER_KEYS, NO_SCOPE, AzureOptions, S3Options, Target


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


class Rule(NamedTuple):
    """A rule of an object. `rule` is CEL, `self` the object."""

    #: The field that is told as wrong; "" for the object itself.
    field: str
    rule: str
    expected: str

    def cel(self) -> dict[str, str]:
        """The rule as the schema has it."""
        place = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.rule, "message": self.expected} | place


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


def _has(field: str) -> str:
    """The text is there and not empty."""
    return f"(has(self.{field}) && self.{field} != '')"


def _names_secret(field: str) -> str:
    return f"(has(self.{field}) && has(self.{field}.name) && self.{field}.name != '')"


def _only_with(field: str, given: str, provider: str) -> Rule:
    return Rule(
        field, f"!{given} || self.provider == '{provider}'", f"expected only with provider {provider}"
    )


_SHOWS_A_JWT = "self.method in ['jwt', 'kubernetes']"
_TIME_ZONES_AGREE = (
    "!self.schedule.matches(r'^ *(CRON_)?TZ=') || !has(self.timeZone) || self.timeZone == 'UTC' || "
    "self.schedule.contains('TZ=' + self.timeZone + ' ')"
)


def _lacks() -> tuple[Rule, ...]:
    """The options that a kind of store has not."""
    return tuple(
        Rule(
            field,
            f"!{_given(field)} || self.provider != '{provider}'",
            f"expected none with provider {provider}: {why}",
        )
        for provider, options in LACKS.items()
        for field, why in options.items()
    )


def _given(field: str) -> str:
    if field in {"tags", "metadata"}:
        return f"(has(self.{field}) && self.{field}.size() > 0)"
    return f"has(self.{field})" if field == "objectLock" else _has(field)


def _asleep(provider: str, condition: str = "") -> Rule:
    """A storage class whose objects cannot be read at once."""
    classes = ", ".join(f"'{name}'" for name in sorted(ASLEEP[provider]))
    return Rule(
        "storageClass",
        f"!({condition}has(self.storageClass) && self.storageClass in [{classes}])",
        "expected a class that can be read at once: receipts, verify and restore read it",
    )


def _said_once(field: str, given: str, elsewhere: str) -> Rule:
    return Rule(
        field,
        f"!({given} && has(self.s3) && {elsewhere})",
        f"expected either {field} or s3.{field}: they are the same",
    )


_TAG = r"[A-Za-z0-9 +\-.:=_/]"
_TAGS = (
    Rule(
        "tags",
        "!has(self.tags) || self.tags.all(k, "
        f"k.matches(r'^{_TAG}{{1,128}}$') && !k.lowerAscii().startsWith('aws:'))",
        "expected keys of 1 to 128 letters, digits, spaces and + - . : = _ /, not aws: before them",
    ),
    Rule(
        "tags",
        f"!has(self.tags) || self.tags.all(k, self.tags[k].matches(r'^{_TAG}*$'))",
        "expected values of letters, digits, spaces and + - . : = _ /",
    ),
)
_METADATA = (
    Rule(
        "metadata",
        "!has(self.metadata) || self.metadata.all(k, k.matches(r'^[a-z][a-z0-9_]{0,127}$'))",
        "expected names of lower-case letters, digits and _, that begin with a letter",
    ),
    Rule(
        "metadata",
        "!has(self.metadata) || self.metadata.all(k, self.metadata[k].matches(r'^[!-~]([ -~]*[!-~])?$'))",
        "expected values in ASCII, not empty and without spaces around them",
    ),
    Rule(
        "metadata",
        "!has(self.metadata) || self.metadata.map(k, k.size() + self.metadata[k].size()).sum() "
        f"<= {LARGEST_METADATA}",
        f"expected at most {LARGEST_METADATA} bytes in all, names and values",
    ),
)


_ONE_LOGIN = (
    Rule(
        "jwtAuthRole",
        f"!has(self.auth) || !{_has('jwtAuthRole')}",
        "expected one login, and there is auth beside it",
    ),
    Rule(
        "tokenSecretRef",
        f"!(has(self.auth) || {_has('jwtAuthRole')}) || !{_names_secret('tokenSecretRef')}",
        "expected one login, and there is auth or jwtAuthRole beside it",
    ),
)

#: What `faults` of a struct says, as far as CEL can say it.
RULES: Mapping[type[Value], tuple[Rule, ...]] = {
    Target: (
        Rule(
            "path",
            f"self.provider != 'file' || {_has('path')}",
            "expected the folder, for provider file",
        ),
        Rule(
            "bucket",
            f"self.provider == 'file' || {_has('bucket')}",
            "expected a text that is not empty, unless the provider is file",
        ),
        _only_with("path", _has("path"), "file"),
        _only_with("roleArn", _has("roleArn"), "s3"),
        _only_with("s3", "has(self.s3)", "s3"),
        _only_with("gcs", "has(self.gcs)", "gcs"),
        _only_with("azure", "has(self.azure)", "azure"),
        *_lacks(),
        *(_asleep(provider, f"self.provider == '{provider}' && ") for provider in ASLEEP),
        _said_once(
            "storageClass", _has("storageClass"), "has(self.s3.storageClass) && self.s3.storageClass != ''"
        ),
        _said_once("tags", _given("tags"), "has(self.s3.tags) && self.s3.tags.size() > 0"),
        *_TAGS,
        *_METADATA,
    ),
    AzureOptions: (
        Rule(
            "encryptionScope",
            f"!{_has('encryptionScope')}",
            NO_SCOPE,
        ),
    ),
    S3Options: (
        Rule(
            "sse",
            "!has(self.sse) || self.sse != 'SSE-C'",
            NO_CUSTOMER_KEYS,
        ),
        _asleep("s3"),
        *_TAGS,
        Rule(
            "sse",
            f"!{_has('kmsKeyId')} || (has(self.sse) && self.sse in ['aws:kms', 'aws:kms:dsse'])",
            "expected aws:kms or aws:kms:dsse, since there is a kmsKeyId",
        ),
        Rule(
            "stsEndpoint",
            f"!{_has('stsEndpoint')} || self.stsEndpoint.startsWith('https://')",
            "expected a URL with https",
        ),
    ),
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
            f"!({_SHOWS_A_JWT}) || {_has('role')}",
            "expected the role, for method jwt or kubernetes",
        ),
        Rule(
            "secretRef",
            f"!({_SHOWS_A_JWT}) || !{_names_secret('secretRef')}",
            "expected only with method approle, userpass or token",
        ),
        Rule(
            "role",
            f"{_SHOWS_A_JWT} || !{_has('role')}",
            "expected only with method jwt or kubernetes",
        ),
        Rule(
            "audience",
            f"{_SHOWS_A_JWT} || !{_has('audience')}",
            "expected only with method jwt or kubernetes",
        ),
        Rule(
            "",
            f"{_SHOWS_A_JWT} || {_names_secret('secretRef')} != {_has('file')}",
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
            f"!has(self.caSecretRef) || !{_has('caFile')}",
            "expected either caSecretRef or caFile",
        ),
    ),
    RestoreSource: (
        Rule(
            "",
            f"[{_has('key')}, has(self.latest) && self.latest, has(self.before)]"
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
