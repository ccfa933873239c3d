"""The CRDs on a real API server: it takes what the reader takes, and refuses what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.crd_server import DEFINITIONS, Server, collection, with_our_crds
from tests.core.documents import document, restore_document
from tests.core.restore_cases import RESTORE_NUMBERS, RIGHT_RESTORES, WRONG_RESTORES
from tests.core.spec_cases import NUMBERS, RIGHT, WRONG, with_service
from tests.harness.control_plane import ControlPlane
from tests.harness.errors import HarnessError
from tests.harness.process import wait_until

from bao_backup.adapters.documents import read_documents
from bao_backup.core.restore_spec import parse_restore
from bao_backup.core.spec import parse_cluster

pytestmark = pytest.mark.servers

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "clusters.yaml"
#: What only the reader can say, or the API server must not: what is told, in place of refused.
LEFT_TO_THE_READER = [
    {"spec.backup.schedule": "0 0 30 2 *"},
    {"spec.backup.timeZone": "CEST5"},
    {"spec.backup.target.pathPrefix": "a\nb"},
    {"spec.backup.target.endpoint": "https://h:99999"},
    # The other operator may be the one that carries it out.
    {"spec.clusterTemplate": {"version": "2.7.0"}},
]
#: The API server's own business: it never stores another kind, or an object without a name.
OF_EVERY_OBJECT = ("apiVersion", "kind", "metadata")


@pytest.fixture
def server(control_plane: ControlPlane) -> Server:
    """The API server with our CRDs."""
    return with_our_crds(control_plane)


# --- the CRDs themselves -----------------------------------------------------------------------


@pytest.mark.parametrize("plural", ["openbaoclusters", "openbaorestores"])
def test_the_crd_is_taken_and_structural(server: Server, plural: str) -> None:
    """The cost of its rules is within the bounds, too, or the API server would not have taken it."""
    path = f"{DEFINITIONS}/{plural}.openbao.org"
    wait_until("the CRD", lambda: "Established" in conditions(server.plane, path), seconds=30)
    assert conditions(server.plane, path) == {"Established", "NamesAccepted"}


def conditions(plane: ControlPlane, path: str) -> set[str]:
    """The types of the conditions that are true."""
    found = plane.request("GET", path).json()["status"]["conditions"]
    return {each["type"] for each in found if each["status"] == "True"}


# --- wrong documents ---------------------------------------------------------------------------

WRONG_CLUSTERS = [
    (changes, set(expected))
    for changes, expected in WRONG
    if not any(path.startswith(OF_EVERY_OBJECT) for path in changes)
]


@pytest.mark.parametrize(("changes", "fields"), WRONG_CLUSTERS, ids=str)
def test_a_wrong_cluster_is_refused_by_field(
    server: Server, changes: dict[str, Any], fields: set[str]
) -> None:
    """What the reader says is wrong, the API server says, of the same fields."""
    told = server.wrong_fields(document(changes))
    if changes in LEFT_TO_THE_READER:
        assert told == {}
        return
    assert fields <= set(told)


@pytest.mark.parametrize(
    ("changes", "fields"), [(changes, set(expected)) for changes, expected in WRONG_RESTORES], ids=str
)
def test_a_wrong_restore_is_refused_by_field(
    server: Server, changes: dict[str, Any], fields: set[str]
) -> None:
    """The same for restores."""
    told = server.wrong_fields(restore_document(changes))
    if changes in LEFT_TO_THE_READER:
        assert told == {}
        return
    assert fields <= set(told)


@pytest.mark.parametrize(
    ("path", "least", "most"),
    [*NUMBERS, *RESTORE_NUMBERS],
    ids=[path for path, *_ in [*NUMBERS, *RESTORE_NUMBERS]],
)
def test_a_number_has_the_same_bounds(server: Server, path: str, least: int, most: int) -> None:
    """As the reader's."""
    make = restore_document if (path, least, most) in RESTORE_NUMBERS else None
    for value, right in ((least, True), (most, True), (least - 1, False), (most + 1, False)):
        what = make({path: value}) if make else with_service(path, value)
        assert set(server.wrong_fields(what)) == (set() if right else {path})


def test_the_message_says_what_is_expected(server: Server) -> None:
    """In words, not as an expression."""
    changes = {
        "spec.backup.schedule": "0 0 2 * * *",
        "spec.backup.target.bucket": "a/b",
        "spec.backup.retention": {"maxAge": "7d"},
    }
    told = server.wrong_fields(document(changes))
    assert "five fields" in told["spec.backup.schedule"]
    assert "expected a bucket's name" in told["spec.backup.target.bucket"]
    assert "there is no d or w" in told["spec.backup.retention.maxAge"]
    between = server.wrong_fields(document({"spec.backup.target.gcs": {}}))
    assert between == {"spec.backup.target.gcs": "Invalid value: expected only with provider gcs"}


# --- restores never change ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"latest": None, "key": "a/b.snap"}},
        {"force": True},
        {"safetyBackup": False},
        {"jobTemplate": {"labels": {"a": "c"}}},
        {"cluster": "another"},
    ],
    ids=str,
)
def test_a_restore_that_is_there_never_changes(server: Server, change: dict[str, Any]) -> None:
    """What it asks for is what was asked for; its labels and its status may change."""
    what = restore_document({"spec.jobTemplate": {"labels": {"a": "b"}}, "metadata.namespace": "default"})
    path = f"{collection(what)}/{what['metadata']['name']}"
    answer = server.create(what, keep=True)
    assert answer.status == 201, answer.body
    try:
        merge = ("patch", "openbaorestores", what["metadata"]["name"], "--type=merge", "-p")
        with pytest.raises(HarnessError, match="a restore is made once"):
            server.plane.kubectl(*merge, json.dumps({"spec": change}))
        server.plane.kubectl(*merge, json.dumps({"metadata": {"labels": {"team": "a"}}}))
        status = {"status": {"phase": "Completed"}}
        server.plane.kubectl(*merge, json.dumps(status), "--subresource=status")
        assert server.plane.request("GET", path).json()["status"]["phase"] == "Completed"
    finally:
        server.plane.request("DELETE", path)


# --- right documents ---------------------------------------------------------------------------


@pytest.mark.parametrize("changes", RIGHT, ids=str)
def test_a_right_cluster_is_taken_and_means_the_same(server: Server, changes: dict[str, Any]) -> None:
    """Whatever defaults were filled in; and to apply it strictly is right, too."""
    what = document({**changes, "metadata.namespace": "default"})
    assert server.create(what, strict=True).status == 201
    assert parse_cluster(server.stored(what), strict=True).spec == parse_cluster(what, strict=True).spec


@pytest.mark.parametrize("changes", RIGHT_RESTORES, ids=str)
def test_a_right_restore_is_taken_and_means_the_same(server: Server, changes: dict[str, Any]) -> None:
    """The same for restores."""
    what = restore_document(changes)
    assert server.create(what, strict=True).status == 201
    assert parse_restore(server.stored(what), strict=True).spec == parse_restore(what, strict=True).spec


def test_the_examples_are_taken(server: Server) -> None:
    """All that docs/ shows, with no field that is dropped."""
    for example in read_documents(EXAMPLES):
        what = {**example.content, "metadata": {"name": example.content["metadata"]["name"]}}
        assert server.create(what, strict=True).status == 201
        assert parse_cluster(server.stored(what), strict=True).spec == parse_cluster(what, strict=True).spec


def test_null_is_the_same_as_absent(server: Server) -> None:
    """As for the reader."""
    names = ("auth", "retention", "timeZone", "target.gcs", "target.partSize", "target.credentialsSecretRef")
    what = document({f"spec.backup.{name}": None for name in names})
    assert server.stored(what)["spec"] == server.stored(document())["spec"]
