"""One rule between the fields of an object, as the CRDs' schemas say it in CEL."""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """A rule of an object. `rule` is CEL, `self` the object."""

    #: The field that is told as wrong; "" for the object itself.
    field: str
    rule: str
    expected: str

    def cel(self) -> dict[str, str]:
        """The rule as the schema has it."""
        place = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.rule, "message": self.expected} | place


def has(field: str) -> str:
    """The text is there and not empty."""
    return f"(has(self.{field}) && self.{field} != '')"
