"""Amazon S3 and what speaks its language: settings and credentials -> an open bucket."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit, urlunsplit

from obstore.store import S3Store

from bao_backup.adapters.stores.cloud import CloudStore, Place, Sweep
from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.uploads import Bucket, Keys, Uploads
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import StoreSettings

if TYPE_CHECKING:
    # Types that the library has for the checker alone.
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

DEFAULT_REGION = "us-east-1"
ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
#: A port on which nothing listens: the machine's own identity is never asked for behind our back.
NOBODY = "http://127.0.0.1:9"
#: Seconds for each request of a sweep: it is a courtesy, and must not hold up a backup for long.
SWEEP_TIMEOUT = 10.0
SECRETS = ("accessKeyId", "secretAccessKey", "sessionToken")


def open_s3(settings: StoreSettings, credentials: Mapping[str, str]) -> CloudStore:
    """Open a bucket; nothing is sent yet. `credentials` as `core.storage.find_credentials` gives them.

    Raises:
        ConfigurationError: settings or credentials cannot work.
    """
    location = f"s3://{settings.bucket}"
    _check(settings, f"open {location}")
    keys = _static_keys(settings, credentials, f"open {location}")
    config = _address(settings, credentials)
    if keys is None:
        config.update(_role(settings, f"open {location}"))
    if settings.sse:
        config["server_side_encryption"] = settings.sse
    if settings.kms_key_id:
        config["sse_kms_key_id"] = settings.kms_key_id
    retry: RetryConfig = {
        "max_retries": settings.max_retries,
        "retry_timeout": timedelta(seconds=settings.retry_timeout),
    }
    client = _client(settings, credentials)
    translator = Translator(location, tuple(credentials[name] for name in SECRETS if name in credentials))
    with translator.doing("open"):
        store = S3Store(
            settings.bucket,
            config=config,
            client_options=client,
            retry_config=retry,
            # Given this way, no variable of the environment gets mixed in, AWS_SESSION_TOKEN for one.
            credential_provider=(lambda: keys) if keys is not None else None,
        )
    return CloudStore(Place(store, location, translator, _sweep(settings, credentials, translator)), settings)


def _sweep(settings: StoreSettings, credentials: Mapping[str, str], translator: Translator) -> Sweep:
    key, secret = credentials.get("accessKeyId"), credentials.get("secretAccessKey")
    if not key or not secret:
        # What a role's killed uploads leave is for the bucket's own rule, AbortIncompleteMultipartUpload.
        return lambda _prefix: 0
    keys = Keys(key, secret, credentials.get("sessionToken"))
    region = _region(settings, credentials)
    endpoint = settings.endpoint or f"https://s3.{region}.amazonaws.com"
    url, in_host = bucket_url(endpoint, settings.bucket, path_style=settings.path_style)
    place = url if in_host else f"{url}/{settings.bucket}"
    authority = credentials.get("caCert")
    # Reading all CAs of the system takes 20 ms, so it is done only when there is a sweep.
    bucket = Bucket(place, region, lambda: _context(settings, authority), SWEEP_TIMEOUT)
    return Uploads(bucket, keys, translator, settings.dead_after).sweep


def _context(settings: StoreSettings, authority: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authority:
        context.load_verify_locations(cadata=authority)
    if settings.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _check(settings: StoreSettings, doing: str) -> None:
    if not settings.bucket:
        raise ConfigurationError(doing, "spec.backup.target.bucket is empty")
    if settings.sse and settings.sse not in ENCRYPTIONS:
        raise ConfigurationError(
            doing, f"sse is {settings.sse!r}", hint=f"use one of {', '.join(ENCRYPTIONS)}"
        )
    if settings.endpoint:
        split_endpoint(settings.endpoint)
    if settings.sts_endpoint and split_endpoint(settings.sts_endpoint).scheme != "https":
        raise ConfigurationError(doing, "the token service's URL must be https")


def split_endpoint(endpoint: str) -> SplitResult:
    """Take an endpoint apart. The library would panic at one that is no URL.

    Raises:
        ConfigurationError: it is no http or https URL, or holds more than host, port and path.
    """
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.password or parts.query or parts.fragment:
        # The value is not shown: a wrong one may hold a password.
        raise ConfigurationError(
            "read spec.backup.target.endpoint",
            "it is not a plain http or https URL",
            hint="write it as https://host:port",
        )
    return parts


def bucket_url(endpoint: str, bucket: str, *, path_style: bool) -> tuple[str, bool]:
    """The URL to give to the library, and whether the bucket is part of its host.

    An IP address, and a bucket whose name has dots (no certificate fits it), need the path style.
    """
    parts = split_endpoint(endpoint)
    host = parts.hostname or ""
    if path_style or "." in bucket or _is_address(host) or host == "localhost":
        return endpoint.rstrip("/"), False
    url = parts._replace(netloc=f"{bucket}.{parts.netloc}")
    return urlunsplit(url).rstrip("/"), True


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _address(settings: StoreSettings, credentials: Mapping[str, str]) -> S3Config:
    config: S3Config = {
        "region": _region(settings, credentials),
        # Not every store that speaks S3 can delete several at once, and only one at a time says why not.
        "disable_bulk_delete": True,
        "metadata_endpoint": NOBODY,
        "virtual_hosted_style_request": not settings.path_style and "." not in settings.bucket,
    }
    if settings.endpoint:
        config["endpoint"], config["virtual_hosted_style_request"] = bucket_url(
            settings.endpoint, settings.bucket, path_style=settings.path_style
        )
    return config


def _region(settings: StoreSettings, credentials: Mapping[str, str]) -> str:
    return settings.region or credentials.get("region") or DEFAULT_REGION


def _static_keys(settings: StoreSettings, credentials: Mapping[str, str], doing: str) -> S3Credential | None:
    key, secret = credentials.get("accessKeyId"), credentials.get("secretAccessKey")
    if bool(key) != bool(secret):
        raise ConfigurationError(doing, "of accessKeyId and secretAccessKey only one is given")
    if settings.role_arn and (key or os.environ.get("AWS_ACCESS_KEY_ID")):
        raise ConfigurationError(
            doing,
            "both static keys and a role are given, and the keys would silently win",
            hint="keep one of them: credentialsSecretRef (or AWS_ACCESS_KEY_ID) or roleArn",
        )
    if not key or not secret:
        return None
    return {
        "access_key_id": key,
        "secret_access_key": secret,
        "token": credentials.get("sessionToken"),
        "expires_at": None,
    }


def _role(settings: StoreSettings, doing: str) -> S3Config:
    """Web identity, from the settings or from the variables that EKS sets in a pod."""
    role = settings.role_arn or os.environ.get("AWS_ROLE_ARN", "")
    token_file = settings.role_token_file or os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE", "")
    if not role or not token_file:
        raise ConfigurationError(
            doing,
            "the role has no token file" if role else "no credentials were found",
            hint="give accessKeyId and secretAccessKey (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY),"
            " or a role with its token file",
        )
    config: S3Config = {
        "role_arn": role,
        "web_identity_token_file": token_file,
        "role_session_name": "bao-backup",
    }
    if settings.sts_endpoint:
        # The library's types name another key, which it does not know.
        config["endpoint_url_sts"] = settings.sts_endpoint  # type: ignore[typeddict-unknown-key]
    return config


def _client(settings: StoreSettings, credentials: Mapping[str, str]) -> ClientConfig:
    client: ClientConfig = {
        "allow_http": settings.endpoint.startswith("http://"),
        "allow_invalid_certificates": settings.insecure_skip_verify,
        "connect_timeout": timedelta(seconds=settings.connect_timeout),
        "timeout": timedelta(seconds=settings.request_timeout),
    }
    authority = credentials.get("caCert")
    if authority:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=authority)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigurationError(
                "read caCert beside the storage credentials", "it holds no usable PEM certificate"
            ) from error
        client["root_certificate"] = authority
    return client
