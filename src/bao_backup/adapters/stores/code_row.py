"""A row of the tables that say what the codes in stores' answers mean."""

from __future__ import annotations

from typing import NamedTuple

from bao_backup.adapters.stores.meanings import Meaning
from bao_backup.core.errors import StorageError

S3, GOOGLE, AZURE = "s3", "gs", "azure"


class Row(NamedTuple):
    """One code of one vendor."""

    #: The scheme of its places: "s3" (also of all who speak as Amazon does), "gs", "azure".
    vendor: str
    #: With which it comes. The code decides, whatever the status is.
    status: int
    #: <Code> of an answer in XML, or `reason` of one of Google's in JSON.
    code: str
    meaning: Meaning
    #: Words of the answer that tell it from others of the same code; such a row stands before those.
    says: str = ""


def rows(vendor: str, status: int, meaning: Meaning, *codes: str) -> tuple[Row, ...]:
    """A row for each of these codes, which mean the same."""
    return tuple(Row(vendor, status, code, meaning) for code in codes)


def row(
    vendor: str, status: int, code: str, type_: type[StorageError], why: str, hint: str | None = None
) -> Row:
    """The row of a code whose meaning no other has."""
    return Row(vendor, status, code, Meaning(type_, why, hint))
