"""The branch of the tree of errors that an executor never needs: what the Kubernetes API answers.

It is drawn with the others at the head of `errors.py`.
"""

from __future__ import annotations

from bao_backup.core.errors import ConfigurationError


class KubernetesError(ConfigurationError):
    """The Kubernetes API server did not do what it was asked to; here: it cannot now (5xx, throttling)."""

    reason = "KubernetesFailed"
    default_hint = "look at the API server; it is tried again"
    transient = True


class KubernetesUnreachableError(KubernetesError):
    """No connection to the API server, or no answer in time."""

    reason = "KubernetesUnreachable"
    default_hint = "check that the API server runs, and the kubeconfig's server and CA"


class KubernetesDeniedError(KubernetesError):
    """The API server does not know us, or does not allow this."""

    reason = "KubernetesDenied"
    default_hint = "check the ServiceAccount's Role, quotas, and what admission requires"
    transient = False


class KubernetesRefusedError(KubernetesError):
    """The API server does not take the object as it is."""

    reason = "KubernetesRefused"
    default_hint = "correct the field that it names"
    transient = False


class KubernetesConflictError(KubernetesError):
    """The object exists already, or somebody changed it meanwhile."""

    reason = "KubernetesConflict"
    default_hint = "look at it again and repeat"


class KubernetesMissingError(KubernetesError):
    """There is no such object, or no such kind of object."""

    reason = "KubernetesMissing"
    default_hint = "check the name and the namespace, and that the CRDs are installed"
    transient = False
