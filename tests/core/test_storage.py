"""Settings, credentials and keys of stores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.storage import (
    CREDENTIAL_NAMES,
    MIN_PART_SIZE,
    StoreSettings,
    check_kept,
    check_key,
    check_prefix,
    find_credentials,
)


def test_both_spellings() -> None:
    """A Secret's keys and the environment's names give the same credentials."""
    secret = {"accessKeyId": "id", "secretAccessKey": "secret", "sessionToken": "token", "region": "eu-1"}
    environment = {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_REGION": "eu-1",
    }
    assert find_credentials(secret) == find_credentials(environment) == secret
    assert find_credentials(secret | environment) == secret


@pytest.mark.parametrize(("name", "spellings"), CREDENTIAL_NAMES.items())
def test_each_spelling(name: str, spellings: tuple[str, ...]) -> None:
    """Each spelling is found under the one name, without the white space that files end with."""
    for spelling in spellings:
        assert find_credentials({spelling: " value\n", "OTHER": "x", "HOME": "/"}) == {name: "value"}


def test_empty() -> None:
    """What is empty is not given, so another spelling counts."""
    assert find_credentials({}) == {}
    assert find_credentials({"accessKeyId": " \n", "AWS_ACCESS_KEY_ID": "id"}) == {"accessKeyId": "id"}


def test_contradiction() -> None:
    """Two values for one credential are refused, and neither is shown."""
    with pytest.raises(ConfigurationError) as raised:
        find_credentials({"secretAccessKey": "first-secret", "AWS_SECRET_ACCESS_KEY": "other-secret"})
    assert "AWS_SECRET_ACCESS_KEY" in raised.value.message
    assert "first-secret" not in raised.value.message
    assert "other-secret" not in raised.value.message


def test_default_region() -> None:
    """A default region gives way to a region."""
    given_ = {"AWS_REGION": "eu-1", "AWS_DEFAULT_REGION": "us-1"}
    assert find_credentials(given_) == {"region": "eu-1"}
    assert find_credentials({"AWS_DEFAULT_REGION": "us-1"}) == {"region": "us-1"}


@pytest.mark.parametrize(
    "wrong", [{"part_size": MIN_PART_SIZE - 1}, {"concurrency": 0}, {"concurrency": 65}], ids=str
)
def test_settings(wrong: dict[str, int]) -> None:
    """Parts that S3 would refuse, and too many at once, are refused before anything is sent."""
    with pytest.raises(ConfigurationError):
        StoreSettings(provider="s3", **wrong)  # type: ignore[arg-type]  # numbers for numbers


@given(st.text(max_size=40))
def test_keys_stay_inside(key: str) -> None:
    """A key that is taken has plain names between its slashes, and none that leads elsewhere."""
    try:
        check_key(key)
    except ConfigurationError:
        return
    assert all(name not in ("", ".", "..") for name in key.split("/"))
    assert not any(ord(c) < 32 for c in key)
    assert key.encode().decode() == key


@pytest.mark.parametrize(("key", "good"), [("n" * 255, True), ("n" * 256, False), ("ü" * 128, False)])
def test_long_names(key: str, good: bool) -> None:
    """Lengths count in bytes: 255 for a name, 1,024 in all."""
    if good:
        assert check_key(key) == key
    else:
        with pytest.raises(ConfigurationError):
            check_key(key)
    with pytest.raises(ConfigurationError):
        check_key("/".join(["n" * 204] * 5 + ["xx"]))


@pytest.mark.parametrize(
    ("key", "refuses", "good"),
    [
        ("a/b", "", True),
        ("a\\b", "", True),
        ("a/b", r"\\", True),
        ("a\\b", r"\\", False),
        ("/a", r"\\", False),
    ],
)
def test_keys_that_a_store_changes(key: str, refuses: str, good: bool) -> None:
    """What this store would change is refused, beside what none can hold."""
    if good:
        assert check_kept(key, refuses) == key
    else:
        with pytest.raises(ConfigurationError):
            check_kept(key, refuses)


@pytest.mark.parametrize(("prefix", "folder"), [("", ""), ("/", ""), ("a", "a"), ("/a/b/", "a/b")])
def test_prefixes(prefix: str, folder: str) -> None:
    """A prefix is a folder, however its ends are written."""
    assert check_prefix(prefix) == folder
