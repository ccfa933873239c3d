"""Which options of a target which kind of store has: data of the kind, told alike wherever it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.core.documents import DELETE, document, problems_of
from tests.harness.azurite import ACCOUNT, KEY
from tests.harness.gcs_identities import AccountKey

from bao_backup.adapters.stores import STORES, open_store, store_traits
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.store_options import LACKS, LockMode
from bao_backup.core.target import Provider

TARGET = "spec.backup.target"
CREDENTIALS = {
    "s3": {"accessKeyId": "a", "secretAccessKey": "secret"},
    "azure": {"accountKey": KEY},
    "gcs": {"credentials.json": AccountKey().file},
    "file": {},
}
# field of the document, a value of it, and the settings that it becomes
OPTIONS: list[tuple[str, Any, dict[str, Any]]] = [
    ("storageClass", "STANDARD", {"storage_class": "STANDARD"}),
    ("tags", {"a": "b"}, {"tags": {"a": "b"}}),
    ("metadata", {"a": "b"}, {"metadata": {"a": "b"}}),
    (
        "objectLock",
        {"mode": "GOVERNANCE", "days": 1},
        {"lock_mode": LockMode.GOVERNANCE, "lock_days": 1},
    ),
    ("proxy", "http://proxy:3128", {"proxy": "http://proxy:3128"}),
    ("maxBytesPerSecond", 100_000, {"max_bytes_per_second": 100_000}),
    ("requestTimeoutSeconds", 30, {"request_timeout": 30}),
    ("connectTimeoutSeconds", 3, {"connect_timeout": 3}),
    ("maxRetries", 2, {"max_retries": 2}),
    ("retryTimeoutSeconds", 20, {"retry_timeout": 20}),
]


def document_of(provider: str) -> dict[str, Any]:
    """The changes that make a document one with such a store."""
    needed: dict[str, dict[str, Any]] = {
        "file": {f"{TARGET}.path": "/backups", f"{TARGET}.bucket": DELETE},
        "azure": {f"{TARGET}.azure": {"storageAccount": "account"}},
    }
    return {f"{TARGET}.provider": provider, **needed.get(provider, {})}


def test_every_kind_says_what_it_lacks() -> None:
    """A new kind of store is one row of that table, too; documents know the same kinds."""
    assert set(LACKS) == set(STORES) == {provider.value for provider in Provider}
    for name in STORES:
        assert store_traits(name).lacks == LACKS[name]
        assert set(LACKS[name]) <= {field for field, *_ in OPTIONS}


@pytest.mark.parametrize("provider", STORES)
@pytest.mark.parametrize(("field", "value", "options"), OPTIONS, ids=[field for field, *_ in OPTIONS])
def test_an_option_is_there_or_refused_with_its_reason(
    provider: str, field: str, value: object, options: dict[str, Any], tmp_path: Path
) -> None:
    """By the document with its path, and by whoever opens a store with settings from elsewhere."""
    problems = problems_of(document({**document_of(provider), f"{TARGET}.{field}": value}))
    why = store_traits(provider).lacks.get(field)

    def opened() -> None:
        settings = StoreSettings(
            provider=provider, bucket="bucket", account=ACCOUNT, path=str(tmp_path), **options
        )
        open_store(settings, CREDENTIALS[provider])

    if why is None:
        assert problems == {}
        opened()
        return
    assert problems == {f"{TARGET}.{field}": f"expected none with provider {provider}: {why}"}
    with pytest.raises(ConfigurationError) as raised:
        opened()
    assert (field in raised.value.why, why in raised.value.why) == (True, True)
