"""Options of a target on Azure, each seen in what Azurite then has; locks at a stand-in, as it has none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.contracts.asking import KEY as NAME
from tests.contracts.asking import MIB, blocks, read
from tests.harness.azure_locks import Immutable, Policy
from tests.harness.azurite import ACCOUNT, KEY, Azurite

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.store_options import LockMode
from bao_backup.ports import Store

RECEIPT = f"{NAME}.json"


def opened(url: str, container: str, credentials: dict[str, str] | None = None, **options: Any) -> Store:
    """The container with these options."""
    settings = StoreSettings(
        provider="azure",
        account=ACCOUNT,
        bucket=container,
        endpoint=url,
        part_size=5 * MIB,
        max_retries=1,
        retry_timeout=5,
        **options,
    )
    return open_store(settings, credentials or {"accountKey": KEY})


@pytest.mark.servers
@pytest.mark.parametrize("key", [NAME, RECEIPT])
def test_said_of_each_blob(azurite: Azurite, container: str, key: str) -> None:
    """Body and receipt both have the access tier, the tags and the metadata of the target."""
    store = opened(
        azurite.url,
        container,
        storage_class="Cool",
        tags={"team": "vault + co/1"},
        metadata={"team": "platform, two", "ticket_1": "a=b;c"},
    )
    store.put(NAME, blocks(6))
    store.create(RECEIPT, b"{}")
    assert read(store, NAME) == b"".join(blocks(6))
    said = azurite.root.ask("HEAD", f"/{container}/{key}").headers
    assert said["x-ms-access-tier"] == "Cool"
    assert (said["x-ms-meta-team"], said["x-ms-meta-ticket_1"]) == ("platform, two", "a=b;c")
    tags = ET.fromstring(azurite.root.ask("GET", f"/{container}/{key}", {"comp": "tags"}).body)
    found = [(tag.findtext("Key"), tag.findtext("Value")) for tag in tags.iter("Tag")]
    assert found == [("team", "vault + co/1")]


# --- locks -------------------------------------------------------------------------------------


def by_key(_azurite: Azurite) -> dict[str, str]:
    """The account's key, which signs each request."""
    return {"accountKey": KEY}


def by_signature(azurite: Azurite) -> dict[str, str]:
    """A signature in the URL, beside what is asked."""
    return {"sasToken": azurite.root.shared_access()}


@pytest.mark.servers
@pytest.mark.parametrize("credentials", [by_key, by_signature])
@pytest.mark.parametrize(
    ("mode", "word"), [(LockMode.GOVERNANCE, "Unlocked"), (LockMode.COMPLIANCE, "Locked")]
)
def test_lock(
    azurite: Azurite,
    container: str,
    mode: LockMode,
    word: str,
    credentials: Callable[[Azurite], dict[str, str]],
) -> None:
    """Body and receipt are locked as the target says, from the beginning of their uploads."""
    with Immutable(azurite) as site:
        store = opened(site.url, container, credentials(azurite), lock_mode=mode, lock_days=3)
        before = datetime.now(UTC).replace(microsecond=0)
        every = [store.put(NAME, blocks(6)), store.create(RECEIPT, b"{}")]
        for sent, policy in zip(every, site.policies, strict=True):
            assert sent.locked_until is not None
            assert before <= sent.locked_until - timedelta(days=3) <= datetime.now(UTC)
            until = f"{sent.locked_until:%a, %d %b %Y %H:%M:%S} GMT"
            assert policy == Policy(sent.key, word, until)


@pytest.mark.servers
@pytest.mark.parametrize("heeds", [None, False])
def test_lock_where_there_is_none(azurite: Azurite, container: str, heeds: bool | None) -> None:
    """A service that refuses, or says nothing of a lock: what is needed is said, and nothing stays."""
    with Immutable(azurite, heeds=False) as site:
        url = azurite.url if heeds is None else site.url
        store = opened(url, container, lock_mode=LockMode.COMPLIANCE, lock_days=1)
        acts: list[Callable[[], object]] = [
            lambda: store.put(NAME, blocks(6)),
            lambda: store.create(RECEIPT, b"{}"),
        ]
        for act in acts:
            with pytest.raises(StorageError) as raised:
                act()
            assert "version-level immutability" in raised.value.hint
    assert azurite.root.keys_in(container) == []
