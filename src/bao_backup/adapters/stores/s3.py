"""Amazon S3 and what speaks its language: settings and credentials -> an open bucket."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import S3Store

from bao_backup.adapters.stores.cloud import CloudStore, DeleteMany, Place
from bao_backup.adapters.stores.connecting import (
    NOBODY,
    checked_authorities,
    client_options,
    retry_options,
    split_endpoint,
    trusting,
)
from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.fresh import Again, Fresh
from bao_backup.adapters.stores.s3_addresses import STS_ENDPOINT, amazon_domain, bucket_url
from bao_backup.adapters.stores.s3_identity import Identity, Issued, Keys, choose_identity, is_store
from bao_backup.adapters.stores.s3_locks import Locks
from bao_backup.adapters.stores.s3_login import Login
from bao_backup.adapters.stores.s3_requests import Bucket, Requests
from bao_backup.adapters.stores.s3_uploads import Uploads
from bao_backup.core.errors import ConfigurationError, StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.store_facts import StoreFacts

if TYPE_CHECKING:
    # Types that the library has for the checker alone.
    from obstore.store import S3Config

DEFAULT_REGION = "us-east-1"
ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
CHECKSUMS = ("SHA256", "CRC64NVME")


def open_s3(
    settings: StoreSettings, credentials: Mapping[str, str], again: Again | None = None
) -> CloudStore:
    """Open a bucket; nothing is sent yet. `credentials` as `core.storage.find_credentials` gives them.

    `again` reads them again.

    Beside them the environment's own identity counts, and its CA, as with AWS's tools.

    Raises:
        ConfigurationError: settings or credentials cannot work.
    """
    location = f"s3://{settings.bucket}"
    _check(settings, f"open {location}")
    region = _region(settings, credentials)

    def choose(given: Mapping[str, str]) -> Identity:
        return choose_identity(settings, given, region, os.environ, f"open {location}")

    fresh = Fresh(choose(credentials), choose, again, credentials)
    authorities = _authorities(credentials, os.environ)
    translator = Translator(location)
    keys = Login(_fetching(fresh, settings, authorities, translator), translator)
    with translator.doing("open"):
        store = S3Store(
            settings.bucket,
            config=_config(settings, region),
            client_options=client_options(
                settings, settings.endpoint or f"https://{amazon_domain(region)}", authorities
            ),
            retry_config=retry_options(settings),
            # Given this way, no variable of the environment gets mixed in, AWS_SESSION_TOKEN for one.
            credential_provider=keys,
        )
    # Reading all CAs of the system takes 20 ms, so it is done only when there is a request.
    bucket = Bucket(
        _place(settings, region),
        region,
        lambda: trusting(authorities, unverified=settings.insecure_skip_verify),
        settings.proxy,
        settings.connect_timeout,
    )
    requests = Requests(bucket, keys.keys, translator)
    sweep = Uploads(requests, settings.dead_after).sweep
    locks = Locks(requests, settings)
    lock = locks.lock if settings.lock_mode else locks.find if settings.default_lock else None
    place = Place(
        store,
        location,
        translator,
        sweep,
        lock=lock,
        delete_many=_deleting(requests, settings, translator),
        describe=_describing(requests, settings, translator),
    )
    return CloudStore(place, settings)


def _deleting(requests: Requests, settings: StoreSettings, translator: Translator) -> DeleteMany:
    """What deletes many objects; it is loaded when there are many."""

    def delete(keys: Sequence[str], one: Callable[[str], None]) -> Mapping[str, StorageError]:
        from bao_backup.adapters.stores.s3_deletes import Deletes  # noqa: PLC0415

        return Deletes(requests, settings, translator).delete(keys, one)

    return delete


def _describing(
    requests: Requests, settings: StoreSettings, translator: Translator
) -> Callable[[], StoreFacts]:
    """What asks the bucket for its facts; it is loaded when somebody wants them."""

    def describe() -> StoreFacts:
        from bao_backup.adapters.stores.s3_facts import Facts  # noqa: PLC0415

        return Facts(requests, settings, translator).ask()

    return describe


def _fetching(
    fresh: Fresh[Identity], settings: StoreSettings, authorities: str, translator: Translator
) -> Callable[[], Issued]:
    """What gives the keys; nothing is asked yet."""
    identity = fresh()
    if isinstance(identity, Keys):

        def read() -> Issued:
            found = fresh()
            assert isinstance(found, Keys)  # noqa: S101 - it never changes its kind
            return Issued(found, fresh.until())

        return read
    # Most runs have keys, and need not wait for this.
    from bao_backup.adapters.stores.asking import Asking  # noqa: PLC0415
    from bao_backup.adapters.stores.s3_services import fetch  # noqa: PLC0415

    # A store that is not verified may be told a token unverified, but nobody else may.
    unverified = settings.insecure_skip_verify and is_store(identity)
    asking = Asking(
        f"log in to s3://{settings.bucket}",
        lambda: trusting(authorities, unverified=unverified),
        translator,
        settings.proxy,
    )
    return lambda: fetch(identity, asking)


def _place(settings: StoreSettings, region: str) -> str:
    """The bucket's URL, without a slash at its end."""
    endpoint = settings.endpoint or f"https://s3.{region}.{amazon_domain(region)}"
    url, in_host = bucket_url(endpoint, settings.bucket, path_style=settings.path_style)
    return url if in_host else f"{url}/{settings.bucket}"


def _check(settings: StoreSettings, doing: str) -> None:
    if not settings.bucket:
        raise ConfigurationError(doing, "spec.backup.target.bucket is empty")
    if settings.sse and settings.sse not in ENCRYPTIONS:
        raise ConfigurationError(
            doing, f"sse is {settings.sse!r}", hint=f"use one of {', '.join(ENCRYPTIONS)}"
        )
    if settings.checksum and settings.checksum not in CHECKSUMS:
        raise ConfigurationError(
            doing, f"checksum is {settings.checksum!r}", hint=f"use one of {', '.join(CHECKSUMS)}"
        )
    if settings.endpoint:
        split_endpoint(settings.endpoint)
    if settings.sts_endpoint and split_endpoint(settings.sts_endpoint, STS_ENDPOINT).scheme != "https":
        raise ConfigurationError(doing, "the token service's URL must be https")


def _config(settings: StoreSettings, region: str) -> S3Config:
    config: S3Config = {
        "region": region,
        # Not every store that speaks S3 can delete several at once, and only one at a time says why not.
        "disable_bulk_delete": True,
        "metadata_endpoint": NOBODY,
        "virtual_hosted_style_request": not settings.path_style and "." not in settings.bucket,
    }
    if settings.endpoint:
        config["endpoint"], config["virtual_hosted_style_request"] = bucket_url(
            settings.endpoint, settings.bucket, path_style=settings.path_style
        )
    if settings.sse:
        config["server_side_encryption"] = settings.sse
    if settings.checksum:
        config["checksum_algorithm"] = settings.checksum
    if settings.kms_key_id:
        config["sse_kms_key_id"] = settings.kms_key_id
    return config


def _region(settings: StoreSettings, credentials: Mapping[str, str]) -> str:
    return settings.region or credentials.get("region") or DEFAULT_REGION


def _authorities(credentials: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """The private CAs as PEM: that beside the credentials, and those of AWS_CA_BUNDLE."""
    found = checked_authorities(credentials.get("caCert", ""), "read caCert beside the storage credentials")
    file = environment.get("AWS_CA_BUNDLE", "").strip()
    if not file:
        return found
    doing = f"read AWS_CA_BUNDLE, {file}"
    try:
        if _is_the_systems(file):
            return found
        bundle = checked_authorities(Path(file).read_text(encoding="utf-8", errors="replace") or " ", doing)
    except OSError as error:
        raise ConfigurationError(doing, (error.strerror or "unreadable").lower()) from error
    return "\n".join(part for part in (found, bundle) if part)


def _is_the_systems(file: str) -> bool:
    """Whether it is trusted anyway: reading a hundred CAs twice would double the time of a start."""
    systems = ssl.get_default_verify_paths().cafile
    return systems is not None and os.path.samefile(file, systems)
