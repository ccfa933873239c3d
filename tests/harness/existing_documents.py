"""Documents as people write them for the existing OpenBao operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.harness.existing_operator import GROUP, VERSION

_STORE_RULE = {
    "to": [{"ipBlock": {"cidr": "10.20.0.0/16"}}],
    "ports": [{"protocol": "TCP", "port": 443}],
}


def _document(kind: str, name: str, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec),
    }


def sample_clusters(namespace: str = "default") -> list[dict[str, Any]]:
    """OpenBaoCluster documents as people write them for that operator: each storage, each login."""
    hardened = {
        "version": "2.4.4",
        "image": "quay.io/openbao/openbao:2.4.4",
        "replicas": 3,
        "profile": "Hardened",
        "deletionPolicy": "Retain",
        "tls": {"enabled": True, "mode": "External", "rotationPeriod": "720h"},
        "storage": {"size": "10Gi", "storageClassName": "fast"},
        "unseal": {"type": "static"},
        "network": {"egressRules": [_STORE_RULE]},
        "selfInit": {
            "enabled": True,
            "oidc": {"enabled": True, "audience": "openbao-internal", "issuer": "https://issuer.example"},
            "requests": [{"name": "kv", "operation": "update", "path": "sys/mounts/kv"}],
        },
        "upgrade": {"preUpgradeSnapshot": True, "blueGreen": {"preUpgradeSnapshot": True}},
        "restore": {"jwtAuthRole": "openbao-operator-restore"},
        "backup": {
            "schedule": "0 3 * * *",
            "retention": {"maxCount": 7, "maxAge": "168h"},
            "target": {
                "provider": "s3",
                "endpoint": "https://s3.eu-central-1.amazonaws.com",
                "bucket": "bao-backups",
                "region": "eu-central-1",
                "pathPrefix": "production/",
                "roleArn": "arn:aws:iam::123456789012:role/bao-backup",
            },
        },
    }
    development = {
        "version": "2.4.4",
        "replicas": 1,
        "profile": "Development",
        "tls": {"enabled": True, "mode": "OperatorManaged"},
        "storage": {"size": "1Gi"},
        "backup": {
            "schedule": "*/15 * * * *",
            "image": "registry.example/openbao-backup:0.1.0",
            "tokenSecretRef": {"name": "backup-token"},
            "target": {
                "endpoint": "https://minio.storage.svc:9000",
                "bucket": "bao-backups",
                "usePathStyle": True,
                "insecureSkipVerify": True,
                "partSize": 20971520,
                "concurrency": 5,
                "credentialsSecretRef": {"name": "minio-keys"},
            },
        },
    }
    google = {
        "version": "2.4.4",
        "replicas": 3,
        "paused": False,
        "backup": {
            "schedule": "30 */6 * * 1-5",
            "jwtAuthRole": "backup",
            "retention": {"maxCount": 0, "maxAge": "8760h"},
            "target": {
                "provider": "gcs",
                "bucket": "bao-backups",
                "gcs": {"project": "security-prod"},
                "credentialsSecretRef": {"name": "google-key"},
            },
        },
    }
    azure = {
        "version": "2.4.4",
        "replicas": 5,
        "selfInit": {"enabled": True, "oidc": {"enabled": True}},
        "backup": {
            "schedule": "0 0 * * 0",
            "target": {
                "provider": "azure",
                "bucket": "backups",
                "azure": {"storageAccount": "baobackups", "container": "raft"},
                "credentialsSecretRef": {"name": "azure-key"},
            },
        },
    }
    without = {"version": "2.4.4", "replicas": 1, "profile": "Development", "tls": {"enabled": False}}
    specs = {"s3": hardened, "minio": development, "gcs": google, "azure": azure, "no-backup": without}
    return [_document("OpenBaoCluster", name, namespace, spec) for name, spec in specs.items()]


def sample_restores(namespace: str = "default") -> list[dict[str, Any]]:
    """OpenBaoRestore documents for that operator: the least, and one with every field."""
    key = f"{namespace}/minio/2026-01-05T03-00-00Z-0a1b2c3d.snap"
    target = {"bucket": "bao-backups", "endpoint": "https://minio.storage.svc:9000", "usePathStyle": True}
    secret = {"credentialsSecretRef": {"name": "minio-keys"}}
    source = {"target": target | secret, "key": key}
    least = {"cluster": "s3", "source": source, "jwtAuthRole": "openbao-operator-restore"}
    full = {
        "cluster": "minio",
        "source": source,
        "tokenSecretRef": {"name": "restore-token"},
        "image": "registry.example/openbao-backup:0.1.0",
        "force": True,
        "overrideOperationLock": True,
    }
    specs: dict[str, dict[str, Any]] = {"of-today": least, "forced": full}
    return [_document("OpenBaoRestore", name, namespace, spec) for name, spec in specs.items()]


def sample_documents(namespace: str = "default") -> list[dict[str, Any]]:
    """All of them."""
    return sample_clusters(namespace) + sample_restores(namespace)
