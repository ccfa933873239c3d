"""Restores in which all goes well: what is restored, what is asked before, what is said afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.flows.restore_site import FOREIGN, RestoreSite, hours, pieces, snapshot
from tests.flows.site import EARLIER, NODES, PREFIX

from bao_backup.adapters.memory_bao import MemoryBao, NodeState
from bao_backup.adapters.snapshot_file import SnapshotFile
from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings
from bao_backup.core.errors import (
    ConfigurationError,
    InternalError,
    LeaderError,
    ReceiptVersionError,
    VerificationError,
)
from bao_backup.core.model import Seal, Trigger
from bao_backup.core.naming import receipt_key
from bao_backup.core.restore_errors import (
    BackupUnexpectedError,
    RestoreDeniedError,
    RestoreError,
    RestoreRefusedError,
    RestoreSealedError,
    SafetyBackupError,
    SnapshotNewerError,
)
from bao_backup.core.restore_settings import Wanted
from bao_backup.core.storage_errors import ObjectNotFoundError
from bao_backup.flows.read import read_receipt
from bao_backup.flows.restore import RestoreFlow

#: What a proposal says last of the old data.
REST = "Raft index 1, version 2.4.4, proven"
SNAPSHOT, FORCE = "sys/storage/raft/snapshot", "sys/storage/raft/snapshot-force"


def test_the_old_data_comes_back_and_the_way_back_is_there() -> None:
    """Proven, backed up first, sent once, watched until the leader has settled."""
    site = RestoreSite()
    restored = site.run()
    assert (restored.key, restored.size, restored.raft_index) == (EARLIER, len(site.old), 1)
    assert restored.leader.address == NODES[0]
    assert restored.warnings == ()
    assert restored.next_steps[0].startswith("logins and leases since the time of the backup are gone")
    site.check(data="old", submissions=1, safety=True)
    assert restored.safety_key.startswith(f"{PREFIX}/pre-restore-2026-11-22T02-00-07Z-")
    assert read_receipt(site.store, restored.safety_key).trigger is Trigger.PRE_RESTORE


def test_a_proposal_touches_nothing() -> None:
    """Until a person says yes, the server is only asked; then what was shown is done."""
    site = RestoreSite()
    with site.flow() as flow:
        proposal = flow.prove()
        assert [method for method, _ in site.bao.calls] == [
            "find_leader",
            "seal",
            "login",
            "capabilities",
            "nodes",
        ]
        size = f"{len(site.old) / 1024:.1f} KiB"
        assert proposal.lines() == (
            f"overwrites: default/prod, all of its data: {NODES[0]} leads 3 nodes, version 2.4.4",
            f"with:       memory://bucket/{EARLIER}, taken 2026-11-22 02:00:07Z, {size}, {REST}",
            "before:     it is backed up first, to memory://bucket/default/prod",
            "sent to:    sys/storage/raft/snapshot",
        )
    site.check(data="new", submissions=0, safety=False)


def test_a_restore_is_carried_out_once() -> None:
    """A flow that has submitted refuses to do it again."""
    site = RestoreSite()
    with site.flow() as flow:
        proposal = flow.prove()
        flow.carry_out(proposal)
        with pytest.raises(InternalError):
            flow.carry_out(proposal)
    site.check(data="old", submissions=1, safety=True)


def test_latest_is_the_newest_proven_one_of_the_own_folder() -> None:
    """Not what has no receipt, nor what a restore before it has put aside."""
    site = RestoreSite()
    site.store.put(f"{PREFIX}/2026-11-22T05-00-00Z-00000009.snap", iter([site.new]))
    site.backup(f"{PREFIX}/pre-restore-2026-11-22T04-00-00Z-00000008.snap")
    assert site.run(wanted=Wanted(latest=True), safety=None).key == EARLIER
    assert site.data() == "old"


def test_before_takes_the_slot_and_when_it_was_really_taken() -> None:
    """A run that caught up two hours late has data of after the accident."""
    site = RestoreSite()
    late = f"{PREFIX}/2026-11-22T01-30-00Z-00000004.snap"
    site.backup(late, after=7200)
    assert site.run(wanted=Wanted(before=hours(3))).key == EARLIER
    site.check(data="old", submissions=1, safety=True)
    with pytest.raises(ObjectNotFoundError, match="all taken later"):
        RestoreSite().run(wanted=Wanted(before=hours(2)))


#: What was written over a receipt, and what a person reads of it.
DAMAGED = [(b"", "not a receipt"), (b'{"receipt": 1}', "not a receipt"), (b"another", "another backup")]
NEWER = f"{PREFIX}/2026-11-22T01-30-00Z-00000004.snap"


def damage(site: RestoreSite, key: str, receipt: bytes) -> None:
    """Its receipt is another one."""
    if receipt == b"another":
        receipt = site.body(receipt_key(FOREIGN))
    site.store.delete(receipt_key(key))
    site.store.create(receipt_key(key), receipt)


@pytest.mark.parametrize(("receipt", "why"), DAMAGED)
@pytest.mark.parametrize("wanted", [Wanted(latest=True), Wanted(before=hours(3))])
def test_a_damaged_receipt_is_passed_over_and_told(wanted: Wanted, receipt: bytes, why: str) -> None:
    """Before the question: the one before it is restored, and the newer one named."""
    site = RestoreSite()
    site.backup(NEWER)
    damage(site, NEWER, receipt)
    restored = site.run(wanted=wanted)
    assert restored.key == EARLIER
    (warning,) = restored.warnings
    assert warning.startswith(f"{NEWER} is newer and was passed over: ")
    assert why in warning
    site.check(data="old", submissions=1, safety=True)


def test_where_no_receipt_is_whole_nothing_is_restored() -> None:
    """A person is told of the newest one's."""
    site = RestoreSite()
    damage(site, EARLIER, b"{}")
    with pytest.raises(VerificationError, match=EARLIER):
        site.run(wanted=Wanted(latest=True))
    site.check(data="new", submissions=0, safety=False)


@pytest.mark.parametrize(("receipt", "why"), DAMAGED)
def test_a_named_backup_with_a_damaged_receipt_is_proven_by_itself(receipt: bytes, why: str) -> None:
    """And whoever expects a cluster, which only a receipt tells, is refused."""
    site = RestoreSite()
    damage(site, EARLIER, receipt)
    with pytest.raises(BackupUnexpectedError, match="is not known"):
        site.run(wanted=Wanted(key=EARLIER, cluster_id="memory"))
    restored = site.run(wanted=Wanted(key=EARLIER))
    assert restored.warnings[0].startswith("its receipt is damaged, and counts for nothing: ")
    assert why in restored.warnings[0]
    assert "proven by its own checksums alone" in restored.warnings[1]
    site.check(data="old", submissions=1, safety=True)


@pytest.mark.parametrize("wanted", [Wanted(latest=True), Wanted(key=EARLIER)])
def test_a_receipt_of_a_newer_program_is_not_damaged(wanted: Wanted) -> None:
    """It is the backup that is wanted: a person needs that program, not another backup."""
    site = RestoreSite()
    damage(site, EARLIER, b'{"receipt": 2}')
    with pytest.raises(ReceiptVersionError):
        site.run(wanted=wanted)
    site.check(data="new", submissions=0, safety=False)


def test_a_backup_of_another_cluster_needs_its_key() -> None:
    """Then a person is told whose it is."""
    site = RestoreSite()
    restored = site.run(wanted=Wanted(key=FOREIGN))
    assert restored.warnings == ("it is of another folder than the cluster's own (other/team)",)
    site.check(data="old", submissions=1, safety=True)


def test_a_file_is_restored(tmp_path: Path) -> None:
    """From no store, proven by its own checksums alone."""
    site = RestoreSite()
    file = tmp_path / "old.snap"
    file.write_bytes(site.old)
    restored = site.run(store=SnapshotFile(file), wanted=Wanted(file=str(file)), source=None)
    assert restored.key == str(file)
    assert "no receipt" in restored.warnings[0]
    site.check(data="old", submissions=1, safety=True)


# --- what fits, and what does not ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Wanted(key=EARLIER, sha256="0" * 64), "its SHA-256 is"),
        (Wanted(key=EARLIER, size=7), "expected 7"),
        (Wanted(key=EARLIER, cluster_id="another"), "its cluster id is memory, expected another"),
        (Wanted(key=EARLIER, version="2.4.5"), "its version is 2.4.4, expected 2.4.5"),
    ],
)
def test_a_backup_that_is_not_the_expected_one_is_refused(wanted: Wanted, why: str) -> None:
    """Before the server hears of it."""
    site = RestoreSite()
    with pytest.raises(BackupUnexpectedError, match=why):
        site.run(wanted=wanted)
    assert site.bao.calls == []
    site.check(data="new", submissions=0, safety=False)


@pytest.mark.parametrize(
    ("force", "path", "right"),
    [(False, SNAPSHOT, "update"), (True, FORCE, "update"), (False, SNAPSHOT, "root")],
)
def test_the_path_that_will_be_used_is_asked_for(force: bool, path: str, right: str) -> None:
    """And the line that the policy lacks is printed."""
    site = RestoreSite()
    given = site.cluster.capabilities
    assert given is not None
    site.cluster.capabilities = {each: frozenset({"read"}) for each in given}
    with pytest.raises(RestoreDeniedError) as caught:
        site.run(force=force)
    assert caught.value.hint == f'the policy needs: path "{path}" {{ capabilities = ["update"] }}'
    site.check(data="new", submissions=0, safety=False)
    site.cluster.capabilities |= {path: frozenset({right, "read"})}
    site.run(force=force)
    site.check(data="old", submissions=1, safety=True)


def test_a_login_that_may_not_ask_is_told_and_tried() -> None:
    """Whether it may restore is known from the server's answer alone."""
    site = RestoreSite()
    site.cluster.capabilities = None
    assert "may not ask what it may do" in site.run().warnings[0]
    site.check(data="old", submissions=1, safety=True)


def test_without_the_right_to_a_safety_backup_there_is_no_restore() -> None:
    """Unless the way back is given up."""
    site = RestoreSite()
    site.cluster.capabilities = {SNAPSHOT: frozenset({"update"})}
    with pytest.raises(SafetyBackupError, match="may not read") as caught:
        site.run()
    assert "--no-safety-backup" in caught.value.hint
    site.check(data="new", submissions=0, safety=False)
    restored = site.run(safety=None)
    assert restored.warnings == ("what is there is not backed up first: there is no way back",)
    site.check(data="old", submissions=1, safety=False)


def test_a_newer_snapshot_needs_force() -> None:
    """Versions are numbers: 2.10 is newer than 2.9."""
    site = RestoreSite()
    site.cluster.version = "2.9.0"
    site.old = snapshot(3, version="2.10.0")
    site.cluster.archive = lambda: pieces(site.old)
    key = f"{PREFIX}/2026-11-22T01-10-00Z-00000003.snap"
    site.backup(key)
    site.cluster.archive = lambda: pieces(site.new)
    with pytest.raises(SnapshotNewerError, match=r"2\.10\.0, and the server is of the older 2\.9\.0"):
        site.run(wanted=Wanted(key=key))
    assert site.cluster.submissions == 0
    restored = site.run(wanted=Wanted(key=key), force=True)
    assert restored.warnings == ("the snapshot is of version 2.10.0, newer than the server's 2.9.0",)
    assert site.data() == "old"


def test_a_server_that_was_replaced_by_an_older_one_is_noticed() -> None:
    """Nodes of two versions, and another one leads when a person has thought."""
    site = RestoreSite()
    with site.flow() as flow:
        proposal = flow.prove()
        site.cluster.version = "2.4.3"
        with pytest.raises(SnapshotNewerError):
            flow.carry_out(proposal)
    assert (site.data(), site.cluster.submissions) == ("new", 0)


def test_another_seal_is_told() -> None:
    """The server decides; a person knows before."""
    site = RestoreSite()
    site.cluster.seal = Seal(type="shamir", shares=5, threshold=3)
    with site.flow() as flow:
        (warning,) = flow.prove().warnings
    assert "seal is shamir with 1 of 1 shares, the server's is shamir with 3 of 5 shares" in warning


def test_other_keys_are_refused_by_the_server_and_taken_with_force() -> None:
    """The refusal is the server's own; with force it is sealed afterwards, which is an end of its own."""
    site = RestoreSite()
    site.cluster.keys_differ = True
    with pytest.raises(RestoreRefusedError, match="different set of unseal keys") as refused:
        site.run()
    assert "force" in refused.value.hint
    site.check(data="new", submissions=1, safety=True)

    site = RestoreSite()
    site.cluster.keys_differ = True
    with pytest.raises(RestoreSealedError) as sealed:
        site.run(force=True)
    assert (sealed.value.exit_code, sealed.value.reason) == (4, "RestoreSealed")
    assert "unseal keys of the time of the backup" in sealed.value.hint
    assert site.last is not None
    assert site.last.warnings == ()
    site.check(data="old", submissions=1, safety=True)


def test_a_configured_token_stays_and_proves_nothing() -> None:
    """The Raft index tells then, while the same leader leads."""
    site = RestoreSite()
    site.cluster.forgets_tokens = False
    token = site.cluster.grant()
    auth = BaoAuth(method=AuthMethod.TOKEN, token_file="/token")
    token_settings = BaoSettings(addresses=NODES, auth=auth)
    login = MemoryBao(site.cluster, token=token)
    site.run(bao=login, login=token_settings)
    assert (site.data(), site.cluster.submissions) == ("old", 1)
    assert set(site.cluster.tokens) == {token}
    assert [method for method, _ in login.calls].count("nodes") > 6


def test_only_an_active_server_takes_a_snapshot() -> None:
    """What to do first is said."""
    for state, hint in (
        (NodeState.SEALED, "unseal the cluster first"),
        (NodeState.NOT_INITIALISED, "initialise"),
    ):
        site = RestoreSite()
        site.cluster.set_all(state)
        with pytest.raises(LeaderError) as caught:
            site.run(bao=site.slow())
        assert hint in caught.value.hint
        site.check(data="new", submissions=0, safety=False)


def test_the_cluster_that_was_shown_is_the_one_that_is_overwritten() -> None:
    """Another one at the same address gets nothing, however long a person has thought."""
    site = RestoreSite()
    with site.flow(safety=None) as flow:
        proposal = flow.prove()
        site.cluster.cluster_id = "another"
        with pytest.raises(RestoreError, match="another cluster"):
            flow.carry_out(proposal)
    site.check(data="new", submissions=0, safety=False)


def test_a_login_that_ran_out_while_a_person_thought_is_renewed() -> None:
    """What is shown may be looked at for an hour."""
    site = RestoreSite()
    with site.flow() as flow:
        proposal = flow.prove()
        site.cluster.tokens.clear()
        flow.carry_out(proposal)
    assert [method for method, _ in site.bao.calls].count("login") == 2
    site.check(data="old", submissions=1, safety=True)


def test_one_login_serves_the_whole_restore() -> None:
    """A credential may be good for one use only."""
    site = RestoreSite()
    site.run()
    assert [method for method, _ in site.bao.calls].count("login") == 1


def test_what_is_wanted_must_be_one_thing() -> None:
    """And have a place where it can be."""
    wrong = (
        {"wanted": Wanted()},
        {"wanted": Wanted(key=EARLIER, latest=True)},
        {"source": None},
        {"wanted": Wanted(file="/x.snap")},
    )
    for changes in wrong:
        site = RestoreSite()
        with pytest.raises(ConfigurationError):
            site.run(**changes)
        assert site.bao.calls == []


def test_a_place_of_the_safety_backup_without_its_store_is_a_mistake() -> None:
    """It is never left out in silence."""
    site = RestoreSite()
    flow = RestoreFlow(
        site.settings(),
        bao=site.bao,
        source=site.store,
        safety=None,
        clock=site.clock,
        stop=site.stop,
        reporter=site.reporter,
    )
    with pytest.raises(ConfigurationError):
        flow.prove()


def test_without_a_receipt_a_backup_proves_itself_alone() -> None:
    """By its key only; a person is told, and what is expected of its cluster cannot be met."""
    site = RestoreSite()
    site.store.delete(receipt_key(EARLIER))
    with pytest.raises(ObjectNotFoundError, match="unproven"):
        site.run(wanted=Wanted(latest=True))
    with pytest.raises(BackupUnexpectedError, match="its cluster id is not known"):
        site.run(wanted=Wanted(key=EARLIER, cluster_id="memory"))
    restored = site.run()
    assert "no receipt" in restored.warnings[0]
    assert site.data() == "old"


@pytest.mark.parametrize(("seconds", "told"), [(19, False), (20, True), (400, True)])
def test_a_source_that_is_slower_than_servers_wait_is_told_before(seconds: float, told: bool) -> None:
    """A server reads a request for 30 s by default; where it was taken all the same, that is no matter."""
    site = RestoreSite()
    site.reporter.at_bytes = (1000, lambda: site.clock.pass_(seconds))
    with site.flow() as flow:
        proposal = flow.prove()
        assert any("http_read_timeout" in warning for warning in proposal.warnings) == told
        assert flow.carry_out(proposal).warnings == ()
    site.check(data="old", submissions=1, safety=True)
