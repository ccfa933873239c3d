"""Object stores and folders behind the port `Store`, and the one list of them.

A new one costs a line in `STORES`, one in the contract's parameters and a value in the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from bao_backup.adapters.stores import traits
from bao_backup.adapters.stores.folder import open_folder
from bao_backup.adapters.stores.fresh import Again
from bao_backup.adapters.stores.s3 import open_s3
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import StoreSettings, StoreTraits, find_credentials
from bao_backup.ports import Store

__all__ = ["STORES", "Kind", "open_store", "store_traits"]


def _open_azure(settings: StoreSettings, credentials: Mapping[str, str], again: Again | None) -> Store:
    # Only who uses it waits for it to be loaded.
    from bao_backup.adapters.stores.azure import open_azure  # noqa: PLC0415

    return open_azure(settings, credentials, again)


def _open_gcs(settings: StoreSettings, credentials: Mapping[str, str], again: Again | None) -> Store:
    from bao_backup.adapters.stores.gcs import open_gcs  # noqa: PLC0415 - as above

    return open_gcs(settings, credentials, again)


class Kind(NamedTuple):
    """One kind of store: how it is opened, and what it promises beyond the port."""

    open: Callable[[StoreSettings, Mapping[str, str], Again | None], Store]
    traits: StoreTraits


STORES: Mapping[str, Kind] = {
    "azure": Kind(_open_azure, traits.AZURE),
    "file": Kind(open_folder, traits.FILE),
    "gcs": Kind(_open_gcs, traits.GCS),
    "s3": Kind(open_s3, traits.S3),
}


def open_store(settings: StoreSettings, credentials: Mapping[str, str], again: Again | None = None) -> Store:
    """Open the store that `settings` describe; nothing is read, written or sent yet.

    Args:
        settings: where, and how.
        credentials: a Secret's files by name, or an environment; others' names in it do no harm.
        again: reads the same credentials again, where they may be replaced while the store is in use.

    Raises:
        ConfigurationError: the provider is not one of `STORES`, or the settings cannot work.
    """
    return _kind(settings.provider).open(settings, find_credentials(credentials), again)


def store_traits(provider: str) -> StoreTraits:
    """What stores of this kind promise beyond the port."""
    return _kind(provider).traits


def _kind(provider: str) -> Kind:
    kind = STORES.get(provider)
    if kind is None:
        raise ConfigurationError(
            f"open a store of provider {provider!r}",
            "there is no such provider",
            hint=f"spec.backup.target.provider is one of {', '.join(sorted(STORES))}",
        )
    return kind
