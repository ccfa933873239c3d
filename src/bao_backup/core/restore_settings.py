"""What one restore works with, and how it travels to the executor: as one JSON in `RESTORE_CONFIG`.

`CLUSTER_NAMESPACE`, `CLUSTER_NAME` and `RESTORE_KEY` are set beside it, for people who look at the Job.
No secret is in any of them: only paths of the files that hold it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bao_backup.core.connection import BaoSettings
from bao_backup.core.errors import ConfigurationError, one_line
from bao_backup.core.model import Moment, Value
from bao_backup.core.storage import StoreSettings

VARIABLE = "RESTORE_CONFIG"
#: Four hours, as `spec.activeDeadlineSeconds`; the run's own deadline is a minute before.
DEFAULT_DEADLINE = 4 * 3600 - 60


class Place(Value, frozen=True, kw_only=True):
    """One cluster's folder in one store, and where the credentials for it are."""

    store: StoreSettings
    #: The folder with the storage credentials, a file each; empty: the environment's own.
    credentials_folder: str = ""
    #: `<pathPrefix>/<namespace>/<cluster>`
    prefix: str


class Wanted(Value, frozen=True, kw_only=True):
    """Which backup: one of key, latest, before and file; and what it must be."""

    key: str = ""
    latest: bool = False
    before: Moment | None = None
    #: A snapshot on this machine, from no store.
    file: str = ""
    #: SHA-256, lower-case hex; empty for any.
    sha256: str = ""
    size: int | None = None
    cluster_id: str = ""
    version: str = ""


class RestoreSettings(Value, frozen=True, kw_only=True):
    """Everything that a restore needs to know, and no secret."""

    #: The cluster that is overwritten, and the uid of its document.
    namespace: str
    name: str
    uid: str = ""
    #: The document's name; empty when a person restores by command.
    restore: str = ""
    #: When the document was accepted; None when a person restores by command. It names the safety backup,
    #: so that a second start of the same run (Kubernetes may start a pod twice) finds the first one's.
    accepted: Moment | None = None
    bao: BaoSettings
    wanted: Wanted
    #: Where the backup is; None: it is a file of this machine.
    source: Place | None = None
    force: bool = False
    #: Where what is there is backed up first; None: it is not.
    safety: Place | None = None
    deadline_seconds: float = DEFAULT_DEADLINE


def to_environment(settings: RestoreSettings) -> dict[str, str]:
    """The variables that make an executor restore by these settings."""
    return {
        "CLUSTER_NAMESPACE": settings.namespace,
        "CLUSTER_NAME": settings.name,
        "RESTORE_KEY": settings.wanted.key,
        VARIABLE: msgspec.json.encode(settings).decode(),
    }


def from_environment(environment: Mapping[str, str]) -> RestoreSettings:
    """Read the settings of one restore.

    Raises ConfigurationError when they are missing or wrong.
    """
    doing, hint = "read the environment", "set it, or use --config FILE"
    text = environment.get(VARIABLE, "").strip()
    if not text:
        raise ConfigurationError(doing, f"{VARIABLE} is not set", hint=hint)
    try:
        return msgspec.json.decode(text, type=RestoreSettings)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(doing, one_line(f"{VARIABLE}: {error}"), hint=hint) from error
