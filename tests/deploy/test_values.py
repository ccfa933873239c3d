"""The chart's values: each one is documented, described by the schema, and refused when misspelt."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import yaml
from tests.deploy.rendering import CHART, ROOT

VALUES = CHART / "values.yaml"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
#: Given by Helm to a chart inside another one; nobody sets it here.
OF_HELM = "global"
KEY = re.compile(r"( *)([A-Za-z]+):")


def objects_of(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object whose fields the schema names, by its path; the whole is ""."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        if "properties" in inner:
            yield from objects_of(inner, f"{path}.{name}".strip("."))


def values_at(path: str) -> dict[str, Any]:
    """The part of values.yaml at a path."""
    found: dict[str, Any] = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    for name in path.split(".") if path else ():
        found = found[name]
    return found


def test_values_and_schema_have_the_same_names() -> None:
    """What values.yaml documents is in the schema, and the other way round."""
    for path, schema in objects_of(SCHEMA):
        assert set(schema["properties"]) - {OF_HELM} == set(values_at(path)), path


def test_the_schema_refuses_every_name_that_it_does_not_have() -> None:
    """A misspelt value is no silent default."""
    lenient = [path for path, schema in objects_of(SCHEMA) if schema.get("additionalProperties") is not False]
    assert lenient == []


def test_the_schema_says_what_every_value_is() -> None:
    """Editors show it."""
    for path, schema in objects_of(SCHEMA):
        for name, inner in schema["properties"].items():
            assert inner.get("description"), f"{path}.{name}"


def undocumented(text: str) -> list[str]:
    """The values with no comment: a paragraph begins with one, and so does each field of a part."""
    nested = {name for path, schema in objects_of(SCHEMA) if path for name in schema["properties"]}
    found, above = [], ""
    for line in text.splitlines():
        key = KEY.match(line)
        if key and not above.lstrip().startswith("#"):
            in_part = key[1] == "  " and key[2] in nested
            if in_part or (not key[1] and not above):
                found.append(line.strip())
        above = line
    return found


def test_every_value_has_a_comment_above_it() -> None:
    """Nobody has to read the templates."""
    assert undocumented(VALUES.read_text(encoding="utf-8")) == []


def test_a_missing_comment_is_noticed() -> None:
    """Both in a part and at the head of a paragraph."""
    text = VALUES.read_text(encoding="utf-8")
    assert undocumented(text.replace("  # The port of all three.\n", "")) == ["port: 9180"]
    assert undocumented(text.replace("# json or text.\n", "")) == ["logFormat: json"]


def test_the_chart_has_the_version_of_the_program() -> None:
    """The default tag of the image is the program's version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (project["version"], project["version"])
