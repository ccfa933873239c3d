"""What docs/kubernetes.md says of the install is so."""

from __future__ import annotations

import re

import yaml
from tests.deploy.installs import LEASE, RIGHTS
from tests.deploy.rendering import CHART, ROOT

PAGE = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
GROUPS = {resource: group for group, resource, _ in RIGHTS | LEASE}


def rights_on_the_page() -> set[tuple[str, str, str]]:
    """What the page's table of rights has."""
    table = PAGE.partition("| what | verbs | why |\n")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()[1:]]
    return {
        (GROUPS[resource], resource, verb)
        for what, verbs, _ in rows
        for resource in re.findall(r"`([a-z/]+)`", what)
        for verb in re.findall(r"\b(get|list|watch|create|update|patch|delete)\b", verbs)
    }


def test_the_table_of_rights_is_what_the_chart_gives() -> None:
    """Each resource, and each verb."""
    assert rights_on_the_page() == RIGHTS | LEASE


def test_the_values_that_the_page_names_exist() -> None:
    """Those of `--set`, and those with a dot in them."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    parts = "|".join(name for name, value in values.items() if isinstance(value, dict) and value)
    named = set(re.findall(rf"`((?:{parts})\.[a-zA-Z]+)(?:=\w+)?`", PAGE))
    named |= set(re.findall(r"--set '?([a-zA-Z.]+)=", PAGE))
    assert {"image.repository", "namespaces", "crds.install", "networkPolicy.runs"} <= named
    for name in named:
        first, _, second = name.partition(".")
        assert first in values, name
        assert not second or second in values[first], name


def test_the_files_that_the_page_names_exist() -> None:
    """Below `deploy`."""
    named = set(re.findall(r"\bdeploy/[\w./-]+", PAGE))
    assert "deploy/Containerfile" in named
    assert [name for name in named if not (ROOT / name).exists()] == []
