"""Where S3 and the services that give keys for it are: URLs, taken apart and put together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from bao_backup.adapters.stores.connecting import ENDPOINT, split_endpoint
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import StoreSettings

STS_ENDPOINT = "spec.backup.target.s3.stsEndpoint"
#: Where Amazon ECS gives a task its keys (Amazon ECS Developer Guide, "Task IAM role").
TASK_SERVICE = "http://169.254.170.2"
#: Addresses that plain HTTP may be used with beside loopback: those of ECS and of EKS Pod Identity
#: (AWS SDKs and Tools Reference Guide, "Container credential provider").
OF_CONTAINERS = ("169.254.170.2", "169.254.170.23", "fd00:ec2::23")
#: Where EC2 gives an instance its keys (Amazon EC2 User Guide, "Instance metadata").
INSTANCE_SERVICE = "http://169.254.169.254"
INSTANCE_SERVICE_IPV6 = "http://[fd00:ec2::254]"

_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")


class TokenService(NamedTuple):
    """Where tokens are exchanged for keys (STS), and whether that is the store itself."""

    url: str
    is_store: bool


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


def token_service(settings: StoreSettings, region: str, environment: Mapping[str, str]) -> TokenService:
    """Where web identity tokens are exchanged: configured, or the store's own, or Amazon's of the region.

    Stores that speak S3 and know web identity (MinIO, Ceph) answer for it at their own address.

    Raises ConfigurationError: it is no https URL. Its answer holds keys that any listener could use.
    """
    configured = {
        "AWS_ENDPOINT_URL_STS": environment.get("AWS_ENDPOINT_URL_STS", "").strip(),
        STS_ENDPOINT: settings.sts_endpoint,
        ENDPOINT: "" if _is_amazon(settings.endpoint) else settings.endpoint,
    }
    for name, url in configured.items():
        if not url:
            continue
        if split_endpoint(url, name).scheme != "https":
            raise ConfigurationError(
                f"take on a role with the token service of {name}",
                "the token service's URL must be https",
                hint="keys would travel in clear text; give the store TLS, or an https URL as"
                f" {STS_ENDPOINT}",
            )
        return TokenService(f"{url.rstrip('/')}/", name == ENDPOINT)
    return TokenService(f"https://sts.{region}.{amazon_domain(region)}/", False)


def amazon_domain(region: str) -> str:
    """The domain of Amazon's services in a region: China's have one of their own.

    Raises ConfigurationError: the region is no name. As a part of a host's it could name any other host.
    """
    if not _REGION.fullmatch(region):
        doing = "read the region of the bucket"
        raise ConfigurationError(doing, "it is no region's name", hint='write it as "eu-central-1"')
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def container_service(environment: Mapping[str, str]) -> str:
    """Where the container's keys are: on ECS or with EKS Pod Identity; empty when it is on neither.

    Raises ConfigurationError: a URL that would send the container's token to anybody.
    """
    relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "").strip()
    if relative:
        if not relative.startswith("/"):
            raise ConfigurationError(
                "read AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "it is not a path that begins with a slash"
            )
        return TASK_SERVICE + relative
    name = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
    url = environment.get(name, "").strip()
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    near = host == "localhost" or host in OF_CONTAINERS or _is_loopback(host)
    if not host or parts.username or not (parts.scheme == "https" or (parts.scheme == "http" and near)):
        raise ConfigurationError(
            f"read {name}", "it is neither https nor of this machine", hint="remove it, or use https"
        )
    return url


def instance_service(environment: Mapping[str, str]) -> str:
    """Where the instance's metadata is; empty when the environment forbids to ask.

    Raises ConfigurationError: the environment names it, and not by a URL.
    """
    if environment.get("AWS_EC2_METADATA_DISABLED", "").strip().lower() == "true":
        return ""
    name = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
    url = environment.get(name, "").strip()
    if url:
        split_endpoint(url, name)
        return url.rstrip("/")
    mode = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").strip().lower()
    return INSTANCE_SERVICE_IPV6 if mode == "ipv6" else INSTANCE_SERVICE


def _is_amazon(endpoint: str) -> bool:
    host = split_endpoint(endpoint).hostname or "" if endpoint else ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ip_address(host).is_loopback
