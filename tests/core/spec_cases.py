"""Right and wrong OpenBaoCluster documents: for their reader, and for the API server with our CRD."""

from __future__ import annotations

from typing import Any

from tests.core.documents import DELETE, document

B = "spec.backup"
T = "spec.backup.target"
C = "spec.connection"
ADDRESS = ["https://bao:8200"]
BIG = 2**31 - 1
GCS: dict[str, Any] = {f"{T}.provider": "gcs"}
AZURE: dict[str, Any] = {f"{T}.provider": "azure", f"{T}.azure.storageAccount": "a"}
FILE: dict[str, Any] = {f"{T}.provider": "file", f"{T}.path": "/backups", f"{T}.bucket": DELETE}
LOCK = {"mode": "GOVERNANCE", "days": 1}
BAD_TAGS = ["", "k" * 129, "a&b", "aws:created", "\u00e4"]
BAD_NAMES = ["", "Team", "1st", "a-b", "a b", "\u00e4"]
BAD_VALUES = ["", " a", "a ", "\u00e4"]
BAD_PROXIES = [
    "proxy:3128",
    "https://proxy",
    "socks5://proxy",
    "http://u:p@proxy",
    "http://proxy/x",
    "http://proxy?x=1",
]

# field, the smallest and the largest value that are right
NUMBERS: list[tuple[str, int, int]] = [
    (f"{B}.jitterSeconds", 0, 86_400),
    (f"{B}.startingDeadlineSeconds", 1, 31_622_400),
    (f"{B}.activeDeadlineSeconds", 10, 604_800),
    (f"{B}.historyLimit", 0, 100),
    (f"{T}.partSize", 5_242_880, 5_368_709_120),
    (f"{T}.concurrency", 1, 10),
    (f"{T}.maxBytesPerSecond", 65_536, 2**40),
    (f"{T}.connectTimeoutSeconds", 1, 300),
    (f"{T}.requestTimeoutSeconds", 5, 3600),
    (f"{T}.maxRetries", 0, 20),
    (f"{T}.retryTimeoutSeconds", 1, 3600),
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
    ({f"{B}.checkOnCreate": "yes"}, {f"{B}.checkOnCreate": "true or false"}),
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
    ({f"{T}.s3": {"sse": "SSE-C"}}, {f"{T}.s3.sse": "the key would have to be beside each request"}),
    ({f"{T}.s3": {"storageClass": "DEEP_ARCHIVE"}}, {f"{T}.s3.storageClass": "read at once"}),
    ({f"{T}.s3": {"checksum": "MD5"}}, {f"{T}.s3.checksum": "SHA256, CRC64NVME"}),
    # options of any store
    ({f"{T}.storageClass": "GLACIER"}, {f"{T}.storageClass": "read at once"}),
    ({f"{T}.storageClass": "a class"}, {f"{T}.storageClass": "STANDARD_IA"}),
    (
        {f"{T}.storageClass": "STANDARD_IA", f"{T}.s3": {"storageClass": "STANDARD_IA"}},
        {f"{T}.storageClass": "either storageClass or s3.storageClass"},
    ),
    ({**AZURE, f"{T}.storageClass": "Archive"}, {f"{T}.storageClass": "read at once"}),
    ({**AZURE, f"{T}.azure.encryptionScope": "s"}, {f"{T}.azure.encryptionScope": "default"}),
    ({**FILE, f"{T}.storageClass": "X"}, {f"{T}.storageClass": "with provider file"}),
    ({**FILE, f"{T}.tags": {"a": "b"}}, {f"{T}.tags": "with provider file"}),
    ({**FILE, f"{T}.metadata": {"a": "b"}}, {f"{T}.metadata": "with provider file"}),
    ({**FILE, f"{T}.objectLock": LOCK}, {f"{T}.objectLock": "snapshots of the volume"}),
    ({**FILE, f"{T}.proxy": "http://proxy"}, {f"{T}.proxy": "with provider file"}),
    ({**GCS, f"{T}.tags": {"a": "b"}}, {f"{T}.tags": "Google's objects have no tags; use metadata"}),
    ({f"{T}.tags": {"a": "b"}, f"{T}.s3": {"tags": {"a": "b"}}}, {f"{T}.tags": "either tags or s3.tags"}),
    ({f"{T}.tags": {str(n): "" for n in range(11)}}, {f"{T}.tags": "at most 10 entries"}),
    ({f"{T}.tags": {"k": "x" * 257}}, {f"{T}.tags.k": "at most 256"}),
    *(({f"{T}.tags": {key: "v"}}, {f"{T}.tags": "expected keys"}) for key in BAD_TAGS),
    ({f"{T}.s3": {"tags": {"aws:x": "v"}}}, {f"{T}.s3.tags": "expected keys"}),
    ({f"{T}.tags": {"k": "a;b"}}, {f"{T}.tags": "expected values"}),
    *(({f"{T}.metadata": {name: "v"}}, {f"{T}.metadata": "expected names"}) for name in BAD_NAMES),
    *(({f"{T}.metadata": {"a": value}}, {f"{T}.metadata": "expected values"}) for value in BAD_VALUES),
    ({f"{T}.metadata": {"a": "x" * 2048}}, {f"{T}.metadata": "2048 bytes in all"}),
    ({f"{T}.objectLock": {"mode": "COMPLIANCE"}}, {f"{T}.objectLock.days": "missing"}),
    ({f"{T}.objectLock": {"days": 1}}, {f"{T}.objectLock.mode": "missing"}),
    ({f"{T}.objectLock": {"mode": "LEGAL", "days": 1}}, {f"{T}.objectLock.mode": "GOVERNANCE, COMPLIANCE"}),
    ({f"{T}.objectLock": {"mode": "COMPLIANCE", "days": 0}}, {f"{T}.objectLock.days": "from 1 to 36500"}),
    *(({f"{T}.proxy": url}, {f"{T}.proxy": "without user name or path"}) for url in BAD_PROXIES),
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
    {f"{T}.storageClass": "STANDARD_IA", f"{T}.tags": {"a b/c": ""}, f"{T}.metadata": {"a_1": "b c"}},
    {f"{T}.metadata": {"a": "x" * 2047}, f"{T}.objectLock": {"mode": "COMPLIANCE", "days": 36500}},
    {f"{T}.s3": {"checksum": "SHA256", "storageClass": "Glacier"}, f"{T}.proxy": "http://proxy:3128/"},
    {**AZURE, f"{T}.storageClass": "Cool", f"{T}.tags": {"a": "b"}, f"{T}.objectLock": LOCK},
    {**GCS, f"{T}.storageClass": "ARCHIVE", f"{T}.metadata": {"a": "b"}, f"{T}.objectLock": LOCK},
    {**GCS, f"{T}.gcs": {"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}},
    {**FILE, f"{T}.maxBytesPerSecond": 10_000_000, f"{T}.tags": {}},
    {f"{T}.workloadIdentity": {"serviceAccountAnnotations": {"a": "b"}, "podLabels": {"c": "d"}}},
    {f"{B}.retention": {"maxAge": "1h30m", "preUpgrade": {"keepMonthly": 2}}},
    {f"{B}.auth": {"method": "jwt", "role": "r", "file": "/run/jwt", "mountPath": "team/jwt"}},
    {f"{B}.auth": {"method": "userpass", "secretRef": {"name": "login"}}},
    {f"{B}.jobTemplate": {"env": [{"name": "HTTPS_PROXY", "value": "http://p"}], "labels": {"a": "b"}}},
    {f"{C}.addresses": ["https://a:8200", "http://b:8200", "https://[::1]:8200"], f"{C}.caFile": "/ca.crt"},
    {f"{C}.service": {"name": "bao", "namespace": "vault"}, f"{C}.caSecretRef": {"name": "ca"}},
    {"status": {"phase": "Running", "operationLock": {"operation": "Restore", "holder": "x"}}},
]
