"""What a real OpenBao 2.4.4 answered, by name: `tests/data/openbao-2.4.4/answers.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANSWERS = Path(__file__).parents[1] / "data" / "openbao-2.4.4" / "answers.json"


@dataclass(frozen=True)
class Recorded:
    """A request and the answer to it."""

    name: str
    method: str
    path: str
    body: Any
    with_token: bool
    status: int
    headers: dict[str, str]
    answer: Any


def recorded() -> list[Recorded]:
    """All of them, in the order in which they were asked."""
    return [
        Recorded(
            name=name,
            method=each["request"]["method"],
            path=each["request"]["path"],
            body=each["request"]["body"],
            with_token=each["request"]["token"],
            status=each["status"],
            headers=each.get("headers", {}),
            answer=each["body"],
        )
        for name, each in json.loads(ANSWERS.read_text(encoding="utf-8")).items()
    ]
