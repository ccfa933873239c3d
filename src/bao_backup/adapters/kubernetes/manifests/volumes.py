"""What is mounted into a run's pod: Secrets and tokens that only the kubelet reads for it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NamedTuple

from bao_backup.adapters.kubernetes.manifests.owned import Manifest
from bao_backup.adapters.kubernetes.manifests.work import Work
from bao_backup.core.errors import InternalError
from bao_backup.core.job_settings import ca_secret
from bao_backup.core.job_template import OWN_VOLUME
from bao_backup.core.settings import DEFAULT_CA_FILE

#: 0400; the kubelet adds the right of the pod's group to read.
SECRET_MODE = 0o400
#: How long a token counts; the kubelet renews it when most of that is over.
TOKEN_SECONDS = 3600
AWS_AUDIENCE = "sts.amazonaws.com"
TEMPORARY_FOLDER = "/tmp"  # noqa: S108 - the pod's own
TEMPORARY_SPACE = "64Mi"


class Mounted(NamedTuple):
    """A volume, and the folder that it is."""

    name: str
    source: Manifest
    folder: str
    read_only: bool = True

    @property
    def mount(self) -> Manifest:
        """Its entry in `volumeMounts`."""
        mount: Manifest = {"name": self.name, "mountPath": self.folder}
        return mount | {"readOnly": True} if self.read_only else mount


def mounted(work: Work) -> tuple[Mounted, ...]:
    """The volumes of a run's own, at the paths that its settings name, each path once."""
    auth = work.bao.auth
    temporary = {"emptyDir": {"sizeLimit": TEMPORARY_SPACE}}
    found = [Mounted(f"{OWN_VOLUME}tmp", temporary, TEMPORARY_FOLDER, read_only=False)]
    ca = ca_secret(work.cluster)
    if ca is not None:
        found.append(_secret_file("ca", ca.name, ca.key, DEFAULT_CA_FILE))
    if auth.jwt_file:
        found.append(_token("token", auth.audience, auth.jwt_file))
    if auth.token_file:
        found.append(_secret_file("token", _login_secret(work), "token", auth.token_file))
    if auth.secret_folder:
        found.append(_secret("login", _login_secret(work), auth.secret_folder))
    for each in work.targets:
        if each.credentials_folder:
            found.append(_secret(each.volume, each.target.credentials_secret, each.credentials_folder))
        if each.store.role_token_file:
            found.append(_token("aws-token", AWS_AUDIENCE, each.store.role_token_file))
    return tuple({mounted.folder: mounted for mounted in reversed(found)}.values())[::-1]


def _login_secret(work: Work) -> str:
    if not work.login_secret:
        raise InternalError("mount the login", "the document names no Secret for it")
    return work.login_secret


def _secret(name: str, secret: str, folder: str) -> Mounted:
    source = {"secret": {"secretName": secret, "defaultMode": SECRET_MODE}}
    return Mounted(f"{OWN_VOLUME}{name}", source, folder)


def _secret_file(name: str, secret: str, key: str, file: str) -> Mounted:
    """One key of a Secret: whatever else it holds stays outside."""
    path = PurePosixPath(file)
    items = [{"key": key, "path": path.name}]
    source = {"secret": {"secretName": secret, "defaultMode": SECRET_MODE, "items": items}}
    return Mounted(f"{OWN_VOLUME}{name}", source, str(path.parent))


def _token(name: str, audience: str, file: str) -> Mounted:
    """A token of the pod's ServiceAccount, for this audience alone."""
    path = PurePosixPath(file)
    token = {"audience": audience, "expirationSeconds": TOKEN_SECONDS, "path": path.name}
    source = {"projected": {"sources": [{"serviceAccountToken": token}]}}
    return Mounted(f"{OWN_VOLUME}{name}", source, str(path.parent))
