"""Reads YAML documents from a file or a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bao_backup.core.errors import ConfigurationError

ENDINGS = (".yaml", ".yml", ".json")
#: A document is a few kilobytes; more than this is something else.
LARGEST_FILE = 8 * 1024 * 1024


class Document(NamedTuple):
    """One YAML document, and where it stood."""

    source: Path
    content: dict[str, Any]


def document_files(path: Path) -> list[Path]:
    """The file itself, or the documents' files directly in the folder, by name.

    Raises ConfigurationError when there is no such file or folder.
    """
    try:
        if path.is_dir():
            found = (p for p in path.iterdir() if p.suffix in ENDINGS and not p.name.startswith("."))
            return sorted(p for p in found if p.is_file())
    except OSError as error:
        raise ConfigurationError(f"read the folder {path}", error.strerror or "unreadable") from error
    if not path.is_file():
        raise ConfigurationError(f"read {path}", "there is no such file or folder")
    return [path]


def read_documents(path: Path) -> list[Document]:
    """All documents of one file that are mappings; empty ones are passed over.

    Raises ConfigurationError when the file is not readable or not YAML.
    """
    doing = f"read {path}"
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigurationError(doing, f"it is larger than {LARGEST_FILE} bytes")
        loaded = list(yaml.load_all(path.read_text(encoding="utf-8"), Loader=_Loader))
    except OSError as error:
        raise ConfigurationError(doing, error.strerror or "unreadable") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(doing, "it is not UTF-8 text") from error
    except RecursionError as error:
        raise ConfigurationError(doing, "it is nested too deeply") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(doing, f"it is not YAML: {_where(error)}") from error
    documents = []
    for content in loaded:
        if content is None:
            continue
        if not isinstance(content, dict):
            raise ConfigurationError(doing, "a document in it is not a mapping of names to values")
        _see_that_it_is_json(content, doing)
        documents.append(Document(path, content))
    return documents


def _see_that_it_is_json(content: dict[Any, Any], doing: str) -> None:
    """YAML can say more than a document may hold: bytes, sets, numbers as names, circles."""
    try:
        json.dumps(content, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(doing, "a document in it holds what JSON has no form for") from error


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else str(problem)


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """Times stay text, as they are in JSON."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
