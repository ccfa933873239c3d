"""Sorts storage keys into areas: a small fixed vocabulary, and mounts by their UUID.

A key may hold what is secret (a path of a user, a token's hash), so no other part of it ever
becomes an area's name. The prefixes are those of OpenBao 2.4 and Vault 1.21 (`vault/` in their
sources: barrier views of the core, the expiration manager, token store, policy store, quotas,
mounts and namespaces).
"""

from __future__ import annotations

import re

from bao_backup.core.model import Area

OTHER = "other"
#: Beyond so many areas the rest goes to "other", so that a million mounts cost no memory.
AREA_LIMIT = 1000

#: Nothing of the vocabulary begins with one of these, so a whole run of keys shares its area.
LEAVES = re.compile(
    rb"(?:(?:logical|auth|audit|namespaces)/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    rb"|sys/(?:expire/id|token/id|token/accessor|token/parent|policy|policy-egp|policy-rgp"
    rb"|quotas|counters|config))/"
)
#: What the rest of these is counted under, the longest first.
REST = (b"sys/expire/", b"sys/token/", b"sys/", b"core/")


class Areas:
    """Counts of entries and bytes by area."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def find(self, key: bytes) -> tuple[list[int], bytes]:
        """The area of `key`.

        Returns:
            its counts [entries, bytes], to add to; and a prefix: every key that begins with it is
            of the same area (empty when only this key is known to be).
        """
        if match := LEAVES.match(key):
            prefix = match.group()
            return self._count(prefix), prefix
        rest = next((prefix for prefix in REST if key.startswith(prefix)), b"")
        return self._count(rest), b""

    def _count(self, prefix: bytes) -> list[int]:
        name = prefix[:-1].decode("ascii") or OTHER
        if name not in self._counts and len(self._counts) >= AREA_LIMIT:
            name = OTHER
        return self._counts.setdefault(name, [0, 0])

    def listed(self) -> tuple[Area, ...]:
        """All areas by name, "other" among them when something is in it."""
        return tuple(
            Area(name=name, entries=entries, size=size)
            for name, (entries, size) in sorted(self._counts.items())
        )
