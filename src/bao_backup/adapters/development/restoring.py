"""What a pretended leader does with a snapshot that it is sent: judge it, answer, and then put it back."""

from __future__ import annotations

import threading
import time

from bao_backup.adapters.development import archive
from bao_backup.adapters.development.exchange import Answer, Request, refuse
from bao_backup.adapters.development.state import FORCE_PATH, DevelopmentCluster, Node
from bao_backup.core.errors import ArchiveError


def restore(cluster: DevelopmentCluster, _node: Node, request: Request) -> Answer:
    """Accept a whole snapshot: it is put back after the answer."""
    with cluster.lock:
        cluster.submissions += 1
    magic = request.content.read(2)
    request.content.seek(0)
    failed = "1 error occurred:\n\t* failed to {}\n\n"
    if magic != b"\x1f\x8b":
        return refuse(500, failed.format("decompress snapshot: gzip: invalid header"))
    try:
        restored = archive.read(cluster, request.content, force=request.path == FORCE_PATH)
    except ArchiveError:
        words = "read snapshot file: failed to read or write snapshot data: unexpected EOF"
        return refuse(500, failed.format(words))
    except archive.ForeignError:
        words = "could not verify hash file, possibly the snapshot is using a different set of unseal keys"
        return refuse(400, f"{words}; use the snapshot-force API to bypass this check")
    if not cluster.apply_seconds:
        archive.put_back(cluster, restored)
        return Answer(204)
    cluster.settled.clear()
    threading.Thread(target=_apply, args=(cluster, restored), daemon=True).start()
    return Answer(204)


def _apply(cluster: DevelopmentCluster, restored: archive.Restored) -> None:
    """Put a snapshot back as slowly as a real server does it."""
    time.sleep(cluster.apply_seconds)
    archive.put_back(cluster, restored)
    cluster.settled.set()
