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
from bao_backup.core.fields import check_bucket, check_endpoint, check_folder, check_object_name
from bao_backup.core.naming import checked_path_prefix

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
        str, Meta(max_length=64, description="Storage class of the objects, e.g. STANDARD_IA.")
    ] = ""
    tags: Annotated[dict[str, str], Meta(max_length=10, description="Tags of the objects.")] = msgspec.field(
        default_factory=dict
    )
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
        if self.kms_key_id and self.sse not in {Encryption.KMS, Encryption.KMS_DSSE}:
            yield "sse", "expected aws:kms or aws:kms:dsse, since there is a kmsKeyId"
        if self.sts_endpoint and not self.sts_endpoint.startswith("https://"):
            yield "stsEndpoint", "expected a URL with https"


class GcsOptions(Part, frozen=True, kw_only=True):
    """What only Google Cloud Storage has."""

    project: Annotated[str, Meta(max_length=128, description="Google Cloud project.")] = ""


class AzureOptions(Part, frozen=True, kw_only=True):
    """What only Azure Blob Storage has."""

    storage_account: Annotated[
        str, Meta(min_length=1, max_length=64, description="Name of the storage account.")
    ]
    container: Annotated[
        str, Meta(max_length=255), checked(check_bucket, "Container; empty: the bucket's name.")
    ] = ""


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
