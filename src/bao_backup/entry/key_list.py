"""The storage keys of a snapshot, of which there may be many millions: kept on disk, not in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import Self

import msgspec

from bao_backup.core.errors import InternalError, one_line
from bao_backup.entry.output import write_out

#: So many are written at once.
BATCH = 1000


class KeyList:
    """Notes keys while a snapshot is read, and prints them when it is proven.

    Key names are sensitive: the file has no name in any folder, and is gone with the process.
    All methods raise InternalError where the disk does not let them.
    """

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `__exit__`
        except OSError as error:
            raise _failed(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self._file.raw.close()  # what is left in the buffer is needed no more, and may not fit on the disk

    def note(self, key: bytes, size: int) -> None:
        """A key, and the size of its value."""
        line = f"{size} {one_line(key.decode('utf-8', 'backslashreplace'))}\n"
        try:
            self._file.write(line.encode())
        except OSError as error:
            raise _failed(error) from error

    def print_table(self) -> None:
        """A line each: size and key."""
        for batch in self._batches():
            write_out("\n".join(f"{size:>10}  {key}" for size, key in batch))

    def print_json(self, before: object) -> None:
        """One JSON document: the fields of `before`, and `keys`."""
        fields = msgspec.json.format(msgspec.json.encode(before), indent=2).decode()
        write_out(f'{fields.removesuffix("}").rstrip()},\n  "keys": [')
        pending = ""
        for batch in self._batches():
            if pending:
                write_out(f"{pending},")
            rows = (msgspec.json.encode({"key": key, "size": size}).decode() for size, key in batch)
            pending = ",\n".join(f"    {row}" for row in rows)
        if pending:
            write_out(pending)
        write_out("  ]\n}")

    def _batches(self) -> Iterator[list[tuple[int, str]]]:
        try:
            self._file.seek(0)
        except OSError as error:
            raise _failed(error) from error
        while lines := list(islice(self._file, BATCH)):
            parts = (line.decode().removesuffix("\n").split(" ", 1) for line in lines)
            yield [(int(size), key) for size, key in parts]


def _failed(error: OSError) -> InternalError:
    why = (error.strerror or "failed").lower()
    hint = "give it a folder with room in the variable TMPDIR, or leave out --keys"
    return InternalError("keep the snapshot's keys in a temporary file", why, hint=hint)
