"""What is generated below `deploy` is what `make manifests` would write now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy import manifests
from tests.deploy.rendering import ROOT

#: What to do about it.
STALE = "stale: run make manifests"


def objects_in(path: Path) -> list[dict[str, Any]]:
    """What a file holds."""
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]


def test_the_charts_definitions_are_those_of_the_repository() -> None:
    """Each CRD of `deploy/crds`, with nothing but the annotation that keeps it."""
    for path, text in manifests.chart_crds().items():
        assert path.exists(), f"{path.relative_to(ROOT)} is missing; {STALE}"
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(ROOT)} is {STALE}"
    assert manifests.present() & set(manifests.CHART_CRDS.glob("*")) == manifests.chart_crds().keys()


@pytest.mark.servers
def test_the_plain_manifests_are_the_chart_rendered() -> None:
    """By the real Helm."""
    wanted = manifests.plain_manifests()
    for path, text in wanted.items():
        assert path.exists(), f"{path.relative_to(ROOT)} is missing; {STALE}"
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(ROOT)} is {STALE}"
    assert set(manifests.MANIFESTS.iterdir()) == wanted.keys()


def test_the_install_for_one_namespace_touches_nothing_beyond_it() -> None:
    """Every object of it is in that one namespace."""
    objects = objects_in(manifests.MANIFESTS / "one-namespace.yaml")
    assert {each["metadata"].get("namespace") for each in objects} == {manifests.SAMPLE_NAMESPACE}


def test_the_plain_manifests_leave_the_definitions_alone() -> None:
    """To apply them must not replace those of the existing operator."""
    for name in ("all-namespaces.yaml", "one-namespace.yaml"):
        kinds = {each["kind"] for each in objects_in(manifests.MANIFESTS / name)}
        assert "Deployment" in kinds
        assert "CustomResourceDefinition" not in kinds
