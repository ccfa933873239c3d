"""What the CRDs' schemas say in CEL of a target: what goes with which kind of store, and what of it fits."""

from __future__ import annotations

from collections.abc import Mapping

from bao_backup.adapters.kubernetes.crd_rule import Rule, has
from bao_backup.core.model import Value
from bao_backup.core.store_options import ASLEEP, LACKS, LARGEST_METADATA
from bao_backup.core.target import NO_CUSTOMER_KEYS, NO_SCOPE, AzureOptions, S3Options, Target


def _only_with(field: str, given: str, provider: str) -> Rule:
    return Rule(
        field, f"!{given} || self.provider == '{provider}'", f"expected only with provider {provider}"
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
    return f"has(self.{field})" if field == "objectLock" else has(field)


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

TARGET_RULES: Mapping[type[Value], tuple[Rule, ...]] = {
    Target: (
        Rule(
            "path",
            f"self.provider != 'file' || {has('path')}",
            "expected the folder, for provider file",
        ),
        Rule(
            "bucket",
            f"self.provider == 'file' || {has('bucket')}",
            "expected a text that is not empty, unless the provider is file",
        ),
        _only_with("path", has("path"), "file"),
        _only_with("roleArn", has("roleArn"), "s3"),
        _only_with("s3", "has(self.s3)", "s3"),
        _only_with("gcs", "has(self.gcs)", "gcs"),
        _only_with("azure", "has(self.azure)", "azure"),
        *_lacks(),
        *(_asleep(provider, f"self.provider == '{provider}' && ") for provider in ASLEEP),
        _said_once(
            "storageClass", has("storageClass"), "has(self.s3.storageClass) && self.s3.storageClass != ''"
        ),
        _said_once("tags", _given("tags"), "has(self.s3.tags) && self.s3.tags.size() > 0"),
        *_TAGS,
        *_METADATA,
    ),
    AzureOptions: (
        Rule(
            "encryptionScope",
            f"!{has('encryptionScope')}",
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
            f"!{has('kmsKeyId')} || (has(self.sse) && self.sse in ['aws:kms', 'aws:kms:dsse'])",
            "expected aws:kms or aws:kms:dsse, since there is a kmsKeyId",
        ),
        Rule(
            "stsEndpoint",
            f"!{has('stsEndpoint')} || self.stsEndpoint.startsWith('https://')",
            "expected a URL with https",
        ),
    ),
}
