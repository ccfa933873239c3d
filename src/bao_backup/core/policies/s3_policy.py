"""The rights of a run in an S3 bucket, as an IAM policy: for AWS, and for MinIO.

Sources: AWS Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3";
Amazon S3 User Guide, "Multipart upload API and permissions"; AWS KMS Developer Guide, "Condition keys".
Which action is needed for what is tested on MinIO, one taken away after the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from bao_backup.core.policies.asked import Asked, Purpose

VERSION = "2012-10-17"
#: What a policy can hold (IAM API Reference, the pattern of PolicyDocument), and how it writes
#: characters that mean something to it (IAM User Guide, "IAM policy elements: variables").
_BEYOND = re.compile(r"[^\x20-\xff]")
_SPECIAL = re.compile(r"[*?$]")

Statement = dict[str, Any]


def is_amazon(asked: Asked) -> bool:
    """Whether the target is Amazon's own, and not another store that speaks S3."""
    host = urlsplit(asked.store.endpoint).hostname or ""
    return not host or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def partition(asked: Asked) -> str:
    """The first part of ARNs: of the role where there is one, else of the region."""
    parts = asked.store.role_arn.split(":")
    if len(parts) > 2 and parts[0] == "arn" and parts[1].startswith("aws"):
        return parts[1]
    if asked.store.region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if asked.store.region.startswith("us-gov-") else "aws"


def aws_policy(asked: Asked) -> dict[str, Any]:
    """What the role or the user of the runs needs on AWS, and nothing else."""
    tagging = ["s3:PutObjectTagging"] if asked.store.tags else []
    statements = _statements(asked, f"arn:{partition(asked)}:s3:::", _escaped, [*tagging, *_locking(asked)])
    return _policy([*statements, *_encryption(asked)])


def minio_policy(asked: Asked) -> dict[str, Any]:
    """The same as MinIO takes it; with a role, for this ServiceAccount's tokens alone.

    MinIO asks for no right to set tags, and keeps the rights to its KMS elsewhere.
    """
    statements = _statements(asked, "arn:aws:s3:::", lambda text: text, _locking(asked))
    if asked.store.role_arn:
        for statement in statements:
            condition = statement.setdefault("Condition", {})
            condition["StringEquals"] = {"jwt:sub": asked.token_subject}
    return _policy(statements)


def object_actions(asked: Asked) -> list[str]:
    """What is done with single objects, but for what concerns receipts alone."""
    if asked.purpose is Purpose.VERIFY:
        return ["s3:GetObject"]
    # A restore reads, and takes its safety backup as any run does.
    return [
        *("s3:PutObject", "s3:GetObject"),
        *(["s3:DeleteObject"] if asked.drops else []),
        *("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
    ]


def _statements(asked: Asked, arn: str, escaped: Any, extra: Sequence[str]) -> list[Statement]:
    bucket, prefix = f"{arn}{asked.store.bucket}", escaped(asked.prefix)
    actions = object_actions(asked)
    writes = "s3:PutObject" in actions
    found = [_allow("Backups", [*actions, *(extra if writes else [])], f"{bucket}/{prefix}/*")]
    if asked.purpose is Purpose.VERIFY:
        found.append(
            _allow("Receipts", ["s3:PutObject", "s3:DeleteObject", *extra], f"{bucket}/{prefix}/*.snap.json")
        )
    listing = _allow("List", ["s3:ListBucket"], bucket)
    # Amazon also asks for this right, with the key as the prefix, before it says that there is no such key.
    listing["Condition"] = {"StringLike": {"s3:prefix": [f"{prefix}/*"]}}
    found.append(listing)
    if asked.purpose is not Purpose.VERIFY:
        # The whole bucket's: MinIO finds none when it is asked for a folder's.
        found.append(_allow("Leftovers", ["s3:ListBucketMultipartUploads"], bucket))
    return found


def _locking(asked: Asked) -> list[str]:
    """To lock what was written; to read the lock is for buckets whose own is longer, and stays."""
    return ["s3:PutObjectRetention", "s3:GetObjectRetention"] if asked.store.lock_mode else []


def _encryption(asked: Asked) -> Iterable[Statement]:
    """The rights to a key of one's own; Amazon's own key for S3 needs none."""
    key = asked.store.kms_key_id
    if not key:
        return
    region, domain = asked.store.region or "*", "amazonaws.com"
    if partition(asked) == "aws-cn":
        domain = "amazonaws.com.cn"
    condition: dict[str, Any] = {"StringLike": {"kms:ViaService": f"s3.{region}.{domain}"}}
    resource = f"arn:{partition(asked)}:kms:{region}:*:key/{key}"
    if key.startswith("arn:") and ":alias/" not in key:
        resource = key
    elif "alias/" in key:
        alias = key[key.index("alias/") :]
        resource = f"arn:{partition(asked)}:kms:{region}:*:key/*"
        condition["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": alias}
    # Decrypt is for parts, too: S3 reads them when the upload is completed.
    statement = _allow("Encryption", ["kms:GenerateDataKey", "kms:Decrypt"], resource)
    yield statement | {"Condition": condition}


def _allow(sid: str, actions: Iterable[str], resource: str) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def _policy(statements: list[Statement]) -> dict[str, Any]:
    return {"Version": VERSION, "Statement": statements}


def _escaped(text: str) -> str:
    """The text as AWS takes it literally; a character that no policy can hold becomes any one."""
    return _BEYOND.sub("?", _SPECIAL.sub(lambda found: f"${{{found[0]}}}", text))
