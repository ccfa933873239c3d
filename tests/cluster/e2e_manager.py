"""A manager for real backups: a process that may do what the chart allows its account, and no more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.operator_program import Operator
from tests.deploy.rendering import Object, Values, render, the_only
from tests.harness.control_plane import ControlPlane

RELEASE = "e2e-bao-backup"
NAMESPACE = "e2e-manager"


class Release:
    """What the chart renders of some values, installed for as long as this is entered."""

    def __init__(self, plane: ControlPlane, values: Values) -> None:
        self.plane = plane
        self.objects = render({"crds": {"install": False}, **values}, release=RELEASE, namespace=NAMESPACE)
        self.account: str = the_only(self.objects, "ServiceAccount")["metadata"]["name"]

    @property
    def user(self) -> str:
        """The manager's ServiceAccount, as the user that it is."""
        return f"system:serviceaccount:{NAMESPACE}:{self.account}"

    def apply(self) -> None:
        """Send all objects; raises HarnessError when one is refused, or warned of."""
        how = ("--server-side", "--warnings-as-errors", "-f", "-")
        self.plane.kubectl("apply", *how, stdin=_listed(self.objects))

    def remove(self) -> None:
        """Take all back."""
        how = ("--ignore-not-found", "--wait=true", "--timeout=60s", "-f", "-")
        self.plane.kubectl("delete", *how, stdin=_listed(self.objects))

    def operator(self, log: Path, image: str, options: Sequence[str] = ()) -> Operator:
        """A manager outside of the cluster, as the chart's account; not yet started."""
        return Operator(
            self.plane.service_account_kubeconfig(self.account, NAMESPACE),
            log,
            lease=NAMESPACE,
            name="e2e",
            options=(
                *("--lease-name", RELEASE, "--image", image, "--image-pull-policy", "Never"),
                *options,
            ),
        )

    def __enter__(self) -> Self:
        self.apply()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def _listed(objects: Sequence[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
