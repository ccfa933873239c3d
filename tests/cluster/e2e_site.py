"""A namespace on a real node, with clusters that are really backed up, and a witness of all that is said."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.cluster.operator_site import CLUSTERS, JOBS, SELDOM, is_settled
from tests.harness import account_logins
from tests.harness.control_plane import ControlPlane
from tests.harness.logins import allow_snapshots
from tests.harness.minio import Minio
from tests.harness.process import wait_until
from tests.harness.vault import VaultCluster
from tests.servers.program import FILLED, PART, Witness
from tests.servers.program import Site as Program

from bao_backup.adapters.kubernetes.names import BACKUP_COMPONENT, TRIGGER, service_account_name

Json = dict[str, Any]

#: What the API server itself, and kubectl by a warning, say of pods that are not of this level.
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
#: What a storage identity may do, at least.
RIGHTS = [
    *("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket"),
    *("s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"),
]
#: Keys of Secrets that are no secrets.
_PUBLIC = {"ca.crt", "caCert", "role_id", "username"}
#: All kinds that hold what somebody wrote of a run; Secrets hold them by right.
_SHOWN = "openbaoclusters,openbaorestores,jobs,pods,events,serviceaccounts,networkpolicies,leases,configmaps"


class NodeSite:
    """One namespace that enforces `restricted`, the bucket of its backups, and who may write there."""

    def __init__(
        self,
        plane: ControlPlane,
        vault: VaultCluster,
        minio: Minio,
        namespace: str,
        folder: Path,
        witness: Witness,
    ) -> None:
        self.plane, self.vault, self.minio, self.witness = plane, vault, minio, witness
        self.namespace = self.bucket = plane.create_namespace(namespace, RESTRICTED)
        self.program = Program(folder, witness)
        self.ca = (vault.ca_file or Path()).read_text(encoding="ascii")
        witness.secret("the root token", vault.root_token)
        witness.secret("the unseal key", vault.unseal_key)
        vault.fill(FILLED)
        self.policies = [allow_snapshots(vault)]
        minio.root.make_bucket(self.bucket)
        user = minio.add_user(secrets.token_hex(8), secrets.token_urlsafe(24), RIGHTS, [self.bucket])
        self.keys = {"accessKeyId": user.keys.access_key, "secretAccessKey": user.keys.secret_key}
        self.secret("bao-ca", {"ca.crt": self.ca})
        self.secret("store-keys", {**self.keys, "caCert": self.ca})

    def close(self) -> None:
        """Show the witness all that there is, and remove the clusters with all that they own."""
        self.show()
        self.program.end()
        self.plane.request("DELETE", CLUSTERS.format(self.namespace))
        self.plane.kubectl("delete", "namespace", self.namespace, "--wait=false")
        self.minio.root.remove_bucket(self.bucket)

    def show(self) -> None:
        """Let the witness see every object, the log of every pod, and every receipt."""
        shown = self.plane.kubectl("get", _SHOWN, "-n", self.namespace, "-o", "yaml")
        self.witness.saw(f"objects of {self.namespace}", shown)
        for pod in self.plane.objects("pods", self.namespace):
            name = pod["metadata"]["name"]
            if any("terminated" in each["state"] for each in pod["status"].get("containerStatuses", ())):
                self.witness.saw(f"log of {name}", self.plane.kubectl("logs", name, "-n", self.namespace))
        for key in self.minio.root.keys_in(self.bucket):
            if key.endswith(".json"):
                self.witness.saw(key, self.minio.root.get(self.bucket, key))

    # --- what people make ----------------------------------------------------------------------

    def secret(self, name: str, data: Mapping[str, str]) -> Json:
        """A Secret, here and for the program; gives the reference to it."""
        metadata = {"name": name, "namespace": self.namespace}
        self.plane.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(data)}
        )
        folder = self.program.secrets / name
        folder.mkdir(exist_ok=True)
        for key, value in data.items():
            (folder / key).write_text(value, encoding="utf-8")
            if key not in _PUBLIC:
                self.witness.secret(f"{name}/{key}", value)
        return {"name": name}

    def account(self, name: str) -> str:
        """The ServiceAccount of a cluster's runs, as the user that it is."""
        return f"system:serviceaccount:{self.namespace}:{service_account_name(name, BACKUP_COMPONENT)}"

    def trust(self, name: str) -> Json:
        """Let the runs of a cluster log in by JWT, as the API server vouches for them; gives `auth`."""
        role = f"{self.namespace}-{name}"
        account_logins.trust_issuer(
            self.vault, self.policies, self.plane, subject=self.account(name), role=role
        )
        return {"method": "jwt", "role": role}

    def target(self, **more: Any) -> Json:
        """The bucket, without any identity."""
        return {
            "endpoint": self.minio.url,
            "bucket": self.bucket,
            "usePathStyle": True,
            "partSize": PART,
            **more,
        }

    def with_keys(self) -> Json:
        """The bucket, with keys and the store's CA from a Secret."""
        return self.target(credentialsSecretRef={"name": "store-keys"})

    def document(
        self, name: str, *, schedule: str = SELDOM, trigger: str = "", spec: Json | None = None, **backup: Any
    ) -> Json:
        """The document of a cluster; `backup` are fields of spec.backup."""
        metadata: Json = {"name": name, "namespace": self.namespace}
        if trigger:
            metadata["annotations"] = {TRIGGER: trigger}
        connection = {"addresses": self.vault.addresses, "caSecretRef": {"name": "bao-ca"}}
        given = {"schedule": schedule, "target": self.with_keys(), **backup}
        return {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": "OpenBaoCluster",
            "metadata": metadata,
            "spec": {"connection": connection, **(spec or {}), "backup": given},
        }

    def add(self, name: str, **given: Any) -> None:
        """Create a cluster's document; its runs log in by JWT unless `auth` is given."""
        if "auth" not in given:
            given["auth"] = self.trust(name)
        self.plane.create(CLUSTERS.format(self.namespace), self.document(name, **given))

    def change(self, name: str, body: Json) -> None:
        """Merge something into a cluster's document."""
        how = ("--type=merge", "--patch", json.dumps(body))
        self.plane.kubectl("patch", "openbaocluster", name, "-n", self.namespace, *how)

    def ask(self, name: str, value: str = "now") -> None:
        """Ask for a run, as the documentation tells."""
        annotation = f"{TRIGGER}={value}"
        self.plane.kubectl("annotate", "baoc", name, "-n", self.namespace, annotation)

    # --- what there is -------------------------------------------------------------------------

    def cluster(self, name: str) -> Json:
        """A cluster as it is."""
        found: Json = self.plane.request("GET", f"{CLUSTERS.format(self.namespace)}/{name}").json()
        return found

    def backup(self, name: str) -> Json:
        """Its `status.backup`; empty when there is none."""
        found: Json = (self.cluster(name).get("status") or {}).get("backup") or {}
        return found

    def condition(self, name: str, kind: str) -> Json:
        """A condition of its `status.backup`; empty when there is none."""
        conditions = self.backup(name).get("conditions") or []
        return next((each for each in conditions if each["type"] == kind), {})

    def jobs(self, name: str) -> list[Json]:
        """The Jobs of a cluster, the oldest first."""
        path = f"{JOBS.format(self.namespace)}?labelSelector=openbao.org/cluster={name}"
        items: list[Json] = self.plane.request("GET", path).json()["items"]
        return sorted(items, key=lambda each: str(each["metadata"]["creationTimestamp"]))

    def told(self, name: str) -> list[tuple[str, str]]:
        """The reason and message of each event of a cluster, in the order of creation."""
        selector = f"involvedObject.kind=OpenBaoCluster,involvedObject.name={name}"
        path = f"/api/v1/namespaces/{self.namespace}/events?fieldSelector={selector}"
        items = self.plane.request("GET", path).json()["items"]
        items.sort(key=lambda each: int(each["metadata"]["resourceVersion"]))
        return [(each["reason"], each["message"]) for each in items]

    def keys_of(self, name: str) -> list[str]:
        """The keys of all that is stored of a cluster."""
        return self.minio.root.keys_in(self.bucket, f"{self.namespace}/{name}/")

    # --- what is waited for, and looked at -----------------------------------------------------

    def until(self, what: str, probe: Callable[[], object], *, seconds: float = 30) -> None:
        """Wait until `probe` says yes."""
        wait_until(what, lambda: bool(probe()), seconds=seconds, every=0.2)

    def until_over(self, name: str, *, runs: int = 1, seconds: float = 120) -> Json:
        """Wait until so many runs of the cluster are over and forgotten; gives `status.backup`.

        There is no lock left then.
        """
        self.until(
            f"{name} of {self.namespace} to have {runs} runs that are over",
            lambda: is_settled(self.cluster(name).get("status") or {}, self.jobs(name), runs),
            seconds=seconds,
        )
        assert "operationLock" not in self.cluster(name)["status"]
        return self.backup(name)

    def proven(self, name: str) -> Json:
        """The last good backup is there, proves, and is the one of the status; gives its receipt."""
        backup = self.backup(name)
        good = backup["lastSuccessfulBackup"]
        body = self.minio.root.get(self.bucket, good["key"])
        receipt: Json = json.loads(self.minio.root.get(self.bucket, f"{good['key']}.json"))
        assert hashlib.sha256(body).hexdigest() == receipt["sha256"] == good["sha256"]
        assert len(body) == receipt["size"] == good["size"] == backup["lastBackupSize"]
        assert receipt["key"] == good["key"] == backup["lastBackupName"]
        self._verify(name, good["key"])
        return receipt

    def _verify(self, name: str, key: str) -> None:
        """As a user does who has keys, with the very document that the cluster has."""
        document = self.document(name, auth={"method": "jwt", "role": "backup"})
        (self.program.documents / f"{name}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        ended = self.program.run("verify", f"{self.namespace}/{name}", key)
        assert ended.code == 0, ended.err
