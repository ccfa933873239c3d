"""What each kind of store promises beyond the port `Store`."""

from __future__ import annotations

from bao_backup.core.storage import StoreTraits

FILE = StoreTraits()
S3 = StoreTraits(parts=True)
#: Azure drops the blocks of an upload that nobody finished by itself, after a week. It turns a backslash
#: into a slash, and drops dots at the end of a folder's name or a blob's (Azure Storage documentation,
#: "Naming and referencing containers, blobs, and metadata").
AZURE = StoreTraits(parts=True, sweeps=False, aborts=False, refuses=r"\\|\.(?:/|$)")
#: A resumable upload that nobody finished is seen by nobody, and Google drops it after a week.
GCS = StoreTraits(sweeps=False)
