"""What each code in an answer of a store means: the tables of all vendors, which a test walks in full."""

from __future__ import annotations

from collections.abc import Mapping

from bao_backup.adapters.stores.azure_codes import AZURE_CODES
from bao_backup.adapters.stores.code_row import GOOGLE, S3, Row
from bao_backup.adapters.stores.gcs_codes import GCS_CODES
from bao_backup.adapters.stores.s3_codes import S3_CODES

ROWS: tuple[Row, ...] = (*S3_CODES, *GCS_CODES, *AZURE_CODES)


def _by_code() -> Mapping[tuple[str, str], tuple[Row, ...]]:
    found: dict[tuple[str, str], tuple[Row, ...]] = {}
    for row in ROWS:
        name = (row.vendor, row.code)
        found[name] = (*found.get(name, ()), row)
    return found


_BY_CODE = _by_code()


def find_row(vendor: str, code: str, text: str) -> Row | None:
    """The first row that fits: of this vendor; for Google's XML API of those, too, that it has from Amazon.

    Args:
        vendor: "s3", "gs" or "azure".
        code: of the answer; empty: it has none.
        text: the answer, or what the library says of it.
    """
    for each in (vendor, S3) if vendor == GOOGLE else (vendor,):
        for row in _BY_CODE.get((each, code), ()):
            if row.says in text:
                return row
    return None
