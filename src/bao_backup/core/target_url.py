"""A target as one URL, for people who have the bucket and its keys, and no document any more.

    s3://BUCKET/PREFIX?endpoint=https://s3.example&region=eu-central-1&pathStyle=true&roleArn=ARN
    gs://BUCKET/PREFIX
    azure://CONTAINER/PREFIX?account=NAME
    file:///FOLDER?pathPrefix=PREFIX

The prefix is `spec.backup.target.pathPrefix`, with %XX for characters that mean something in a URL
(RFC 3986). Credentials are in the environment or in files, never here: what looks like one is refused,
and what is refused is not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.fields import check_bucket, check_endpoint, check_folder
from bao_backup.core.model import Value
from bao_backup.core.naming import checked_path_prefix
from bao_backup.core.storage import StoreSettings

DOING = "read the target's URL"
EXPECTED = "write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, azure://CONTAINER/PREFIX or file:///FOLDER"
#: The scheme of each provider's URLs.
SCHEMES: Mapping[str, str] = MappingProxyType({"s3": "s3", "gcs": "gs", "azure": "azure", "file": "file"})
_PROVIDERS = {scheme: provider for provider, scheme in SCHEMES.items()}
#: Option -> the field of StoreSettings, and the providers that have it.
_TEXTS = {
    "endpoint": ("endpoint", ("s3", "gcs", "azure")),
    "region": ("region", ("s3",)),
    "roleArn": ("role_arn", ("s3",)),
    "stsEndpoint": ("sts_endpoint", ("s3",)),
    "account": ("account", ("azure",)),
}
_FLAGS = {
    "pathStyle": ("path_style", ("s3",)),
    "insecureSkipVerify": ("insecure_skip_verify", ("s3", "gcs", "azure")),
}
_PATH_PREFIX = "pathPrefix"
_URLS = ("endpoint", "stsEndpoint")
_WORDS = {"true": True, "1": True, "false": False, "0": False}
# What a name of an option may look like to be told; anything else may be a part of a secret.
_TOLD = re.compile(r"[A-Za-z][A-Za-z-]{0,29}")
_ACCOUNT = re.compile(r"[a-z0-9]{1,63}")


class TargetUrl(Value, frozen=True, kw_only=True):
    """What a target's URL says."""

    store: StoreSettings
    #: The folders before the namespace in each key, without slashes around them.
    path_prefix: str = ""


def parse_target_url(text: str) -> TargetUrl:
    """Read a target's URL.

    Raises:
        ConfigurationError: `why` says what is expected, and holds nothing of the URL that may be secret.
    """
    if not text.isprintable():
        raise _wrong("it holds a control character")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise _wrong("it is not a URL") from error
    if "@" in parts.netloc:
        hint = "leave them out of the URL: set the environment's variables, or give --credentials FOLDER"
        raise ConfigurationError(DOING, "it holds a user name or a password", hint=hint)
    provider = _PROVIDERS.get(parts.scheme)
    if provider is None or not text[len(parts.scheme) :].startswith("://"):
        raise _wrong("it begins with none of s3://, gs://, azure:// and file://")
    if parts.fragment:
        raise _wrong("it has a part behind a #; write %23 for a # in a prefix")
    options = _options(parts.query, provider)
    path = _unescaped(parts.path)
    if provider == "file":
        if parts.netloc:
            raise _wrong("a folder has no host: it is written with three slashes")
        prefix = str(options.pop(_PATH_PREFIX, ""))
        place = {"path": _folder(path)}
    else:
        prefix = path
        place = {"bucket": _checked("bucket", parts.netloc)}
    return TargetUrl(
        store=StoreSettings(provider=provider, **place, **options),  # type: ignore[arg-type]  # by `_options`
        path_prefix=_checked_prefix(prefix),
    )


def format_target_url(target: TargetUrl) -> str:
    """The URL that `parse_target_url` reads as this target; what no URL can say is left out."""
    store = target.store
    query: dict[str, str] = {}
    for name, (field, providers) in _TEXTS.items():
        if store.provider in providers and getattr(store, field):
            query[name] = getattr(store, field)
    for name, (field, providers) in _FLAGS.items():
        if store.provider in providers and getattr(store, field):
            query[name] = "true"
    if store.provider == "file":
        if target.path_prefix:
            query[_PATH_PREFIX] = target.path_prefix
        place = quote(store.path, safe="/")
    else:
        place = store.bucket + (f"/{quote(target.path_prefix, safe='/')}" if target.path_prefix else "")
    options = f"?{urlencode(query, quote_via=quote, safe='/:')}" if query else ""
    return f"{SCHEMES[store.provider]}://{place}{options}"


def _options(query: str, provider: str) -> dict[str, str | bool]:
    """Field of StoreSettings -> value; and the path prefix of a folder."""
    if not query:
        return {}
    try:
        # A + is one, in a role's name for instance: that it means a space is the way of HTML's forms.
        escaped = query.replace("+", "%2B")
        pairs = parse_qsl(escaped, keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError as error:
        raise _wrong("what is behind its ? is not NAME=VALUE, joined by &") from error
    options: dict[str, str | bool] = {}
    for name, value in pairs:
        field, read = _option(name, value, provider)
        if field in options:
            raise _wrong(f"it has the option {name} twice")
        options[field] = read
    return options


def _option(name: str, value: str, provider: str) -> tuple[str, str | bool]:
    if name == _PATH_PREFIX and provider == "file":
        return _PATH_PREFIX, value
    known = _TEXTS.get(name) or _FLAGS.get(name)
    if known is None or provider not in known[1]:
        told = f"the option {name}" if _TOLD.fullmatch(name) else "an option"
        there = [each for each, (_, providers) in {**_TEXTS, **_FLAGS}.items() if provider in providers]
        there += [_PATH_PREFIX] if provider == "file" else []
        raise _wrong(f"{told} is none of a {SCHEMES[provider]}:// URL; there are {', '.join(there)}")
    if name in _FLAGS:
        if value.lower() not in _WORDS:
            raise _wrong(f"expected true or false as {name}")
        return known[0], _WORDS[value.lower()]
    if not value or not value.isprintable() or value != value.strip():
        raise _wrong(f"expected a value of {name}, without white space around it")
    if name in _URLS:
        _check_url(name, value)
    if name == "account" and not _ACCOUNT.fullmatch(value):
        raise _wrong("expected the name of a storage account as account: lower-case letters and digits")
    return known[0], value


def _check_url(name: str, value: str) -> None:
    try:
        check_endpoint(value)
    except ConfigurationError as error:
        raise _wrong(f"{name}: {error.why}") from error
    if name == "stsEndpoint" and not value.startswith("https://"):
        raise _wrong(f"{name}: expected a URL with https")


def _checked(what: str, name: str) -> str:
    try:
        check_bucket(name)
    except ConfigurationError as error:
        raise _wrong(f"{what}: {error.why}") from error
    return name


def _folder(path: str) -> str:
    try:
        check_folder(path)
    except ConfigurationError as error:
        raise _wrong(error.why) from error
    return path.rstrip("/") or "/"


def _checked_prefix(prefix: str) -> str:
    try:
        return checked_path_prefix(prefix)
    except ConfigurationError as error:
        raise _wrong(f"its path prefix: {error.why}") from error


def _unescaped(path: str) -> str:
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError as error:
        raise _wrong("what is behind a % in it is not UTF-8") from error


def _wrong(why: str) -> ConfigurationError:
    return ConfigurationError(DOING, why, hint=EXPECTED)
