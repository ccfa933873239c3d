"""Azure Blob Storage: settings and credentials -> an open container."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple
from urllib.parse import quote

from obstore.store import AzureStore

from bao_backup.adapters.stores.azure_identity import (
    Account,
    AccountKey,
    Identity,
    SharedAccess,
    choose_account,
)
from bao_backup.adapters.stores.azure_login import Asked, Granted, Login, authorized
from bao_backup.adapters.stores.cloud import CloudStore, Place
from bao_backup.adapters.stores.connecting import (
    NOBODY,
    checked_authorities,
    client_options,
    refuse_variables,
    retry_options,
    trusting,
)
from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.fresh import Again, Fresh
from bao_backup.adapters.stores.plain_http import Answer, ask
from bao_backup.adapters.stores.retries import patiently
from bao_backup.adapters.stores.traits import AZURE
from bao_backup.core.errors import ConfigurationError, StorageError
from bao_backup.core.model import Stored
from bao_backup.core.storage import StoreSettings, check_kept
from bao_backup.core.storage_errors import ObjectNotFoundError
from bao_backup.core.store_facts import StoreFacts, Unseen
from bao_backup.core.store_options import LockMode

#: The library would encrypt with it, and nobody could read the backups without.
INTERFERING = ("AZURE_ENCRYPTION_KEY",)
#: Azure's words for them.
LOCK_MODES = {LockMode.GOVERNANCE: "Unlocked", LockMode.COMPLIANCE: "Locked"}
_LOCK_HINT = (
    "objectLock needs a container with version-level immutability, and the role Storage Blob Data Owner "
    "(the right i of a SAS)"
)


class Requests(NamedTuple):
    """What our own requests to a container need."""

    account: Account
    container: str
    login: Login
    translator: Translator
    settings: StoreSettings
    authorities: str


class AzureContainer(CloudStore):
    """One container. Safe for use by several threads."""

    def __init__(self, place: Place, requests: Requests) -> None:
        super().__init__(place, requests.settings)
        self._requests = requests

    def delete(self, key: str) -> None:
        """One request of our own: the library deletes in batches only, which a signature may not allow."""
        self._check(key)
        try:
            patiently(lambda: _delete(self._requests, key), self._requests.settings)
        except ObjectNotFoundError:
            return


def open_azure(
    settings: StoreSettings, credentials: Mapping[str, str], again: Again | None = None
) -> CloudStore:
    """Open a container; nothing is sent yet. `credentials` as `core.storage.find_credentials` gives them.

    `again` reads them again.

    Beside them the environment's own identity counts, as with Azure's tools.

    Raises:
        ConfigurationError: settings or credentials cannot work.
    """
    doing = f"open azure://{settings.account}/{settings.bucket}"
    if not settings.bucket:
        raise ConfigurationError(doing, "neither azure.container nor bucket of spec.backup.target is set")
    refuse_variables(INTERFERING, os.environ, doing)
    account = choose_account(settings, credentials, os.environ, doing)
    location = f"azure://{account.name}/{settings.bucket}"
    authorities = checked_authorities(
        credentials.get("caCert", ""), "read caCert beside the storage credentials"
    )
    translator = Translator(location)
    fresh = Fresh(
        account.identity,
        lambda given: choose_account(settings, given, os.environ, doing).identity,
        again,
        credentials,
    )
    login = Login(_fetching(fresh, location, authorities, translator, settings.proxy), translator)
    with translator.doing("open"):
        store = AzureStore(
            settings.bucket,
            config={
                "account_name": account.name,
                "endpoint": account.url,
                "msi_endpoint": NOBODY,
                "use_emulator": False,
                "skip_signature": False,
            },
            client_options=client_options(settings, account.url, authorities),
            retry_config=retry_options(settings),
            # Given this way, no credential of the environment gets mixed in.
            credential_provider=login,
        )
    requests = Requests(account, settings.bucket, login, translator, settings, authorities)
    place = Place(
        store,
        location,
        translator,
        # What is left of a killed upload nobody can list apart or remove; after a week Azure does.
        sweep=lambda _prefix: 0,
        check=lambda key: check_kept(key, AZURE.refuses),
        lock=partial(_lock, requests) if settings.lock_mode else None,
        describe=partial(_describe, requests),
    )
    return AzureContainer(place, requests)


def _fetching(
    fresh: Fresh[Identity], location: str, authorities: str, translator: Translator, proxy: str
) -> Callable[[], Granted]:
    """What gives the access; nothing is asked yet."""
    if isinstance(fresh(), AccountKey | SharedAccess):

        def read() -> Granted:
            found = fresh()
            assert isinstance(found, AccountKey | SharedAccess)  # noqa: S101 - it never changes its kind
            return Granted(found, fresh.until())

        return read
    # Who has a key need not wait for this.
    from bao_backup.adapters.stores.asking import Asking  # noqa: PLC0415
    from bao_backup.adapters.stores.azure_services import fetch  # noqa: PLC0415

    # Who gives tokens is another than the store: an unverified store makes no unverified token service.
    asking = Asking(
        f"log in to {location}", lambda: trusting(authorities, unverified=False), translator, proxy
    )

    def ask_service() -> Granted:
        found = fresh()
        assert not isinstance(found, AccountKey | SharedAccess)  # noqa: S101 - as above
        return fetch(found, asking)

    return ask_service


def _delete(requests: Requests, key: str) -> None:
    answer = _ask(requests, "delete", key, Asked("DELETE", _url(requests, key)))
    if answer.status >= 300:
        raise requests.translator.answered(answer.status, answer.text, "delete", key, answer.headers)


def _lock(requests: Requests, stored: Stored, until: datetime) -> datetime:
    """Lock this version of the blob, and see that the service says so.

    Source: Azure Storage REST API Reference, "Set Blob Immutability Policy".
    """
    mode = requests.settings.lock_mode
    asked = Asked(
        "PUT",
        _url(requests, stored.key),
        {"comp": "immutabilityPolicies", **({"versionid": stored.version} if stored.version else {})},
        {
            "x-ms-immutability-policy-mode": LOCK_MODES[mode] if mode else "",
            "x-ms-immutability-policy-until-date": f"{until:%a, %d %b %Y %H:%M:%S} GMT",
        },
    )

    def attempt() -> None:
        answer = _ask(requests, "lock", stored.key, asked)
        if answer.status >= 300:
            error = requests.translator.answered(
                answer.status, answer.text, "lock", stored.key, answer.headers
            )
            raise type(error)(error.doing, error.why, hint=_LOCK_HINT, details=error.details)
        if not answer.headers.get("x-ms-immutability-policy-until-date"):
            doing = requests.translator.named("lock", stored.key)
            raise StorageError(doing, "the store did not lock it", hint=_LOCK_HINT)

    patiently(attempt, requests.settings)
    return until


def _describe(requests: Requests) -> StoreFacts:
    """What the container tells; whether there are versions and rules is told by Azure's management alone.

    Source: Azure Storage REST API Reference, "Get Container Properties".
    """
    url = f"{requests.account.url}/{requests.container}"

    def attempt() -> Answer:
        return _ask(requests, "look at", "", Asked("GET", url, {"restype": "container"}))

    answer = patiently(attempt, requests.settings)
    if answer.status == 403:
        unseen = Unseen.NOT_PERMITTED
        return StoreFacts(lock=unseen, encryption=unseen)
    if answer.status >= 300:
        raise requests.translator.answered(answer.status, answer.text, "look at", "", answer.headers)
    said = answer.headers
    by_version = said.get("x-ms-immutable-storage-with-versioning-enabled")
    by_policy = said.get("x-ms-has-immutability-policy") == "true"
    return StoreFacts(
        lock=Unseen.NOT_OFFERED if by_version is None else by_version == "true",
        lock_default="a policy of the container" if by_policy else "",
        encryption=said.get("x-ms-default-encryption-scope") or Unseen.NOT_OFFERED,
    )


def _url(requests: Requests, key: str) -> str:
    return f"{requests.account.url}/{requests.container}/{quote(key, safe='/-_.~')}"


def _ask(requests: Requests, verb: str, key: str, asked: Asked) -> Answer:
    settings = requests.settings
    granted = requests.login.current()
    url, headers = authorized(granted.access, requests.account.name, asked, datetime.now(UTC))
    context = None
    if url.startswith("https:"):
        context = trusting(requests.authorities, unverified=settings.insecure_skip_verify)
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url, data=b"" if asked.method == "PUT" else None, method=asked.method, headers=dict(headers)
    )
    doing = requests.translator.named(verb, key)
    return ask(
        request,
        doing,
        settings.request_timeout,
        context,
        proxy=settings.proxy,
        connect_timeout=settings.connect_timeout,
    )
