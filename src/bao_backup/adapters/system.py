"""The machine's clock, files with credentials, and memory settings."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bao_backup.core.errors import ConfigurationError

#: A credential is small; a service account's key has a few kilobytes.
LARGEST_SECRET = 1024 * 1024
#: mallopt's parameters (malloc.h of glibc).
M_MMAP_THRESHOLD = -3
M_TRIM_THRESHOLD = -1


class SystemClock:
    """The port `Clock`, from the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def read_secret_folder(folder: str) -> Mapping[str, str]:
    """The values of a mounted Secret: a file each. Hidden files (Kubernetes' own links) are left out.

    Raises ConfigurationError that names the folder or file, never a value.
    """
    path = Path(folder)
    doing = f"read the credentials in {folder}"
    values: dict[str, str] = {}
    try:
        for file in sorted(path.iterdir()):
            if file.name.startswith(".") or not file.is_file():
                continue
            if file.stat().st_size > LARGEST_SECRET:
                raise ConfigurationError(doing, f"{file.name} is too large to be one")
            values[file.name] = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            doing,
            (error.strerror or "unreadable").lower(),
            hint="create it with a file for each key, as accessKeyId and secretAccessKey",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(doing, "a file in it is not text") from error
    return values


def keep_freed_memory(size: int) -> None:
    """Let malloc keep blocks of up to `size` bytes instead of giving each back to the kernel.

    A stream allocates and frees a chunk thousands of times; without this glibc maps and unmaps
    each one. Where the C library has no `mallopt`, nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, size)
        mallopt(M_TRIM_THRESHOLD, 4 * size)
