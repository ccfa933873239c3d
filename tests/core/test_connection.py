"""Addresses and mounts, as they are configured."""

from __future__ import annotations

import msgspec
import pytest

from bao_backup.core.connection import AuthMethod, BaoAuth, BaoSettings, parse_address


@pytest.mark.parametrize(
    ("address", "host", "port", "tls"),
    [
        ("https://bao-0.example:8200", "bao-0.example", 8200, True),
        ("https://bao.example", "bao.example", 443, True),
        ("http://bao.example/", "bao.example", 80, False),
        ("https://10.0.0.1:8200", "10.0.0.1", 8200, True),
        ("https://[fd00::1]:8200", "fd00::1", 8200, True),
    ],
)
def test_addresses(address: str, host: str, port: int, tls: bool) -> None:
    """Names, IPv4 and IPv6, with and without a port, keep the spelling that they came with."""
    endpoint = parse_address(address)
    assert (endpoint.address, endpoint.host, endpoint.port, endpoint.tls) == (address, host, port, tls)


@pytest.mark.parametrize(
    ("method", "mount", "path"),
    [
        (AuthMethod.JWT, "", "jwt-operator"),
        (AuthMethod.KUBERNETES, "", "kubernetes"),
        (AuthMethod.APPROLE, "", "approle"),
        (AuthMethod.USERPASS, "", "userpass"),
        (AuthMethod.TOKEN, "", ""),
        (AuthMethod.JWT, "/k8s/prod/", "k8s/prod"),
    ],
)
def test_mounts(method: AuthMethod, mount: str, path: str) -> None:
    """Each method has a default mount, which a configured one replaces."""
    assert BaoAuth(method=method, mount=mount).mount_path == path


def test_settings_travel_as_json() -> None:
    """Settings come back from JSON as they were."""
    auth = BaoAuth(method=AuthMethod.APPROLE, secret_folder="credentials")
    settings = BaoSettings(addresses=("https://bao:8200",), auth=auth, stall_seconds=1.5)
    assert msgspec.json.decode(msgspec.json.encode(settings), type=BaoSettings) == settings
