"""How a cluster's servers are reached and how to log in there: names and paths, never a secret.

Credentials are named by the files that hold them, and read anew at each login, so that a rotated
one is used at once and none of them stays in memory.
"""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import urlsplit

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.model import Value

_DEFAULT_PORTS = {"http": 80, "https": 443}


class AuthMethod(StrEnum):
    """How to log in (`spec.backup.auth.method`)."""

    TOKEN = "token"  # noqa: S105 - the name of a method
    JWT = "jwt"
    KUBERNETES = "kubernetes"
    APPROLE = "approle"
    USERPASS = "userpass"


_DEFAULT_MOUNTS = {
    AuthMethod.JWT: "jwt-operator",
    AuthMethod.KUBERNETES: "kubernetes",
    AuthMethod.APPROLE: "approle",
    AuthMethod.USERPASS: "userpass",
}


class BaoAuth(Value, frozen=True, kw_only=True):
    """One way to log in. Which of the files is read depends on the method."""

    method: AuthMethod
    #: Where the method is mounted, without "auth/"; empty for the method's default.
    mount: str = ""
    #: For jwt and kubernetes.
    role: str = ""
    #: What the JWT was issued for; only told to people, since the server checks it.
    audience: str = ""
    #: For token.
    token_file: str = ""
    #: For jwt and kubernetes.
    jwt_file: str = ""
    #: For approle a folder with `role_id` and `secret_id`, for userpass with `username` and `password`.
    secret_folder: str = ""
    #: Where a person says all this: an error about one of the files names it.
    said_in: str = "spec.backup.auth"

    @property
    def mount_path(self) -> str:
        """The mount, or the method's default one; empty for a token, which needs none."""
        return self.mount.strip("/") or _DEFAULT_MOUNTS.get(self.method, "")


class BaoSettings(Value, frozen=True, kw_only=True):
    """One cluster's servers, and the login to them."""

    #: URLs, "https://bao-0.example:8200"; a name stands for all the IP addresses that it has.
    addresses: tuple[str, ...]
    auth: BaoAuth
    #: The one CA to trust, PEM; empty for the system's CAs.
    ca_file: str = ""
    #: The name that certificates must hold; empty for the host of the address.
    server_name: str = ""
    #: For each of: to connect, to shake hands, to answer a small call.
    connect_seconds: float = 5.0
    #: How long a snapshot may give no byte.
    stall_seconds: float = 60.0


class Endpoint(Value, frozen=True, kw_only=True):
    """An address in its parts."""

    address: str
    host: str
    port: int
    tls: bool


def parse_address(address: str) -> Endpoint:
    """Take an address apart: scheme, host and port, and nothing more than that.

    Raises ConfigurationError, which repeats the address unless it holds a user name or password.
    """
    doing = f"read the server address {address!r}" if "@" not in address else "read a server address"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(doing, "it is not a URL like https://host:8200") from error
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ConfigurationError(doing, "it is not a URL like https://host:8200")
    if "@" in parts.netloc:
        raise ConfigurationError(doing, "it holds a user name; credentials belong into spec.backup.auth")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigurationError(doing, "only scheme, host and port are allowed, nothing after them")
    if port == 0:
        raise ConfigurationError(doing, "no server listens on port 0")
    return Endpoint(
        address=address, host=host, port=port or _DEFAULT_PORTS[parts.scheme], tls=parts.scheme == "https"
    )
