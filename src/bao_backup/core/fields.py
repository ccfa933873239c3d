"""What single texts in a document must look like. Each check raises ConfigurationError."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit

from bao_backup.core.duration import parse_go_duration
from bao_backup.core.errors import ConfigurationError
from bao_backup.core.naming import is_object_name
from bao_backup.core.schedule import Schedule

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SECRET_KEY = re.compile(r"[A-Za-z0-9._-]+")
_MOUNT = re.compile(r"[^/\s]+(?:/[^/\s]+)*/?")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]+\]")


def check_object_name(text: str) -> None:
    """See that it is a name that Kubernetes gives objects."""
    _require(is_object_name(text), text, "expected a Kubernetes name: lower-case letters, digits, - and .")


def check_bucket(text: str) -> None:
    """See that it is a bucket's or container's name, and no path."""
    _require(
        _BUCKET.fullmatch(text) is not None, text, "expected a bucket's name: letters, digits, ., _ and -"
    )


def check_secret_key(text: str) -> None:
    """See that it is a key of a Secret, which is a file's name where Secrets are folders."""
    right = _SECRET_KEY.fullmatch(text) is not None and text not in {".", ".."}
    _require(right, text, "expected a key of a Secret: letters, digits, ., _ and -")


def check_mount(text: str) -> None:
    """See that it is the path of an auth mount, as `vault auth list` shows it."""
    expected = 'expected a mount such as "jwt" or "team/jwt", without "auth/" before it'
    _require(_MOUNT.fullmatch(text) is not None and not text.startswith("auth/"), text, expected)


def check_folder(text: str) -> None:
    """See that it is an absolute path, without steps back."""
    right = text.startswith("/") and ".." not in text.split("/")
    _require(right, text, 'expected an absolute path, without ".."')


def check_endpoint(text: str) -> None:
    """See that it is the URL of a store: some stores' libraries crash on anything else."""
    expected = 'expected a URL like "https://s3.example.com", without user name, query or fragment'
    try:
        parts = urlsplit(text)
        usable = parts.port != 0
    except ValueError as error:
        raise ConfigurationError("read a URL", expected) from error
    host = parts.netloc.rsplit(":", 1)[0] if parts.port is not None else parts.netloc
    right = parts.scheme in {"http", "https"} and _HOST.fullmatch(host) is not None and " " not in text
    # What may hold a password is not repeated.
    if not (right and usable) or parts.query or parts.fragment:
        raise ConfigurationError("read a URL", expected)


def check_proxy(text: str) -> None:
    """See that it is the URL of an HTTP proxy; one that asks for a password is not spoken to."""
    expected = 'expected a URL like "http://proxy.example.com:3128", without user name or path'
    try:
        check_endpoint(text)
        parts = urlsplit(text)
        right = parts.scheme == "http" and parts.path in {"", "/"}
    except ConfigurationError:
        right = False
    if not right:
        raise ConfigurationError("read a URL", expected)


def check_host(text: str) -> None:
    """See that it is a name or address, as a certificate holds it."""
    _require(_HOST.fullmatch(text) is not None, text, 'expected a host\'s name, as "bao.example.com"')


def check_age(text: str) -> None:
    """See that it is a Go duration of more than nothing."""
    _require(parse_go_duration(text) > timedelta(), text, "expected a duration of more than 0")


def check_schedule(text: str) -> None:
    """See that the expression can be read, and that it ever comes."""
    Schedule.parse(text)


def _require(right: bool, text: str, expected: str) -> None:
    if not right:
        raise ConfigurationError(f"read {text[:100]!r}", expected)
