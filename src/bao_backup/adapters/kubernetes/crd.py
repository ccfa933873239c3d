"""The CRDs `OpenBaoCluster` and `OpenBaoRestore`, generated from the structs that parse the documents.

Names, group and version are the existing operator's: where its CRDs are installed, these are not needed.
"""

from __future__ import annotations

from typing import Any

import yaml

from bao_backup.adapters.kubernetes.crd_schema import Schema, first_words, schema_of
from bao_backup.core.model import Value
from bao_backup.core.restore_spec import RESTORE_KIND, OpenBaoRestore, RestoreSpec, RestoreStatus
from bao_backup.core.spec import API_VERSION, CLUSTER_KIND, ClusterSpec, ClusterStatus, OpenBaoCluster
from bao_backup.core.status import BackupStatus

GROUP, VERSION = API_VERSION.split("/")
_HEAD = "# Generated from the structs that parse the document, by `make manifests`: do not edit.\n"


def crds() -> dict[str, dict[str, Any]]:
    """Both CRDs, by their plural."""
    return {"openbaoclusters": cluster_crd(), "openbaorestores": restore_crd()}


def cluster_crd() -> dict[str, Any]:
    """The CRD `OpenBaoCluster`."""
    status = schema_of(ClusterStatus, of_status=True)
    status["properties"]["backup"] = schema_of(BackupStatus, of_status=True)
    columns = [
        _column("Phase", "string", ".status.phase"),
        _column("Schedule", "string", ".spec.backup.schedule"),
        _column("Last Backup", "date", ".status.backup.lastBackupTime"),
        _column("Failures", "integer", ".status.backup.consecutiveFailures"),
        # Not a date: kubectl has no words for one that is to come.
        _column("Next", "string", ".status.backup.nextScheduledBackup"),
        _column("Age", "date", ".metadata.creationTimestamp"),
        _column("Backup Ready", "string", _REASON, wide=True),
        _column("Last Key", "string", ".status.backup.lastBackupName", wide=True),
    ]
    spec = schema_of(ClusterSpec)
    return _crd(CLUSTER_KIND, ["bao", "baoc"], _document(OpenBaoCluster, spec, status), columns)


def restore_crd() -> dict[str, Any]:
    """The CRD `OpenBaoRestore`."""
    columns = [
        _column("Cluster", "string", ".spec.cluster"),
        _column("Phase", "string", ".status.phase"),
        _column("Age", "date", ".metadata.creationTimestamp"),
        _column("Message", "string", ".status.message", wide=True),
    ]
    schema = _document(OpenBaoRestore, schema_of(RestoreSpec), schema_of(RestoreStatus, of_status=True))
    schema["required"] = ["spec"]
    return _crd(RESTORE_KIND, ["obrestore"], schema, columns)


def to_yaml(crd: dict[str, Any]) -> str:
    """The CRD as its file has it: the same text for the same structs."""
    return _HEAD + yaml.dump(
        crd, Dumper=_Indented, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )


_REASON = '.status.backup.conditions[?(@.type=="BackupReady")].reason'


def _crd(kind: str, short_names: list[str], schema: Schema, columns: list[dict[str, Any]]) -> dict[str, Any]:
    singular = kind.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{singular}s.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": f"{singular}s",
                "singular": singular,
                "shortNames": short_names,
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _document(struct: type[Value], spec: Schema, status: Schema) -> Schema:
    return {
        "description": first_words(struct),
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }


def _column(name: str, kind: str, path: str, *, wide: bool = False) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path} | ({"priority": 1} if wide else {})


class _Indented(yaml.SafeDumper):
    """Items of lists stand to the right of the list's name; nothing is an alias."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - pyyaml's signature
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - pyyaml's signature
        return True
