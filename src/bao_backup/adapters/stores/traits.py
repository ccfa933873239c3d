"""What each kind of store promises beyond the port `Store`."""

from __future__ import annotations

from bao_backup.core.storage import StoreTraits
from bao_backup.core.store_options import LACKS

FILE = StoreTraits(lacks=LACKS["file"])
S3 = StoreTraits(parts=True, lacks=LACKS["s3"])
#: Azure drops the blocks of an upload that nobody finished by itself, after a week. It turns a backslash
#: into a slash, and drops dots at the end of a folder's name or a blob's (Azure Storage documentation,
#: "Naming and referencing containers, blobs, and metadata").
AZURE = StoreTraits(parts=True, sweeps=False, aborts=False, refuses=r"\\|\.(?:/|$)", lacks=LACKS["azure"])
#: A resumable upload that nobody finished is seen by nobody, and Google drops it after a week.
GCS = StoreTraits(sweeps=False, lacks=LACKS["gcs"])
