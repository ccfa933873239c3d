"""What an external account proves itself with to Google: a token in a file, of a service, or signed for AWS.

Source: AIP-4117, "External account credentials". Programs that print a token, which it knows, too, are
refused: who may write the configuration could run anything here.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

import msgspec

from bao_backup.adapters.stores.asking import Asking, read_token
from bao_backup.adapters.stores.identity_codes import NOT_GIVEN, refused
from bao_backup.adapters.stores.plain_http import ask
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import StorageLoginError

if TYPE_CHECKING:
    from bao_backup.adapters.stores.s3_identity import Identity as AmazonIdentity

#: Seconds for each wait. A service of the machine that is there answers at once.
TIMEOUT = 5.0
#: Where a role would be taken on when no region is known yet; who has a role from EKS is told one.
_ANY_REGION = "us-east-1"
#: Of a header's names those that any service has (RFC 9110, section 5.1, has some more).
_HEADER = re.compile(r"[A-Za-z0-9_-]{1,64}")


class FileToken(NamedTuple):
    """A token in a file, which is read anew each time: alone, or in a field of JSON."""

    file: str
    field: str = ""


class ServiceToken(NamedTuple):
    """A token that a service gives: alone, or in a field of JSON."""

    url: str
    headers: Mapping[str, str]
    field: str = ""


class AmazonToken(NamedTuple):
    """A request to AWS that asks who we are: signed here, and sent by Google."""

    url: str
    identity: AmazonIdentity
    #: Empty: the machine is asked, at `metadata`.
    region: str
    metadata: str


Subject = FileToken | ServiceToken | AmazonToken


class _Format(msgspec.Struct):
    type: str = "text"
    subject_token_field_name: str = ""


class Source(msgspec.Struct):
    """`credential_source` of the file that Google gives."""

    file: str = ""
    url: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    format: _Format = msgspec.field(default_factory=_Format)
    environment_id: str = ""
    regional_cred_verification_url: str = ""
    executable: dict[str, object] | None = None


def choose_subject(source: Source, name: str, environment: Mapping[str, str], doing: str) -> Subject:
    """Where the proof comes from; nothing is read or asked yet.

    Args:
        source: as it was given.
        name: of what it was given in, for errors.
        environment: AWS's own variables.
        doing: what errors say is being done.

    Raises ConfigurationError: there is none that can be used here.
    """
    if source.executable is not None:
        raise ConfigurationError(
            doing,
            f"{name}: its credential_source is a program, and none is run for credentials",
            hint="let that program write its token into a file, and name the file",
        )
    if source.environment_id:
        return _of_amazon(source, name, environment, doing)
    field = _field(source.format, name, doing)
    if source.file:
        return FileToken(source.file, field)
    if source.url:
        _check_url(source.url, name, doing)
        _check_headers(source.headers, name, doing)
        return ServiceToken(source.url, source.headers, field)
    raise ConfigurationError(
        doing,
        f"{name}: its credential_source names neither file, url nor environment_id",
        hint="make it anew",
    )


def subject_token(subject: Subject, audience: str, asking: Asking, now: datetime) -> str:
    """The proof that is good now. Raises StorageError: there is none."""
    match subject:
        case FileToken():
            return _read(subject, asking)
        case ServiceToken():
            return _ask(subject, asking)
        case AmazonToken():
            return _sign(subject, audience, asking, now)


def subject_name(subject: Subject) -> str:
    """What it is, for errors: never the token, nor a query."""
    match subject:
        case FileToken():
            return f"the token in {subject.file}"
        case ServiceToken():
            return f"the token of {subject.url.partition('?')[0]}"
        case AmazonToken():
            return "the identity at AWS"


# --- a file, a service ---------------------------------------------------------------------------


def _field(format_: _Format, name: str, doing: str) -> str:
    """The field of JSON that holds the token; empty: it stands there alone."""
    if format_.type == "text":
        return ""
    if format_.type != "json" or not format_.subject_token_field_name:
        raise ConfigurationError(
            doing,
            f"{name}: the format of its credential_source is neither text nor json with"
            " subject_token_field_name",
            hint="make it anew",
        )
    return format_.subject_token_field_name


def _check_url(url: str, name: str, doing: str) -> None:
    """It is https, or of this machine: the answer is a token that any listener could use."""
    parts = _parts(url)
    near = parts.scheme == "http" and _is_near(parts.hostname or "")
    if not parts.hostname or parts.username or parts.fragment or not (parts.scheme == "https" or near):
        # It is not shown: a wrong one may hold a password.
        raise ConfigurationError(
            doing, f"{name}: the url of its credential_source is neither https nor of this machine"
        )


def _check_headers(headers: Mapping[str, str], name: str, doing: str) -> None:
    for header, value in headers.items():
        if not _HEADER.fullmatch(header) or not value.isascii() or not value.isprintable():
            raise ConfigurationError(doing, f"{name}: a header of its credential_source is none")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else urlsplit("")
    except ValueError:
        return urlsplit("")


def _is_near(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_link_local


def _read(subject: FileToken, asking: Asking) -> str:
    if not subject.field:
        return read_token(subject.file, asking)
    doing = f"{asking.doing} with {subject_name(subject)}"
    try:
        body = Path(subject.file).read_bytes()
    except OSError as error:
        why = f"the token file cannot be read: {(error.strerror or 'unreadable').lower()}"
        raise StorageLoginError(doing, why, hint="see that the token is mounted there") from error
    return _token(body, subject.field, doing, asking)


def _ask(subject: ServiceToken, asking: Asking) -> str:
    doing = f"{asking.doing} with {subject_name(subject)}"
    asking.translator.hide(*subject.headers.values())
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        subject.url, headers=dict(subject.headers)
    )
    parts = urlsplit(subject.url)
    context = asking.context() if parts.scheme == "https" else None
    through = not _is_near(parts.hostname or "")
    answer = ask(request, doing, TIMEOUT, context, through_proxy=through, proxy=asking.proxy)
    if answer.status != 200:
        # Nobody knows what is in it: it may be a token.
        raise refused(None, NOT_GIVEN, answer._replace(body=b""), "", doing, asking.translator)
    return _token(answer.body, subject.field, doing, asking)


def _token(body: bytes, field: str, doing: str, asking: Asking) -> str:
    """The token in what was read or answered; `field` as of `FileToken`."""
    try:
        token = msgspec.json.decode(body, type=dict[str, object]).get(field) if field else body.decode()
    except (msgspec.MsgspecError, UnicodeError):
        token = None  # the cause could show a part of it
    token = token.strip() if isinstance(token, str) else ""
    if not token or not token.isascii() or not token.isprintable():
        hint = f"the token is expected in the field {field} of JSON" if field else "see what is there"
        raise StorageLoginError(doing, "what was found there holds no token", hint=hint)
    asking.translator.hide(token)
    return token


# --- AWS -----------------------------------------------------------------------------------------


def _of_amazon(source: Source, name: str, environment: Mapping[str, str], doing: str) -> AmazonToken:
    """Whoever we are at AWS, by the rules of `s3_identity`; the URLs of its metadata service are its own."""
    # Few have an identity of one cloud for another.
    from bao_backup.adapters.stores.s3_addresses import instance_service  # noqa: PLC0415
    from bao_backup.adapters.stores.s3_identity import choose_identity  # noqa: PLC0415

    parts = _parts(source.regional_cred_verification_url)
    if source.environment_id != "aws1":
        raise ConfigurationError(
            doing, f"{name}: the environment_id of its credential_source is not aws1", hint="make it anew"
        )
    if parts.scheme != "https" or not (parts.hostname or "").startswith("sts.") or parts.username:
        raise ConfigurationError(
            doing, f"{name}: its regional_cred_verification_url is none of AWS's token service"
        )
    region = environment.get("AWS_REGION", "").strip() or environment.get("AWS_DEFAULT_REGION", "").strip()
    metadata = instance_service(environment)
    if not region and not metadata:
        raise ConfigurationError(doing, "no region of AWS is known", hint="set AWS_REGION")
    identity = choose_identity(StoreSettings(provider="s3"), {}, region or _ANY_REGION, environment, doing)
    return AmazonToken(source.regional_cred_verification_url, identity, region, metadata)


def _sign(subject: AmazonToken, audience: str, asking: Asking, now: datetime) -> str:
    """The request as Google's token service takes it: JSON, escaped as for a URL."""
    from bao_backup.adapters.stores.s3_identity import Keys  # noqa: PLC0415
    from bao_backup.adapters.stores.s3_requests import Signed, sign  # noqa: PLC0415
    from bao_backup.adapters.stores.s3_services import fetch, instance_region  # noqa: PLC0415

    identity = subject.identity
    keys = identity if isinstance(identity, Keys) else fetch(identity, asking).keys
    asking.translator.hide(*keys)
    region = subject.region or instance_region(subject.metadata, asking)
    url = subject.url.replace("{region}", region)
    parts = urlsplit(url)
    query = urlencode(sorted(parse_qsl(parts.query)), quote_via=quote)
    # That Google asks, and nobody else may use it.
    headers = {"x-goog-cloud-target-resource": audience}
    request = Signed("POST", parts.netloc, parts.path or "/", query, b"", headers)
    signed = sign(keys, request, region, now, service="sts")
    names = {"authorization": "Authorization"}
    told = [{"key": names.get(key, key), "value": value} for key, value in signed.items()]
    token = quote(msgspec.json.encode({"url": url, "method": "POST", "headers": told}), safe="")
    asking.translator.hide(token)
    return token
