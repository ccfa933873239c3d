"""`spec.backup.target`: where backups go.

Names, defaults and bounds are the existing operator's; `path`, `s3`, `workloadIdentity` and the
provider `file` are additions. Keys and passwords are in the Secret that is named, never here.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from bao_backup.core.documents import STORED_DEFAULT, Part, checked
from bao_backup.core.fields import check_bucket, check_endpoint, check_folder, check_object_name, check_proxy
from bao_backup.core.naming import checked_path_prefix
from bao_backup.core.store_options import (
    LACKS,
    LEAST_BANDWIDTH,
    LockMode,
    check_storage_class,
    fault_of_metadata,
    fault_of_storage_class,
    fault_of_tags,
)

MIB = 1024 * 1024


class Provider(StrEnum):
    """The kinds of storage that a document may name."""

    S3 = "s3"
    GCS = "gcs"
    AZURE = "azure"
    FILE = "file"


class Encryption(StrEnum):
    """Server-side encryption of S3."""

    AES256 = "AES256"
    KMS = "aws:kms"
    KMS_DSSE = "aws:kms:dsse"
    #: Known, and refused: see `S3Options.faults`.
    CUSTOMER = "SSE-C"


class Checksum(StrEnum):
    """What S3 keeps and compares beside each part."""

    SHA256 = "SHA256"
    CRC64NVME = "CRC64NVME"


#: Why these are refused, in words that the CRD has, too.
NO_CUSTOMER_KEYS = (
    "expected AES256, aws:kms or aws:kms:dsse: with SSE-C the key would have to be beside each request, in "
    "whatever lists, verifies or restores, and a backup is lost with it"
)
NO_SCOPE = (
    "expected none: blocks are uploaded without naming a scope; set the container's default encryption scope"
)


class SecretName(Part, frozen=True, kw_only=True):
    """The name of a Secret in the document's own namespace."""

    name: Annotated[str, STORED_DEFAULT, checked(check_object_name, "Name of the Secret; empty: none.")] = ""


class S3Options(Part, frozen=True, kw_only=True):
    """What only S3 has."""

    sse: Annotated[Encryption | None, Meta(description="Server-side encryption of the objects.")] = None
    kms_key_id: Annotated[
        str, Meta(max_length=2048, description="The KMS key; only with sse aws:kms or aws:kms:dsse.")
    ] = ""
    storage_class: Annotated[
        str,
        Meta(max_length=64),
        checked(check_storage_class, "Another name of the target's storageClass."),
    ] = ""
    tags: Annotated[
        dict[str, Annotated[str, Meta(max_length=256)]],
        Meta(max_length=10, description="Another name of the target's tags."),
    ] = msgspec.field(default_factory=dict)
    checksum: Annotated[
        Checksum | None,
        Meta(description="What the store compares and keeps for each part, beside the request's signature."),
    ] = None
    sts_endpoint: Annotated[
        str,
        Meta(max_length=2048),
        checked(check_endpoint, "URL of the token service; empty: the store's own, or Amazon's."),
    ] = ""
    object_lock: Annotated[
        bool,
        Meta(description="The bucket's default retention locks objects: a refused delete is expected."),
    ] = False

    def faults(self) -> Iterable[tuple[str, str]]:
        """A key needs an encryption that uses it; keys in clear text are not asked for."""
        if self.sse is Encryption.CUSTOMER:
            yield "sse", NO_CUSTOMER_KEYS
        if self.kms_key_id and self.sse not in {Encryption.KMS, Encryption.KMS_DSSE}:
            yield "sse", "expected aws:kms or aws:kms:dsse, since there is a kmsKeyId"
        faults = {
            "storageClass": fault_of_storage_class("s3", self.storage_class),
            "tags": fault_of_tags(self.tags),
        }
        yield from ((name, fault) for name, fault in faults.items() if fault)
        if self.sts_endpoint and not self.sts_endpoint.startswith("https://"):
            yield "stsEndpoint", "expected a URL with https"


class GcsOptions(Part, frozen=True, kw_only=True):
    """What only Google Cloud Storage has."""

    project: Annotated[str, Meta(max_length=128, description="Google Cloud project.")] = ""
    kms_key_name: Annotated[
        str,
        Meta(
            max_length=2048,
            description="Cloud KMS key of the objects, projects/P/locations/L/keyRings/R/cryptoKeys/K.",
        ),
    ] = ""


class AzureOptions(Part, frozen=True, kw_only=True):
    """What only Azure Blob Storage has."""

    storage_account: Annotated[
        str, Meta(min_length=1, max_length=64, description="Name of the storage account.")
    ]
    container: Annotated[
        str, Meta(max_length=255), checked(check_bucket, "Container; empty: the bucket's name.")
    ] = ""
    encryption_scope: Annotated[
        str, Meta(max_length=64, description="Refused: set the container's default encryption scope.")
    ] = ""

    def faults(self) -> Iterable[tuple[str, str]]:
        """Only a container's default scope reaches every block."""
        if self.encryption_scope:
            yield "encryptionScope", NO_SCOPE


class ObjectLock(Part, frozen=True, kw_only=True):
    """A lock that the run sets on each of its objects, body and receipt."""

    mode: Annotated[LockMode, Meta(description="COMPLIANCE: nobody may end it before its time.")]
    days: Annotated[
        int, Meta(ge=1, le=36500, description="How long, from the beginning of the object's upload.")
    ]


class WorkloadIdentity(Part, frozen=True, kw_only=True):
    """The cloud's own identity for the run's pod."""

    service_account_annotations: Annotated[
        dict[str, str], Meta(max_length=64, description="Set on the run's ServiceAccount.")
    ] = msgspec.field(default_factory=dict)
    pod_labels: Annotated[dict[str, str], Meta(max_length=64, description="Set on the run's pod.")] = (
        msgspec.field(default_factory=dict)
    )


class Target(Part, frozen=True, kw_only=True):
    """The bucket, container or folder that backups go to."""

    decisive: ClassVar[tuple[str, ...]] = ("provider",)

    provider: Annotated[Provider, STORED_DEFAULT, Meta(description="Kind of storage.")] = Provider.S3
    endpoint: Annotated[
        str, Meta(max_length=2048), checked(check_endpoint, "URL of the service; empty: the provider's own.")
    ] = ""
    bucket: Annotated[
        str,
        Meta(max_length=255),
        checked(check_bucket, "Bucket; with azure the container. Required unless the provider is file."),
    ] = ""
    path: Annotated[
        str, Meta(max_length=4096), checked(check_folder, "Folder of a mounted volume; provider file only.")
    ] = ""
    path_prefix: Annotated[
        str, Meta(max_length=1024), checked(checked_path_prefix, "Before the namespace in each key.")
    ] = ""
    credentials_secret_ref: Annotated[
        SecretName | None, Meta(description="Secret with the storage credentials.")
    ] = None
    part_size: Annotated[
        int,
        STORED_DEFAULT,
        Meta(ge=5 * MIB, le=5 * 1024 * MIB, description="Bytes of each part of an upload."),
    ] = 10 * MIB
    concurrency: Annotated[
        int, STORED_DEFAULT, Meta(ge=1, le=10, description="Parts that are under way at once.")
    ] = 3
    region: Annotated[
        str, STORED_DEFAULT, Meta(max_length=64, description="S3 only: region of the bucket.")
    ] = "us-east-1"
    role_arn: Annotated[
        str, Meta(max_length=2048, description="S3 only: role to take on by web identity.")
    ] = ""
    use_path_style: Annotated[
        bool, STORED_DEFAULT, Meta(description="S3 only: the bucket in the path of URLs.")
    ] = False
    storage_class: Annotated[
        str,
        Meta(max_length=64),
        checked(check_storage_class, "Storage class or access tier of the objects; empty: the bucket's."),
    ] = ""
    tags: Annotated[
        dict[str, Annotated[str, Meta(max_length=256)]],
        Meta(max_length=10, description="Tags of the objects, s3 and azure."),
    ] = msgspec.field(default_factory=dict)
    metadata: Annotated[
        dict[str, Annotated[str, Meta(max_length=2048)]],
        Meta(max_length=32, description="Metadata of the objects, at most 2 KiB."),
    ] = msgspec.field(default_factory=dict)
    object_lock: Annotated[
        ObjectLock | None, Meta(description="Lock each object; the bucket has to allow locks.")
    ] = None
    proxy: Annotated[
        str,
        Meta(max_length=2048),
        checked(check_proxy, "URL of the HTTP proxy; empty: HTTPS_PROXY and NO_PROXY of the run."),
    ] = ""
    max_bytes_per_second: Annotated[
        Annotated[int, Meta(ge=LEAST_BANDWIDTH, le=1024 * 1024 * MIB)] | None,
        Meta(description="Bandwidth of an upload, on the average; default: as fast as it goes."),
    ] = None
    connect_timeout_seconds: Annotated[
        int, Meta(ge=1, le=300, description="How long a connection to the store may take.")
    ] = 5
    request_timeout_seconds: Annotated[
        int, Meta(ge=5, le=3600, description="How long one request may take, with a part as its body.")
    ] = 60
    max_retries: Annotated[
        int, Meta(ge=0, le=20, description="How often a request is repeated that the store could not serve.")
    ] = 5
    retry_timeout_seconds: Annotated[
        int, Meta(ge=1, le=3600, description="How long after its first try a request may be repeated.")
    ] = 60
    insecure_skip_verify: Annotated[bool, Meta(description="Do not verify the store's certificate.")] = False
    s3: Annotated[S3Options | None, Meta(description="Provider s3 only.")] = None
    gcs: Annotated[GcsOptions | None, Meta(description="Provider gcs only.")] = None
    azure: Annotated[AzureOptions | None, Meta(description="Provider azure only.")] = None
    workload_identity: Annotated[
        WorkloadIdentity | None, Meta(description="The cloud's identity for the run's pod.")
    ] = None

    @property
    def credentials_secret(self) -> str:
        """The name of the Secret with the storage credentials; empty when there is none."""
        return self.credentials_secret_ref.name if self.credentials_secret_ref else ""

    def faults(self) -> Iterable[tuple[str, str]]:
        """What goes with which provider."""
        if self.provider is Provider.FILE and not self.path:
            yield "path", "expected the folder, for provider file"
        if self.provider is not Provider.FILE and not self.bucket:
            yield "bucket", "expected a text that is not empty, and it is missing"
        belongings = {
            "path": (self.path, Provider.FILE),
            "roleArn": (self.role_arn, Provider.S3),
            "s3": (self.s3, Provider.S3),
            "gcs": (self.gcs, Provider.GCS),
            "azure": (self.azure, Provider.AZURE),
        }
        for name, (value, provider) in belongings.items():
            if value and self.provider is not provider:
                yield name, f"expected only with provider {provider}, and the provider is {self.provider}"
        yield from self._faults_of_options()

    def _faults_of_options(self) -> Iterable[tuple[str, str]]:
        """What the kind of store has not, or not so; and what is said under both of its names."""
        given = {
            "storageClass": self.storage_class,
            "tags": self.tags,
            "metadata": self.metadata,
            "objectLock": self.object_lock,
            "proxy": self.proxy,
        }
        for name, why in LACKS[self.provider].items():
            if given[name]:
                yield name, f"expected none with provider {self.provider}: {why}"
        if self.s3:
            for name, here, there in (
                ("storageClass", self.storage_class, self.s3.storage_class),
                ("tags", self.tags, self.s3.tags),
            ):
                if here and there:
                    yield name, f"expected either {name} or s3.{name}: they are the same"
        faults = {
            "storageClass": fault_of_storage_class(self.provider, self.storage_class),
            "tags": fault_of_tags(self.tags),
            "metadata": fault_of_metadata(self.metadata),
        }
        yield from ((name, fault) for name, fault in faults.items() if fault)
