"""How stores are connected to: the URL that is given, whom to trust, and how patient to be."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import StoreSettings

if TYPE_CHECKING:
    # Types that the library has for the checker alone.
    from obstore.store import ClientConfig, RetryConfig

ENDPOINT = "spec.backup.target.endpoint"
#: A port on which nothing listens: the machine's own identity is never asked for behind our back.
NOBODY = "http://127.0.0.1:9"
#: Another such port: where redirects end that name another host.
NOWHERE = "http://127.0.0.1:1"


def split_endpoint(endpoint: str, name: str = ENDPOINT) -> SplitResult:
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
            f"read {name}", "it is not a plain http or https URL", hint="write it as https://host:port"
        )
    return parts


def refuse_variables(names: tuple[str, ...], environment: Mapping[str, str], doing: str) -> None:
    """Variables that the library reads beside what it is given, and that would change what is done.

    Raises ConfigurationError: one of them is set.
    """
    for name in names:
        if environment.get(name):
            raise ConfigurationError(
                doing, f"{name} is set, and would interfere", hint="unset it: nothing here reads it"
            )


def client_options(settings: StoreSettings, endpoint: str, authorities: str) -> ClientConfig:
    """How the library's client connects to this endpoint; `authorities` are CAs as PEM, or none."""
    client: ClientConfig = {
        "allow_http": endpoint.startswith("http://"),
        "allow_invalid_certificates": settings.insecure_skip_verify,
        "connect_timeout": timedelta(seconds=settings.connect_timeout),
        "timeout": timedelta(seconds=settings.request_timeout),
    }
    if authorities:
        client["root_certificate"] = authorities
    if settings.proxy:
        client["proxy_url"] = settings.proxy
        # As for our own requests; without a proxy of its own the library reads it by itself.
        excluded = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        if excluded:
            client["proxy_excludes"] = excluded
    elif host := _the_only_host(endpoint):
        client["proxy_url"], client["proxy_excludes"] = NOWHERE, host
    return client


def _the_only_host(endpoint: str) -> str:
    """The host of it; empty where the proxies of environment or machine say how others are reached.

    The library follows redirects, and cannot be told not to: it would send session tokens, and in the header
    `referer` signatures of URLs, to whatever host the answer names. So whoever is not the store (or
    below it: buckets are) is looked for behind a proxy that is not there.
    """
    if getproxies().keys() & {"http", "https", "all"}:
        return ""
    host = urlsplit(endpoint).hostname or ""
    return "" if host.endswith(".") else host  # the library does not exclude such a name


def retry_options(settings: StoreSettings) -> RetryConfig:
    """How often the library asks again."""
    return {
        "max_retries": settings.max_retries,
        "retry_timeout": timedelta(seconds=settings.retry_timeout),
    }


def checked_authorities(authorities: str, doing: str) -> str:
    """Give the CAs back if they are such. The library would take them for nothing, or fail later.

    Raises ConfigurationError: they are no PEM certificates.
    """
    if authorities:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=authorities)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigurationError(doing, "it holds no usable PEM certificate") from error
    return authorities


def trusting(authorities: str, *, unverified: bool) -> ssl.SSLContext:
    """Trusts the system's CAs, or those of SSL_CERT_FILE, and these; reading them takes 20 ms."""
    context = ssl.create_default_context()
    if authorities:
        context.load_verify_locations(cadata=authorities)
    if unverified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
