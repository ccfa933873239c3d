"""What the manager's own set-up says of the Jobs that it makes."""

from __future__ import annotations

from typing import Literal

from bao_backup.core.model import Value

#: What a token for OpenBao is issued for, where neither document nor manager says (the existing
#: operator's default).
DEFAULT_AUDIENCE = "openbao-internal"


class JobOptions(Value, frozen=True, kw_only=True):
    """The same for every cluster; nothing of it is a secret."""

    #: The manager's own image, for documents without `spec.backup.image`.
    image: str
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    #: Names of Secrets in each cluster's own namespace.
    image_pull_secrets: tuple[str, ...] = ()
    #: For documents that name no audience.
    audience: str = DEFAULT_AUDIENCE
    #: OpenShift gives each namespace its own user and group numbers: none are asked for there.
    openshift: bool = False
    #: Whether runs get a NetworkPolicy.
    network_policy: bool = True
