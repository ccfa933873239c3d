"""Clusters on a real node that are overwritten by real Jobs, and a count of what Vault was sent."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from tests.cluster.e2e_site import NodeSite
from tests.cluster.operator_site import RESTORES
from tests.harness import account_logins
from tests.servers.policy_site import paste

from bao_backup.adapters.kubernetes.names import RESTORE_COMPONENT, service_account_name

Json = dict[str, Any]

#: The policy that `bao-backup policy server --for restore` prints has this name.
POLICY = "bao-restore"
#: What is written before a backup, and after it.
OLD, NEW = {"value": "of the backup"}, {"value": "after the backup"}


class RestoreSite:
    """A namespace's site, the logins of its restores, and what they did to the server."""

    def __init__(self, site: NodeSite, folder: Path) -> None:
        self.on = site
        self.namespace, self.plane, self.vault = site.namespace, site.plane, site.vault
        self.until = site.until
        self._restores = RESTORES.format(site.namespace)
        self._audit = folder / "audit.log"
        # Its device is in each backup: a restore does not end it.
        device = {"type": "file", "options": {"file_path": str(self._audit)}}
        self.vault.ask("PUT", "sys/audit/of-restores", device)

    def close(self) -> None:
        """Let the server write down no more calls."""
        self.vault.ask("DELETE", "sys/audit/of-restores")

    # --- who may restore -----------------------------------------------------------------------

    def account(self, cluster: str) -> str:
        """The ServiceAccount of a cluster's restores."""
        return service_account_name(cluster, RESTORE_COMPONENT)

    def allow_as_printed(self, cluster: str, folder: Path) -> None:
        """Paste what `bao-backup policy` prints for this cluster's restores, but for what is mounted."""
        site = self.on
        document = site.document(cluster, auth=site.trust(cluster), spec=self.role_of(cluster))
        (site.program.documents / f"{cluster}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        name = f"{self.namespace}/{cluster}"
        ended = site.program.run("policy", name, "server", "--for", "restore", "--issuer", self.plane.issuer)
        assert ended.code == 0, ended.err
        policy, mounts, role = (
            ended.out.partition("# 2. ")[0],
            *ended.out.partition("# 2. ")[2].split("# 3. "),
        )
        assert "auth enable -path=jwt-operator jwt" in mounts
        paste(self.vault, f"{policy}# {role}", folder)

    def allow(self, cluster: str) -> None:
        """The same for another cluster, without the program's help."""
        subject = f"system:serviceaccount:{self.namespace}:{self.account(cluster)}"
        role = self.role_of(cluster)["restore"]["jwtAuthRole"]
        account_logins.trust_issuer(self.vault, [POLICY], self.plane, subject=subject, role=role)

    def role_of(self, cluster: str) -> Json:
        """The part of `spec` that names the role of the cluster's restores."""
        return {"restore": {"jwtAuthRole": f"{self.namespace}-{cluster}-restore"}}

    # --- what people ask for -------------------------------------------------------------------

    def restore(self, name: str, cluster: str, source: Json, **spec: Any) -> Json:
        """Create the document of a restore; its login is the cluster's role for restores."""
        document = {
            "apiVersion": "openbao.org/v1alpha1",
            "kind": "OpenBaoRestore",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"cluster": cluster, "source": source, **spec},
        }
        return self.plane.create(self._restores, document)

    def kill(self, name: str) -> None:
        """End the program in the pod of a restore as a crash does; the pod stays."""
        configured = f'"restore":"{name}"'.encode()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if configured in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)

    # --- what there is -------------------------------------------------------------------------

    def submissions(self, cluster: str) -> int:
        """How often the restores of a cluster have begun to send Vault a snapshot."""
        role = self.role_of(cluster)["restore"]["jwtAuthRole"]
        lines = self._audit.read_text(encoding="utf-8").splitlines()
        calls = [json.loads(line) for line in lines]
        return sum(
            call["type"] == "request"
            and call["request"]["operation"] == "update"
            and call["request"]["path"].startswith("sys/storage/raft/snapshot")
            and call.get("auth", {}).get("metadata", {}).get("role") == role
            for call in calls
        )

    def version(self) -> str:
        """What is the newest of all restores here, for `phases`."""
        found: str = self.plane.request("GET", self._restores).json()["metadata"]["resourceVersion"]
        return found

    def phases(self, name: str, since: str) -> list[str]:
        """Each phase of a restore since then, in its order, as whoever watches it sees it; "" is none yet."""
        path = f"{self._restores}?watch=true&resourceVersion={since}&timeoutSeconds=1"
        found: list[str] = []
        for line in self.plane.request("GET", path).body.splitlines():
            seen = json.loads(line)["object"]
            phase = (seen.get("status") or {}).get("phase", "")
            if seen["metadata"]["name"] == name and phase not in found[-1:]:
                found.append(phase)
        return found

    def lock(self, cluster: str) -> Json:
        """The cluster's operation lock; empty while nobody has it."""
        found: Json = (self.on.cluster(cluster).get("status") or {}).get("operationLock") or {}
        return found

    def log(self, name: str) -> str:
        """What the Job of a restore has said so far, each line with its time."""
        return self.plane.kubectl("logs", f"job/restore-{name}", "-n", self.namespace, "--timestamps")
