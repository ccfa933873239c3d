"""What looks at the nodes mean after a snapshot was sent: tables of what real servers were seen to show."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bao_backup.core.after_restore import (
    LONGEST_LOOKS,
    SETTLED_LOOKS,
    SETTLED_LOOKS_BY_INDEX,
    Evidence,
    Look,
    Sent,
    Verdict,
    doubts,
    evidence_of,
    judge,
    next_steps,
    sealed_error,
    unknown_error,
)
from bao_backup.core.model import Leader, Node, NodeState

A, B, C = "https://a:8200", "https://b:8200", "https://c:8200"
STATES = {
    "a": NodeState.ACTIVE,
    "s": NodeState.STANDBY,
    "x": NodeState.SEALED,
    "n": NodeState.NOT_INITIALISED,
    "o": NodeState.OTHER,
    "-": NodeState.UNREACHABLE,
}


def look(states: str, *, knows: bool | None = None, index: int = 76, cluster: str = "own") -> Look:
    """One letter a node: "ass" is A active, B and C standby; "-" is silence."""
    nodes = []
    for address, letter in zip((A, B, C), states, strict=False):
        state = STATES[letter]
        leader = Leader(address=address, cluster_id=cluster) if state is NodeState.ACTIVE else None
        answers = state in {NodeState.ACTIVE, NodeState.STANDBY}
        nodes.append(
            Node(
                address=address,
                state=state,
                said=state.value,
                leader=leader,
                applied_index=index if answers else 0,
            )
        )
    return Look(nodes=tuple(nodes), knows_login=knows)


BEFORE = look("ass", knows=True)
ACCEPTED = Sent(before=BEFORE, leader=Leader(address=A, cluster_id="own"), accepted=True, fresh_login=True)
LOST = replace(ACCEPTED, accepted=False)
CONFIGURED = replace(ACCEPTED, fresh_login=False)
BLIND = replace(ACCEPTED, before=look("ass", knows=False))

OLD = look("ass", knows=True)
SILENT = look("-ss")
NEW = look("ass", knows=False, index=82)
EVIDENCE: dict[str, tuple[Sent, Look, Evidence]] = {
    "nothing has changed yet": (ACCEPTED, OLD, Evidence.OLD),
    "it is silent": (ACCEPTED, SILENT, Evidence.NONE),
    "it knows the login, whatever its index": (ACCEPTED, look("ass", knows=True, index=90), Evidence.OLD),
    "it has forgotten the login": (ACCEPTED, NEW, Evidence.NEW),
    "another leader has forgotten the login": (ACCEPTED, look("-as", knows=False), Evidence.NEW),
    "another leader knows it": (ACCEPTED, look("-as", knows=True, index=90), Evidence.OLD),
    "it does not say": (ACCEPTED, look("ass", index=90), Evidence.NONE),
    "no answer, forgotten, and moved": (LOST, NEW, Evidence.NEW),
    "no answer, forgotten, and not moved: the login ran out": (LOST, look("ass", knows=False), Evidence.NONE),
    "no answer, and known": (LOST, look("ass", knows=True, index=90), Evidence.OLD),
    "a configured token is known, and the index moved": (
        CONFIGURED,
        look("ass", knows=True, index=78),
        Evidence.MAYBE,
    ),
    "a configured token that is not known any more": (CONFIGURED, NEW, Evidence.NEW),
    "the same, and no answer": (replace(CONFIGURED, accepted=False), NEW, Evidence.NEW),
    "a configured token, and one write": (CONFIGURED, look("ass", knows=True, index=77), Evidence.NONE),
    "a configured token, and an index that is not told": (
        CONFIGURED,
        look("ass", knows=True, index=0),
        Evidence.MAYBE,
    ),
    "a configured token, and another leader": (
        CONFIGURED,
        look("-as", knows=True, index=90),
        Evidence.NONE,
    ),
    "a configured token, no answer, and the index moved": (
        replace(CONFIGURED, accepted=False),
        look("ass", knows=True, index=90),
        Evidence.NONE,
    ),
    "a login that could not be asked for before, and the index moved": (
        BLIND,
        look("ass", knows=False, index=82),
        Evidence.MAYBE,
    ),
    "another cluster's id": (LOST, look("ass", cluster="foreign"), Evidence.NEW),
    "two that lead": (ACCEPTED, look("aas", knows=False), Evidence.NONE),
}


@pytest.mark.parametrize(("sent", "seen", "evidence"), EVIDENCE.values(), ids=EVIDENCE)
def test_one_look_tells_whose_data_it_is(sent: Sent, seen: Look, evidence: Evidence) -> None:
    """By login, cluster id and index; by none of them, nothing."""
    assert evidence_of(sent, seen) is evidence


def led(states: str, *leaderships: str, **more: Any) -> Look:
    """The same, with what the nodes say of who leads since when."""
    plain = look(states, **more)
    nodes = zip(plain.nodes, leaderships, strict=False)
    return replace(plain, nodes=tuple(replace(node, leadership=each) for node, each in nodes))


def test_a_leader_of_two_addresses_is_one() -> None:
    """As of a name that has an IPv4 and an IPv6 address; two that lead are two."""
    one = led("aa", "a since 1", "a since 1")
    assert one.leader is not None
    assert one.leader.address == A
    assert one.led_by(Leader(address=A))
    assert one.led_by(Leader(address=B))
    assert not one.led_by(Leader(address=C))
    for other in (led("aa", "a since 1", "a since 2"), led("aa", "", ""), led("aa", "a since 1", "")):
        assert other.leader is None
        assert not other.led_by(Leader(address=A))


def test_a_leader_that_began_anew_is_not_told_by_its_index() -> None:
    """It was killed before it applied the snapshot, and its own start has moved the index."""
    sent = replace(CONFIGURED, before=led("a", "a since 1", knows=True))
    assert evidence_of(sent, led("a", "a since 1", knows=True, index=90)) is Evidence.MAYBE
    assert evidence_of(sent, led("a", "a since 2", knows=True, index=90)) is Evidence.NONE
    assert evidence_of(sent, led("a", "", knows=True, index=90)) is Evidence.MAYBE


BY_INDEX = look("ass", knows=True, index=82)
VERDICTS: dict[str, tuple[Sent, list[Look], Verdict]] = {
    "the first look": (ACCEPTED, [OLD], Verdict.NOT_YET),
    "silence": (ACCEPTED, [SILENT] * 9, Verdict.NOT_YET),
    "as a server does it": (ACCEPTED, [OLD, SILENT, *[NEW] * SETTLED_LOOKS], Verdict.DONE),
    "not settled yet": (ACCEPTED, [OLD, SILENT, *[NEW] * (SETTLED_LOOKS - 1)], Verdict.NOT_YET),
    "silent in between": (ACCEPTED, [NEW, NEW, SILENT, NEW, NEW], Verdict.NOT_YET),
    "it knows the login for ever": (ACCEPTED, [OLD] * LONGEST_LOOKS, Verdict.NOT_YET),
    "the answer was lost, and it was taken": (LOST, [SILENT, *[NEW] * 3], Verdict.DONE),
    "the answer was lost, and it was not": (LOST, [OLD] * LONGEST_LOOKS, Verdict.NOT_YET),
    "by the index, soon": (CONFIGURED, [BY_INDEX] * (SETTLED_LOOKS_BY_INDEX - 1), Verdict.NOT_YET),
    "by the index": (CONFIGURED, [BY_INDEX] * SETTLED_LOOKS_BY_INDEX, Verdict.DONE),
    "another leader with the data": (ACCEPTED, [look("-as", knows=False)] * LONGEST_LOOKS, Verdict.DONE),
    "leaders that alternate": (
        ACCEPTED,
        [look("ass", knows=False), look("sas", knows=False)] * 5,
        Verdict.NOT_YET,
    ),
    "a standby that lost sight of it for a moment": (
        ACCEPTED,
        [look("aso", knows=False, index=82)] * SETTLED_LOOKS,
        Verdict.NOT_YET,
    ),
    "and has it again": (ACCEPTED, [look("aso", knows=False), *[NEW] * SETTLED_LOOKS], Verdict.DONE),
    "a standby that never comes back": (
        ACCEPTED,
        [look("aso", knows=False, index=82)] * LONGEST_LOOKS,
        Verdict.DONE,
    ),
    "a standby that is sealed": (ACCEPTED, [look("asx", knows=False)] * SETTLED_LOOKS, Verdict.DONE),
    "all are sealed": (ACCEPTED, [look("xxx")] * SETTLED_LOOKS, Verdict.SEALED),
    "all but the one that is silent are sealed": (ACCEPTED, [look("-xx")] * SETTLED_LOOKS, Verdict.SEALED),
    "sealed since a moment": (ACCEPTED, [SILENT, *[look("xxx")] * 2], Verdict.NOT_YET),
    "sealed in between, and unsealed by itself": (ACCEPTED, [look("xxx"), *[NEW] * 3], Verdict.DONE),
    "sealed, though the answer was lost": (LOST, [look("x")] * SETTLED_LOOKS, Verdict.SEALED),
    "the one that was sent it is sealed, another leads": (
        ACCEPTED,
        [look("xas", knows=True)] * SETTLED_LOOKS,
        Verdict.SEALED,
    ),
    "one that was sealed before is no sign": (
        replace(ACCEPTED, before=look("a-x", knows=True)),
        [look("--x")] * 9,
        Verdict.NOT_YET,
    ),
    "gone": (ACCEPTED, [look("---")] * 9, Verdict.NOT_YET),
}


@pytest.mark.parametrize(("sent", "looks", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_looks_together_are_a_verdict(sent: Sent, looks: list[Look], verdict: Verdict) -> None:
    """Done and sealed only when they hold."""
    assert judge(sent, looks).verdict is verdict
    assert judge(sent, looks).why


any_look = st.builds(
    look,
    st.text("asxno-", min_size=3, max_size=3),
    knows=st.sampled_from([True, False, None]),
    index=st.sampled_from([0, 76, 77, 90]),
    cluster=st.sampled_from(["own", "foreign", ""]),
)


@given(st.lists(any_look, min_size=1, max_size=LONGEST_LOOKS), st.sampled_from([ACCEPTED, LOST, CONFIGURED]))
def test_done_is_never_said_of_a_leader_that_knows_the_login(looks: list[Look], sent: Sent) -> None:
    """Nor without a leader, nor of a server whose answer was lost without any sign of the snapshot."""
    verdict = judge(sent, looks).verdict
    newest = looks[-1]
    if verdict is Verdict.DONE:
        leader = newest.leader
        assert leader is not None
        foreign = leader.cluster_id == "foreign"
        assert foreign or not (sent.fresh_login and newest.knows_login)
        assert foreign or sent.accepted or newest.knows_login is False
        assert all(each.leader is not None for each in looks[-SETTLED_LOOKS:])
    if verdict is Verdict.SEALED:
        assert all(
            any(node.state is NodeState.SEALED for node in each.nodes) for each in looks[-SETTLED_LOOKS:]
        )


def test_what_a_person_does_next_is_said() -> None:
    """What is gone, and what waits for its keys."""
    (gone,) = next_steps(NEW)
    assert "logins and leases since the time of the backup are gone" in gone
    unseal, gone = next_steps(look("axx"))
    assert unseal == f"unseal {B}, {C} with the unseal keys of the time of the backup"


def test_a_doubt_is_told_where_the_index_alone_speaks() -> None:
    """And nowhere else."""
    (doubt,) = doubts(CONFIGURED, BY_INDEX)
    assert "76 before and 82 now" in doubt
    assert doubts(ACCEPTED, NEW) == ()


def test_errors_say_what_was_seen_and_what_to_do() -> None:
    """With the keys of which time; and that nothing is to be submitted again."""
    sealed = look("xxx")
    error = sealed_error("restore", ACCEPTED, judge(ACCEPTED, [sealed] * 3), sealed)
    assert f"{A}: sealed" in error.why
    assert "unseal keys of the time of the backup" in error.hint
    other = look("xas")
    judgement = judge(ACCEPTED, [other] * 3)
    assert f"look at the data at {B}" in sealed_error("restore", ACCEPTED, judgement, other).hint
    killed = sealed_error("restore", LOST, judge(LOST, [sealed] * 3), sealed)
    assert "the server's answer was lost" in killed.why
    assert "or, where these are not taken, with those of before" in killed.hint
    unknown = unknown_error("restore", LOST, judge(LOST, [OLD]), "after 600 s of looking at it")
    assert "the server's answer was lost, and after 600 s" in unknown.why
    assert "still knows the login" in unknown.why
    assert "do not submit again" in unknown.hint
