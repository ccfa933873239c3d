"""Makes what is generated below `deploy` beside the CRDs: the chart's copies of them, plain manifests.

    python -m tests.deploy.manifests      (make manifests)

The CRDs in `deploy/crds` come first. The plain manifests are the chart, rendered by Helm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from tests.deploy.rendering import CHART, IMAGE, ROOT, Object, render_text

CRDS = ROOT / "deploy" / "crds"
CHART_CRDS = CHART / "files" / "crds"
MANIFESTS = ROOT / "deploy" / "manifests"
#: Where the install for all namespaces lives, and the name that stands for the one namespace.
OWN_NAMESPACE = "bao-backup"
SAMPLE_NAMESPACE = "my-namespace"

_COPY = "# Made by `make manifests` from deploy/crds: change nothing here.\n"
_HEAD = """\
# Made by `make manifests` from deploy/chart: change nothing here.
#
# The manager, for {what}. It needs the CRDs: those in deploy/crds,
# or the existing OpenBao operator's where they are installed already. Put your image in its place, and
# apply it:
#
#     sed {replacements} \\
#       deploy/manifests/{name} | kubectl apply -f -
#
"""
#: Labels that say how an object came to be, and are not true of these.
_OF_HELM = ("app.kubernetes.io/managed-by", "helm.sh/chart")
_IMAGE = "-e 's#registry.example/bao-backup:[^ ]*#YOUR_IMAGE#'"


def chart_crds() -> dict[Path, str]:
    """The chart's copy of each CRD, by its file: with the annotation that keeps it on an uninstall."""
    copies = {}
    for source in sorted(CRDS.glob("*.yaml")):
        crd = yaml.safe_load(source.read_text(encoding="utf-8"))
        crd["metadata"].setdefault("annotations", {})["helm.sh/resource-policy"] = "keep"
        copies[CHART_CRDS / source.name] = _COPY + _dump(crd)
    return copies


def plain_manifests() -> dict[Path, str]:
    """The plain manifests, by their files."""
    values: dict[str, Any] = IMAGE | {"crds": {"install": False}}
    everywhere = render_text(values, namespace=OWN_NAMESPACE)
    one = render_text(values | {"namespaces": [SAMPLE_NAMESPACE]}, namespace=SAMPLE_NAMESPACE)
    return {
        MANIFESTS / "all-namespaces.yaml": _HEAD.format(
            what="all namespaces", replacements=_IMAGE, name="all-namespaces.yaml"
        )
        + _joined([_namespace(OWN_NAMESPACE), *_plain(everywhere)]),
        MANIFESTS / "one-namespace.yaml": _HEAD.format(
            what="one namespace, in which it lives, too",
            replacements=f"{_IMAGE} -e 's#{SAMPLE_NAMESPACE}#YOUR_NAMESPACE#'",
            name="one-namespace.yaml",
        )
        + _joined(_plain(one)),
    }


def _namespace(name: str) -> Object:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _plain(text: str) -> list[Object]:
    objects = [each for each in yaml.safe_load_all(text) if each]
    for each in objects:
        for label in _OF_HELM:
            each["metadata"]["labels"].pop(label, None)
    return objects


def _joined(objects: list[Object]) -> str:
    return "".join(f"---\n{_dump(each)}" for each in objects)


def _dump(what: Object) -> str:
    return yaml.dump(what, Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Writes equal parts out each time: people look for "&id001" in vain."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def generated() -> dict[Path, str]:
    """All that is generated, by its file."""
    return chart_crds() | plain_manifests()


def present() -> set[Path]:
    """The files that are there now where generated ones belong."""
    return {*CHART_CRDS.glob("*.yaml"), *MANIFESTS.glob("*.yaml")}


def main() -> None:
    """Write what differs, and remove what is generated no more."""
    # The copies are part of the chart, which the manifests are made of.
    for files in (chart_crds(), plain_manifests()):
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in present() - generated().keys():
        path.unlink()


if __name__ == "__main__":
    main()
