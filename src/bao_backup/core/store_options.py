"""What a target may ask of its store beyond keeping bytes, and which kind of store has it.

The limits are those of the strictest store that has the option, so that a document moves from one
to another: ten tags with keys of 128 and values of 256 characters (Amazon S3 User Guide,
"Categorizing your objects using tags"; Azure Storage, "Set Blob Tags"), 2 KiB of metadata in ASCII
(Amazon S3 User Guide, "Working with object metadata") whose names are identifiers (Azure Storage,
"Setting and retrieving properties and metadata").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from bao_backup.core.errors import ConfigurationError

#: The metadata of one object, names and values together, in bytes.
LARGEST_METADATA = 2048
#: The least bandwidth, in bytes a second: with less, the largest part would take more than a day,
#: after which an upload counts as dead.
LEAST_BANDWIDTH = 64 * 1024

_TAG = re.compile(r"[A-Za-z0-9 +\-.:=_/]*")
_METADATA_NAME = re.compile(r"[a-z][a-z0-9_]{0,127}")
_METADATA_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_STORAGE_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class LockMode(StrEnum):
    """How an object is locked, in S3's words.

    GOVERNANCE is Google's and Azure's `Unlocked`: who has a right of its own may end it before.
    COMPLIANCE is their `Locked`: nobody may, and it can only be made longer.
    """

    GOVERNANCE = "GOVERNANCE"
    COMPLIANCE = "COMPLIANCE"


_A_FOLDER = "a folder has no such thing"
#: Kind of store -> the fields of a target that it has not, and why.
LACKS: Mapping[str, Mapping[str, str]] = {
    "s3": {},
    "azure": {},
    "gcs": {"tags": "Google's objects have no tags; use metadata"},
    "file": {
        "storageClass": _A_FOLDER,
        "tags": _A_FOLDER,
        "metadata": _A_FOLDER,
        "objectLock": "files cannot be locked; use snapshots of the volume",
        "proxy": "nothing is sent",
    },
}
#: Kind of store -> storage classes whose objects are not there at once when they are asked for.
ASLEEP: Mapping[str, frozenset[str]] = {
    "s3": frozenset({"GLACIER", "DEEP_ARCHIVE"}),
    "azure": frozenset({"Archive", "archive"}),
}


def fault_of_storage_class(provider: str, storage_class: str) -> str:
    """What is expected in its place; empty when it is right."""
    if storage_class in ASLEEP.get(provider, frozenset()):
        return "expected a class that can be read at once: receipts, verify and restore read it"
    return ""


def check_storage_class(text: str) -> None:
    """See that it is a name such as the stores have. Raises ConfigurationError."""
    if _STORAGE_CLASS.fullmatch(text) is None:
        raise ConfigurationError(f"read {text[:100]!r}", 'expected a name such as "STANDARD_IA" or "Cool"')


def fault_of_tags(tags: Mapping[str, str]) -> str:
    """What is expected in their place; empty when they are right. How many there are is looked at before."""
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or _TAG.fullmatch(key) is None or key.lower().startswith("aws:"):
            return "expected keys of 1 to 128 letters, digits, spaces and + - . : = _ /, not aws: before them"
        if _TAG.fullmatch(value) is None:
            return "expected values of letters, digits, spaces and + - . : = _ /"
    return ""


def fault_of_metadata(metadata: Mapping[str, str]) -> str:
    """What is expected in its place; empty when it is right."""
    for name, value in metadata.items():
        if _METADATA_NAME.fullmatch(name) is None:
            return "expected names of lower-case letters, digits and _, that begin with a letter"
        if _METADATA_VALUE.fullmatch(value) is None:
            return "expected values in ASCII, not empty and without spaces around them"
    if sum(len(name) + len(value) for name, value in metadata.items()) > LARGEST_METADATA:
        return f"expected at most {LARGEST_METADATA} bytes in all, names and values"
    return ""
