"""The ways to log in to a Vault or OpenBao cluster, set up for tests."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.harness.vault import VaultCluster

SNAPSHOT_RULES = 'path "sys/storage/raft/snapshot" { capabilities = ["read"] }'
AUDIENCE = "openbao-internal"
SUBJECT = "system:serviceaccount:default:backup"
#: Names the key in tokens and in what the issuer publishes.
KEY_ID = "the-only-key"


@dataclass(frozen=True)
class AppRole:
    """What an AppRole logs in with."""

    role_id: str
    secret_id: str = field(repr=False)


class TokenIssuer:
    """Issues JSON web tokens (RS256, RFC 7519) as a Kubernetes API server does for ServiceAccounts."""

    def __init__(self, issuer: str = "https://issuer.test") -> None:
        self.issuer = issuer
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_key(self) -> str:
        """The key that proves its tokens, as PEM."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    @property
    def public_jwk(self) -> dict[str, str]:
        """The same as a JSON web key (RFC 7517)."""
        numbers = self._key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": KEY_ID,
            "n": _encode(numbers.n.to_bytes(256)),
            "e": _encode(numbers.e.to_bytes(3)),
        }

    def issue(
        self,
        subject: str = SUBJECT,
        audience: str = AUDIENCE,
        seconds: int = 600,
    ) -> str:
        """A token that is valid for so many seconds from now (negative: expired already)."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": subject,
            "aud": [audience],
            "iat": now - 700,
            "exp": now + seconds,
        }
        signed = f"{_segment({'alg': 'RS256', 'typ': 'JWT', 'kid': KEY_ID})}.{_segment(claims)}"
        return f"{signed}.{_encode(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def allow_snapshots(cluster: VaultCluster, policy: str = "snapshot") -> str:
    """A policy that allows to read snapshots and nothing else; gives its name."""
    cluster.policy(policy, SNAPSHOT_RULES)
    return policy


def enable(cluster: VaultCluster, kind: str, mount: str) -> None:
    """Mount an auth method, if nothing is mounted there."""
    if f"{mount}/" not in cluster.ask("GET", "sys/auth")["data"]:
        cluster.ask("PUT", f"sys/auth/{mount}", {"type": kind})


def enable_approle(
    cluster: VaultCluster, policies: Sequence[str], *, role: str = "backup", mount: str = "approle"
) -> AppRole:
    """A role of the AppRole method, and a fresh secret id of it."""
    enable(cluster, "approle", mount)
    cluster.ask("PUT", f"auth/{mount}/role/{role}", {"token_policies": list(policies), "token_ttl": "10m"})
    role_id = cluster.ask("GET", f"auth/{mount}/role/{role}/role-id")["data"]["role_id"]
    secret_id = cluster.ask("PUT", f"auth/{mount}/role/{role}/secret-id")["data"]["secret_id"]
    return AppRole(role_id, secret_id)


def enable_userpass(
    cluster: VaultCluster, policies: Sequence[str], *, name: str, password: str, mount: str = "userpass"
) -> None:
    """A user of the userpass method."""
    enable(cluster, "userpass", mount)
    settings = {"password": password, "token_policies": list(policies), "token_ttl": "10m"}
    cluster.ask("PUT", f"auth/{mount}/users/{name}", settings)


def enable_jwt(
    cluster: VaultCluster,
    policies: Sequence[str],
    issuer: TokenIssuer,
    *,
    role: str = "backup",
    mount: str = "jwt-operator",
    audience: str = AUDIENCE,
    subject: str = SUBJECT,
) -> None:
    """A role of the JWT method that takes `issuer`'s tokens of this audience and subject.

    With `mount="kubernetes"` it answers `auth/kubernetes/login` just as the Kubernetes method does,
    which takes the same body but asks an API server (TokenReview) what the token is worth.
    """
    enable(cluster, "jwt", mount)
    trusted = {"jwt_validation_pubkeys": [issuer.public_key], "bound_issuer": issuer.issuer}
    cluster.ask("PUT", f"auth/{mount}/config", trusted)
    settings = {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [audience],
        "bound_subject": subject,
        "token_policies": list(policies),
        "token_ttl": "10m",
    }
    cluster.ask("PUT", f"auth/{mount}/role/{role}", settings)


def create_token(cluster: VaultCluster, policies: Sequence[str], *, ttl: str = "1h") -> str:
    """A token with these policies."""
    answer = cluster.ask("PUT", "auth/token/create", {"policies": list(policies), "ttl": ttl})
    token: str = answer["auth"]["client_token"]
    return token


def _segment(value: dict[str, Any]) -> str:
    return _encode(json.dumps(value).encode())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
