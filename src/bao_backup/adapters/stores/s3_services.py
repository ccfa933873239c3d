"""The services that give temporary keys for S3: what each is asked, and what its answer means."""

from __future__ import annotations

import re
import urllib.request
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import msgspec

from bao_backup.adapters.stores.asking import Asking, read_token
from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.identity_codes import (
    OLD,
    PARAMETER,
    POD,
    POD_ROLE,
    ROLE,
    STS,
    Refusal,
    find_refusal,
    refused,
)
from bao_backup.adapters.stores.plain_http import Answer, ask
from bao_backup.adapters.stores.s3_identity import (
    REMEDY,
    ContainerIdentity,
    InstanceIdentity,
    Issued,
    Keys,
    WebIdentity,
)
from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import StorageLoginError, StorageUnavailableError, StorageUnreachableError

#: Seconds for each wait. The token service may have to ask the token's issuer; the others are near.
TOKEN_SERVICE_TIMEOUT = 10.0
CONTAINER_TIMEOUT = 5.0
INSTANCE_TIMEOUT = 2.0
#: Seconds that a metadata token is good for: long enough for the three requests, each time anew.
METADATA_TOKEN_TTL = "60"  # noqa: S105 - a time
NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"

_CODE = re.compile(r"<Code>([A-Za-z.]{1,64})</Code>")
_WORD = re.compile(r"[A-Za-z.]{1,64}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
#: How the agent of EKS repeats what its service said.
_EXCEPTION = re.compile(r"\b([A-Z][A-Za-z]{1,60}Exception)\b")
_HOPS = "in a container the instance's metadata hop limit has to be 2"


class _Claims(msgspec.Struct):
    """When a token ends, in seconds since 1970."""

    exp: float | None = None


class _Given(msgspec.Struct, rename="pascal"):
    """The answer of a container's or an instance's service."""

    access_key_id: str = ""
    secret_access_key: str = ""
    token: str = ""
    expiration: str = ""
    #: Of an instance only: "Success", or why there are no keys.
    code: str = "Success"


def fetch(identity: WebIdentity | ContainerIdentity | InstanceIdentity, asking: Asking) -> Issued:
    """Keys that are good now, from the identity's service.

    Raises StorageLoginError, or why the service cannot be asked.
    """
    match identity:
        case WebIdentity():
            return by_web_identity(identity, asking)
        case ContainerIdentity():
            return by_container(identity, asking)
        case InstanceIdentity():
            return by_instance(identity, asking)


def by_web_identity(identity: WebIdentity, asking: Asking) -> Issued:
    """Exchange the token that is in the file now for keys of the role (AssumeRoleWithWebIdentity)."""
    token = read_token(identity.token_file, asking)
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": identity.role,
        "RoleSessionName": identity.session,
        "WebIdentityToken": token,
    }
    # In the body, since URLs end up in logs.
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        identity.service.url, urlencode(form).encode(), {"Accept": "application/xml"}, method="POST"
    )
    doing = f"{asking.doing} as {identity.role} with {identity.service.url}"
    try:
        answer = ask(request, doing, TOKEN_SERVICE_TIMEOUT, asking.context(), proxy=asking.proxy)
    except StorageUnreachableError as error:
        hint = "check AWS_ENDPOINT_URL_STS or spec.backup.target.s3.stsEndpoint, DNS and network policies"
        raise StorageUnreachableError(doing, error.why, hint=hint, details=error.details) from error
    if answer.status != 200:
        raise _refused(answer, doing, token, asking.translator)
    return _from_xml(answer, doing)


def by_container(identity: ContainerIdentity, asking: Asking) -> Issued:
    """The keys of this container (Amazon ECS, EKS Pod Identity)."""
    token = read_token(identity.token_file, asking) if identity.token_file else identity.token
    headers = {"Accept": "application/json"} | ({"Authorization": token} if token else {})
    request = urllib.request.Request(identity.url, headers=headers)  # noqa: S310 - the scheme was checked
    doing = f"{asking.doing} with the container's keys of {_shown(identity.url)}"
    context = asking.context() if identity.url.startswith("https:") else None
    try:
        answer = ask(request, doing, CONTAINER_TIMEOUT, context, through_proxy=False)
    except StorageUnreachableError as error:
        hint = "is the agent there (eks-pod-identity-agent, or that of ECS), and let through?"
        raise StorageUnreachableError(doing, error.why, hint=hint, details=error.details) from error
    if answer.status != 200:
        match = _EXCEPTION.search(answer.text)
        row = find_refusal(POD, [match.group(1) if match else ""], answer.text)
        # Nobody knows what else is in it: it may be a token.
        bare = answer._replace(body=b"")
        raise refused(row, POD_ROLE, bare, row.code if row else "", doing, asking.translator)
    return _from_json(answer, doing)


def by_instance(identity: InstanceIdentity, asking: Asking) -> Issued:
    """The keys of this machine's role, by the second version of the metadata service alone.

    That there is no such service, or no role, is a StorageLoginError: nobody has any keys for us.
    """
    doing = f"{asking.doing} with the machine's keys of {identity.url}"
    head = _metadata_token(identity, doing, asking)
    folder = "/latest/meta-data/iam/security-credentials/"
    roles = _metadata(identity, folder, head, doing).text.split()
    if not roles:
        raise _none_found(doing, "no role is attached to the machine")
    return _from_json(_metadata(identity, folder + quote(roles[0]), head, doing), doing)


def instance_region(url: str, asking: Asking) -> str:
    """The region in which this machine is, as its metadata service says. Raises StorageLoginError."""
    identity = InstanceIdentity(url)
    doing = f"{asking.doing} in the machine's region of {url}"
    head = _metadata_token(identity, doing, asking)
    region = _metadata(identity, "/latest/meta-data/placement/region", head, doing).text.strip()
    if not _REGION.fullmatch(region):
        raise StorageLoginError(doing, "the answer is no region", hint="set AWS_REGION")
    return region


def _metadata_token(identity: InstanceIdentity, doing: str, asking: Asking) -> dict[str, str]:
    """The header that the service wants to see."""
    head = {"X-aws-ec2-metadata-token-ttl-seconds": METADATA_TOKEN_TTL}
    token = _metadata(identity, "/latest/api/token", head, doing, method="PUT").text.strip()
    asking.translator.hide(token)
    return {"X-aws-ec2-metadata-token": token}


def _metadata(
    identity: InstanceIdentity, path: str, headers: Mapping[str, str], doing: str, method: str = "GET"
) -> Answer:
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        identity.url + path, headers=dict(headers), method=method
    )
    try:
        answer = ask(request, doing, INSTANCE_TIMEOUT, through_proxy=False)
    except StorageError as error:
        # On a machine that is none of EC2's nobody answers: then that is why there are no keys.
        raise _none_found(doing, error.why) from error
    if answer.status == 404 and method == "GET":
        raise _none_found(doing, "no role is attached to the machine")
    if answer.status in (400, 401, 403, 404, 405):
        raise _none_found(doing, f"it refused ({answer.status})")
    _check_service(answer, doing, "it refused")
    return answer


def _none_found(doing: str, answer: str) -> StorageLoginError:
    why = f"no credentials were found: none are configured; asked the machine, answer: {answer}"
    return StorageLoginError(doing, why, hint=f"{REMEDY}; {_HOPS}")


def _refused(answer: Answer, doing: str, token: str, translator: Translator) -> StorageError:
    match = _CODE.search(answer.text)
    code = match.group(1) if match else ""
    row = find_refusal(STS, [code], answer.text)
    meaning = row.meaning if row else ROLE
    if answer.status < 500 and meaning in (ROLE, PARAMETER) and _has_expired(token):
        row = Refusal(STS, code, OLD)  # MinIO has no code of its own for that
    return refused(row, ROLE, answer, code, doing, translator)


def _has_expired(token: str) -> bool:
    """Whether it says so itself, if it is a JSON web token (RFC 7519)."""
    body = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = msgspec.json.decode(urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=_Claims)
    except (ValueError, msgspec.MsgspecError):
        return False
    return claims.exp is not None and claims.exp < datetime.now(UTC).timestamp()


def _check_service(answer: Answer, doing: str, why: str) -> None:
    if answer.status == 429 or answer.status >= 500:
        raise StorageUnavailableError(doing, f"the service that gives keys cannot now ({answer.status})")
    if answer.status != 200:
        raise StorageLoginError(doing, f"{why} ({answer.status})", hint=REMEDY)


def _from_xml(answer: Answer, doing: str) -> Issued:
    try:
        # expat bounds the growth of entities since 2.4, and the service is one that we log in to.
        given = ET.fromstring(answer.body).find(f".//{NAMESPACE}Credentials")  # noqa: S314
    except ET.ParseError:
        given = None

    def text(name: str) -> str:
        return "" if given is None else given.findtext(f"{NAMESPACE}{name}", "").strip()

    keys = Keys(text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken") or None)
    return _issued(keys, text("Expiration"), doing)


def _from_json(answer: Answer, doing: str) -> Issued:
    try:
        given = msgspec.json.decode(answer.body, type=_Given)
    except msgspec.MsgspecError:
        given = _Given()
    if given.code != "Success":
        said = f" ({given.code})" if _WORD.fullmatch(given.code) else ""
        raise StorageLoginError(doing, f"the machine's role gives no keys{said}", hint="see the role's trust")
    keys = Keys(given.access_key_id, given.secret_access_key, given.token or None)
    return _issued(keys, given.expiration, doing)


def _issued(keys: Keys, expiration: str, doing: str) -> Issued:
    try:
        expires = datetime.fromisoformat(expiration) if expiration else None
    except ValueError:
        expires, keys = None, Keys("", "", None)
    if not keys.key or not keys.secret:
        raise StorageLoginError(doing, "the answer holds no keys", hint="is it the right service?")
    if expires is not None and expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    return Issued(keys, expires)


def _shown(url: str) -> str:
    return url.partition("?")[0]
