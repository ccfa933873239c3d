"""A document that is nested so deep that Python alone would not read it."""

from __future__ import annotations

import json
import sys

import pytest
from tests.cluster.operator_site import CLUSTERS, Site
from tests.cluster.test_kubernetes_commands import rows, status
from tests.harness import client

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="Python 3.12 reads nothing deeper than 1,500"),
]
#: The API server takes 10,000, but is slow with them.
DEPTH = 2_000


def add_deep(site: Site, name: str) -> None:
    """A cluster with something in its document that is for another manager."""
    document = json.dumps(site.document(name, trigger="now"))
    foreign = '{"a":' * DEPTH + "1" + "}" * DEPTH
    answer = client.request(
        "POST",
        site.plane.url + CLUSTERS.format(site.namespace),
        body=document.replace('"spec": {', f'"spec": {{"foreign": {foreign}, ', 1).encode(),
        headers={"Content-Type": "application/json"},
        context=site.plane._admin_context,
    )
    assert answer.status == 201, answer.body


def test_a_deep_document_harms_nobody(site: Site) -> None:
    """It is managed, as are all others, whether it comes before the manager or while that runs."""
    add_deep(site, "before")
    with site.managed():
        site.until("the first backup", lambda: b"lastSuccessfulBackup" in status_of(site, "before"))
        add_deep(site, "later")
        site.until("the second backup", lambda: b"lastSuccessfulBackup" in status_of(site, "later"))
        site.add("other", trigger="now")
        site.until_settled("other")
    assert set(rows(site, status(site))) == {"before", "later", "other"}


def status_of(site: Site, name: str) -> bytes:
    """A cluster's object as it is sent; nothing here reads it as JSON."""
    return site.plane.request("GET", f"{CLUSTERS.format(site.namespace)}/{name}").body
