"""Right and wrong OpenBaoRestore documents: for their reader, and for the API server with our CRD."""

from __future__ import annotations

from typing import Any

from tests.core.documents import DELETE

S = "spec.source"
DIGEST = "sha256:" + "0a" * 32
KEY = "raft/default/prod/2026-11-22T02-00-00Z-0123abcd.snap"

# field, the smallest and the largest value that are right
RESTORE_NUMBERS: list[tuple[str, int, int]] = [
    ("spec.activeDeadlineSeconds", 10, 604_800),
    (f"{S}.expectedSize", 1, 5 * 1024**4),
]

# changes, and the problems: path -> a part of what is expected
WRONG_RESTORES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"spec": DELETE}, {"spec": "missing"}),
    ({"spec.cluster": DELETE}, {"spec.cluster": "missing"}),
    ({"spec.cluster": ""}, {"spec.cluster": "not empty"}),
    ({"spec.cluster": "a/b"}, {"spec.cluster": "Kubernetes name"}),
    # one source
    ({S: DELETE}, {S: "missing"}),
    ({f"{S}.latest": False}, {S: "one of key, latest and before, and there is none"}),
    ({S: {"key": ""}}, {S: "none of them"}),
    ({f"{S}.key": KEY}, {S: "key and latest"}),
    ({S: {"key": KEY, "before": "2026-11-22T02:00:00Z"}}, {S: "key and before"}),
    ({f"{S}.before": "2026-11-22T02:00:00Z"}, {S: "latest and before"}),
    ({S: {"before": "2026-11-22T02:00:00"}}, {f"{S}.before": "2026-11-22T02:00:00Z"}),
    ({S: {"before": "yesterday"}}, {f"{S}.before": "2026-11-22T02:00:00Z"}),
    ({S: {"key": "/a"}}, {f"{S}.key": "slash"}),
    ({S: {"key": "a/../b"}}, {f"{S}.key": '".."'}),
    ({S: {"key": "x" * 1025}}, {f"{S}.key": "at most 1024"}),
    ({f"{S}.target": {}}, {f"{S}.target.bucket": "missing"}),
    ({f"{S}.target": {"bucket": "b", "gcs": {}}}, {f"{S}.target.gcs": "only with provider gcs"}),
    # what it must be
    ({f"{S}.expectedDigest": "0a" * 32}, {f"{S}.expectedDigest": "sha256:"}),
    ({f"{S}.expectedDigest": DIGEST.upper()}, {f"{S}.expectedDigest": "sha256:"}),
    ({f"{S}.expectedClusterID": "x" * 129}, {f"{S}.expectedClusterID": "at most 128"}),
    ({f"{S}.expectedVersion": "x" * 65}, {f"{S}.expectedVersion": "at most 64"}),
    # who, and how
    ({"spec.overrideOperationLock": True}, {"spec.overrideOperationLock": "only with force"}),
    (
        {"spec.jwtAuthRole": "r", "spec.tokenSecretRef": {"name": "t"}},
        {"spec.tokenSecretRef": "one login"},
    ),
    (
        {"spec.auth": {"method": "jwt", "role": "r"}, "spec.jwtAuthRole": "r"},
        {"spec.jwtAuthRole": "one login"},
    ),
    ({"spec.auth": {"method": "jwt"}}, {"spec.auth.role": "the role"}),
    ({"spec.jobTemplate": {"env": [{}]}}, {"spec.jobTemplate.env[0].name": "not empty"}),
    ({"spec.safetyBackup": "no"}, {"spec.safetyBackup": "true or false"}),
    ({"spec.clusterTemplate": {"version": "2.7.0"}}, {"spec.clusterTemplate": "not supported"}),
]

RIGHT_RESTORES: list[dict[str, Any]] = [
    {},
    {S: {"key": KEY, "target": {"bucket": "b", "credentialsSecretRef": {"name": "minio"}}}},
    {S: {"before": "2026-11-22T02:00:00Z"}},
    {S: {"before": "2026-11-22T02:00:00.123+01:00", "key": "", "latest": False}},
    {f"{S}.target": {"provider": "file", "path": "/backups"}},
    {
        f"{S}.expectedDigest": DIGEST,
        f"{S}.expectedClusterID": "1fd2c6a0",
        f"{S}.expectedVersion": "2.4.4",
        f"{S}.expectedSize": 8 * 1024**3,
    },
    {"spec.force": True, "spec.overrideOperationLock": True, "spec.safetyBackup": False},
    {"spec.tokenSecretRef": {"name": "root-token"}, "spec.image": "registry.example.com/bao-backup:1"},
    {"spec.tokenSecretRef": {}, "spec.jwtAuthRole": "restore"},
    {"spec.auth": {"method": "approle", "secretRef": {"name": "login"}}},
    {"spec.jobTemplate": {"resources": {"limits": {"memory": "1Gi"}}}},
    {"spec.targetLifecycle": "Retain", "spec.cleanupAfterSeconds": 60},
]
