"""The chart as Helm renders it, and what Helm says when it refuses."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from tests.harness import build
from tests.harness.errors import HarnessError

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "chart"
#: What every rendering needs beside its own values; no registry has this name.
IMAGE = {"image": {"repository": "registry.example/bao-backup"}}

Object = dict[str, Any]
Values = Mapping[str, Any]


def call_helm(
    *arguments: str | Path, values: Values | None = None, binary: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Helm without anybody's own settings; `values` are what `--values -` reads."""
    with tempfile.TemporaryDirectory() as home:
        folders = {f"HELM_{kind}_HOME": f"{home}/{kind.lower()}" for kind in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            [str(each) for each in (binary or build.binary("helm"), *arguments)],
            env={"PATH": os.environ["PATH"], "HOME": home, **folders},
            input=yaml.safe_dump(dict(values or {})),
            capture_output=True,
            text=True,
            check=False,
        )


def render_text(values: Values, *, release: str = "bao-backup", namespace: str = "bao-backup") -> str:
    """What `helm template` prints; raises HarnessError, with what Helm said, when it refuses."""
    done = call_helm("template", release, CHART, "--namespace", namespace, "--values", "-", values=values)
    if done.returncode != 0:
        raise HarnessError(f"helm template: {done.stderr.strip()}")
    return done.stdout


def render(values: Values, *, release: str = "bao-backup", namespace: str = "bao-backup") -> list[Object]:
    """The objects that the chart makes of these values, and of an image."""
    return deepcopy(_rendered(json.dumps(IMAGE | dict(values)), release, namespace))


@functools.cache
def _rendered(values: str, release: str, namespace: str) -> list[Object]:
    text = render_text(json.loads(values), release=release, namespace=namespace)
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(objects: Sequence[Object], kind: str) -> list[Object]:
    """Those of one kind."""
    return [each for each in objects if each["kind"] == kind]


def the_only(objects: Sequence[Object], kind: str) -> Object:
    """The one object of a kind; raises ValueError where there is none or more than one."""
    (found,) = of_kind(objects, kind)
    return found


def pod_of(objects: Sequence[Object]) -> Object:
    """The specification of the managers' pods."""
    spec: Object = the_only(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def container_of(objects: Sequence[Object]) -> Object:
    """The managers' container."""
    (container,) = pod_of(objects)["containers"]
    found: Object = container
    return found


def rights_of(rules: Sequence[Object]) -> set[tuple[str, str, str]]:
    """Each right on its own: "group", "resource", "verb", without the names that it is limited to."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
