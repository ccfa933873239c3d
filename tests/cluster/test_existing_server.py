"""The stand-in for the existing operator on a real API server: it takes its documents, and prunes ours."""

from __future__ import annotations

from typing import Any

import pytest
from tests.harness import existing_operator
from tests.harness.control_plane import ControlPlane
from tests.harness.existing_documents import sample_clusters, sample_documents

pytestmark = pytest.mark.servers


@pytest.fixture
def plane(control_plane: ControlPlane) -> ControlPlane:
    """A control plane with the existing operator's CRDs."""
    existing_operator.install(control_plane)
    return control_plane


def path_of(document: dict[str, Any], options: str) -> str:
    """Where the document is created; nothing is stored."""
    metadata = document["metadata"]
    plural = f"{document['kind'].lower()}s"
    return f"/apis/openbao.org/v1alpha1/namespaces/{metadata['namespace']}/{plural}?dryRun=All&{options}"


def lost(written: Any, stored: Any, path: str) -> list[str]:
    """The paths of what was written and is not stored so."""
    if isinstance(written, dict) and isinstance(stored, dict):
        return [
            place
            for name, value in written.items()
            for place in lost(value, stored.get(name), f"{path}.{name}")
        ]
    return [] if written == stored else [path]


def test_its_documents_are_taken_whole(plane: ControlPlane) -> None:
    """No field of theirs is unknown, out of bounds or pruned."""
    for document in sample_documents():
        stored = plane.create(path_of(document, "fieldValidation=Strict"), document)
        assert lost(document["spec"], stored["spec"], document["metadata"]["name"]) == []


def test_our_fields_are_pruned(plane: ControlPlane) -> None:
    """What only our CRDs have is dropped without a word, as a real installation of that operator does."""
    document = sample_clusters()[0]
    document["spec"]["connection"] = {"addresses": ["https://bao:8200"]}
    document["spec"]["backup"] |= {"suspend": True, "verify": "Full"}
    stored = plane.create(path_of(document, "fieldValidation=Ignore"), document)
    assert sorted(lost(document["spec"], stored["spec"], "spec")) == [
        "spec.backup.suspend",
        "spec.backup.verify",
        "spec.connection",
    ]


def test_its_defaults_are_filled_in(plane: ControlPlane) -> None:
    """A target's defaults are in what is stored."""
    document = sample_clusters()[2]
    target = plane.create(path_of(document, ""), document)["spec"]["backup"]["target"]
    assert (target["partSize"], target["concurrency"], target["region"]) == (10485760, 3, "us-east-1")
    assert target["usePathStyle"] is False
    assert "insecureSkipVerify" not in target
