"""The command lines of a control plane's programs.

What each argument means: https://kubernetes.io/docs/reference/command-line-tools-reference/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.harness.certificates import Authority

#: Kubernetes' own parts, whose requests no test asks for.
_OWN_PARTS = {
    "users": ["admin", "system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"],
    "userGroups": ["system:nodes", "system:serviceaccounts:kube-system", "system:unauthenticated"],
}


@dataclass(frozen=True)
class Settings:
    """What the command lines have in common."""

    folder: Path
    authority: Authority
    port: int
    etcd_port: int
    etcd_peer_port: int
    #: The address that the API server listens on, and all names and addresses it is reached by.
    bind: str
    hosts: tuple[str, ...]
    audit_log: Path | None = None

    @property
    def url(self) -> str:
        """The API server for those on this machine."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """What signs every certificate here."""
        return self.authority.ca_file

    @property
    def etcd_url(self) -> str:
        """Etcd, for the API server alone."""
        return f"https://127.0.0.1:{self.etcd_port}"


def etcd(settings: Settings) -> list[str]:
    """An etcd that does not wait for the disk: a crash of the machine ends the tests anyway."""
    issued = settings.authority.issue("etcd", ("127.0.0.1",))
    peers = f"http://127.0.0.1:{settings.etcd_peer_port}"
    return [
        *("--data-dir", str(settings.folder / "etcd"), "--unsafe-no-fsync", "--log-level", "warn"),
        *("--listen-client-urls", settings.etcd_url, "--advertise-client-urls", settings.etcd_url),
        *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
        *("--initial-cluster", f"default={peers}"),
        *("--cert-file", str(issued.certificate), "--key-file", str(issued.key)),
        *("--client-cert-auth", "--trusted-ca-file", str(settings.ca_file)),
    ]


def api_server(settings: Settings) -> list[str]:
    """The API server."""
    authority = settings.authority
    serving = authority.issue("kube-apiserver", settings.hosts)
    storage = authority.issue("etcd-client", ())
    kubelet = authority.issue("kubelet-client", (), group="system:masters")
    return [
        *("--bind-address", settings.bind, "--secure-port", str(settings.port)),
        *("--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none"),
        *("--etcd-servers", settings.etcd_url, "--etcd-cafile", str(settings.ca_file)),
        *("--etcd-certfile", str(storage.certificate), "--etcd-keyfile", str(storage.key)),
        *("--tls-cert-file", str(serving.certificate), "--tls-private-key-file", str(serving.key)),
        *("--client-ca-file", str(settings.ca_file), "--authorization-mode", "Node,RBAC"),
        *("--enable-admission-plugins", "NodeRestriction", "--service-cluster-ip-range", "10.96.0.0/16"),
        # A pod of a lost node is given up after so many seconds; by default after 5 minutes.
        *("--default-unreachable-toleration-seconds", "5", "--default-not-ready-toleration-seconds", "5"),
        *_tokens(settings),
        # How it reaches a kubelet, for logs and exec.
        *("--kubelet-preferred-address-types", "InternalIP"),
        *("--kubelet-certificate-authority", str(settings.ca_file)),
        *("--kubelet-client-certificate", str(kubelet.certificate)),
        *("--kubelet-client-key", str(kubelet.key)),
        *(_audit(settings.folder, settings.audit_log) if settings.audit_log else ()),
    ]


def controller_manager(settings: Settings, kubeconfig: Path) -> list[str]:
    """The controller manager; a node that says nothing is lost to it after 12 s."""
    return [
        *("--kubeconfig", str(kubeconfig), "--secure-port", "0", "--leader-elect=false"),
        *("--root-ca-file", str(settings.ca_file), "--use-service-account-credentials"),
        *("--service-account-private-key-file", str(_token_keys(settings.folder)[0])),
        # Its own limit on requests would make it 5 s slower to start.
        *("--kube-api-qps", "500", "--kube-api-burst", "1000"),
        *("--node-monitor-grace-period", "12s", "--node-monitor-period", "2s"),
    ]


def scheduler(kubeconfig: Path) -> list[str]:
    """The scheduler."""
    return [
        *("--kubeconfig", str(kubeconfig), "--secure-port", "0", "--leader-elect=false"),
        *("--kube-api-qps", "500", "--kube-api-burst", "1000"),
    ]


def _tokens(settings: Settings) -> list[str]:
    private, public = _token_keys(settings.folder)
    return [
        *("--service-account-issuer", settings.url),
        *("--service-account-jwks-uri", f"{settings.url}/openid/v1/jwks"),
        *("--service-account-key-file", str(public), "--service-account-signing-key-file", str(private)),
        *("--api-audiences", f"{settings.url},https://kubernetes.default.svc"),
    ]


def _token_keys(folder: Path) -> tuple[Path, Path]:
    """The files of the keys that tokens are signed with and proved by; made at the first call."""
    private, public = folder / "tokens.key", folder / "tokens.pub"
    if not private.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private.touch(mode=0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    return private, public


def _audit(folder: Path, log: Path) -> list[str]:
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "users": _OWN_PARTS["users"]},
            {"level": "None", "userGroups": _OWN_PARTS["userGroups"]},
            {"level": "Metadata"},
        ],
    }
    file = folder / "audit-policy.yaml"
    file.write_text(json.dumps(policy), encoding="utf-8")
    return ["--audit-policy-file", str(file), "--audit-log-path", str(log)]
