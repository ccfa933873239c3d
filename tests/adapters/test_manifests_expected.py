"""What is made of whole documents, compared with the files that a person has read."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from tests.adapters.manifests import CASES, FOLDER, OPTIONS, document_of, expected, made, objects_of, run_of
from tests.adapters.run_documents import run_documents

from bao_backup.adapters.kubernetes.manifests import run_objects
from bao_backup.core.errors import InternalError
from bao_backup.core.spec import OpenBaoCluster, parse_cluster


@pytest.mark.parametrize("case", CASES)
def test_the_objects_of_a_run_are_those_in_its_file(case: str) -> None:
    """`python -m tests.adapters.manifests` writes the files anew, after a change that is meant."""
    assert made(objects_of(case)) == expected(case)


def test_every_file_is_compared() -> None:
    """None of them is left over from a case that there is no more."""
    files = {file.name for file in FOLDER.iterdir()}
    assert files == {f"{case}.{kind}.yaml" for case in CASES for kind in ("document", "objects")}


@pytest.mark.parametrize("case", CASES)
def test_documents_of_the_cases_have_no_unknown_field(case: str) -> None:
    """A misspelt field in an example would show nothing."""
    content = yaml.safe_load((FOLDER / f"{case}.document.yaml").read_text())
    parse_cluster(content, strict=True)


@given(run_documents())
def test_the_same_document_and_run_give_the_same_objects(document: OpenBaoCluster) -> None:
    """Started twice, a run finds itself; and all of it is JSON."""
    once, again = (made(run_objects(document, run_of(document), OPTIONS)) for _ in range(2))
    assert once == again == json.loads(json.dumps(once))


def test_objects_without_an_owner_are_not_made() -> None:
    """They would stay for ever: a document that did not come from Kubernetes has no uid."""
    content = yaml.safe_load((FOLDER / "managed.document.yaml").read_text())
    del content["metadata"]["uid"]
    document = parse_cluster(content, strict=True)
    with pytest.raises(InternalError, match="no uid"):
        run_objects(document, run_of(document_of("managed")), OPTIONS)
