"""Translates the texts of kubelet, scheduler and API server, which alone say which Secret it was.

The only place that reads them. Texts as in Kubernetes 1.36: pkg/volume/secret, pkg/volume/projected,
pkg/kubelet/kubelet_pods.go, plugin/pkg/admission/serviceaccount. A text that nobody knows keeps the
reason of its kind, and is quoted.
"""

from __future__ import annotations

import re

from bao_backup.adapters.kubernetes.pod_facts import PodSpec
from bao_backup.adapters.kubernetes.reasons import Account, quoted

_VOLUME = re.compile(r'for volume "(?P<volume>[^"]+)" : ')
_REFUSED = re.compile(r'Error creating: (?:pods "[^"]*" is forbidden: )?')
_CREATED = re.compile(r"Created pod: (?P<pod>\S+)")
_NO_SECRET = re.compile(r'\bsecrets? "(?P<secret>[^"]+)" not found')
_NO_KEY_IN_VOLUME = re.compile(r"references non-existent secret key: (?P<key>\S+)")
_NO_KEY_IN_VARIABLE = re.compile(r"couldn't find key (?P<key>\S+) in Secret [^/\s]+/(?P<secret>\S+)")
_OF_IMAGES = (
    "Failed to pull image ",
    "Back-off pulling image ",
    "Failed to apply default image tag ",
    "Container image ",
)
#: Reasons of a waiting container that has no image, of pkg/kubelet/images.
IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
#: What an Event says beside another one that says more.
_TOO_GENERAL = frozenset(f"Error: {reason}" for reason in IMAGE_REASONS)
_NO_SERVICE_ACCOUNT = re.compile(r'\bserviceaccounts? "(?P<account>[^"]+)" not found')


def created_pod(text: str) -> str:
    """The Pod that an Event `SuccessfulCreate` of a Job names; empty where it names none."""
    created = _CREATED.fullmatch(text)
    return created["pod"] if created is not None else ""


def marks_for_deletion(text: str) -> bool:
    """Whether an Event `TaintManagerEviction` says so, and not that it was called off."""
    return text.startswith("Marking for deletion")


def of_mount(text: str, spec: PodSpec, run: str) -> Account:
    """What an Event `FailedMount` says; the Pod's spec tells which Secret a volume is of."""
    account = _missing(text, run)
    if account is not None:
        return account
    key = _NO_KEY_IN_VOLUME.search(text)
    if key is not None:
        volume = _VOLUME.search(text)
        secrets = _secrets_of(spec, volume["volume"] if volume else "")
        return _no_key(key["key"], " or ".join(secrets), run)
    return Account(reason="VolumeNotMounted", said=f"start {run}: {quoted(text)}")


def of_container_config(text: str, run: str) -> Account:
    """What the state `CreateContainerConfigError` of a container says."""
    account = _missing(text, run)
    if account is not None:
        return account
    key = _NO_KEY_IN_VARIABLE.search(text)
    if key is not None:
        return _no_key(key["key"], key["secret"], run)
    return Account(reason="ContainerRefused", said=f"start {run}: {quoted(text)}")


def of_image(text: str, image: str, run: str) -> Account:
    """What the kubelet says of an image that it cannot have."""
    return Account(
        reason="ImageNotFound", said=f'start {run}: its node cannot get the image "{image}": {quoted(text)}'
    )


def of_failed(text: str, image: str, run: str) -> Account | None:
    """What an Event about a container says of a Pod that is gone; None where it is too general."""
    if text in _TOO_GENERAL:
        return None
    if text.startswith(_OF_IMAGES):
        return of_image(text, image, run)
    return of_container_config(text.removeprefix("Error: "), run)


def of_refused_pod(text: str, run: str) -> Account:
    """What an Event `FailedCreate` of a Job says."""
    missing = _NO_SERVICE_ACCOUNT.search(text)
    if missing is not None:
        return _no_service_account(missing["account"], run)
    why = _REFUSED.sub("", text, count=1)
    return Account(reason="PodRefused", said=f"start {run}: the API server refuses its pod: {quoted(why)}")


def _missing(text: str, run: str) -> Account | None:
    secret = _NO_SECRET.search(text)
    if secret is not None:
        return Account(reason="SecretNotFound", said=f'start {run}: there is no Secret "{secret["secret"]}"')
    account = _NO_SERVICE_ACCOUNT.search(text)
    return _no_service_account(account["account"], run) if account is not None else None


def _no_key(key: str, secret: str, run: str) -> Account:
    where = f'the Secret "{secret}"' if secret else "the Secret that it mounts"
    return Account(reason="SecretKeyNotFound", said=f'start {run}: {where} has no key "{key}"')


def _no_service_account(name: str, run: str) -> Account:
    return Account(reason="ServiceAccountNotFound", said=f'start {run}: there is no ServiceAccount "{name}"')


def _secrets_of(spec: PodSpec, volume: str) -> tuple[str, ...]:
    """The Secrets of the volume of this name."""
    return next((each.secrets for each in spec.volumes or () if each.name == volume), ())
