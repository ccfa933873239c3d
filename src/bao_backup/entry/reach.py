"""Which manager a command speaks to: the one on this machine, or the one on Kubernetes.

Loads none of Kubernetes' libraries before they are used.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import click

from bao_backup.core.errors import ConfigurationError

#: What the extra "operator" installs.
_LIBRARIES = {"aiohttp", "kopf", "kubernetes_asyncio"}


class Reach(NamedTuple):
    """An API server; empty: the usual kubeconfig, and its current context."""

    kubeconfig: str
    context: str


def reach_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name an API server; the command gets `reach`, None without any of them."""

    @click.option("--kubernetes", is_flag=True, help="Speak to the manager on Kubernetes.")
    @click.option("--kubeconfig", metavar="FILE", default="", help="The same, by this kubeconfig.")
    @click.option("--context", "kube_context", metavar="NAME", default="", help="The same, by this context.")
    @functools.wraps(command)
    def with_reach(*, kubernetes: bool, kubeconfig: str, kube_context: str, **given: Any) -> Any:
        named = kubernetes or kubeconfig or kube_context
        return command(reach=Reach(kubeconfig, kube_context) if named else None, **given)

    return with_reach


def load(module: str) -> ModuleType:
    """Import a module that may need the extra "operator"; says so where that is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in _LIBRARIES:
            raise
        hint = "install what speaks to Kubernetes: pip install 'bao-backup[operator]'"
        raise ConfigurationError(
            "speak to Kubernetes", f"{error.name} is not installed", hint=hint
        ) from error
