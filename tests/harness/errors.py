"""What goes wrong in the harness itself, never in what it tests."""

from __future__ import annotations


class HarnessError(RuntimeError):
    """A server could not be built, started, reached or asked."""
