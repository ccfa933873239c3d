"""JSON web tokens signed with a service account's key (RFC 7519, RS256 of RFC 7518).

Python's standard library has no RSA, and a library for it would be the largest dependency of a run,
for this one signature an hour. So it is computed here: PKCS #1 v1.5 with SHA-256 (RFC 8017, section
8.2.1), by a key in the form PKCS #8 (RFC 5208), as Google gives them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

#: What stands before the digest: that it is one of SHA-256 (RFC 8017, section 9.2, note 1).
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
_PEM = re.compile(r"-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----")
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30
#: Bits: nobody gives shorter ones, and a longer number is none.
_SHORTEST, _LONGEST = 2048, 8192


class PrivateKey(NamedTuple):
    """An RSA key: modulus and private exponent."""

    modulus: int
    exponent: int


def read_key(pem: str) -> PrivateKey:
    """The key in this PEM. Raises ValueError: there is none, or it is no RSA key."""
    match = _PEM.search(pem)
    if match is None:
        raise ValueError("no private key in PEM")
    try:
        outer = _items(base64.b64decode(match.group(1)))
        [(_, body), *_] = _items(_of(_SEQUENCE, outer[0]))[2:]
        numbers = _items(_of(_SEQUENCE, _items(body)[0]))
        modulus, exponent = (int.from_bytes(_of(_INTEGER, numbers[place])) for place in (1, 3))
    except (IndexError, binascii.Error) as error:
        raise ValueError("the private key is cut short") from error
    if not _SHORTEST <= modulus.bit_length() <= _LONGEST or not 1 < exponent < modulus:
        raise ValueError("the private key is no RSA key of a usual size")
    return PrivateKey(modulus, exponent)


def signed_token(key: PrivateKey, key_id: str, claims: Mapping[str, Any]) -> str:
    """A token that says this."""
    head = {"alg": "RS256", "typ": "JWT", "kid": key_id}
    text = f"{_segment(msgspec.json.encode(head))}.{_segment(msgspec.json.encode(claims))}"
    return f"{text}.{_segment(_signature(key, text.encode()))}"


def _signature(key: PrivateKey, text: bytes) -> bytes:
    length = (key.modulus.bit_length() + 7) // 8
    digest = _SHA256 + hashlib.sha256(text).digest()
    padded = b"\x00\x01" + b"\xff" * (length - len(digest) - 3) + b"\x00" + digest
    return pow(int.from_bytes(padded), key.exponent, key.modulus).to_bytes(length)


def _segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _of(kind: int, item: tuple[int, bytes]) -> bytes:
    if item[0] != kind:
        raise ValueError("the private key has another form")
    return item[1]


def _items(raw: bytes) -> list[tuple[int, bytes]]:
    """The items of a DER encoding, one level deep (ITU-T X.690): their kinds and contents."""
    found = []
    place = 0
    while place < len(raw):
        kind, length, place = raw[place], raw[place + 1], place + 2
        if length > 127:
            many = length & 127
            length, place = int.from_bytes(raw[place : place + many]), place + many
        if place + length > len(raw):
            raise ValueError("the private key is cut short")
        found.append((kind, raw[place : place + length]))
        place += length
    return found
