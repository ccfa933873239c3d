"""Azure Blob Storage: settings and credentials -> an open container."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

from obstore.store import AzureStore

from bao_backup.adapters.stores.azure_identity import Account, AccountKey, SharedAccess, choose_account
from bao_backup.adapters.stores.azure_login import Granted, Login, authorized
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
from bao_backup.adapters.stores.plain_http import ask
from bao_backup.adapters.stores.retries import patiently
from bao_backup.adapters.stores.traits import AZURE
from bao_backup.core.errors import ConfigurationError, ObjectNotFoundError
from bao_backup.core.storage import StoreSettings, check_kept

#: The library would encrypt with it, and nobody could read the backups without.
INTERFERING = ("AZURE_ENCRYPTION_KEY",)


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


def open_azure(settings: StoreSettings, credentials: Mapping[str, str]) -> CloudStore:
    """Open a container; nothing is sent yet. `credentials` as `core.storage.find_credentials` gives them.

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
    login = Login(_fetching(account, location, authorities, translator), translator)
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
    # What is left of a killed upload nobody can list apart or remove; after a week Azure does.
    place = Place(store, location, translator, lambda _prefix: 0, lambda key: check_kept(key, AZURE.refuses))
    return AzureContainer(place, Requests(account, settings.bucket, login, translator, settings, authorities))


def _fetching(
    account: Account, location: str, authorities: str, translator: Translator
) -> Callable[[], Granted]:
    """What gives the access; nothing is asked yet."""
    identity = account.identity
    if isinstance(identity, AccountKey | SharedAccess):
        return lambda: Granted(identity, None)
    # Who has a key need not wait for this.
    from bao_backup.adapters.stores.asking import Asking  # noqa: PLC0415
    from bao_backup.adapters.stores.azure_services import fetch  # noqa: PLC0415

    # Who gives tokens is another than the store: an unverified store makes no unverified token service.
    asking = Asking(f"log in to {location}", lambda: trusting(authorities, unverified=False), translator)
    return lambda: fetch(identity, asking)


def _delete(requests: Requests, key: str) -> None:
    settings, doing = requests.settings, requests.translator.named("delete", key)
    url = f"{requests.account.url}/{requests.container}/{quote(key, safe='/-_.~')}"
    granted = requests.login.current()
    url, headers = authorized(granted.access, requests.account.name, "DELETE", url, datetime.now(UTC))
    context = None
    if url.startswith("https:"):
        context = trusting(requests.authorities, unverified=settings.insecure_skip_verify)
    request = urllib.request.Request(url, method="DELETE", headers=dict(headers))  # noqa: S310 - checked
    answer = ask(request, doing, settings.request_timeout, context)
    if answer.status >= 300:
        raise requests.translator.answered(answer.status, answer.text, "delete", key, answer.headers)
