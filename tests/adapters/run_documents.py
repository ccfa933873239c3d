"""Documents of every kind that a run on Kubernetes may have, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from tests.core.documents import document

from bao_backup.core.spec import OpenBaoCluster, parse_cluster

labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
#: Up to the longest that Kubernetes takes.
object_names = st.lists(labels, min_size=1, max_size=6).map(".".join).filter(lambda name: len(name) <= 253)
#: What may be in a key, dollars among it.
prefixes = st.text(st.sampled_from("abc$()_ "), max_size=12).map(str.strip)

CONNECTIONS: list[dict[str, Any] | None] = [
    None,
    {"addresses": ["https://bao.example.com"], "serverName": "bao"},
    {
        "addresses": ["https://10.0.0.1:8200", "http://[::1]:80"],
        "caSecretRef": {"name": "ca", "key": "a.pem"},
    },
    {"service": {"name": "bao", "namespace": "other", "port": 443}, "caSecretRef": {"name": "ca"}},
]
LOGINS: list[dict[str, Any]] = [
    {"jwtAuthRole": "backup"},
    {"tokenSecretRef": {"name": "login"}},
    {"auth": {"method": "kubernetes", "role": "backup", "mountPath": "k8s"}},
    {"auth": {"method": "jwt", "role": "backup", "audience": "bao"}},
    {"auth": {"method": "approle", "secretRef": {"name": "login"}}},
    {"auth": {"method": "userpass", "secretRef": {"name": "login"}}},
]
IDENTITY = {"serviceAccountAnnotations": {"example.com/role": "backup"}, "podLabels": {"identity": "cloud"}}
TARGETS: list[dict[str, Any]] = [
    {"bucket": "backups"},
    {
        "bucket": "backups",
        "credentialsSecretRef": {"name": "keys"},
        "endpoint": "https://s3.example.com:9000",
    },
    {"bucket": "backups", "roleArn": "arn:aws:iam::1:role/backup", "partSize": 512 * 1024 * 1024},
    {"provider": "gcs", "bucket": "backups", "workloadIdentity": IDENTITY},
    {"provider": "azure", "bucket": "backups", "azure": {"storageAccount": "a"}},
]
TEMPLATES: list[dict[str, Any] | None] = [
    None,
    {"labels": {"openbao.org/cluster": "other", "app.kubernetes.io/managed-by": "me", "team": "a"}},
    {"annotations": {"openbao.org/backup-key": "other", "openbao.org/ended-because": "x", "note": "b"}},
    {"env": [{"name": "HTTPS_PROXY", "value": "http://proxy:1"}], "resources": {"limits": {"cpu": "2"}}},
    {"priorityClassName": "low", "nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]},
]


@st.composite
def run_documents(draw: st.DrawFn) -> OpenBaoCluster:
    """A valid document with which a run can be started."""
    login, target = draw(st.sampled_from(LOGINS)), dict(draw(st.sampled_from(TARGETS)))
    target["pathPrefix"] = draw(prefixes)
    content = document({f"spec.backup.{name}": value for name, value in login.items()})
    content["metadata"] = {"name": draw(object_names), "namespace": draw(labels), "uid": "00000000-1111"}
    content["spec"]["connection"] = draw(st.sampled_from(CONNECTIONS))
    content["spec"]["replicas"] = draw(st.integers(1, 5))
    content["spec"]["backup"]["target"] = target
    content["spec"]["backup"]["jobTemplate"] = draw(st.sampled_from(TEMPLATES))
    return parse_cluster(content, strict=True)
