"""What a store is configured with: the settings, the credentials, and which keys it takes.

Sources: the fields of `spec.backup.target` and the keys of its credentials Secret, as the OpenBao
operator defines them, and the environment variables that the clouds' own tools use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Value
from bao_backup.core.store_options import (
    LACKS,
    LockMode,
    fault_of_metadata,
    fault_of_storage_class,
    fault_of_tags,
)

MIB = 1024 * 1024

#: The smallest part but the last that S3 takes (Amazon S3 User Guide, "multipart upload limits").
MIN_PART_SIZE = 5 * MIB
#: An upload has at most 10,000 parts (the same source).
MAX_PARTS = 10_000
#: S3 and Azure allow keys of 1,024 bytes; a file name has at most 255 on Linux.
MAX_KEY_BYTES = 1024
MAX_SEGMENT_BYTES = 255

#: What runs and managers say of `insecureSkipVerify`.
NOT_VERIFIED = (
    "the store's certificate is not verified (spec.backup.target.insecureSkipVerify): whoever is between "
    "may read and change backups; give the store's CA as caCert beside its credentials"
)

#: Every name under which a credential may be given: its name here -> all its spellings.
CREDENTIAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "accessKeyId": ("accessKeyId", "AWS_ACCESS_KEY_ID"),
    "secretAccessKey": ("secretAccessKey", "AWS_SECRET_ACCESS_KEY"),
    "sessionToken": ("sessionToken", "AWS_SESSION_TOKEN"),
    "region": ("region", "AWS_REGION", "AWS_DEFAULT_REGION"),
    "caCert": ("caCert",),
    "accountKey": ("accountKey", "AZURE_STORAGE_KEY"),
    "connectionString": ("connectionString", "AZURE_STORAGE_CONNECTION_STRING"),
    "sasToken": ("sasToken", "AZURE_STORAGE_SAS_TOKEN"),
    "clientId": ("clientId", "AZURE_CLIENT_ID"),
    "tenantId": ("tenantId", "AZURE_TENANT_ID"),
    "clientSecret": ("clientSecret", "AZURE_CLIENT_SECRET"),
    "credentials.json": ("credentials.json",),
}


class StoreSettings(Value, frozen=True, kw_only=True):
    """Where backups are kept, and how to talk to it: never a secret. Sizes in bytes, times in seconds."""

    #: Which kind of store: a name of the list in `adapters.stores`.
    provider: str
    #: Bucket or container; unused by `file`.
    bucket: str = ""
    #: `azure` only: the storage account; empty: the one of the connection string, or the environment.
    account: str = ""
    #: `file` only: the folder, absolute. It must be there already.
    path: str = ""
    #: URL of the service; empty for the provider's own.
    endpoint: str = ""
    #: Empty: the one beside the credentials, else us-east-1.
    region: str = ""
    #: `https://endpoint/bucket` rather than `https://bucket.endpoint`.
    path_style: bool = False
    insecure_skip_verify: bool = False
    #: Web identity: the role to take on, with the token that is in the file.
    role_arn: str = ""
    role_token_file: str = ""
    #: URL of the token service; empty: the one of a custom endpoint itself, else Amazon's. Always https.
    sts_endpoint: str = ""
    #: Server-side encryption of S3: "", "AES256", "aws:kms" or "aws:kms:dsse".
    sse: str = ""
    #: Amazon's key for it; Google's name of one, which needs no `sse`.
    kms_key_id: str = ""
    #: Storage class, or access tier, of body and receipt.
    storage_class: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    #: How each object is locked, and for how many days from the beginning of its upload; None: it is not.
    lock_mode: LockMode | None = None
    lock_days: int = 0
    #: S3 only: the bucket's own default locks objects; until when is asked after the upload.
    default_lock: bool = False
    #: S3 only: what the store keeps and compares for each part: "", "SHA256" or "CRC64NVME".
    checksum: str = ""
    #: Bytes of each part of an upload but the last, and how many are under way at once.
    part_size: int = 10 * MIB
    concurrency: int = 3
    #: Of an upload, on the average; 0: as fast as it goes.
    max_bytes_per_second: int = 0
    #: URL of the HTTP proxy for all that goes to the store and to token services; empty: the
    #: environment's, HTTPS_PROXY and NO_PROXY.
    proxy: str = ""
    # Whole numbers as defaults: JSON leaves those out that a document gives again.
    connect_timeout: float = 5
    #: One request with its body, so it bounds from below how slow the line may be.
    request_timeout: float = 60
    #: A request is repeated at most so often, and not begun again after so long.
    max_retries: int = 5
    retry_timeout: float = 60
    #: An upload in which nothing has happened for so long is dead, and may be swept.
    dead_after: float = 24 * 3600.0

    def __post_init__(self) -> None:
        """Refuse what no store can work with."""
        if self.part_size < MIN_PART_SIZE:
            raise ConfigurationError(
                "read the storage settings", f"partSize is {self.part_size}, the least is {MIN_PART_SIZE}"
            )
        if not 1 <= self.concurrency <= 64:
            raise ConfigurationError(
                "read the storage settings", f"concurrency is {self.concurrency}, not 1 to 64"
            )
        for name, fault in self._faults():
            raise ConfigurationError("read the storage settings", f"{name}: {fault}")

    def _faults(self) -> Iterator[tuple[str, str]]:
        """What goes with no store of this kind: the option, and why."""
        given = {
            "storageClass": self.storage_class,
            "tags": self.tags,
            "metadata": self.metadata,
            "objectLock": self.lock_mode,
            "proxy": self.proxy,
        }
        for name, why in LACKS.get(self.provider, {}).items():
            if given.get(name):
                yield name, f"not with provider {self.provider}: {why}"
        found = {
            "storageClass": fault_of_storage_class(self.provider, self.storage_class),
            "tags": fault_of_tags(self.tags),
            "metadata": fault_of_metadata(self.metadata),
        }
        yield from ((name, fault) for name, fault in found.items() if fault)
        if self.lock_mode and self.lock_days < 1:
            yield "objectLock", "expected at least one day"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of it a person should be told at each run."""
        if not self.insecure_skip_verify:
            return ()
        return (NOT_VERIFIED,)


class StoreTraits(Value, frozen=True, kw_only=True):
    """What a kind of store can and cannot promise beyond the port."""

    #: Two simultaneous `create` of one key: exactly one succeeds.
    exclusive_create: bool = True
    #: `sweep` finds what killed uploads left; else the store's own rules have to remove it.
    sweeps: bool = True
    #: Uploads go in parts of `part_size`, `concurrency` at once.
    parts: bool = False
    #: What an aborted upload sent is removed at once; else the store drops it in time, seen by nobody.
    aborts: bool = True
    #: Options of a target that it has not, and why: fields of the document.
    lacks: Mapping[str, str] = msgspec.field(default_factory=dict)
    #: Keys in which this regular expression is found are refused: the store would change them.
    refuses: str = ""


def find_credentials(given: Mapping[str, str]) -> dict[str, str]:
    """Pick the credentials out of a Secret's files or an environment, under one name each.

    White space around a value is dropped: files often end with a line end. Empty is not given.

    Raises:
        ConfigurationError: one is given under two spellings with different values.
    """
    found: dict[str, str] = {}
    for name, spellings in CREDENTIAL_NAMES.items():
        values = [(spelling, given[spelling].strip()) for spelling in spellings if spelling in given]
        values = [(spelling, value) for spelling, value in values if value]
        if not values:
            continue
        first, found[name] = values[0]
        for other, value in values[1:]:
            # A default region gives way, by the AWS tools' own rule.
            if value != found[name] and other != "AWS_DEFAULT_REGION":
                raise ConfigurationError(
                    "read the storage credentials",
                    f"{first} and {other} are both given and differ",
                    hint="keep one of them",
                )
    return found


def check_key(key: str) -> str:
    """Give the key back if every store can hold it under exactly this name.

    Raises:
        ConfigurationError: it is empty, absolute, leaves the folder, or holds control characters.
    """
    why = _fault_of(key)
    if why:
        raise ConfigurationError(
            f"use the object key {key!r}", why, hint="keys are relative: folders and a name, with slashes"
        )
    return key


def check_kept(key: str, refuses: str) -> str:
    """Give the key back if a store with the trait `refuses` keeps it as it is. Raises as `check_key`."""
    if refuses and re.search(refuses, key):
        raise ConfigurationError(
            f"use the object key {key!r}",
            "this store would change its name",
            hint="change spec.backup.target.pathPrefix",
        )
    return check_key(key)


def check_prefix(prefix: str) -> str:
    """Give a folder's prefix without slashes around it; "" is everything. Raises as `check_key`."""
    inner = prefix.strip("/")
    return check_key(inner) if inner else ""


def _fault_of(key: str) -> str:
    if not key:
        return "it is empty"
    if any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in key):
        return "it holds a control character or half a character"
    if len(key.encode()) > MAX_KEY_BYTES:
        return f"it is longer than {MAX_KEY_BYTES} bytes"
    for segment in key.split("/"):
        if segment in ("", ".", ".."):
            return 'it starts or ends with a slash, or has an empty, "." or ".." part'
        if len(segment.encode()) > MAX_SEGMENT_BYTES:
            return f"a part of it is longer than {MAX_SEGMENT_BYTES} bytes"
    return ""
