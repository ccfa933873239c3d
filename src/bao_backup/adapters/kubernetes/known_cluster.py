"""A cluster as the API last showed it, kept small: ten thousand of them fit into memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Self

import msgspec

from bao_backup.adapters.kubernetes.names import MEMORY, TRIGGER
from bao_backup.core.errors import DocumentError, Problem
from bao_backup.core.job_settings import job_problems
from bao_backup.core.model import Value
from bao_backup.core.restore_needs import read_for_restore
from bao_backup.core.restore_spec import OpenBaoRestore
from bao_backup.core.spec import OpenBaoCluster, parse_cluster, with_status
from bao_backup.core.status import BackupStatus, OperationLock

#: So many documents are kept as they were read; of all, they would take too much memory.
JUST_READ = 128
_FIELDS = msgspec.structs.fields(BackupStatus)


class _Memory(Value, frozen=True, kw_only=True):
    """The annotation `MEMORY`."""

    uid: str
    status: BackupStatus


class KnownCluster(NamedTuple):
    """One OpenBaoCluster object. `spec` and `status` are JSON."""

    namespace: str
    name: str
    uid: str
    generation: int
    #: resourceVersion
    version: str
    spec: bytes
    status: bytes
    #: The annotation that asks for a manual run; empty when there is none.
    trigger: str
    #: The manager's memory as an annotation, where the status has no room for it; else empty.
    memory: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """From the object as the API sends it."""
        metadata = body["metadata"]
        annotations = metadata.get("annotations") or {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            version=metadata["resourceVersion"],
            spec=msgspec.json.encode(body.get("spec")),
            status=msgspec.json.encode(body.get("status")),
            trigger=annotations.get(TRIGGER, ""),
            memory=annotations.get(MEMORY, ""),
        )

    def raw_status(self) -> dict[str, Any]:
        """`status` as it is; empty where nobody wrote it."""
        return decode_object(self.status)

    def read_document(self) -> tuple[OpenBaoCluster | None, tuple[Problem, ...]]:
        """The document, or what is wrong with it, or with it on Kubernetes."""
        read, problems = _read_spec(self.namespace, self.name, self.uid, self.generation, self.spec)
        return with_status(read, self.raw_status()) if read else None, problems

    def read_for_restore(self, restore: OpenBaoRestore) -> tuple[OpenBaoCluster | None, tuple[Problem, ...]]:
        """The document, or where it is wrong what this restore needs of it; or what is wrong with that."""
        read, problems = self.read_document()
        if read is not None:
            return read, problems
        document = _document(self.namespace, self.name, self.uid, self.generation, self.spec)
        try:
            return with_status(read_for_restore(document, restore), self.raw_status()), ()
        except DocumentError as error:
            return None, error.problems

    def read_status(self) -> BackupStatus:
        """What the manager remembers: from the annotation where there is one, else from the status."""
        if self.memory:
            try:
                memory = msgspec.json.decode(self.memory, type=_Memory)
                if memory.uid == self.uid:
                    return memory.status
            except (msgspec.MsgspecError, RecursionError):
                pass  # somebody changed it: the status still says what people see
        backup = self.raw_status().get("backup")
        return read_backup_status(backup) if isinstance(backup, dict) else BackupStatus()

    def read_lock(self) -> OperationLock | None:
        """The operation lock, whoever holds it; one that cannot be read is somebody's still."""
        lock = self.raw_status().get("operationLock")
        if not lock:
            return None
        try:
            return msgspec.convert(lock, OperationLock)
        except msgspec.ValidationError:
            return OperationLock(operation="unknown", holder="unknown", message="its form is not known")


@lru_cache(maxsize=JUST_READ)
def _read_spec(
    namespace: str, name: str, uid: str, generation: int, spec: bytes
) -> tuple[OpenBaoCluster | None, tuple[Problem, ...]]:
    """The document without its status: while a run starts or ends, it is read several times."""
    try:
        read = parse_cluster(_document(namespace, name, uid, generation, spec), strict=False)
    except DocumentError as error:
        return None, error.problems
    problems = job_problems(read)
    return (None, problems) if problems else (read, ())


def _document(namespace: str, name: str, uid: str, generation: int, spec: bytes) -> dict[str, Any]:
    return {
        "apiVersion": "openbao.org/v1alpha1",
        "kind": "OpenBaoCluster",
        "metadata": {"name": name, "namespace": namespace, "uid": uid, "generation": generation},
        "spec": msgspec.json.decode(spec),
    }


def decode_object(encoded: bytes) -> dict[str, Any]:
    """A part of an object as it is; empty where nobody wrote it, or where it is none."""
    part = msgspec.json.decode(encoded)
    return part if isinstance(part, dict) else {}


def is_newer(version: str, known: str) -> bool:
    """Whether a resourceVersion is newer than the one that is known.

    Events come late, and answers to our own writes before them. Versions are compared as numbers, as
    Kubernetes allows since 1.35 and etcd has it all along.
    """
    if version.isdigit() and known.isdigit():
        return int(version) > int(known)
    return version != known


def read_backup_status(backup: Mapping[str, Any]) -> BackupStatus:
    """`status.backup`; a field that is not as it must be is as if it were not there."""
    present = {name: value for name, value in backup.items() if value is not None}
    try:
        return msgspec.convert(present, BackupStatus)
    except msgspec.ValidationError:
        right = {}
        for field in _FIELDS:
            name = field.encode_name
            if name in present and _fits(name, present[name]):
                right[name] = present[name]
        return msgspec.convert(right, BackupStatus)


def _fits(name: str, value: object) -> bool:
    try:
        msgspec.convert({name: value}, BackupStatus)
    except msgspec.ValidationError:
        return False
    return True
