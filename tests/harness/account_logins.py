"""Logins to a Vault or OpenBao cluster with the tokens of a real API server's ServiceAccounts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tests.harness import build
from tests.harness.control_plane import ControlPlane
from tests.harness.logins import AUDIENCE, enable
from tests.harness.vault import VaultCluster

PLUGIN = "vault-plugin-auth-kubernetes"
REVIEWER = "token-reviewer"


def trust_issuer(
    cluster: VaultCluster,
    policies: Sequence[str],
    control_plane: ControlPlane,
    *,
    subject: str,
    role: str = "backup",
    mount: str = "jwt-operator",
    audience: str = AUDIENCE,
) -> None:
    """A role of the JWT method for one ServiceAccount, proved by the keys that the API server publishes.

    `subject` is what `ControlPlane.create_service_account` gives: "system:serviceaccount:NAMESPACE:NAME".
    """
    enable(cluster, "jwt", mount)
    ca = control_plane.ca_file.read_text(encoding="ascii")
    trusted = {
        "oidc_discovery_url": control_plane.issuer,
        "oidc_discovery_ca_pem": ca,
        "bound_issuer": control_plane.issuer,
    }
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


def review_tokens(
    cluster: VaultCluster,
    policies: Sequence[str],
    control_plane: ControlPlane,
    *,
    account: str,
    namespace: str = "default",
    role: str = "backup",
    mount: str = "kubernetes",
    audience: str = AUDIENCE,
) -> None:
    """A role of the Kubernetes method for one ServiceAccount: each login asks the API server (TokenReview).

    Vault's own build here lacks the method, so that it comes as a plugin: the cluster must have been
    made with `plugins=plugin_folder()`. OpenBao has it built in.
    """
    if cluster.binary.name == "vault":
        program = plugin_folder() / PLUGIN
        digest = hashlib.sha256(program.read_bytes()).hexdigest()
        cluster.ask("PUT", "sys/plugins/catalog/auth/kubernetes", {"sha256": digest, "command": PLUGIN})
    enable(cluster, "kubernetes", mount)
    config = {
        "kubernetes_host": control_plane.url,
        "kubernetes_ca_cert": control_plane.ca_file.read_text(encoding="ascii"),
        "token_reviewer_jwt": _reviewer(control_plane),
    }
    cluster.ask("PUT", f"auth/{mount}/config", config)
    settings = {
        "bound_service_account_names": [account],
        "bound_service_account_namespaces": [namespace],
        "audience": audience,
        "token_policies": list(policies),
        "token_ttl": "10m",
    }
    cluster.ask("PUT", f"auth/{mount}/role/{role}", settings)


def plugin_folder() -> Path:
    """The folder with the plugin, which is built if need be."""
    return build.binary(PLUGIN).parent


def _reviewer(control_plane: ControlPlane) -> str:
    """The token of a ServiceAccount that may have tokens reviewed: that is `system:auth-delegator`."""
    subject = control_plane.create_service_account(REVIEWER)
    control_plane.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": REVIEWER},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:auth-delegator",
            },
            "subjects": [
                {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": subject},
            ],
        }
    )
    return control_plane.token(REVIEWER, seconds=24 * 3600)
