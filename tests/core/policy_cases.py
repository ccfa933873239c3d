"""Clusters whose sheets of rights are kept in `tests/data/policies`, to be looked at.

python -m tests.core.policy_cases      writes them anew
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bao_backup.core.policies.asked import Accounts, Asked, Purpose
from bao_backup.core.policies.from_document import asked_of_document
from bao_backup.core.policies.sheet import to_script
from bao_backup.core.policies.sheets import SUBJECTS
from bao_backup.core.spec import parse_cluster

FOLDER = Path(__file__).parents[1] / "data" / "policies"
ISSUER = "https://oidc.eks.eu-central-1.amazonaws.com/id/ABC"
ROLE = "arn:aws:iam::123456789012:role/backups/bao"
MINIO = {"endpoint": "https://minio.example:9000", "bucket": "backups", "pathPrefix": "bao"}
KEYS = {"credentialsSecretRef": {"name": "keys"}}


def cluster(target: dict[str, Any], **backup: Any) -> dict[str, Any]:
    """The document of openbao/prod with this target."""
    login = {} if {"auth", "tokenSecretRef"} & backup.keys() else {"jwtAuthRole": "bao-backup"}
    return {
        "apiVersion": "openbao.org/v1alpha1",
        "kind": "OpenBaoCluster",
        "metadata": {"name": "prod", "namespace": "openbao"},
        "spec": {"backup": {"schedule": "@daily", "target": target, **login, **backup}},
    }


def asked(document: dict[str, Any], purpose: Purpose = Purpose.BACKUP, **more: Any) -> Asked:
    """What the document asks for."""
    accounts = Accounts("prod-backup-serviceaccount", "prod-restore-serviceaccount")
    found = asked_of_document(parse_cluster(document, strict=True), purpose, accounts)
    return replace(found, **more)


def secret(method: str) -> dict[str, Any]:
    """A login by what is in a Secret."""
    return {"method": method, "secretRef": {"name": "login"}}


AWS = cluster({"bucket": "backups", "roleArn": ROLE}, retention={"maxAge": "720h"})
CASES: dict[str, Asked] = {
    "aws-role": asked(AWS, issuer=ISSUER),
    "aws-role-restore": asked(AWS, Purpose.RESTORE, issuer=ISSUER),
    "aws-role-verify": asked(AWS, Purpose.VERIFY),
    "aws-pod-identity": asked(
        cluster({"bucket": "backups", "region": "cn-north-1"}, auth={"method": "kubernetes", "role": "r"})
    ),
    "aws-keys": asked(
        cluster(
            {
                "bucket": "backups",
                "pathPrefix": "it's all",
                "s3": {"sse": "aws:kms", "kmsKeyId": "1234-abcd", "tags": {"team": "a"}},
                **KEYS,
            },
            auth=secret("approle"),
            retention={"maxAge": "25h", "maxCount": 7, "minKeep": 3},
        )
    ),
    "minio-keys": asked(cluster(MINIO | KEYS, auth=secret("userpass"), retention={"keepDaily": 7})),
    "minio-role": asked(
        cluster(
            MINIO | {"roleArn": "arn:minio:iam:::role/abc"},
            retention={"maxAge": "720h", "preUpgrade": {"maxAge": "2160h"}},
        )
    ),
    "gcs": asked(
        cluster(
            {
                "provider": "gcs",
                "bucket": "backups",
                "workloadIdentity": {
                    "serviceAccountAnnotations": {
                        "iam.gke.io/gcp-service-account": "bao@acme.iam.gserviceaccount.com"
                    }
                },
            },
            retention={"maxAge": "720h"},
        )
    ),
    "azure": asked(
        cluster(
            {"provider": "azure", "bucket": "backups", "azure": {"storageAccount": "acme"}},
            retention={"maxAge": "720h"},
        ),
        issuer=ISSUER,
    ),
    "folder": asked(cluster({"provider": "file", "path": "/srv/backups"}, tokenSecretRef={"name": "token"})),
}


def script(case: Asked) -> str:
    """All sheets of a case."""
    return to_script(tuple(make(case) for make in SUBJECTS.values())) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, case in CASES.items():
        (FOLDER / f"{name}.sh").write_text(script(case), encoding="utf-8")
