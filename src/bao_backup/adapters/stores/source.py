"""The chunks on their way into a store: how many bytes they were, and what they raised themselves."""

from __future__ import annotations

from collections.abc import Iterator

from bao_backup.core.errors import StorageError


class Source:
    """Hands on the chunks of an iterator, remembering what it raised: that is not the store's fault."""

    def __init__(self, chunks: Iterator[bytes], most: int) -> None:
        """`most` is how many bytes fit into one object."""
        self._chunks = chunks
        self._most = most
        self.size = 0
        self.raised: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
            self.size += len(chunk)
            if self.size > self._most:
                raise StorageError(
                    "upload the snapshot",
                    f"it is larger than {self._most} bytes, which is 10,000 parts",
                    hint="raise spec.backup.target.partSize",
                )
        except StopIteration:
            raise
        except BaseException as error:
            self.raised = error
            raise
        return chunk


def close(chunks: Iterator[bytes]) -> None:
    """Let an iterator that will not be asked again clean up behind itself, if it can."""
    ending = getattr(chunks, "close", None)
    if ending is not None:
        ending()
