"""Looks at the server that a proven backup would go to, and proposes the restore, or says why not."""

from __future__ import annotations

from bao_backup.core.after_restore import Look
from bao_backup.core.errors import LeaderLostError
from bao_backup.core.restore_checks import (
    SNAPSHOT_PATH,
    Safety,
    absent_nodes,
    check_may_restore,
    compare_clusters,
    compare_members,
    compare_seals,
    compare_versions,
    decide_safety,
    restore_path,
    snapshot_version,
)
from bao_backup.core.restore_outcome import Proposal
from bao_backup.core.restore_settings import RestoreSettings
from bao_backup.flows.restore_server import RestoreServer
from bao_backup.flows.restore_source import ProvenBackup


def propose(
    settings: RestoreSettings, backup: ProvenBackup, server: RestoreServer, safety_place: str
) -> Proposal:
    """What would be overwritten by what, with what a person should know. Changes nothing.

    Args:
        settings: the restore.
        backup: what was proven.
        server: what would be overwritten.
        safety_place: where what is there would be backed up to; empty: nowhere.

    Raises SnapshotNewerError, RestoreDeniedError, SafetyBackupError, LoginError, LeaderError or
    LeaderLostError.
    """
    bao, force = server.bao, settings.force
    leader = server.find_leader()
    seal = bao.seal(leader)
    version = snapshot_version(backup.contents, backup.receipt)
    warnings = [
        *backup.warnings,
        *compare_clusters(backup.receipt, leader, own=backup.own, force=force),
        *compare_versions(backup.location, version, leader.version, force=force),
        *compare_seals(backup.contents.inventory.seal, seal),
    ]
    bao.login(leader)
    paths = tuple({restore_path(force=force): None, SNAPSHOT_PATH: None})
    capabilities = bao.capabilities(leader, paths)
    warnings += check_may_restore(capabilities, leader, force=force)
    nodes = bao.nodes()
    if not Look(nodes=nodes).led_by(leader):
        raise LeaderLostError(f"look at {leader.address}", "it is not the leader any more")
    decision = decide_safety(capabilities, nodes, leader, wanted=bool(safety_place))
    warnings += decision.warnings
    warnings += compare_members(backup.contents, backup.receipt, leader, nodes, force=force)
    warnings += absent_nodes(nodes)
    return Proposal(
        namespace=settings.namespace,
        name=settings.name,
        leader=leader,
        nodes=nodes,
        seal=seal,
        stored=backup.stored,
        location=backup.location,
        contents=backup.contents,
        receipt=backup.receipt,
        force=force,
        safety=safety_place if decision.safety is Safety.TAKE else "",
        warnings=tuple(warnings),
    )
