"""What a bucket of Google's tells of itself, with one request. Source: Cloud Storage JSON API, "Buckets"."""

from __future__ import annotations

import ssl
import urllib.request
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.gcs_services import Login
from bao_backup.adapters.stores.plain_http import Answer, ask
from bao_backup.adapters.stores.retries import patiently
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import StorageDeniedError
from bao_backup.core.store_facts import ExpiryRule, StoreFacts, Unseen

_FIELDS = "versioning,retentionPolicy,objectRetention,lifecycle,encryption"
_DAY = 24 * 3600
#: What an upload left that nobody finished, Google drops after a week.
_ABANDONED = (ExpiryRule(id="of Google", days=7),)
#: Conditions of a rule that say only which objects it is about, and when.
_PLAIN = {"age", "matchesPrefix", "isLive"}


class _On(msgspec.Struct):
    enabled: bool = False


class _Kept(msgspec.Struct, rename="camel"):
    #: Seconds, as a text.
    retention_period: str = "0"
    mode: str = ""


class _Action(msgspec.Struct):
    type: str = ""


class _Rule(msgspec.Struct):
    action: _Action = msgspec.field(default_factory=_Action)
    condition: dict[str, object] = msgspec.field(default_factory=dict)


class _Rules(msgspec.Struct):
    rule: list[_Rule] = msgspec.field(default_factory=list)


class _Key(msgspec.Struct, rename="camel"):
    default_kms_key_name: str = ""


class _Bucket(msgspec.Struct, rename="camel"):
    versioning: _On = msgspec.field(default_factory=_On)
    retention_policy: _Kept | None = None
    object_retention: _Kept | None = None
    lifecycle: _Rules = msgspec.field(default_factory=_Rules)
    encryption: _Key = msgspec.field(default_factory=_Key)


def ask_facts(
    service: str,
    login: Login,
    translator: Translator,
    settings: StoreSettings,
    context: ssl.SSLContext,
) -> StoreFacts:
    """Ask the bucket, which needs the right storage.buckets.get. `service` is the URL of the service.

    Raises StorageError where the bucket does not answer, or not to this identity.
    """
    asking = _Asking(service, login, translator, settings, context)
    answer = patiently(lambda: _send(asking), settings)
    if answer.status >= 300:
        unseen = Unseen.NOT_PERMITTED
        return StoreFacts(
            versioning=unseen, lock=unseen, lifecycle=unseen, abandoned=_ABANDONED, encryption=unseen
        )
    try:
        bucket = msgspec.json.decode(answer.body, type=_Bucket)
    except msgspec.MsgspecError as error:
        raise StorageError(translator.named("look at"), "the answer describes no bucket") from error
    return _facts(bucket)


class _Asking(NamedTuple):
    service: str
    login: Login
    translator: Translator
    settings: StoreSettings
    context: ssl.SSLContext


def _send(asking: _Asking) -> Answer:
    """The answer, where it is one of success or says that this is not permitted."""
    bucket = quote(asking.settings.bucket, safe="")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked: http or https
        f"{asking.service}/storage/v1/b/{bucket}?fields={quote(_FIELDS, safe='')}",
        headers={"Authorization": f"Bearer {asking.login.current().token}"},
    )
    doing = asking.translator.named("look at")
    settings = asking.settings
    answer = ask(
        request,
        doing,
        settings.request_timeout,
        asking.context,
        proxy=settings.proxy,
        connect_timeout=settings.connect_timeout,
    )
    if answer.status >= 300:
        error = asking.translator.answered(answer.status, answer.text, "look at", "", answer.headers)
        if not isinstance(error, StorageDeniedError):
            raise error
    return answer


def _facts(bucket: _Bucket) -> StoreFacts:
    policy = bucket.retention_policy
    seconds = policy.retention_period if policy else "0"
    days = int(seconds) / _DAY if seconds.isdecimal() else 0
    by_object = bucket.object_retention is not None and bucket.object_retention.mode == "Enabled"
    return StoreFacts(
        versioning=bucket.versioning.enabled,
        lock=bool(days) or by_object,
        lock_default=f"for {days:g} days, by the bucket's retention policy" if days else "",
        lifecycle=tuple(rule for each in bucket.lifecycle.rule for rule in _expiries(each)),
        abandoned=_ABANDONED,
        encryption=bucket.encryption.default_kms_key_name or "Google's own keys",
    )


def _expiries(rule: _Rule) -> list[ExpiryRule]:
    """A rule that deletes by age, once for each prefix that it names."""
    age = rule.condition.get("age")
    if rule.action.type != "Delete" or not isinstance(age, int) or rule.condition.get("isLive") is False:
        return []
    named = rule.condition.get("matchesPrefix")
    prefixes = [str(each) for each in named] if isinstance(named, list) and named else [""]
    conditional = bool(rule.condition.keys() - _PLAIN)
    return [ExpiryRule(prefix=prefix, days=age, conditional=conditional) for prefix in prefixes]
