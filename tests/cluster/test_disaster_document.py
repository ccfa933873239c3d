"""What docs/disaster-recovery.md says of Kubernetes, pasted into a shell before a real API server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.operator_site import Site
from tests.cluster.restore_site import restore_jobs, until_phase
from tests.harness import build, pod_fates
from tests.harness.page import Block, Terminal, blocks_of, not_printed, with_values

PAGE = (Path(__file__).parents[2] / "docs" / "disaster-recovery.md").read_text(encoding="utf-8")
EVERYWHERE = blocks_of(PAGE)
HERE = [block for block in EVERYWHERE if block.heading == "On Kubernetes"]
#: What cannot run without containers, by what its lines begin with. What `exec` runs in a pod is run by
#: `servers/test_disaster_page` on a server of its own, which is held to below.
NO_CONTAINERS = ('kubectl -n "$NAMESPACE" exec', 'kubectl -n "$NAMESPACE" logs')
RESTORE = "disaster-1"


@pytest.fixture
def terminal(site: Site, tmp_path: Path) -> Iterator[Terminal]:
    """A shell with kubectl, as the administrator."""
    variables = {
        "PATH": f"{build.binary('kubectl').parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(site.plane.kubeconfig),
        "HOME": str(tmp_path),
        "TERM": "dumb",
    }
    with Terminal(tmp_path, variables) as terminal:
        yield terminal


def runs_here(block: Block) -> bool:
    """Whether it needs no container."""
    return not block.text.startswith(NO_CONTAINERS)


@pytest.mark.servers
def test_the_document_is_taken_and_carried_out(site: Site, terminal: Terminal, tmp_path: Path) -> None:
    """In the page's order: one server, the restore, its end, all servers, a backup."""
    site.node.decide(site.namespace, "bao", pod_fates.Fails("RestoreSealed", "it is sealed"))
    site.add()
    add_servers(site)
    (tmp_path / "throw-away").write_text("Unseal Key 1: k\nInitial Root Token: hvs.t\n", encoding="utf-8")
    printed = []
    with site.managed():
        for block in filter(runs_here, HERE):
            if "get openbaorestores" in block.text:
                assert until_phase(site, RESTORE, "Failed")["reason"] == "RestoreSealed"
            text = block.text
            if block is HERE[0]:
                text = with_values(text, {"NAMESPACE": site.namespace, "NAME": "bao", "RESTORE": RESTORE})
            done = terminal.paste(text)
            assert done.failed == "", done.printed
            assert not_printed(block.prints, done.printed) == [], done.printed
            printed.append(done.printed)
        site.until("the backup that was asked for", site.jobs)
    (job,) = restore_jobs(site, RESTORE)
    assert "throw-away" in str(job["spec"]["template"]["spec"]["volumes"])
    servers = site.plane.get("statefulset", "openbao", site.namespace)
    assert servers["spec"]["replicas"] == 3
    assert site.plane.find("secret", "throw-away", site.namespace) is None


def add_servers(site: Site) -> None:
    """The StatefulSet of the servers; its pods never run."""
    labels = {"app": "openbao"}
    container = {"name": "openbao", "image": "registry.example/openbao:2"}
    spec = {
        "serviceName": "openbao",
        "replicas": 3,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    path = f"/apis/apps/v1/namespaces/{site.namespace}/statefulsets"
    site.plane.create(path, {"metadata": {"name": "openbao"}, "spec": spec})


def test_what_runs_in_pods_is_run_elsewhere() -> None:
    """Each command after `exec ... --` stands in a block that is run on a server; only logs are not."""
    elsewhere = "\n".join(block.text for block in EVERYWHERE if block not in HERE)
    left_out = [line for block in HERE if not runs_here(block) for line in block.text.splitlines()]
    assert [line for line in left_out if not line.startswith(NO_CONTAINERS)] == []
    for line in left_out:
        _, inside, command = line.partition(" -- ")
        assert command in elsewhere if inside else "logs" in line, line
