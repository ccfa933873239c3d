"""Writes what a real Kubernetes shows of each case's Job to `tests/data/jobs`.

python -m tests.cluster.record_jobs            all cases; takes a node, and so root
python -m tests.cluster.record_jobs CASE...    only these; those without a kubelet need no root
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.adapters.recorded_jobs import FOLDER, Seen
from tests.cluster.job_cases import CASES, Case
from tests.cluster.job_rounds import play
from tests.harness import image, network
from tests.harness.control_plane import ControlPlane, Part
from tests.harness.network import Network
from tests.harness.node import Node


def write(case: str, moments: Sequence[Seen]) -> None:
    """One file for each case: its moments, in their order."""
    said = [
        {"at": moment.at.isoformat(), "job": moment.job, "pods": moment.pods, "events": moment.events}
        for moment in moments
    ]
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = json.dumps(said, indent=1, ensure_ascii=False)
    (FOLDER / f"{case}.json").write_text(text + "\n", encoding="utf-8")


def main(names: Sequence[str]) -> None:
    """Record the cases of these names, or all."""
    chosen: list[Case] = [case for case in CASES if not names or case.name in names]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pods = stack.enter_context(network.claimed())
        plane = stack.enter_context(_control_plane(folder, pods, chosen))
        if any(case.needs_node for case in chosen):
            node = stack.enter_context(Node(plane, folder / "node"))
            node.image_import(image.build_image(folder / "image.tar"))
        for name, moments in play(plane, chosen, image.NAME).items():
            write(name, moments)


def _control_plane(folder: Path, pods: Network, cases: Sequence[Case]) -> ControlPlane:
    parts = tuple(Part) if any(case.needs_node for case in cases) else (Part.CONTROLLER_MANAGER,)
    return ControlPlane(folder / "control-plane", network=pods, parts=parts)


if __name__ == "__main__":
    main(sys.argv[1:])
