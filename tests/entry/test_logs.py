"""The manager's log: what libraries say becomes its lines, without their tracebacks, and not each second."""

from __future__ import annotations

import io
import json
import logging

from bao_backup.entry.logs import Log


def test_an_error_of_a_library_is_a_line() -> None:
    """With its words; what it adds as a traceback may hold anything, and is left out."""
    stream = io.StringIO()
    Log("json", stream=stream).take_in("library-a")
    try:
        raise ValueError("a secret")
    except ValueError:
        logging.getLogger("library-a").exception("it went %s", "wrong")
    logging.getLogger("library-a").warning("not an error")
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["reason"], told["message"], told["level"]) == ("LibraryError", "it went wrong", "warning")
    assert "a secret" not in line


def test_the_same_is_told_once_a_minute() -> None:
    """A watch that is refused is tried every few seconds, and each try is an error of its own."""
    stream = io.StringIO()
    Log("text", stream=stream).take_in("library-b")
    for attempt in range(20):
        logging.getLogger("library-b").error("attempt %d failed", attempt)
    logging.getLogger("library-b").error("another")
    assert [line.split(": ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "attempt 0 failed",
        "another",
    ]
