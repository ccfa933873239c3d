"""What an S3 bucket tells of itself: versions, lock, rules and encryption, a request each.

Source: Amazon S3 API Reference, "GetBucketVersioning", "GetObjectLockConfiguration",
"GetBucketLifecycleConfiguration" and "GetBucketEncryption". Stores that speak S3 need not have them.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.plain_http import Answer
from bao_backup.adapters.stores.retries import patiently
from bao_backup.adapters.stores.s3_requests import Requests
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import StorageDeniedError
from bao_backup.core.store_facts import ExpiryRule, StoreFacts, Unseen

#: The answer of a bucket that has nothing of what was asked for.
_NOTHING = (
    "ObjectLockConfigurationNotFoundError",
    "NoSuchLifecycleConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
)
#: Statuses of stores that know no such question.
_UNKNOWN = (405, 501)
_VERB = "look at"
_EXPIRED = "Expiration/Days"
_ABANDONED = "AbortIncompleteMultipartUpload/DaysAfterInitiation"


class Facts:
    """Asks one bucket."""

    def __init__(self, requests: Requests, settings: StoreSettings, translator: Translator) -> None:
        self._requests = requests
        self._settings = settings
        self._translator = translator

    def ask(self) -> StoreFacts:
        """All of them. Raises StorageError where the bucket does not answer, or not to this identity."""
        versioning, lock = self._about("versioning"), self._about("object-lock")
        lifecycle, encryption = self._about("lifecycle"), self._about("encryption")
        return StoreFacts(
            versioning=versioning if isinstance(versioning, Unseen) else _enabled(versioning, "Status"),
            lock=lock if isinstance(lock, Unseen) else _enabled(lock, "ObjectLockEnabled"),
            lock_default="" if isinstance(lock, Unseen) else _default_lock(lock),
            lifecycle=lifecycle if isinstance(lifecycle, Unseen) else _rules(lifecycle, _EXPIRED),
            abandoned=lifecycle if isinstance(lifecycle, Unseen) else _rules(lifecycle, _ABANDONED),
            encryption=encryption if isinstance(encryption, Unseen) else _encryption(encryption),
        )

    def _about(self, what: str) -> ET.Element | Unseen:
        """The bucket's configuration of one thing; an empty element where it has none."""
        answer = patiently(lambda: self._send(what), self._settings)
        if answer.status < 300:
            return _plain(self._requests.parsed(answer, _VERB, ""))
        if any(f"<Code>{code}</Code>" in answer.text for code in _NOTHING):
            return ET.Element("Nothing")
        if answer.status in _UNKNOWN:
            return Unseen.NOT_OFFERED
        if isinstance(error := self._error(answer), StorageDeniedError):
            return Unseen.NOT_PERMITTED
        raise error

    def _send(self, what: str) -> Answer:
        answer = self._requests.send(_VERB, "GET", "", {what: ""}, timeout=self._settings.request_timeout)
        if answer.status >= 300 and answer.status not in _UNKNOWN and self._error(answer).transient:
            raise self._error(answer)  # to be tried again
        return answer

    def _error(self, answer: Answer) -> StorageError:
        return self._translator.answered(answer.status, answer.text, _VERB, "", answer.headers)


def _plain(element: ET.Element) -> ET.Element:
    """The same without namespaces, in which stores differ."""
    for each in element.iter():
        each.tag = each.tag.rpartition("}")[2]
    return element


def _enabled(found: ET.Element, name: str) -> bool:
    return found.findtext(name) == "Enabled"


def _default_lock(found: ET.Element) -> str:
    rule = found.find("Rule/DefaultRetention")
    if rule is None:
        return ""
    days, years = rule.findtext("Days"), rule.findtext("Years")
    length = f"{days} days" if days else f"{years} years"
    return f"{rule.findtext('Mode', '')} for {length}".strip()


def _rules(found: ET.Element, path: str) -> tuple[ExpiryRule, ...]:
    """The rules that are on and have a number of days at `path`."""
    rules: list[ExpiryRule] = []
    for rule in found.iter("Rule"):
        days = rule.findtext(path) or ""
        if rule.findtext("Status") != "Enabled" or not days.isdecimal():
            continue
        prefixes = (rule.findtext(each) for each in ("Filter/And/Prefix", "Filter/Prefix", "Prefix"))
        conditions = {part.tag for part in rule.findall("Filter/*")} - {"Prefix"}
        rules.append(
            ExpiryRule(
                id=rule.findtext("ID") or "",
                prefix=next((text for text in prefixes if text), ""),
                days=int(days),
                conditional=bool(conditions),
            )
        )
    return tuple(rules)


def _encryption(found: ET.Element) -> str:
    default = found.find("Rule/ApplyServerSideEncryptionByDefault")
    if default is None:
        return ""
    key = default.findtext("KMSMasterKeyID")
    algorithm = default.findtext("SSEAlgorithm") or ""
    return f"{algorithm} with the key {key}" if key else algorithm
