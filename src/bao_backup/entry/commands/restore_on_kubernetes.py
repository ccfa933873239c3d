"""`restore` where the manager is on Kubernetes: asks for an OpenBaoRestore, and follows it to its end."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

from bao_backup.adapters.kubernetes.api import CLUSTERS, RESTORES, Json, KubernetesApi
from bao_backup.adapters.kubernetes.known_cluster import KnownCluster
from bao_backup.adapters.kubernetes.known_restores import KnownRestore
from bao_backup.core import restore_errors  # noqa: F401 - so that `exit_code_of` knows their reasons
from bao_backup.core.errors import ConfigurationError, DocumentError, InterruptedRunError, RestoreUnknownError
from bao_backup.core.kubernetes_errors import KubernetesMissingError, KubernetesUnreachableError
from bao_backup.core.naming import cluster_prefix
from bao_backup.core.restore_from_document import restore_problems
from bao_backup.core.restore_spec import FINAL_PHASES, RestorePhase, RestoreStatus, parse_restore
from bao_backup.core.selection import parse_moment
from bao_backup.core.spec import OpenBaoCluster
from bao_backup.core.words import age_in_words, size_in_words
from bao_backup.entry.asking import ask, is_terminal
from bao_backup.entry.command_line import on_command_line
from bao_backup.entry.commands.on_kubernetes import exit_code_of, with_api
from bao_backup.entry.output import print_json, say, write_out
from bao_backup.entry.reach import Reach
from bao_backup.entry.restore_settings import DOING, Choice, check_choice, deadline_of
from bao_backup.entry.source import Source
from bao_backup.entry.wiring import stopped_by_signals
from bao_backup.flows.stop import Stop

#: How often the restore is looked at, in seconds.
WAIT_STEP = 1.0
#: After so long without a phase, somebody should look whether a manager runs.
UNSEEN = timedelta(seconds=30)
#: All else is said by the cluster's document, or happens in the restore's Job.
_HERE = {
    *("--kubernetes", "--kubeconfig", "--context", "--cluster", "--key", "--latest", "--before", "--force"),
    *("--no-safety-backup", "--yes", "--expect-sha256", "--expect-version", "--expect-cluster-id"),
    *("--deadline", "--output", "--verbose"),
}


#: A document that is made anew is a new request: Velero, which makes objects anew, leaves this one out.
NOT_TO_BE_MADE_ANEW = {"velero.io/exclude-from-backup": "true"}


class _Found(NamedTuple):
    """The cluster that would be overwritten."""

    known: KnownCluster
    document: OpenBaoCluster

    @property
    def named(self) -> str:
        return f"{self.known.namespace}/{self.known.name}"


def restore(reach: Reach, source: Source, choice: Choice, *, yes: bool, output: str) -> int:
    """Show what is overwritten, ask, create the document, and follow it; gives the exit code of its end."""
    foreign = [option for option in on_command_line().values() if option not in _HERE]
    if foreign:
        why = f"{' and '.join(foreign)} cannot be given with --kubernetes"
        hint = "its Job has servers, login and target from the cluster's document"
        raise ConfigurationError(DOING, why, hint=hint)
    check_choice(choice)
    if not source.cluster:
        raise ConfigurationError(DOING, "no cluster is named", hint="give --cluster NAMESPACE/NAME")
    if not yes and not is_terminal():
        hint = "run it on a terminal, or say yes beforehand with --yes"
        raise ConfigurationError(DOING, "there is no terminal to ask on", hint=hint)
    now = datetime.now(UTC)
    found = _find(reach, source.cluster)
    document = document_of(found.document, choice, now)
    with stopped_by_signals() as stop:
        for line in _in_words(found, document, now):
            say(line)
        question = f"Type the cluster's name, {found.named}, to go on (anything else ends it):"
        if not yes and not ask(question, {found.named, found.known.name, "yes"}, stop):
            raise ConfigurationError(f"restore {found.named}", "nobody said yes", hint="nothing was changed")
        stop.check()
        status = with_api(reach, lambda api: _carry_out(api, document, stop))
    return _tell_end(reach, found, document, status, output)


def _find(reach: Reach, cluster: str) -> _Found:
    namespace, _, name = cluster.rpartition("/")

    async def get(api: KubernetesApi) -> KnownCluster:
        try:
            return KnownCluster.of(await api.get(CLUSTERS, namespace or "default", name))
        except KubernetesMissingError as error:
            hint = "kubectl get baoc -A shows them"
            raise ConfigurationError(f"restore {cluster}", "there is no such cluster", hint=hint) from error

    known = with_api(reach, get)
    document, problems = known.read_document()
    if document is None:
        raise DocumentError(f"restore {cluster}", problems)
    return _Found(known, document)


def document_of(cluster: OpenBaoCluster, choice: Choice, now: datetime) -> Json:
    """The OpenBaoRestore that does what the options say; DocumentError where no Job can be made of it."""
    names, deadline = cluster.metadata, ceil(deadline_of(choice).total_seconds())
    expected = {
        "expectedDigest": f"sha256:{choice.sha256.lower().removeprefix('sha256:')}" if choice.sha256 else "",
        "expectedVersion": choice.version,
        "expectedClusterID": choice.cluster_id,
    }
    document = {
        "apiVersion": "openbao.org/v1alpha1",
        "kind": "OpenBaoRestore",
        "metadata": {
            "name": f"{names.name[:47].rstrip('-.')}-{now:%Y%m%d-%H%M%S}",
            "namespace": names.namespace,
            "labels": NOT_TO_BE_MADE_ANEW,
        },
        "spec": {
            "cluster": names.name,
            "source": {
                **_which(cluster, choice, now),
                **{name: value for name, value in expected.items() if value},
            },
            **({"force": True} if choice.force else {}),
            **({} if choice.safety else {"safetyBackup": False}),
            **({"activeDeadlineSeconds": deadline} if choice.deadline else {}),
        },
    }
    problems = restore_problems(parse_restore(document, strict=True), cluster)
    if problems:
        raise DocumentError(f"restore {names.namespace}/{names.name} by a Job", problems)
    return document


def _which(cluster: OpenBaoCluster, choice: Choice, now: datetime) -> Json:
    names, backup = cluster.metadata, cluster.spec.backup
    if choice.latest:
        return {"latest": True}
    if choice.before:
        return {"before": parse_moment(choice.before, now).isoformat().replace("+00:00", "Z")}
    if "/" in choice.key or backup is None:
        return {"key": choice.key}
    return {"key": f"{cluster_prefix(backup.target.path_prefix, names.namespace, names.name)}/{choice.key}"}


# --- what a person is shown --------------------------------------------------------------------


def _in_words(found: _Found, document: Json, now: datetime) -> Iterator[str]:
    spec = document["spec"]
    yield f"This restore overwrites everything in the cluster {found.named}"
    yield f"with the backup {_backup_in_words(found, spec['source'], now)}"
    for name, value in spec["source"].items():
        if name.startswith("expected"):
            yield f"which must have {name} {value}"
    if spec.get("force"):
        yield "by force: also one of other keys, which seals the server, or of a newer version"
    if spec.get("safetyBackup", True):
        yield "What is there is backed up first."
    else:
        yield "Nothing is backed up first: there is no way back."
    yield "Its Job proves the backup before the server hears of it, and sends it once."


def _backup_in_words(found: _Found, source: Mapping[str, Any], now: datetime) -> str:
    if "key" in source:
        return str(source["key"])
    if "before" in source:
        return f"that is the newest good one until {source['before']}"
    good = found.known.read_status().last_successful_backup
    if good is None:
        return "that is the newest good one; the manager knows of none"
    about = f"{good.key}, {size_in_words(good.size)}, {age_in_words(good.time, now)}"
    return f"that is the newest good one; as the manager knows, {about}"


# --- the document, from its creation to its end ------------------------------------------------


async def _carry_out(api: KubernetesApi, document: Json, stop: Stop) -> RestoreStatus:
    namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
    await api.create(RESTORES, namespace, document)
    say(f"the restore {namespace}/{name} is asked for")
    try:
        return await _follow(api, namespace, name, stop)
    except InterruptedRunError:
        say(f"it goes on: kubectl -n {namespace} get obrestore {name} -o wide --watch")
        raise


async def _follow(api: KubernetesApi, namespace: str, name: str, stop: Stop) -> RestoreStatus:
    begun, told, status = datetime.now(UTC), "", RestoreStatus()
    while status.phase not in FINAL_PHASES:
        stop.check()
        try:
            with suppress(KubernetesUnreachableError):  # it was asked for, and goes on without us
                status = KnownRestore.of(await api.get(RESTORES, namespace, name)).read_status()
        except KubernetesMissingError as error:
            why = "its document was deleted; what became of it is in the log of its Job"
            raise RestoreUnknownError(f"follow the restore {namespace}/{name}", why) from error
        words = f"{status.phase}: {status.message}" if status.message else ""
        if not words and datetime.now(UTC) - begun > UNSEEN:
            words = "no manager has taken it up yet; see whether one runs"
        if words != told and status.phase not in FINAL_PHASES:
            say(words)
            told = words
        await asyncio.sleep(WAIT_STEP if status.phase not in FINAL_PHASES else 0)
    return status


def _tell_end(reach: Reach, found: _Found, document: Json, status: RestoreStatus, output: str) -> int:
    names = document["metadata"]
    if output == "json":
        print_json({"namespace": names["namespace"], "name": names["name"], "status": status})
    well = status.phase is RestorePhase.COMPLETED
    if not well:
        say(f"bao-backup: {status.reason}: {status.message}")
    elif output != "json":
        write_out(status.message)
    if status.safety_backup_key:
        say(f"the way back: {_way_back(reach, found, status.safety_backup_key)}")
    if well:
        return 0
    complete = status.condition("RestoreComplete")
    if complete is not None and complete.status == "Unknown":
        return RestoreUnknownError.exit_code
    return exit_code_of(status.reason)


def _way_back(reach: Reach, found: _Found, key: str) -> str:
    where = {"--kubeconfig": reach.kubeconfig, "--context": reach.context}
    named = [part for option, value in where.items() if value for part in (option, value)]
    command = ["bao-backup", "restore", "--kubernetes", *named, "--cluster", found.named, "--key", key]
    return shlex.join(command)
