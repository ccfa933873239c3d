"""Whose rights are wanted, and for what."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from bao_backup.core.connection import BaoAuth
from bao_backup.core.model import Value
from bao_backup.core.retention import RetentionPolicy
from bao_backup.core.storage import StoreSettings

#: The audience of a pod's token for OpenBao, where nobody names another.
DEFAULT_AUDIENCE = "openbao-internal"
_LONGEST_LABEL = 100


class Purpose(StrEnum):
    """What the rights are for."""

    #: A run: it backs up, sweeps, verifies, and applies the retention.
    BACKUP = "backup"
    #: A restore, with a safety backup before it.
    RESTORE = "restore"
    #: What reads: list, show, verify, download.
    VERIFY = "verify"


class Accounts(NamedTuple):
    """The ServiceAccounts of a cluster's runs."""

    backup: str
    restore: str


class Asked(Value, frozen=True, kw_only=True):
    """A cluster's target and login, and what is to be done with them."""

    purpose: Purpose = Purpose.BACKUP
    namespace: str
    name: str
    #: The folder of this cluster's backups in the store, without a slash at its end.
    prefix: str
    store: StoreSettings
    retention: RetentionPolicy | None = None
    #: None: the document names no login.
    auth: BaoAuth | None = None
    #: Seconds that a run may take.
    seconds: float = 4 * 3600
    #: The ServiceAccount of the run.
    account: str
    #: The subject of the run's tokens, where it is not the ServiceAccount's.
    subject: str = ""
    #: The subject of backups, where this is a restore: both take on the role of the target.
    beside: str = ""
    #: URL of who issues the run's tokens; empty: not known.
    issuer: str = ""
    #: The file with the CA of the issuer; empty: a public one.
    issuer_ca: str = ""
    #: Whether keys of the store's own are configured, in place of an identity of the place.
    keys: bool = False
    #: `workloadIdentity.serviceAccountAnnotations`
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    #: The Google Cloud project; empty: not known.
    project: str = ""
    #: Also the right to restore with `force`.
    force: bool = False

    @property
    def label(self) -> str:
        """What roles and rules are called where they belong to this cluster alone."""
        return f"bao-{self.purpose}-{self.namespace}-{self.name}"[:_LONGEST_LABEL].rstrip("-.")

    @property
    def token_subject(self) -> str:
        """The claim `sub` of the run's tokens."""
        return self.subject or f"system:serviceaccount:{self.namespace}:{self.account}"

    @property
    def drops(self) -> bool:
        """Whether a run of this purpose deletes old backups."""
        if self.purpose is not Purpose.BACKUP or self.retention is None:
            return False
        classes = (self.retention, self.retention.pre_upgrade)
        return any(each is not None and bool(each.has_limit or each.keep_rules) for each in classes)

    @property
    def where(self) -> str:
        """What the sheets are about, in words."""
        return f"{self.namespace}/{self.name}, for {self.purpose}"
