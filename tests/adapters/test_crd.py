"""The CRDs: up to date, compatible with the existing operator's, and never stricter than the reader."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.core.documents import document, problems_of, problems_of_restore, restore_document
from tests.core.restore_cases import RIGHT_RESTORES
from tests.core.spec_cases import RIGHT
from tests.harness.existing_operator import custom_resource_definitions

from bao_backup.adapters.kubernetes.crd import cluster_crd, crds, restore_crd, to_yaml
from bao_backup.adapters.kubernetes.crd_rules import TEXTS
from bao_backup.core.documents import Check
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.restore_spec import parse_restore
from bao_backup.core.spec import parse_cluster

FOLDER = Path(__file__).parents[2] / "deploy" / "crds"
KEPT = "x-kubernetes-preserve-unknown-fields"


def schema_of(crd: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of its one version."""
    (version,) = crd["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def walk(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema with its path; items of a list are `[]`, values of a map `{}`."""
    parts = {f".{name}": part for name, part in schema.get("properties", {}).items()}
    parts |= {"[]": schema["items"]} if "items" in schema else {}
    parts |= {"{}": schema["additionalProperties"]} if "additionalProperties" in schema else {}
    for name, part in parts.items():
        place = f"{path}{name}".removeprefix(".")
        yield place, part
        yield from walk(part, place)


CLUSTER_SCHEMA, RESTORE_SCHEMA = schema_of(cluster_crd()), schema_of(restore_crd())
CLUSTER, RESTORE = dict(walk(CLUSTER_SCHEMA)), dict(walk(RESTORE_SCHEMA))
BOTH = [
    (f"{kind}: {path}", part)
    for kind, all_ in (("cluster", CLUSTER), ("restore", RESTORE))
    for path, part in all_.items()
]


# --- the files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("plural", ["openbaoclusters", "openbaorestores"])
def test_the_files_are_what_the_structs_say(plural: str) -> None:
    """`make manifests` writes them anew after a change of the structs."""
    assert (FOLDER / f"{plural}.yaml").read_text() == to_yaml(crds()[plural]), "run `make manifests`"
    assert {path.stem for path in FOLDER.iterdir()} == set(crds())


def test_the_text_is_always_the_same_and_says_the_whole() -> None:
    """Nothing in it hangs on the order of a set or on the process."""
    for crd in crds().values():
        assert to_yaml(crd) == to_yaml(deepcopy(crd))
        assert yaml.safe_load(to_yaml(crd)) == crd
        assert "&id" not in to_yaml(crd)


# --- compatible with the existing operator's ---------------------------------------------------

#: Where the existing operator has an enum, and a later one may write more.
FREE = {"status.phase", "spec.profile", "spec.deletionPolicy"}
#: Without it nobody could reach the storage: a run would fail with it missing.
NEEDED = {"storageAccount"}
THEIRS = [
    (ours, path, part)
    for ours, crd in zip((CLUSTER, RESTORE), custom_resource_definitions(), strict=True)
    for path, part in walk(schema_of(crd))
    if not path.startswith(("spec.tls", "spec.storage", "spec.unseal"))
]


def ours_at(ours: Mapping[str, dict[str, Any]], path: str) -> dict[str, Any] | None:
    """Our field; None where it is kept without being known."""
    while path not in ours:
        path = re.sub(r"(\.[^.\[]+|\[\])$", "", path) if "." in path else ""
        assert path, "neither known nor kept"
        if ours.get(path, {}).get(KEPT):
            return None
    return ours[path]


@pytest.mark.parametrize(("ours", "path", "theirs"), THEIRS, ids=[path for _, path, _ in THEIRS])
def test_a_field_of_the_existing_operator_has_its_type_default_and_bounds(
    ours: Mapping[str, dict[str, Any]], path: str, theirs: Mapping[str, Any]
) -> None:
    """What its schema takes, ours takes; and it fills in the same defaults, no more."""
    found = ours_at(ours, path)
    if found is None:
        assert "default" not in theirs
        return
    if not found.get(KEPT) or "type" in found:  # else anything at all
        assert found["type"] == theirs["type"]
    assert found.get("default") == theirs.get("default")
    if theirs.get("format") in {"date-time", "int64"}:
        assert found["format"] == theirs["format"]
    if path not in FREE and "enum" in theirs:
        assert set(theirs["enum"]) <= set(found["enum"])
    assert found.get("minimum") == theirs.get("minimum") or path == "spec.replicas"
    assert found.get("minLength", 0) <= theirs.get("minLength", 0)
    assert found.get("maximum", 2**31) >= theirs.get("maximum", 0)
    for kind in ("x-kubernetes-map-type", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"):
        assert found.get(kind) == theirs.get(kind)
    assert set(found.get("required", ())) - NEEDED <= set(theirs.get("required", ()))


def test_every_one_of_their_fields_of_backup_and_restore_is_known() -> None:
    """None of them is only kept: what is told of it below is told of all."""
    parts = ("spec.backup", "status.backup", "status.operationLock", "spec.source", "status.snapshot")
    known = [path for ours, path, _ in THEIRS if path.startswith(parts) and ours_at(ours, path) is not None]
    assert known == [path for _, path, _ in THEIRS if path.startswith(parts)]
    assert len(known) > 50


def test_defaults_that_the_existing_operator_has_not_are_only_told() -> None:
    """So that documents stay as people wrote them; kubectl explain says what is meant."""
    stored = {path.rpartition(".")[2] for path, part in BOTH if "default" in part}
    assert stored == {
        "provider", "partSize", "concurrency", "region", "usePathStyle", "name", "force",
        "overrideOperationLock", "phase",
    }  # fmt: skip
    told = {path for path, part in CLUSTER.items() if "Default: " in part.get("description", "")}
    assert {"spec.backup.activeDeadlineSeconds", "spec.backup.verify", "spec.backup.timeZone"} <= told
    assert CLUSTER["spec.connection.service.port"]["description"].endswith("Default: 8200.")
    assert RESTORE["spec.safetyBackup"]["description"].endswith("Default: true.")


def test_names_are_the_existing_operators() -> None:
    """Group, kinds, plurals and short names; both have the status as a resource of its own."""
    for ours, theirs in zip(crds().values(), custom_resource_definitions(), strict=True):
        assert {**ours["spec"], "versions": []} == {**theirs["spec"], "versions": []}
        assert ours["metadata"]["name"] == theirs["metadata"]["name"]
        (version,) = ours["spec"]["versions"]
        assert (version["name"], version["subresources"]) == ("v1alpha1", {"status": {}})


def test_columns_name_fields_that_there_are() -> None:
    """And the restores' are the existing operator's."""
    for ours, crd in ((CLUSTER, cluster_crd()), (RESTORE, restore_crd())):
        for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]:
            path = re.sub(r"\[\?.*?\]", "[]", column["jsonPath"].removeprefix("."))
            assert path in ours or path == "metadata.creationTimestamp"
    theirs = custom_resource_definitions()[1]["spec"]["versions"][0]["additionalPrinterColumns"]
    assert restore_crd()["spec"]["versions"][0]["additionalPrinterColumns"] == theirs


# --- which fields are kept ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["spec", "spec.network", "spec.selfInit", "spec.selfInit.oidc", "spec.upgrade", "spec.upgrade.blueGreen",
     "spec.restore", "spec.backup.restoreTest", "status", "status.backup", "status.operationLock"],
)  # fmt: skip
def test_fields_that_only_others_know_are_kept(path: str) -> None:
    """Wherever the existing operator has, or will have, more than we know."""
    assert CLUSTER[path][KEPT] is True


@pytest.mark.parametrize("path", ["spec.backup", "spec.backup.target", "spec.connection", "spec.backup.auth"])
def test_where_every_field_is_known_a_slip_of_the_pen_is_told(path: str) -> None:
    """The API server drops it, and kubectl says so, since nothing there is kept that is not known."""
    assert KEPT not in CLUSTER[path]
    assert KEPT not in RESTORE["spec"]


# --- never stricter than the reader ------------------------------------------------------------


def with_defaults(schema: Mapping[str, Any], value: Any) -> Any:
    """The value as the API server stores it: nulls dropped, defaults filled in, from the outside inwards."""
    if isinstance(value, dict):
        given = {name: each for name, each in value.items() if each is not None}
        parts = schema.get("properties", {})
        absent = {name: part["default"] for name, part in parts.items() if "default" in part}
        more = schema.get("additionalProperties", {})
        filled = absent | given
        return {name: with_defaults(parts.get(name, more), each) for name, each in filled.items()}
    if isinstance(value, list):
        return [with_defaults(schema.get("items", {}), each) for each in value]
    return value


EMPTY_PARTS: list[dict[str, Any]] = [
    {f"spec.backup.{name}": {}}
    for name in ("retention", "retentionPolicy", "tokenSecretRef", "jobTemplate", "target.s3")
]


@given(st.lists(st.sampled_from([*RIGHT, *EMPTY_PARTS]), max_size=3))
@example([{"spec.backup.target.credentialsSecretRef": {}, "spec.backup.target.region": None}])
def test_the_defaults_that_the_server_fills_in_mean_what_the_document_meant(
    changes: list[dict[str, Any]],
) -> None:
    """The reader finds the same in what is stored as in what was written."""
    try:
        written = document({path: value for each in changes for path, value in each.items()})
    except (KeyError, TypeError, AttributeError):
        assume(False)
    assume(not problems_of(written))
    stored = with_defaults(CLUSTER_SCHEMA, written)
    assert stored["spec"]["backup"]["target"]["partSize"]
    assert parse_cluster(stored, strict=True) == parse_cluster(written, strict=True)


@given(st.lists(st.sampled_from(RIGHT_RESTORES), max_size=3))
def test_the_defaults_of_a_restore_mean_what_the_document_meant(changes: list[dict[str, Any]]) -> None:
    """The same for the other kind."""
    written = restore_document({path: value for each in changes for path, value in each.items()})
    assume(not problems_of_restore(written))
    stored = with_defaults(RESTORE_SCHEMA, written)
    assert stored["spec"]["force"] in {True, False}
    assert parse_restore(stored, strict=True) == parse_restore(written, strict=True)


SAMPLES = [
    "0 2 * * *", "@every 5m", "CRON_TZ=Asia/Tokyo */5 1-3,7 * JAN mon#1", " @daily ", "? ? L * ?", "UTC",
    "Etc/GMT+5", "America/Port-au-Prince", "168h", "1h30m", "+.5h", "1.5ms2us", "prod", "a.b-c", "jwt",
    "team/jwt/", "/a/b", "/", "https://s3.example.com", "HTTP://[::1]:9000/x/", "https://h:08200",
    "https://h/x?", "http://h#", " https://h", "bao.example.com", "https://bao_0:8200/", "ca.crt", "..data",
    "Bucket_1.x", "/prefix//", "a b/c",
    "sha256:" + "0a" * 32, "raft/default/prod/2026-11-22T02-00-00Z-0123abcd.snap", "0.001us", "0s",
]  # fmt: skip
pieces = st.sampled_from(
    [*SAMPLES, *"aZ09 ./:@?#*,-_+=[]", "..", "//", "auth/", "https://", "h", "TZ=", "µs"]
)
texts = st.builds("".join, st.lists(pieces, max_size=5)).filter(str.isprintable)


@pytest.mark.parametrize("check", TEXTS, ids=lambda check: check.__name__)
@given(text=texts)
def test_a_text_that_the_reader_takes_the_server_takes(check: Check, text: str) -> None:
    """Its rule may be wider than the reader's check, never narrower."""
    try:
        check(text)
    except ConfigurationError:
        return
    rule = TEXTS[check]
    if text:
        assert re.search(f"^(?:{rule.right})$", text)
        assert not (rule.wrong and re.search(rule.wrong, text))
        assert rule.longest is None or len(text) <= rule.longest


@pytest.mark.parametrize("check", TEXTS, ids=lambda check: check.__name__)
def test_each_rule_of_a_text_takes_some_and_refuses_some(check: Check) -> None:
    """Of the samples, so that the property above is about something."""
    rule = TEXTS[check]
    taken = {
        text
        for text in SAMPLES
        if re.search(f"^(?:{rule.right})$", text) and not (rule.wrong and re.search(rule.wrong, text))
    }
    assert set() < taken < set(SAMPLES)


# --- the rules are told well -------------------------------------------------------------------


def test_every_rule_has_words_and_names_a_field_that_there_is() -> None:
    """A message that people can act on, at the place that is wrong."""
    rules = [(part, rule) for _, part in BOTH for rule in part.get("x-kubernetes-validations", ())]
    assert len(rules) > 40
    for part, rule in rules:
        assert rule["message"].startswith("expected ")
        assert rule.get("fieldPath", ".").removeprefix(".") in {"", *part.get("properties", {})}


def test_every_field_of_a_document_is_explained() -> None:
    """For `kubectl explain`: each field below spec.backup, spec.connection and a restore's spec."""
    parts = ("cluster: spec.backup", "cluster: spec.connection", "restore: spec.")
    silent = [
        path
        for path, part in BOTH
        if path.startswith(parts)
        and not path.endswith(("]", "}", ".env[].name"))
        and not part.get("description")
    ]
    assert silent == []
