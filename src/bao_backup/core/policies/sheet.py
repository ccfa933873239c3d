"""A sheet of rights: files and commands, in an order in which they can be pasted into a shell."""

from __future__ import annotations

import shlex
import textwrap
from typing import Any

import msgspec

from bao_backup.core.errors import one_line
from bao_backup.core.model import Value

_WIDTH = 100
_END = "END"

#: What nobody but the reader knows: as it stands in the output -> what has to be there.
BLANKS = {
    "<ISSUER>": "the URL of who issues the runs' tokens: "
    "kubectl get --raw /.well-known/openid-configuration | jq -r .issuer (or give --issuer)",
    "<ISSUER-HOST>": "the URL of who issues the runs' tokens, without https:// (or give --issuer)",
    "<ACCOUNT>": "the number of the AWS account",
    "<ROLE>": "the IAM role of the runs",
    "<USER>": "the user whose keys the runs have",
    "<EKS-CLUSTER>": "the name of the EKS cluster",
    "<ALIAS>": "what mc calls the server (mc alias list)",
    "<PROJECT>": "the id of the Google Cloud project",
    "<SERVICE-ACCOUNT>": "the e-mail address of the runs' Google service account",
    "<SUBSCRIPTION>": "the id of the Azure subscription",
    "<RESOURCE-GROUP>": "the resource group of the storage account",
    "<STORAGE-ACCOUNT>": "the name of the storage account",
    "<PRINCIPAL>": "the object id of the runs' identity: az identity show --query principalId",
    "<IDENTITY>": "the name of the runs' managed identity",
}


class File(Value, frozen=True, kw_only=True):
    """A file: a JSON value, or text as it is."""

    name: str
    content: Any

    @property
    def text(self) -> str:
        """What is in it, without a line end at its end."""
        if isinstance(self.content, str):
            return self.content.rstrip("\n")
        return msgspec.json.format(msgspec.json.encode(self.content), indent=2).decode()


class Step(Value, frozen=True, kw_only=True):
    """One thing to do: files to write, then commands of a shell, each quoted already."""

    why: str
    files: tuple[File, ...] = ()
    commands: tuple[str, ...] = ()


class Sheet(Value, frozen=True, kw_only=True):
    """All of one subject: the store, the server or the store's lifecycle rules."""

    subject: str
    about: str
    steps: tuple[Step, ...] = ()
    #: What a reader has to know.
    notes: tuple[str, ...] = ()

    @property
    def blanks(self) -> dict[str, str]:
        """What is left to fill in, and with what."""
        pasted = "\n".join(
            text for step in self.steps for text in (*(file.text for file in step.files), *step.commands)
        )
        return {blank: meaning for blank, meaning in BLANKS.items() if blank in pasted}


def command(*words: str) -> str:
    """A command line of these words, each quoted where it has to be, folded where it is long."""
    lines = [""]
    for word in map(shlex.quote, words):
        if lines[-1] and len(lines[-1]) + len(word) + 3 > _WIDTH:
            lines.append(f"  {word}")
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return " \\\n".join(lines)


def to_script(sheets: tuple[Sheet, ...]) -> str:
    """The sheets as one script of a shell: what is to be read is a comment in it."""
    return "\n\n".join(_lines_of(sheet) for sheet in sheets)


def to_value(sheet: Sheet) -> dict[str, Any]:
    """The sheet as a JSON value: files by name, commands, notes, and what is to be filled in."""
    return {
        "about": sheet.about,
        "files": {file.name: file.content for step in sheet.steps for file in step.files},
        "commands": [each for step in sheet.steps for each in step.commands],
        "notes": list(sheet.notes),
        "fillIn": sheet.blanks,
    }


def _lines_of(sheet: Sheet) -> str:
    parts = [_comment(f"{sheet.subject}: {sheet.about}")]
    parts += [_comment(note, "- ") for note in sheet.notes]
    parts += [_comment(f"{blank}: {meaning}", "fill in ") for blank, meaning in sheet.blanks.items()]
    for number, step in enumerate(sheet.steps, 1):
        parts += ["", _comment(step.why, f"{number}. ")]
        for file in step.files:
            parts += [f"cat > {shlex.quote(file.name)} <<'{_END}'", file.text, _END]
        parts += step.commands
    return "\n".join(parts)


def _comment(text: str, mark: str = "") -> str:
    return textwrap.fill(
        one_line(text),
        _WIDTH,
        initial_indent=f"# {mark}",
        subsequent_indent="# " + " " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
