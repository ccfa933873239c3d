"""Which cluster a command is about, and what people get wrong in saying so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.entry.conftest import Command
from tests.entry.world import World

RIGHT = "apiVersion: openbao.org/v1alpha1\nkind: OpenBaoCluster\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"a: [1\nb: {", "it is not YAML: did not find expected ',' or ']' (line 2, column 2)"),
        (b"hello", "a document in it is not a mapping of names to values"),
        (b"\xff\xfe\x00", "it is not UTF-8 text"),
        (b"", "there is no document"),
        (b"kind: Secret\n---\nkind: ConfigMap\n", "its documents are of kind ConfigMap, Secret"),
        (b"kind: OpenBaoCluster\napiVersion: v1", "apiVersion: expected openbao.org/v1alpha1"),
        (RIGHT.encode() + b"metadata: {name: prod}\nspec: {}", "spec.backup: expected it"),
    ],
)
def test_a_file_that_describes_no_cluster(command: Command, world: World, text: bytes, why: str) -> None:
    """The file is named, with what is in it instead."""
    world.config.write_bytes(text)
    answer = command("list")
    assert (answer.code, answer.out) == (1, "")
    assert why in answer.complaint


@pytest.mark.parametrize(
    ("change", "whys"),
    [
        ({"scedule": "0 2 * * *"}, ["spec.backup.scedule", "did you mean schedule?"]),
        ({"schedule": "0 25 * * *", "retention": {"maxCount": "two"}}, ["schedule: Bad hour", "maxCount"]),
        ({"target": {"provider": "tape"}}, ["spec.backup.target.provider"]),
        ({"tokenSecretRef": None}, ["spec.backup.auth: expected a login"]),
    ],
)
def test_wrong_fields_are_all_told_at_once(
    command: Command, world: World, change: dict[str, Any], whys: list[str]
) -> None:
    """Each with its path and with what was expected."""
    world.configure(world.document(**change))
    answer = command("list")
    assert answer.code == 1
    assert answer.complaint.startswith("bao-backup: InvalidDocument: read the document default/prod: ")
    assert all(why in answer.complaint for why in whys)


@pytest.mark.parametrize("place", ["nowhere.yaml", "nowhere/clusters.yaml"])
def test_a_configuration_that_is_not_there(command: Command, place: str) -> None:
    """The path as it was given."""
    answer = command("list", config=Path(place))
    assert (answer.code, answer.out) == (1, "")
    assert f"read {place}: there is no such file or folder" in answer.complaint


def test_a_folder_without_documents(command: Command, tmp_path: Path) -> None:
    """It says what a document's file is named like."""
    (tmp_path / "empty").mkdir()
    answer = command("list", config=tmp_path / "empty")
    assert answer.code == 1
    assert ".yaml, .yml or .json" in answer.complaint


def test_no_configuration_at_all(command: Command) -> None:
    """Neither an option nor a Job's variable: it says what to give, not each variable's name."""
    answer = command("list", config=None)
    assert (answer.code, answer.out) == (1, "")
    assert "give --config FILE with the cluster's document, or --target URL" in answer.complaint
    assert "BACKUP_JWT_AUTH_ROLE" not in answer.complaint


def test_a_job_with_missing_variables(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one variable is set, every missing one is named."""
    monkeypatch.setenv("CLUSTER_NAME", "prod")
    answer = command("backup", config=None)
    assert answer.code == 1
    assert "CLUSTER_NAMESPACE is not set" in answer.complaint
    assert "BACKUP_BUCKET is not set" in answer.complaint


def test_the_configuration_may_be_a_variable(
    command: Command, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a shell in which one works for a while."""
    monkeypatch.setenv("BAO_BACKUP_CONFIG", str(world.config))
    assert command("list", config=None).code == 0


def test_several_clusters_need_a_choice(command: Command, world: World) -> None:
    """All are named; one is chosen with or without its namespace."""
    world.configure(world.document(), world.document("test"))
    answer = command("list")
    assert answer.code == 1
    assert "there are default/prod, default/test; name one with --cluster" in answer.complaint
    assert command("list", "--cluster", "test").code == 0
    assert command("list", "--cluster", "default/prod").code == 0


@pytest.mark.parametrize(("name", "hint"), [("prdo", "did you mean default/prod?"), ("zzz", "--cluster")])
def test_a_misspelt_cluster(command: Command, name: str, hint: str) -> None:
    """What is there is named, and what was probably meant."""
    answer = command("list", "--cluster", name)
    assert answer.code == 1
    assert f"find the cluster {name} in" in answer.complaint
    assert "there is default/prod" in answer.complaint
    assert hint in answer.complaint


def test_a_name_that_is_there_twice(command: Command, world: World) -> None:
    """Naming it again would not help: the files are named."""
    folder = world.folder / "documents"
    folder.mkdir()
    for file in ("a.yaml", "b.yaml"):
        (folder / file).write_text(yaml.safe_dump(world.document()))
    answer = command("list", "--cluster", "prod", config=folder)
    assert answer.code == 1
    assert f"there are 2 of this name in {folder / 'a.yaml'} and {folder / 'b.yaml'}" in answer.complaint


def test_another_wrong_document_does_not_matter(command: Command, world: World) -> None:
    """One works on the chosen cluster, whatever the others are."""
    world.configure(world.document(), world.document("broken", schedule="never"))
    assert command("list", "--cluster", "prod").code == 0
    assert command("list", "--cluster", "broken").code == 1


def test_a_cluster_without_a_configuration(command: Command) -> None:
    """A name alone says nothing."""
    answer = command("list", "--cluster", "prod", config=None)
    assert answer.code == 1
    assert "--cluster needs --config" in answer.complaint


def test_a_target_that_is_not_there(command: Command, world: World) -> None:
    """A missing folder is never created: it may be a volume that is not mounted."""
    world.target.rmdir()
    answer = command("list")
    assert (answer.code, answer.out) == (5, "")
    assert answer.complaint.startswith(f"bao-backup: BucketNotFound: open file://{world.target}: ")
    assert not world.target.exists()


def test_a_secret_that_is_not_there(command: Command, world: World) -> None:
    """Its folder is named, and what belongs into it."""
    s3 = {"provider": "s3", "bucket": "b", "endpoint": "http://127.0.0.1:1"}
    world.configure(world.document(target={**s3, "credentialsSecretRef": {"name": "keys"}}))
    answer = command("list")
    assert answer.code == 1
    assert f"{world.folder / 'secrets' / 'keys'}: no such file or directory" in answer.complaint
    assert "accessKeyId" in answer.complaint
