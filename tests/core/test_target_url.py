"""A target as one URL: what it means, what is refused, and that no secret comes back out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bao_backup.core.errors import ConfigurationError
from bao_backup.core.naming import checked_path_prefix
from bao_backup.core.storage import StoreSettings
from bao_backup.core.target_url import TargetUrl, format_target_url, parse_target_url


def s3(**fields: object) -> StoreSettings:
    """A bucket called b."""
    return StoreSettings(provider="s3", bucket="b", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "store", "prefix"),
    [
        ("s3://b", s3(), ""),
        ("s3://b/", s3(), ""),
        ("S3://b/team-a/backups/", s3(), "team-a/backups"),
        ("s3://b/a%20b/%C3%BC%23%3F", s3(), "a b/ü#?"),
        ("s3://b/p?region=eu-central-1&pathStyle=true", s3(region="eu-central-1", path_style=True), "p"),
        ("s3://b?endpoint=https://s3.example:9000", s3(endpoint="https://s3.example:9000"), ""),
        ("s3://b?endpoint=http%3A%2F%2F127.0.0.1%3A9", s3(endpoint="http://127.0.0.1:9"), ""),
        ("s3://b?roleArn=arn:aws:iam::1:role/r+x", s3(role_arn="arn:aws:iam::1:role/r+x"), ""),
        ("s3://b?stsEndpoint=https://sts.example", s3(sts_endpoint="https://sts.example"), ""),
        ("s3://b?insecureSkipVerify=1&pathStyle=FALSE", s3(insecure_skip_verify=True), ""),
        ("gs://My_Bucket/x", StoreSettings(provider="gcs", bucket="My_Bucket"), "x"),
        ("azure://c/x?account=acc1", StoreSettings(provider="azure", bucket="c", account="acc1"), "x"),
        ("azure://c", StoreSettings(provider="azure", bucket="c"), ""),
        ("file:///srv/backups/", StoreSettings(provider="file", path="/srv/backups"), ""),
        ("file:///srv/a%20b?pathPrefix=/x/y/", StoreSettings(provider="file", path="/srv/a b"), "x/y"),
    ],
)
def test_what_a_url_means(text: str, store: StoreSettings, prefix: str) -> None:
    """The store, and the folders before the namespace."""
    assert parse_target_url(text) == TargetUrl(store=store, path_prefix=prefix)


SECRET = "s3cr3tV4lue"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins with none of s3://"),
        (SECRET, "begins with none of"),
        (f"https://{SECRET}.example/b", "begins with none of"),
        (f"s3:{SECRET}", "begins with none of"),
        (f"s3:/{SECRET}", "begins with none of"),
        ("s3://", "bucket: expected a bucket's name"),
        ("s3://b:9000/x", "bucket: expected a bucket's name"),
        (f"s3://user:{SECRET}@b/x", "a user name or a password"),
        (f"azure://{SECRET}@b", "a user name or a password"),
        (f"s3://b/x#{SECRET}", "behind a #"),
        (f"s3://b?{SECRET}", "not NAME=VALUE"),
        (f"s3://b?secretAccessKey={SECRET}", "the option secretAccessKey is none"),
        (f"azure://c?sv=2024-01-01&sig={SECRET}", "the option sv is none"),
        (f"s3://b?{SECRET}=", "an option is none"),
        (f"s3://b?endpoint=https://user:{SECRET}@s3.example", "endpoint: expected a URL"),
        ("s3://b?endpoint=s3.example", "endpoint: expected a URL"),
        ("s3://b?stsEndpoint=http://sts.example", "stsEndpoint: expected a URL with https"),
        (f"s3://b?pathStyle={SECRET}", "expected true or false as pathStyle"),
        ("s3://b?region=", "expected a value of region"),
        ("s3://b?region=a&region=a", "the option region twice"),
        ("gs://b?region=x", "the option region is none of a gs:// URL"),
        ("azure://c?account=A/b", "storage account"),
        ("file://host/srv", "three slashes"),
        ("file:///srv/../etc", 'without ".."'),
        ("file://", "expected an absolute path"),
        (
            "file:///srv?endpoint=http://x",
            "none of a file:// URL; there are pathPrefix",
        ),
        ("s3://b/a//b", "its path prefix"),
        ("s3://b/../x", "its path prefix"),
        ("s3://b/%00", "its path prefix"),
        ("s3://b/%FF", "not UTF-8"),
        ("s3://b/x\n", "a control character"),
        ("s3://[b/x", "not a URL"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    """It says what is expected, and nothing of what may be secret comes back."""
    with pytest.raises(ConfigurationError) as raised:
        parse_target_url(text)
    assert why in raised.value.message
    assert SECRET not in raised.value.message


def _is_prefix(text: str) -> bool:
    try:
        return checked_path_prefix(text) == text
    except ConfigurationError:
        return False


PREFIXES = st.one_of(st.just(""), st.text(max_size=40).filter(_is_prefix), st.just("a b/ü/%41/?x=1&y#z/+"))
BUCKETS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
ENDPOINTS = st.sampled_from(["", "https://s3.example.com", "http://127.0.0.1:9000", "https://[::1]:9000/x"])
VALUES = st.text(st.characters(exclude_categories=("C", "Z")), max_size=20)
CLOUDS = st.one_of(
    st.builds(
        StoreSettings,
        provider=st.just("s3"),
        bucket=BUCKETS,
        endpoint=ENDPOINTS,
        region=VALUES,
        role_arn=VALUES,
        sts_endpoint=st.sampled_from(["", "https://sts.example.com"]),
        path_style=st.booleans(),
        insecure_skip_verify=st.booleans(),
    ),
    st.builds(StoreSettings, provider=st.just("gcs"), bucket=BUCKETS, endpoint=ENDPOINTS),
    st.builds(
        StoreSettings,
        provider=st.just("azure"),
        bucket=BUCKETS,
        endpoint=ENDPOINTS,
        account=st.from_regex(r"[a-z0-9]{0,20}", fullmatch=True),
    ),
    st.builds(StoreSettings, provider=st.just("file"), path=PREFIXES.map(lambda path: f"/{path}")),
)


@given(CLOUDS, PREFIXES)
def test_what_is_printed_is_read_back(store: StoreSettings, prefix: str) -> None:
    """Whatever the names hold."""
    target = TargetUrl(store=store, path_prefix=prefix)
    assert parse_target_url(format_target_url(target)) == target


@given(st.text(max_size=60), st.sampled_from(["", "s3://", "gs://b/", "azure://c?", "file:///"]))
def test_any_text_is_read_or_refused(text: str, start: str) -> None:
    """Never anything else than one of our errors; what is read is printed and read back as the same."""
    try:
        target = parse_target_url(start + text)
    except ConfigurationError:
        return
    assert parse_target_url(format_target_url(target)) == target
