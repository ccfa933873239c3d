"""Right and wrong OpenBaoCluster documents: for their reader, and for the API server with our CRD."""

from __future__ import annotations

from typing import Any

from tests.core.documents import DELETE, document

B = "spec.backup"
T = "spec.backup.target"
C = "spec.connection"
ADDRESS = ["https://bao:8200"]
BIG = 2**31 - 1

# field, the smallest and the largest value that are right
NUMBERS: list[tuple[str, int, int]] = [
    (f"{B}.jitterSeconds", 0, 86_400),
    (f"{B}.startingDeadlineSeconds", 1, 31_622_400),
    (f"{B}.activeDeadlineSeconds", 10, 604_800),
    (f"{B}.historyLimit", 0, 100),
    (f"{T}.partSize", 5_242_880, 5_368_709_120),
    (f"{T}.concurrency", 1, 10),
    *((f"{B}.retention.{name}", 0, BIG) for name in ("maxCount", "minKeep", "keepHourly", "keepDaily")),
    *((f"{B}.retention.{name}", 0, BIG) for name in ("keepWeekly", "keepMonthly", "keepYearly")),
    (f"{B}.retention.preUpgrade.maxCount", 0, BIG),
    (f"{C}.service.port", 1, 65_535),
    ("spec.replicas", 1, 99),
]


def with_service(path: str, value: object) -> dict[str, Any]:
    """A document with that value; a connection gets the service that it needs."""
    service = {f"{C}.service.name": "bao"} if path.startswith(C) else {}
    return document({**service, path: value})


# changes, and the problems: path -> a part of what is expected
WRONG: list[tuple[dict[str, Any], dict[str, str]]] = [
    # the document itself
    ({"apiVersion": "openbao.org/v1"}, {"apiVersion": "openbao.org/v1alpha1"}),
    ({"kind": DELETE}, {"kind": "missing"}),
    ({"metadata": DELETE}, {"metadata": "missing"}),
    ({"metadata.name": DELETE}, {"metadata.name": "missing"}),
    ({"metadata.name": ""}, {"metadata.name": "not empty"}),
    ({"metadata.name": "a/b"}, {"metadata.name": "Kubernetes name"}),
    ({"metadata.name": 5}, {"metadata.name": "text"}),
    ({"metadata.namespace": ".."}, {"metadata.namespace": "Kubernetes name"}),
    ({"metadata.annotations": {"a": 1}}, {"metadata.annotations.a": "text"}),
    ({"metadata.creationTimestamp": "yesterday"}, {"metadata.creationTimestamp": "2026-11-22"}),
    ({"spec": []}, {"spec": "object"}),
    ({"spec.paused": "true"}, {"spec.paused": "true or false"}),
    ({"spec.network.egressRules": {}}, {"spec.network.egressRules": "list"}),
    # when
    ({B: "daily"}, {B: "object"}),
    ({f"{B}.schedule": DELETE}, {f"{B}.schedule": "missing"}),
    ({f"{B}.schedule": ""}, {f"{B}.schedule": "not empty"}),
    ({f"{B}.schedule": "0 0 2 * * *"}, {f"{B}.schedule": "five fields"}),
    ({f"{B}.schedule": "0 0 30 2 *"}, {f"{B}.schedule": "day-of-month"}),
    ({f"{B}.timeZone": ""}, {f"{B}.timeZone": "not empty"}),
    ({f"{B}.timeZone": "CEST5"}, {f"{B}.timeZone": "IANA"}),
    (
        {f"{B}.schedule": "TZ=Asia/Tokyo 0 2 * * *", f"{B}.timeZone": "Europe/Berlin"},
        {f"{B}.timeZone": "one time zone"},
    ),
    ({f"{B}.verify": "full"}, {f"{B}.verify": "one of Head, Full"}),
    ({f"{B}.suspend": 1}, {f"{B}.suspend": "true or false"}),
    # where to
    ({T: DELETE}, {T: "missing"}),
    ({f"{T}.bucket": DELETE}, {f"{T}.bucket": "missing"}),
    ({f"{T}.bucket": ""}, {f"{T}.bucket": "missing"}),
    ({f"{T}.bucket": "a/b"}, {f"{T}.bucket": "bucket's name"}),
    ({f"{T}.provider": "ftp"}, {f"{T}.provider": "s3, gcs, azure, file"}),
    ({f"{T}.provider": "ftp", f"{T}.gcs": {}, f"{T}.bucket": DELETE}, {f"{T}.provider": "s3, gcs"}),
    ({f"{T}.provider": "file"}, {f"{T}.path": "folder"}),
    ({f"{T}.provider": "file", f"{T}.path": "backups"}, {f"{T}.path": "absolute path"}),
    ({f"{T}.provider": "file", f"{T}.path": "/a/../b"}, {f"{T}.path": "absolute path"}),
    ({f"{T}.path": "/backups"}, {f"{T}.path": "only with provider file"}),
    ({f"{T}.gcs": {"project": "p"}}, {f"{T}.gcs": "only with provider gcs"}),
    ({f"{T}.azure": {"storageAccount": "a"}}, {f"{T}.azure": "only with provider azure"}),
    ({f"{T}.provider": "azure", f"{T}.azure": {}}, {f"{T}.azure.storageAccount": "missing"}),
    ({f"{T}.provider": "gcs", f"{T}.roleArn": "arn:x"}, {f"{T}.roleArn": "only with provider s3"}),
    ({f"{T}.provider": "gcs", f"{T}.s3": {"sse": "AES256"}}, {f"{T}.s3": "only with provider s3"}),
    ({f"{T}.s3": {"sse": "none"}}, {f"{T}.s3.sse": "AES256, aws:kms, aws:kms:dsse"}),
    ({f"{T}.s3": {"kmsKeyId": "k"}}, {f"{T}.s3.sse": "kmsKeyId"}),
    ({f"{T}.s3": {"kmsKeyId": "k", "sse": "AES256"}}, {f"{T}.s3.sse": "kmsKeyId"}),
    ({f"{T}.s3": {"stsEndpoint": "http://sts.example.com"}}, {f"{T}.s3.stsEndpoint": "https"}),
    ({f"{T}.s3": {"stsEndpoint": "sts"}}, {f"{T}.s3.stsEndpoint": "URL"}),
    ({f"{T}.s3": {"tags": {"team": 1}}}, {f"{T}.s3.tags.team": "text"}),
    ({f"{T}.s3": {"tags": {str(n): "" for n in range(11)}}}, {f"{T}.s3.tags": "at most 10 entries"}),
    ({f"{T}.region": "x" * 65}, {f"{T}.region": "a text of at most 64 characters"}),
    (
        {f"{T}.provider": "azure", f"{T}.azure": {"storageAccount": "a" * 65}},
        {f"{T}.azure.storageAccount": "a text that is not empty, of at most 64"},
    ),
    ({f"{T}.pathPrefix": "a/../b"}, {f"{T}.pathPrefix": '".."'}),
    ({f"{T}.pathPrefix": "a\nb"}, {f"{T}.pathPrefix": "text"}),
    ({f"{T}.credentialsSecretRef": {"name": "Keys"}}, {f"{T}.credentialsSecretRef.name": "Kubernetes name"}),
    ({f"{T}.credentialsSecretRef": "keys"}, {f"{T}.credentialsSecretRef": "object"}),
    *(
        ({f"{T}.endpoint": endpoint}, {f"{T}.endpoint": "expected a URL"})
        for endpoint in (
            "minio:9000", "minio", "ftp://minio", "https://", "https://:9000", "https://a b", "https://h:0",
            "https://h:99999", "https://h:x", "https://u@h", "https://u:p@h", "https://h?x=1", "https://h#x", "https://[::1",
        )
    ),
    # how long
    ({f"{B}.retention": {"maxAge": "7d"}}, {f"{B}.retention.maxAge": "168h"}),
    ({f"{B}.retention": {"maxAge": 168}}, {f"{B}.retention.maxAge": "text"}),
    ({f"{B}.retention": {"maxAge": "0s"}}, {f"{B}.retention.maxAge": "more than 0"}),
    ({f"{B}.retention": {"maxAge": "-1h"}}, {f"{B}.retention.maxAge": "more than 0"}),
    ({f"{B}.retention": {}, f"{B}.retentionPolicy": {}}, {f"{B}.retentionPolicy": "either"}),
    ({f"{B}.retentionPolicy": {"maxAge": "1w"}}, {f"{B}.retentionPolicy.maxAge": "168h"}),
    # who
    ({f"{B}.auth": {"method": "ldap"}}, {f"{B}.auth.method": "token, jwt, kubernetes, approle, userpass"}),
    ({f"{B}.auth": {}}, {f"{B}.auth.method": "missing"}),
    ({f"{B}.auth": {"method": "jwt"}}, {f"{B}.auth.role": "the role"}),
    (
        {f"{B}.auth": {"method": "jwt", "role": "r", "secretRef": {"name": "s"}}},
        {f"{B}.auth.secretRef": "only with"},
    ),
    ({f"{B}.auth": {"method": "token"}}, {f"{B}.auth": "either secretRef or file"}),
    (
        {f"{B}.auth": {"method": "token", "file": "/t", "secretRef": {"name": "s"}}},
        {f"{B}.auth": "either secretRef or file"},
    ),
    ({f"{B}.auth": {"method": "token", "file": "token"}}, {f"{B}.auth.file": "absolute path"}),
    (
        {f"{B}.auth": {"method": "approle", "file": "/f", "role": "r", "audience": "a"}},
        {f"{B}.auth.role": "only with", f"{B}.auth.audience": "only with"},
    ),
    (
        {f"{B}.auth": {"method": "jwt", "role": "r", "mountPath": "auth/jwt"}},
        {f"{B}.auth.mountPath": "mount"},
    ),
    (
        {f"{B}.auth": {"method": "jwt", "role": "r"}, f"{B}.jwtAuthRole": "r"},
        {f"{B}.jwtAuthRole": "one login"},
    ),
    (
        {f"{B}.jwtAuthRole": "r", f"{B}.tokenSecretRef": {"name": "t"}},
        {f"{B}.tokenSecretRef": "one login"},
    ),
    # the Job
    ({f"{B}.jobTemplate.env": [{"value": "x"}]}, {f"{B}.jobTemplate.env[0].name": "not empty"}),
    ({f"{B}.jobTemplate.tolerations": ["x"]}, {f"{B}.jobTemplate.tolerations[0]": "object"}),
    ({f"{B}.jobTemplate.serviceAccountName": "A"}, {f"{B}.jobTemplate.serviceAccountName": "Kubernetes"}),
    # the servers
    ({C: {}}, {C: "either addresses or service"}),
    ({f"{C}.addresses": []}, {C: "either addresses or service"}),
    ({f"{C}.addresses": ADDRESS, f"{C}.service": {"name": "bao"}}, {C: "either addresses or service"}),
    ({f"{C}.addresses": "https://bao:8200"}, {f"{C}.addresses": "list"}),
    ({f"{C}.addresses": ["bao:8200"]}, {f"{C}.addresses[0]": "https://host:8200"}),
    ({f"{C}.addresses": ["https://bao:8200", "https://u:p@bao"]}, {f"{C}.addresses[1]": "credentials"}),
    ({f"{C}.addresses": ["https://bao:8200/v1"]}, {f"{C}.addresses[0]": "nothing after them"}),
    ({f"{C}.addresses": ADDRESS * 101}, {f"{C}.addresses": "a list with at most 100 entries"}),
    ({f"{C}.addresses": [""]}, {f"{C}.addresses[0]": "not empty"}),
    ({f"{C}.service": {"port": 8200}}, {f"{C}.service.name": "missing"}),
    ({f"{C}.addresses": ADDRESS, f"{C}.serverName": "a b"}, {f"{C}.serverName": "host's name"}),
    ({f"{C}.addresses": ADDRESS, f"{C}.caSecretRef": {}}, {f"{C}.caSecretRef.name": "missing"}),
    (
        {f"{C}.addresses": ADDRESS, f"{C}.caSecretRef": {"name": "ca", "key": "../x"}},
        {f"{C}.caSecretRef.key": "key of a Secret"},
    ),
    (
        {f"{C}.addresses": ADDRESS, f"{C}.caSecretRef": {"name": "ca"}, f"{C}.caFile": "/ca.crt"},
        {f"{C}.caFile": "either caSecretRef or caFile"},
    ),
]  # fmt: skip

RIGHT: list[dict[str, Any]] = [
    {f"{B}.schedule": "@every 5s"},
    {f"{B}.schedule": "CRON_TZ=Asia/Tokyo 0 2 * * *"},
    {f"{T}.endpoint": "http://127.0.0.1:9000"},
    {f"{T}.endpoint": "https://[::1]:9000"},
    {f"{T}.endpoint": "https://account.blob.core.windows.net/x"},
    {f"{T}.provider": "file", f"{T}.path": "/backups", f"{T}.bucket": DELETE},
    {f"{T}.provider": "gcs", f"{T}.gcs": {"project": "p"}},
    {f"{T}.provider": "azure", f"{T}.azure": {"storageAccount": "a"}},
    {f"{T}.roleArn": "arn:x", f"{T}.credentialsSecretRef": {"name": "only-the-ca"}},
    {f"{T}.s3": {"sse": "aws:kms", "kmsKeyId": "k", "storageClass": "STANDARD_IA", "tags": {"a": "b"}}},
    {f"{T}.roleArn": "arn:x", f"{T}.s3": {"stsEndpoint": "https://sts.example.com:9000"}},
    {f"{T}.workloadIdentity": {"serviceAccountAnnotations": {"a": "b"}, "podLabels": {"c": "d"}}},
    {f"{B}.retention": {"maxAge": "1h30m", "preUpgrade": {"keepMonthly": 2}}},
    {f"{B}.auth": {"method": "jwt", "role": "r", "file": "/run/jwt", "mountPath": "team/jwt"}},
    {f"{B}.auth": {"method": "userpass", "secretRef": {"name": "login"}}},
    {f"{B}.jobTemplate": {"env": [{"name": "HTTPS_PROXY", "value": "http://p"}], "labels": {"a": "b"}}},
    {f"{C}.addresses": ["https://a:8200", "http://b:8200", "https://[::1]:8200"], f"{C}.caFile": "/ca.crt"},
    {f"{C}.service": {"name": "bao", "namespace": "vault"}, f"{C}.caSecretRef": {"name": "ca"}},
    {"status": {"phase": "Running", "operationLock": {"operation": "Restore", "holder": "x"}}},
]
