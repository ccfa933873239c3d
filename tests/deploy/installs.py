"""Ways to install the chart, and what the manager may do then: what all tests of it go by."""

from __future__ import annotations

from typing import Any

DIGEST = "sha256:" + "0123456789abcdef" * 4

#: Ways to install it, each with something of its own.
INSTALLS: dict[str, dict[str, Any]] = {
    "all-namespaces": {},
    "one-namespace": {"namespaces": ["team-a"]},
    "own-namespace": {"namespaces": ["bao-backup"]},
    "several-namespaces": {"namespaces": ["team-a", "team-b"]},
    "openshift": {"openshift": True},
    "no-lease": {"lease": {"enabled": False}, "replicas": 1},
    "no-crds": {"crds": {"install": False}},
    "one-replica": {"replicas": 1},
    "own-account": {"serviceAccount": {"create": False, "name": "there-already"}},
    "no-service": {"metrics": {"service": False}},
    "everything": {
        "image": {
            "repository": "registry.example:5000/team/bao-backup",
            "digest": DIGEST,
            "pullPolicy": "Always",
        },
        "imagePullSecrets": ["pull"],
        "replicas": 3,
        "run": {"image": "registry.example/runs:1", "pullPolicy": "Never", "pullSecrets": ["run-pull"]},
        "networkPolicy": {"runs": False, "manager": True},
        "audience": "openbao",
        "maxRuns": 20,
        "logFormat": "text",
        "extraArgs": ["--verbose"],
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
        "resources": {"limits": {"memory": "1Gi"}},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "manager"}},
            }
        ],
        "priorityClassName": "high",
        "podLabels": {"team": "platform", "app.kubernetes.io/name": "another"},
        "podAnnotations": {"example.com/why": "backup"},
        "serviceAccount": {"name": "keeper", "annotations": {"example.com/owner": "platform"}},
        "metrics": {"port": 9999, "serviceMonitor": True, "labels": {"release": "prometheus"}},
        "podDisruptionBudget": {"maxUnavailable": 2},
    },
}

#: What the manager may do with each namespace that it looks after.
RIGHTS = {
    *{("openbao.org", "openbaoclusters", verb) for verb in ("get", "list", "watch", "patch")},
    ("openbao.org", "openbaoclusters/status", "patch"),
    *{("openbao.org", "openbaorestores", verb) for verb in ("get", "list", "watch")},
    ("openbao.org", "openbaorestores/status", "patch"),
    *{("batch", "jobs", verb) for verb in ("get", "list", "watch", "create", "patch", "delete")},
    *{("", "pods", verb) for verb in ("get", "list")},
    *{("", "events", verb) for verb in ("create", "list")},
    *{("", "serviceaccounts", verb) for verb in ("get", "create", "patch")},
    *{("networking.k8s.io", "networkpolicies", verb) for verb in ("get", "create", "patch")},
}
#: What it needs of Leases, in its own namespace alone.
LEASE = {("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update", "patch")}
