"""The file that gets a run's result: a Job's termination message, or any other."""

from __future__ import annotations

import os
from pathlib import Path

from bao_backup.core.errors import InternalError
from bao_backup.core.model import Result
from bao_backup.core.result import encode_result


def leave_result(file: Path, result: Result) -> None:
    """Write the result; InternalError, which says what it was, when that cannot be."""
    try:
        write_result(file, result)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        hint = f"the run itself ended with {result.reason}: {result.message}"
        raise InternalError(f"write the result {file}", why, hint=hint) from error


def write_result(file: Path, result: Result) -> None:
    """Write the result whole or not at all; a device, as a Job's termination log, is written to."""
    body = encode_result(result)
    if file.exists() and not file.is_file():
        file.write_bytes(body)
        return
    if file.name == "termination-log":
        # Kubernetes mounts this very file: it can be written, not replaced.
        file.write_bytes(body)
        return
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as out:
            out.write(body)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
