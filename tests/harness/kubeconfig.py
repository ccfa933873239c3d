"""The files that tell a Kubernetes client where the API server is and who it is there."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.harness.certificates import Certificate


def write(path: Path, url: str, ca_file: Path, owner: Certificate | str, namespace: str = "default") -> Path:
    """Write a kubeconfig for the owner of a certificate or of a token; gives its path.

    Its form is JSON, which every reader of YAML takes.
    https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
    """
    user: dict[str, Any] = (
        {"token": owner}
        if isinstance(owner, str)
        else {
            "client-certificate-data": _encoded(owner.certificate),
            "client-key-data": _encoded(owner.key),
        }
    )
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "test", "cluster": {"server": url, "certificate-authority-data": _encoded(ca_file)}}
        ],
        "users": [{"name": "owner", "user": user}],
        "contexts": [
            {"name": "test", "context": {"cluster": "test", "user": "owner", "namespace": namespace}}
        ],
        "current-context": "test",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
