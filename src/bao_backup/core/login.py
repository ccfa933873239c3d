"""`spec.backup.auth`: how a run logs in to OpenBao or Vault. Names only: secrets are elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from bao_backup.core.connection import AuthMethod
from bao_backup.core.documents import Part, checked
from bao_backup.core.fields import check_folder, check_mount
from bao_backup.core.target import SecretName

_BY_TOKEN_OF_POD = {AuthMethod.JWT, AuthMethod.KUBERNETES}


class Auth(Part, frozen=True, kw_only=True):
    """One way to log in."""

    method: Annotated[AuthMethod, Meta(description="How to log in.")]
    mount_path: Annotated[
        str, Meta(max_length=512), checked(check_mount, "Mount of the method; empty: its usual one.")
    ] = ""
    role: Annotated[str, Meta(max_length=512, description="Role; methods jwt and kubernetes.")] = ""
    audience: Annotated[
        str, Meta(max_length=512, description="Audience of the token; methods jwt and kubernetes.")
    ] = ""
    secret_ref: Annotated[
        SecretName | None,
        Meta(
            description="Secret with role_id and secret_id (approle), username and password (userpass), "
            "or token (token)."
        ),
    ] = None
    file: Annotated[
        str,
        Meta(max_length=4096),
        checked(
            check_folder,
            "Without Kubernetes: the file with the JWT or token, or the folder with the files "
            "that the Secret would have.",
        ),
    ] = ""

    @property
    def secret(self) -> str:
        """The name of the Secret; empty when there is none."""
        return self.secret_ref.name if self.secret_ref else ""

    def faults(self) -> Iterable[tuple[str, str]]:
        """What goes with which method."""
        if self.method in _BY_TOKEN_OF_POD:
            if not self.role:
                yield "role", f"expected the role, for method {self.method}"
            if self.secret:
                yield "secretRef", "expected only with method approle, userpass or token"
            return
        if self.role:
            yield "role", "expected only with method jwt or kubernetes"
        if self.audience:
            yield "audience", "expected only with method jwt or kubernetes"
        if bool(self.secret) == bool(self.file):
            yield "", f"expected either secretRef or file, for method {self.method}"


#: The short forms of `auth`, which documents of backups and of restores have beside it.
JwtAuthRole = Annotated[
    str, Meta(max_length=512, description="Short for auth with method jwt and this role.")
]
TokenSecretRef = Annotated[
    SecretName | None, Meta(description="Short for auth with method token and this Secret (key token).")
]


def faults_of_logins(auth: Auth | None, jwt_auth_role: str, token_secret: str) -> Iterable[tuple[str, str]]:
    """Two logins at once are wrong: `auth`, and its short forms `jwtAuthRole` and `tokenSecretRef`."""
    logins = {"auth": auth, "jwtAuthRole": jwt_auth_role, "tokenSecretRef": token_secret}
    given = [name for name, value in logins.items() if value]
    if len(given) > 1:
        yield given[-1], f"expected one login, and there are {' and '.join(given)}"
