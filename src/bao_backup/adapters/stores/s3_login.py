"""The keys that requests to S3 are signed with, as the library takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bao_backup.adapters.stores.login import Renewed
from bao_backup.adapters.stores.s3_identity import Issued, Keys

if TYPE_CHECKING:
    # A type that the library has for the checker alone.
    from obstore.store import S3Credential


class Login(Renewed[Issued]):
    """One identity's keys. The library calls it for each signature or now and then; any thread may."""

    def __call__(self) -> S3Credential:
        """The keys as the library takes them. Raises as `keys`."""
        issued = self.current()
        return {
            "access_key_id": issued.keys.key,
            "secret_access_key": issued.keys.secret,
            "token": issued.keys.token,
            "expires_at": issued.expires,
        }

    def keys(self) -> Keys:
        """The keys that are good now. Raises StorageError where there are none."""
        return self.current().keys
