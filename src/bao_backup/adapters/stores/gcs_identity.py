"""As whom a run comes to Google Cloud Storage: by what is given, else as the place where we run.

Sources: Google Cloud documentation, "How Application Default Credentials works", "Service account
credentials"; AIP-4117, "External account credentials".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from bao_backup.adapters.stores.connecting import split_endpoint
from bao_backup.adapters.stores.gcs_subject import Source, Subject, choose_subject
from bao_backup.adapters.stores.signed_token import PrivateKey, read_key
from bao_backup.core.errors import ConfigurationError

#: Where a machine or pod of Google's gets its identity; `GCE_METADATA_HOST` is another.
METADATA_HOST = "metadata.google.internal"
VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
REMEDY = f"give credentials.json beside it, or {VARIABLE}, or a workload identity to the pod"


class ServiceAccount(NamedTuple):
    """A service account and one of its keys."""

    email: str
    key_id: str
    key: PrivateKey


class ExternalAccount(NamedTuple):
    """Somebody whom Google trusts by another's token, which is got anew each time."""

    token_url: str
    audience: str
    token_type: str
    subject: Subject
    #: The service account that is taken on then; empty: none.
    impersonation_url: str


class Machine(NamedTuple):
    """The identity of the machine or pod, from its metadata service."""

    url: str


Identity = ServiceAccount | ExternalAccount | Machine


class _Credentials(msgspec.Struct):
    """The file that Google gives: the fields of a service account's key, and of an external account."""

    type: str = ""
    client_email: str = ""
    private_key_id: str = ""
    private_key: str = ""
    token_url: str = ""
    audience: str = ""
    subject_token_type: str = ""
    credential_source: Source = msgspec.field(default_factory=Source)
    service_account_impersonation_url: str = ""


def choose_identity(credentials: Mapping[str, str], environment: Mapping[str, str], doing: str) -> Identity:
    """As whom to come; nobody is asked yet, but the file of `GOOGLE_APPLICATION_CREDENTIALS` is read.

    Args:
        credentials: as `core.storage.find_credentials` gives them.
        environment: Google's own variables, and AWS's for an external account that is one of AWS.
        doing: what errors say is being done.

    Raises ConfigurationError: what is given is none. It is never shown.
    """
    text, name = credentials.get("credentials.json", ""), "credentials.json"
    file = environment.get(VARIABLE, "").strip()
    if not text and file:
        name = f"{VARIABLE}, {file},"
        try:
            text = Path(file).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            why = f"{name} cannot be read: {(error.strerror or 'unreadable').lower()}"
            raise ConfigurationError(doing, why) from error
    if text:
        return _of_file(text, name, environment, doing)
    host = environment.get("GCE_METADATA_HOST", "").strip() or METADATA_HOST
    split_endpoint(f"http://{host}", "GCE_METADATA_HOST")
    return Machine(f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token")


def _of_file(
    text: str, name: str, environment: Mapping[str, str], doing: str
) -> ServiceAccount | ExternalAccount:
    try:
        given = msgspec.json.decode(text, type=_Credentials)
    except (msgspec.MsgspecError, UnicodeError):
        hint = "copy the file whole, as Google gave it"
        # The cause could show a part of it.
        raise ConfigurationError(doing, f"{name} is no JSON of credentials", hint=hint) from None
    match given.type:
        case "service_account":
            return _service_account(given, name, doing)
        case "external_account":
            return _external_account(given, name, environment, doing)
    raise ConfigurationError(
        doing,
        f"{name} is of a type that is not known here",
        hint="it is a service account's key, or an external account's configuration",
    )


def _service_account(given: _Credentials, name: str, doing: str) -> ServiceAccount:
    if not given.client_email:
        raise ConfigurationError(doing, f"{name} has no client_email", hint="copy the file whole")
    try:
        key = read_key(given.private_key)
    except ValueError as error:
        raise ConfigurationError(doing, f"{name}: {error}", hint="copy the file whole") from None
    return ServiceAccount(given.client_email, given.private_key_id, key)


def _external_account(
    given: _Credentials, name: str, environment: Mapping[str, str], doing: str
) -> ExternalAccount:
    subject = choose_subject(given.credential_source, name, environment, doing)
    if not given.audience or not given.subject_token_type:
        raise ConfigurationError(doing, f"{name} lacks audience or subject_token_type", hint="make it anew")
    for url, field in (
        (given.token_url, "token_url"),
        (given.service_account_impersonation_url, "service_account_impersonation_url"),
    ):
        optional = field != "token_url" and not url
        if not optional and split_endpoint(url, f"{field} of {name}").scheme != "https":
            raise ConfigurationError(doing, f"{field} of {name} must be https: it is told a token")
    return ExternalAccount(
        given.token_url,
        given.audience,
        given.subject_token_type,
        subject,
        given.service_account_impersonation_url,
    )
