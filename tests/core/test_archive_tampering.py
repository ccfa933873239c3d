"""Every way in which an archive can be wrong is refused, and the refusal says exactly what is wrong."""

from __future__ import annotations

import gzip
import re

import pytest
from tests.core.archives import archive_of, parts, prove, refusal, sha256

from bao_backup.core.archive import ArchiveReader
from bao_backup.core.archive_writer import build_meta
from bao_backup.core.errors import ArchiveError, ArchiveTruncatedError

RIGHT = parts()
STATE = RIGHT["state.bin"]
STATE_HASH = sha256(STATE)
META_HASH = sha256(RIGHT["meta.json"])
OTHER_HASH = sha256(b"")
WHOLE = archive_of(RIGHT.items())


def only(*names: str) -> bytes:
    """An archive of these members, in this order."""
    return archive_of((name, RIGHT.get(name, b"?")) for name in names)


def changed(**bodies: bytes) -> bytes:
    """An archive whose meta, sums or sealed sums are these; the sums are right where not given."""
    return archive_of(parts(**bodies).items())


def sums(*lines: str, end: str = "\n") -> bytes:
    """`SHA256SUMS` of these lines."""
    return ("\n".join(lines) + end).encode()


META_LINE = f"{META_HASH}  meta.json"
STATE_LINE = f"{STATE_HASH}  state.bin"

WRONG: dict[str, tuple[bytes, str]] = {
    # the outer layer
    "nothing like gzip": (b'{"errors":[]}', "it is not gzip"),
    "only the first byte of gzip": (b"\x1fHTTP", "it is not gzip"),
    "another method than deflate": (b"\x1f\x8b\x07" + WHOLE[3:], r"its gzip stream is corrupt within .*"),
    "garbage after it": (WHOLE + b"x", "bytes follow the end of its gzip stream"),
    "zeros after it": (WHOLE + bytes(512), "bytes follow the end of its gzip stream"),
    "a second gzip member": (WHOLE + gzip.compress(b""), "bytes follow the end of its gzip stream"),
    "the same twice": (WHOLE * 2, "bytes follow the end of its gzip stream"),
    "a wrong CRC": (WHOLE[:-8] + bytes(4) + WHOLE[-4:], r"its gzip stream is corrupt within .*"),
    "a wrong length": (WHOLE[:-4] + bytes(4), r"its gzip stream is corrupt within .*"),
    "gzip of nothing": (
        gzip.compress(b""),
        "its gzip stream is whole, but the tar ends before the first member",
    ),
    # the members
    "no meta.json": (only("state.bin"), "it has state.bin where meta.json belongs"),
    "no state.bin": (only("meta.json", "SHA256SUMS"), "it has SHA256SUMS where state.bin belongs"),
    "no sums": (
        only("meta.json", "state.bin", "SHA256SUMS.sealed"),
        "it has SHA256SUMS.sealed where SHA256SUMS belongs",
    ),
    "no sealed sums": (only("meta.json", "state.bin", "SHA256SUMS"), "it has no SHA256SUMS.sealed"),
    "no members": (archive_of([]), "it has no meta.json"),
    "meta.json twice": (only("meta.json", "meta.json"), "it has meta.json twice"),
    "state.bin twice": (only("meta.json", "state.bin", "state.bin"), "it has state.bin twice"),
    "sealed sums twice": (only(*RIGHT, "SHA256SUMS.sealed"), "it has SHA256SUMS.sealed twice"),
    "another order": (
        only("meta.json", "SHA256SUMS", "state.bin", "SHA256SUMS.sealed"),
        "it has SHA256SUMS where state.bin belongs",
    ),
    "a member more": (only(*RIGHT, "notes"), "it has a member that is no part of a snapshot: 'notes'"),
    "a member before": (only("notes", *RIGHT), "it has a member that is no part of a snapshot: 'notes'"),
    "a member in a folder": (
        only("./meta.json"),
        "it has a member that is no part of a snapshot: './meta.json'",
    ),
    # what they say
    "a wrong digest of meta.json": (
        changed(sums=sums(f"{OTHER_HASH}  meta.json", STATE_LINE)),
        "SHA-256 of meta.json differs from SHA256SUMS",
    ),
    "a wrong digest of state.bin": (
        changed(sums=sums(META_LINE, f"{OTHER_HASH}  state.bin")),
        "SHA-256 of state.bin differs from SHA256SUMS",
    ),
    "digests changed over": (
        changed(sums=sums(f"{STATE_HASH}  meta.json", f"{META_HASH}  state.bin")),
        "SHA-256 of meta.json differs from SHA256SUMS",
    ),
    "no line for state.bin": (changed(sums=sums(META_LINE)), "SHA256SUMS has no line for state.bin"),
    "no line for meta.json": (changed(sums=sums(STATE_LINE)), "SHA256SUMS has no line for meta.json"),
    "a line twice": (
        changed(sums=sums(META_LINE, STATE_LINE, STATE_LINE)),
        "SHA256SUMS lists state.bin twice",
    ),
    "a line more": (
        changed(sums=sums(META_LINE, STATE_LINE, f"{OTHER_HASH}  notes")),
        "SHA256SUMS lists 'notes'",
    ),
    "an empty line": (
        changed(sums=sums(META_LINE, "", STATE_LINE)),
        "SHA256SUMS has a line that is no digest and name",
    ),
    "a digest in capitals": (
        changed(sums=sums(META_LINE.upper(), STATE_LINE)),
        "SHA256SUMS has a line that is no digest and name",
    ),
    "a short digest": (changed(sums=sums(META_LINE[1:])), "SHA256SUMS has a line that is no digest and name"),
    "no last line end": (
        changed(sums=sums(META_LINE, STATE_LINE, end="")),
        "SHA256SUMS does not end with a line end",
    ),
    "no sums in SHA256SUMS": (changed(sums=b""), "SHA256SUMS has 0 bytes, not 1 to 65,536"),
    "too many sums": (changed(sums=b"\n" * 65_537), "SHA256SUMS has 65,537 bytes, not 1 to 65,536"),
    "empty sealed sums": (changed(sealed=b""), "SHA256SUMS.sealed has 0 bytes, not 1 to 65,536"),
    "endless sealed sums": (
        changed(sealed=bytes(65_537)),
        "SHA256SUMS.sealed has 65,537 bytes, not 1 to 65,536",
    ),
    "Size one too small": (
        changed(meta=build_meta(size=len(STATE) - 1, index=1, term=1)),
        f"meta.json says that state.bin has {len(STATE) - 1:,} bytes, the tar header {len(STATE):,}",
    ),
    "Size one too large": (
        changed(meta=build_meta(size=len(STATE) + 1, index=1, term=1)),
        f"meta.json says that state.bin has {len(STATE) + 1:,} bytes, the tar header {len(STATE):,}",
    ),
    "a meta.json that is no JSON": (changed(meta=b"Version: 1"), "meta.json does not decode: .*"),
    "a meta.json with a BOM": (
        changed(meta=b"\xef\xbb\xbf" + RIGHT["meta.json"]),
        "meta.json does not decode: .*",
    ),
    "a meta.json of other types": (
        changed(meta=RIGHT["meta.json"].replace(b'"Index":7', b'"Index":"7"')),
        r"meta.json does not decode: .* `\$\.Index`",
    ),
    "a meta.json with a negative size": (
        changed(meta=RIGHT["meta.json"].replace(b'"Size":', b'"Size":-')),
        r"meta.json does not decode: .* `\$\.Size`",
    ),
    "a meta.json with a number beyond 63 bits": (
        changed(meta=RIGHT["meta.json"].replace(b'"Index":7', b'"Index":9223372036854775808')),
        r"meta.json does not decode: .* `\$\.Index`",
    ),
    "a meta.json without a size": (changed(meta=b'{"Version":1,"ID":"a","Index":1,"Term":1}'), ".*`Size`"),
    "a meta.json nested without end": (
        changed(meta=b'{"New":' + b"[" * 100_000),
        "meta.json does not decode: .*",
    ),
    "a meta.json that is no UTF-8": (changed(meta=b'{"ID":"\xff"}'), "meta.json does not decode: .*"),
    "a meta.json with more after it": (
        changed(meta=RIGHT["meta.json"] + b"{}"),
        "meta.json does not decode: .*",
    ),
    "an empty meta.json": (changed(meta=b""), "meta.json has 0 bytes, not 1 to 1,048,576"),
    "a meta.json that is too large": (
        changed(meta=RIGHT["meta.json"].ljust(1_048_577)),
        "meta.json has 1,048,577 bytes, not 1 to 1,048,576",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name: str) -> None:
    """A wrong archive is refused, and the refusal says why."""
    data, why = WRONG[name]
    error = refusal(data)
    assert re.fullmatch(why, error.why), error.why
    truncated = "the tar ends" in error.why
    assert isinstance(error, ArchiveTruncatedError) == truncated


@pytest.mark.parametrize("more", [b"x", b"\0", WHOLE])
def test_late_bytes(more: bytes) -> None:
    """Bytes after the end are refused when they come later, too; nothing more is not."""
    reader = ArchiveReader()
    reader.feed(WHOLE)
    reader.feed(b"")
    contents = reader.finish()
    with pytest.raises(ArchiveError, match="bytes follow the end of its gzip stream"):
        reader.feed(more)
    with pytest.raises(ArchiveError, match="bytes follow the end of its gzip stream"):
        reader.finish()
    assert contents == prove(WHOLE)


@pytest.mark.parametrize(
    "data",
    [
        changed(sums=sums(STATE_LINE, META_LINE)),
        changed(sealed=b"\0"),
        changed(meta=RIGHT["meta.json"].replace(b'"Version":1', b'"Version":2,"New":{"a":[1]}')),
        changed(meta=RIGHT["meta.json"].replace(b'{"Servers":[]}', b'{"Servers":null}')),
        archive_of(parts(b"").items()),
        archive_of(parts(b"no records at all").items()),
        archive_of(RIGHT.items(), end=bytes(10_240)),
        WHOLE,
    ],
    ids=[
        "sums in the other order",
        "any sealed sums",
        "a later version with more fields",
        "servers as Go writes none",
        "an empty state",
        "a state that is no records",
        "more zero blocks at the end",
        "as it is",
    ],
)
def test_accepted(data: bytes) -> None:
    """What a server may send, today or later, is accepted."""
    assert prove(data).meta.index == 7
