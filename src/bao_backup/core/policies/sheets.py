"""Every subject of `bao-backup policy`, and who makes its sheet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bao_backup.core.policies.asked import Asked
from bao_backup.core.policies.azure import azure_sheet
from bao_backup.core.policies.folder import folder_sheet
from bao_backup.core.policies.gcs import gcs_sheet
from bao_backup.core.policies.lifecycle import lifecycle_sheet
from bao_backup.core.policies.s3 import s3_sheet
from bao_backup.core.policies.server import server_sheet
from bao_backup.core.policies.sheet import Sheet

#: Kind of store -> its sheet.
STORES: Mapping[str, Callable[[Asked], Sheet]] = {
    "s3": s3_sheet,
    "gcs": gcs_sheet,
    "azure": azure_sheet,
    "file": folder_sheet,
}


def store_sheet(asked: Asked) -> Sheet:
    """The rights in the store, whichever it is."""
    return STORES[asked.store.provider](asked)


#: Subject -> its sheet, in the order in which all of them are printed.
SUBJECTS: Mapping[str, Callable[[Asked], Sheet]] = {
    "store": store_sheet,
    "server": server_sheet,
    "lifecycle": lifecycle_sheet,
}
