"""Whether a backup is the expected one, fits the server, and may be sent there: tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.core.archives import GENUINE, prove
from tests.core.test_receipt import genuine

from bao_backup.core.errors import LeaderError, ServerUntrustedError
from bao_backup.core.model import Leader, Node, NodeState, Seal
from bao_backup.core.receipt import Receipt
from bao_backup.core.restore_checks import (
    FORCE_PATH,
    SNAPSHOT_PATH,
    Capabilities,
    Safety,
    absent_nodes,
    check_expected,
    check_may_restore,
    compare_clusters,
    compare_members,
    compare_seals,
    compare_versions,
    decide_safety,
    nobody_leads,
    snapshot_version,
)
from bao_backup.core.restore_errors import (
    BackupUnexpectedError,
    RestoreDeniedError,
    SafetyBackupError,
    SnapshotNewerError,
)
from bao_backup.core.restore_settings import Wanted

CONTENTS = prove(GENUINE.read_bytes())
RECEIPT = replace(genuine(), cluster=replace(genuine().cluster, id="its-own"))
LEADER = Leader(address="https://a:8200", version="2.4.4", cluster_id=RECEIPT.cluster.id)


def node(state: NodeState, address: str = "https://a:8200") -> Node:
    """A node in that state."""
    leader = LEADER if state is NodeState.ACTIVE else None
    return Node(address=address, state=state, said=state.value, leader=leader)


# --- the expected one ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(sha256=CONTENTS.sha256, size=CONTENTS.size, cluster_id=RECEIPT.cluster.id, version="2.4.4"),
        Wanted(version="v2.4.4"),
    ],
)
def test_what_is_as_expected_passes(wanted: Wanted) -> None:
    """Nothing is expected where nothing is said."""
    check_expected("it", wanted, CONTENTS, RECEIPT)


@pytest.mark.parametrize(
    ("wanted", "receipt", "why"),
    [
        (Wanted(sha256="0" * 64), RECEIPT, f"its SHA-256 is {CONTENTS.sha256}, expected 0000"),
        (Wanted(size=CONTENTS.size + 1), None, f"its size is {CONTENTS.size}, expected"),
        (Wanted(size=0), None, "expected 0"),
        (Wanted(cluster_id="x"), RECEIPT, f"its cluster id is {RECEIPT.cluster.id}, expected x"),
        (Wanted(cluster_id="x"), None, "its cluster id is not known, expected x"),
        (Wanted(version="2.4.3"), RECEIPT, "its version is 2.4.4, expected 2.4.3"),
    ],
)
def test_another_one_is_refused(wanted: Wanted, receipt: Receipt | None, why: str) -> None:
    """With what it is instead."""
    with pytest.raises(BackupUnexpectedError, match=why):
        check_expected("it", wanted, CONTENTS, receipt)


def test_the_newest_version_that_is_named_counts() -> None:
    """By the snapshot, or by its receipt: a server that was upgraded names all that it was."""
    receipt = replace(RECEIPT, cluster=replace(RECEIPT.cluster, server_version="2.10.0"))
    assert snapshot_version(CONTENTS, receipt) == "2.10.0"
    assert snapshot_version(CONTENTS, None) == CONTENTS.inventory.server_version


# --- versions -----------------------------------------------------------------------------------

VERSIONS: dict[str, tuple[str, str, bool, list[str]]] = {
    "the same": ("2.4.4", "2.4.4", False, []),
    "older": ("2.4.3", "2.4.4", False, []),
    "older, as numbers": ("2.9.0", "2.10.0", False, []),
    "newer": ("2.4.5", "2.4.4", True, ["newer"]),
    "newer, as numbers": ("2.10.0", "2.9.9", True, ["newer"]),
    "a release candidate of it": ("2.4.4-rc1", "2.4.4", False, []),
    "newer than a release candidate": ("2.4.4", "2.4.4-rc1", True, ["newer"]),
    "a later release candidate": ("2.5.0-rc10", "2.5.0-rc9", False, []),
    "with a v": ("v2.4.4", "2.4.4", False, []),
    "Enterprise on both sides": ("1.21.0+ent", "1.21.0+ent", False, []),
    "Enterprise in the snapshot": ("1.21.0+ent", "1.21.0", False, ["Enterprise"]),
    "Enterprise at the target": ("1.21.0", "1.21.0+ent", False, []),
    "Enterprise with a HSM": ("1.21.1+ent.hsm", "1.21.0+ent", True, ["newer"]),
    "of the other product": ("1.21.0", "2.4.4", False, ["another generation or product"]),
    "to the other product": ("2.4.4", "1.21.0", True, ["newer", "another generation or product"]),
    "unknown": ("", "2.4.4", False, ["not compared: the snapshot's is unknown"]),
    "no version": ("2.4.4", "main", False, ["not compared"]),
}


@pytest.mark.parametrize(("snapshot", "server", "newer", "words"), VERSIONS.values(), ids=VERSIONS)
def test_versions_are_compared_as_numbers(snapshot: str, server: str, newer: bool, words: list[str]) -> None:
    """A newer one is refused without force; with it, it is a warning like the others."""
    warnings = compare_versions("it", snapshot, server, force=True)
    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))
    if newer:
        with pytest.raises(SnapshotNewerError):
            compare_versions("it", snapshot, server, force=False)
    else:
        assert compare_versions("it", snapshot, server, force=False) == warnings


numbers = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))


@given(numbers, numbers)
def test_only_a_newer_one_is_refused(ours: tuple[int, int, int], theirs: tuple[int, int, int]) -> None:
    """For any two releases."""
    texts = [".".join(map(str, each)) for each in (ours, theirs)]
    try:
        compare_versions("it", texts[0], texts[1], force=False)
    except SnapshotNewerError:
        assert ours > theirs
    else:
        assert ours <= theirs


# --- seals and clusters -------------------------------------------------------------------------

SHAMIR = Seal(type="shamir", shares=5, threshold=3)


@pytest.mark.parametrize(
    ("snapshot", "server", "words"),
    [
        (SHAMIR, SHAMIR, ""),
        (replace(SHAMIR, shares=7), SHAMIR, "3 of 7 shares, the server's is shamir with 3 of 5 shares"),
        (replace(SHAMIR, threshold=2), SHAMIR, "2 of 5 shares"),
        (Seal(type="awskms", shares=0, threshold=0), SHAMIR, "seal is awskms, the server's is shamir with 3"),
        (None, SHAMIR, "does not tell its seal"),
    ],
)
def test_seals_that_differ_are_a_warning(snapshot: Seal | None, server: Seal, words: str) -> None:
    """The server's own answer decides: equal shares do not prove equal keys."""
    warnings = compare_seals(snapshot, server)
    assert (words in warnings[0]) if words else (warnings == ())


@pytest.mark.parametrize(
    ("receipt", "leader", "own", "words"),
    [
        (RECEIPT, LEADER, True, ""),
        (RECEIPT, replace(LEADER, cluster_id="x"), True, "it is of another cluster"),
        (RECEIPT, replace(LEADER, cluster_id=""), True, ""),
        (RECEIPT, LEADER, False, "another folder"),
        (None, LEADER, True, "no receipt"),
    ],
)
def test_where_it_is_from_is_told(receipt: Receipt | None, leader: Leader, own: bool, words: str) -> None:
    """Where that is not this very cluster."""
    warnings = compare_clusters(receipt, leader, own=own, force=True)
    assert (words in warnings[0]) if words else (warnings == ())


@pytest.mark.parametrize(("force", "told"), [(False, True), (True, False)])
def test_other_keys_are_likely_where_the_cluster_is_another(force: bool, told: bool) -> None:
    """The server refuses those, unless it is by force; who reads it before the question can end it there."""
    (warning,) = compare_clusters(RECEIPT, replace(LEADER, cluster_id="x"), own=True, force=force)
    assert ("likely to refuse it without force: true (--force)" in warning) == told


@pytest.mark.parametrize(
    ("receipt", "leader", "nodes", "force", "warned"),
    [
        (RECEIPT, LEADER, 3, True, False),
        (RECEIPT, replace(LEADER, cluster_id="x"), 3, True, True),
        (None, LEADER, 3, True, True),
        (None, LEADER, 1, True, False),
        (None, LEADER, 3, False, False),
    ],
)
def test_nodes_of_a_source_that_lives_turn_others_away(
    receipt: Receipt | None, leader: Leader, nodes: int, force: bool, warned: bool
) -> None:
    """Only by force, into several nodes, from another cluster."""
    listed = [node(NodeState.STANDBY)] * nodes
    warnings = compare_members(CONTENTS, receipt, leader, listed, force=force)
    assert bool(warnings) == warned
    if warned:
        assert CONTENTS.meta.servers[0].address in warnings[0]


# --- rights -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ({"update"}, True),
        ({"read", "update"}, True),
        ({"root"}, True),
        ({"read"}, False),
        ({"sudo"}, False),
        ({"create"}, False),
        ({"deny"}, False),
        (set(), False),
    ],
)
@pytest.mark.parametrize(("force", "path"), [(False, SNAPSHOT_PATH), (True, FORCE_PATH)])
def test_the_very_path_must_be_allowed(words: set[str], allowed: bool, force: bool, path: str) -> None:
    """The other one gives nothing; the missing line is printed."""
    other = SNAPSHOT_PATH if force else FORCE_PATH
    capabilities = {path: frozenset(words), other: frozenset({"update"})}
    if allowed:
        assert check_may_restore(capabilities, LEADER, force=force) == ()
        return
    with pytest.raises(RestoreDeniedError) as caught:
        check_may_restore(capabilities, LEADER, force=force)
    assert caught.value.hint == f'the policy needs: path "{path}" {{ capabilities = ["update"] }}'


def test_who_may_not_ask_may_try() -> None:
    """And is warned."""
    (warning,) = check_may_restore(None, LEADER, force=False)
    assert SNAPSHOT_PATH in warning


ALIVE = (node(NodeState.ACTIVE), node(NodeState.STANDBY, "https://b:8200"))
READ: Capabilities = {SNAPSHOT_PATH: frozenset({"read", "update"})}
SAFETY: dict[str, tuple[bool, Capabilities, tuple[Node, ...], Safety | None, str]] = {
    "healthy, wanted, permitted": (True, READ, ALIVE, Safety.TAKE, ""),
    "root": (True, {SNAPSHOT_PATH: frozenset({"root"})}, ALIVE, Safety.TAKE, ""),
    "nobody knows whether it is permitted": (True, None, ALIVE, Safety.TAKE, ""),
    "not permitted": (True, {SNAPSHOT_PATH: frozenset({"update"})}, ALIVE, None, ""),
    "not permitted, nor wanted": (
        False,
        {SNAPSHOT_PATH: frozenset({"update"})},
        ALIVE,
        Safety.NONE,
        "there is no way back",
    ),
    "not wanted": (False, READ, ALIVE, Safety.NONE, "there is no way back"),
    "sealed": (True, READ, (node(NodeState.SEALED),), Safety.NONE, "https://a:8200 is sealed"),
    "not initialised": (
        True,
        {},
        (node(NodeState.NOT_INITIALISED),),
        Safety.NONE,
        "https://a:8200 is not initialised",
    ),
    "no node": (True, READ, (), Safety.NONE, "no node answers"),
}


@pytest.mark.parametrize(("wanted", "rights", "nodes", "safety", "words"), SAFETY.values(), ids=SAFETY)
def test_what_is_there_is_backed_up_first(
    wanted: bool, rights: Capabilities, nodes: tuple[Node, ...], safety: Safety | None, words: str
) -> None:
    """Where the server is healthy and it is wanted; not permitted is a refusal."""
    if safety is None:
        with pytest.raises(SafetyBackupError) as caught:
            decide_safety(rights, nodes, LEADER, wanted=wanted)
        assert '"read"' in caught.value.hint
        return
    decision = decide_safety(rights, nodes, LEADER, wanted=wanted)
    assert decision.safety is safety
    assert (words in decision.warnings[0]) if words else (decision.warnings == ())


# --- nodes --------------------------------------------------------------------------------------


def test_a_node_that_takes_no_part_is_told() -> None:
    """Whatever keeps it."""
    listed = [node(state, f"https://{state.name}:8200") for state in NodeState]
    told = absent_nodes(listed)
    assert [warning.split()[0] for warning in told] == [
        "https://SEALED:8200",
        "https://NOT_INITIALISED:8200",
        "https://OTHER:8200",
        "https://UNREACHABLE:8200",
    ]


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([NodeState.NOT_INITIALISED] * 3, "initialise one server"),
        ([NodeState.NOT_INITIALISED, NodeState.UNREACHABLE], "initialise one server"),
        ([NodeState.SEALED, NodeState.NOT_INITIALISED], "unseal the cluster first"),
        ([NodeState.SEALED, NodeState.STANDBY], "check that the cluster is running"),
        ([NodeState.UNREACHABLE], "check that the cluster is running"),
        ([], "check that the cluster is running"),
    ],
)
def test_without_a_leader_the_next_thing_to_do_is_said(states: list[NodeState], words: str) -> None:
    """By what the nodes wait for; the failure stays of its kind."""
    error = nobody_leads([node(state) for state in states], LeaderError("find", "none"))
    assert words in error.hint
    kind = type(nobody_leads([node(state) for state in states], ServerUntrustedError("find", "none")))
    assert kind is ServerUntrustedError
