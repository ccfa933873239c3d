"""Which right is missing where a store denies something: as the store names it, or as its documents do.

Sources: Amazon S3 User Guide, "Required permissions for Amazon S3 API operations"; Cloud Storage
documentation, "IAM permissions for JSON methods"; Azure Storage REST API Reference, "Permissions for
Blob service operations" and "Create an account SAS".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_ROLE = "the role Storage Blob Data Contributor has it; in a SAS it is"
_WITHOUT_LIST = "s3:GetObject, and s3:ListBucket on the bucket (without it what is not there is denied, too)"

#: Vendor, and what was tried (as errors say it) -> what the credentials need for that.
NEEDED: Mapping[tuple[str, str], str] = {
    ("s3", "upload"): "s3:PutObject",
    ("s3", "create"): "s3:PutObject",
    ("s3", "read"): _WITHOUT_LIST,
    ("s3", "look at"): _WITHOUT_LIST,
    ("s3", "list"): "s3:ListBucket on the bucket",
    ("s3", "delete"): "s3:DeleteObject",
    ("s3", "sweep"): "s3:ListBucketMultipartUploads on the bucket, s3:ListMultipartUploadParts"
    " and s3:AbortMultipartUpload",
    ("s3", "lock"): "s3:PutObjectRetention, on a bucket that was made with object lock",
    ("gs", "upload"): "storage.objects.create (and storage.objects.delete to overwrite)",
    ("gs", "create"): "storage.objects.create",
    ("gs", "read"): "storage.objects.get",
    ("gs", "look at"): "storage.objects.get",
    ("gs", "list"): "storage.objects.list",
    ("gs", "delete"): "storage.objects.delete",
    ("azure", "upload"): f"{_BLOBS}/write ({_ROLE} c and w)",
    ("azure", "create"): f"{_BLOBS}/write ({_ROLE} c and w)",
    ("azure", "read"): f"{_BLOBS}/read ({_ROLE} r)",
    ("azure", "look at"): f"{_BLOBS}/read ({_ROLE} r)",
    ("azure", "list"): f"{_BLOBS}/read ({_ROLE} l)",
    ("azure", "delete"): f"{_BLOBS}/delete ({_ROLE} d)",
    ("azure", "lock"): f"{_BLOBS}/immutableStorage/runAsSuperUser/action (the role Storage Blob Data Owner"
    " has it; in a SAS it is i)",
}

#: How Amazon and Google name one: "... is not authorized to perform: s3:PutObject on resource ...",
#: "... does not have storage.objects.create access to ...", "Permission 'storage.objects.get' denied on ...".
_NAMED = (
    re.compile(r"not authorized to perform: ([a-z0-9-]{2,40}:[A-Za-z]{2,60})"),
    re.compile(r"does not have ([a-z]{2,40}\.[A-Za-z.]{2,60}) access"),
    re.compile(r"Permission \\?'([a-z]{2,40}\.[A-Za-z.]{2,60})\\?' denied"),
)


def named_permission(text: str) -> str:
    """The permission that an answer says is missing; empty: it names none."""
    return next((match[1] for pattern in _NAMED if (match := pattern.search(text))), "")


def missing_permission(vendor: str, verb: str, text: str) -> str | None:
    """What to add, as a hint; None where neither the answer nor the documents of the vendor say it."""
    needed = named_permission(text) or NEEDED.get((vendor, verb), "")
    return f"allow these credentials {needed}" if needed else None
