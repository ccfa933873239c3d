"""Google Cloud Storage: settings and credentials -> an open bucket.

The library reads, lists and deletes. It would upload by the XML API's multipart uploads, which have
to be aborted when a program is killed; resumable uploads of the JSON API end by themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from obstore.store import GCSStore

from bao_backup.adapters.stores.asking import Asking
from bao_backup.adapters.stores.cloud import CloudStore, Place
from bao_backup.adapters.stores.connecting import (
    checked_authorities,
    client_options,
    refuse_variables,
    retry_options,
    split_endpoint,
    trusting,
)
from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.fresh import Again, Fresh
from bao_backup.adapters.stores.gcs_identity import Identity, choose_identity
from bao_backup.adapters.stores.gcs_services import Login, Token, fetch
from bao_backup.adapters.stores.gcs_uploads import LARGEST, Made, Uploads
from bao_backup.adapters.stores.source import Source, close
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Stored
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import ObjectChangedError
from bao_backup.core.store_facts import StoreFacts

SERVICE = "https://storage.googleapis.com"
#: The library would look for a key there, and fail where it finds none.
INTERFERING = ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY")


class GoogleBucket(CloudStore):
    """One bucket. Safe for use by several threads."""

    def __init__(self, place: Place, settings: StoreSettings, uploads: Uploads) -> None:
        super().__init__(place, settings)
        self._uploads = uploads

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        """Upload in parts, one after the other; the object appears when the last one is in."""
        self._check(key)
        source = Source(chunks, LARGEST)
        try:
            made = self._uploads.put(key, source)
        finally:
            close(chunks)
        return self._sent(key, source.size, made)

    def create(self, key: str, body: bytes) -> Stored:
        """One request that the store refuses when there is such an object."""
        return self._sent(key, len(body), self._uploads.create(self._check(key), body))

    def _sent(self, key: str, size: int, made: Made) -> Stored:
        """The etag is that of the other API, which tells it to `head` and `list`: so it is asked for.

        Raises ObjectChangedError where another object has taken its place since.
        """
        seen = self.head(key)
        if made.generation and seen.version not in (None, made.generation):
            raise ObjectChangedError(f"upload {self.location}/{key}", "another object took its place")
        return Stored(
            key=key,
            size=size,
            modified=datetime.now(UTC),
            etag=seen.etag if seen.version == made.generation else None,
            version=made.generation,
            locked_until=made.retention.retain_until_time if made.retention else None,
        )


def open_gcs(
    settings: StoreSettings, credentials: Mapping[str, str], again: Again | None = None
) -> CloudStore:
    """Open a bucket; nothing is sent yet. `credentials` as `core.storage.find_credentials` gives them.

    `again` reads them again.

    Beside them the environment's own identity counts, as with Google's tools.

    Raises:
        ConfigurationError: settings or credentials cannot work.
    """
    location = f"gs://{settings.bucket}"
    if not settings.bucket:
        raise ConfigurationError(f"open {location}", "spec.backup.target.bucket is empty")
    endpoint = (settings.endpoint or SERVICE).rstrip("/")
    split_endpoint(endpoint)
    refuse_variables(INTERFERING, os.environ, f"open {location}")

    def choose(given: Mapping[str, str]) -> Identity:
        return choose_identity(given, os.environ, f"open {location}")

    fresh = Fresh(choose(credentials), choose, again, credentials)
    authorities = checked_authorities(
        credentials.get("caCert", ""), "read caCert beside the storage credentials"
    )
    translator = Translator(location)
    login = Login(_fetching(fresh, location, authorities, translator, settings.proxy), translator)
    with translator.doing("open"):
        store = GCSStore(
            settings.bucket,
            config={"base_url": endpoint, "skip_signature": False},
            client_options=client_options(settings, endpoint, authorities),
            retry_config=retry_options(settings),
            credential_provider=login,
        )
    uploads = Uploads(
        endpoint,
        login,
        translator,
        settings,
        lambda: trusting(authorities, unverified=settings.insecure_skip_verify),
    )

    def describe() -> StoreFacts:
        from bao_backup.adapters.stores.gcs_facts import ask_facts  # noqa: PLC0415 - rarely wanted

        context = trusting(authorities, unverified=settings.insecure_skip_verify)
        return ask_facts(endpoint, login, translator, settings, context)

    place = Place(store, location, translator, lambda _prefix: 0, describe=describe)
    return GoogleBucket(place, settings, uploads)


def _fetching(
    fresh: Fresh[Identity], location: str, authorities: str, translator: Translator, proxy: str
) -> Callable[[], Token]:
    """What gives the token; nothing is asked yet."""
    # Who gives tokens is another than the store: an unverified store makes no unverified token service.
    asking = Asking(
        f"log in to {location}", lambda: trusting(authorities, unverified=False), translator, proxy
    )
    return lambda: fetch(fresh(), asking, datetime.now(UTC))
