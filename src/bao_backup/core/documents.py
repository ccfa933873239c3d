"""Reads a document into frozen structs, and tells every wrong field at once, with its path.

The structs describe the document: types, bounds and descriptions are msgspec's annotations, from
which the CRD's schema is made, too. msgspec's own conversion stops at the first wrong field, so the
walk over the fields is done here, by readers that are made of the annotations once. `null` is the
same as absent, as on Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache, partial
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec
from msgspec import NODEFAULT, Meta, inspect

from bao_backup.core.errors import ConfigurationError, DocumentError, Problem
from bao_backup.core.leaves import Leaf, in_words, leaf_of
from bao_backup.core.model import Value

P = TypeVar("P", bound="Part")

#: Checks the text of a field: raises ConfigurationError, whose `why` says what is expected.
Check = Callable[[str], object]

#: Reads a value that is there; what is wrong with it is noted, and it is as if it were absent then.
Read = Callable[["Reading", object, str], object]

#: Marks a default that the CRD's schema has, too, as the existing operator's has it: the API server
#: writes it into documents. Others are only told, so that documents stay as people wrote them.
STORED_DEFAULT = Meta(extra={"stored": True})


def checked(check: Check, description: str) -> Meta:
    """The annotation of a text that is more than its pattern; an empty text is not set, and passes."""
    return Meta(description=description, extra={"check": check})


class Part(Value, frozen=True, kw_only=True):
    """A part of a document: an object with known fields."""

    #: Fields that decide about others: when one of them is wrong, `faults` is not asked.
    decisive: ClassVar[tuple[str, ...]] = ()

    def faults(self) -> Iterable[tuple[str, str]]:
        """What is wrong between its fields: field ("" for the part itself) and what is expected.

        Fields that are wrong in themselves look as if they were absent; what is said of a field
        that was found wrong already is left out.
        """
        return ()


class Reading:
    """One walk over one document."""

    def __init__(self, *, strict_below: Iterable[str]) -> None:
        """Unknown fields are wrong in the parts at these paths, and below them."""
        #: path -> problem; one for each path, the first that is found
        self._found: dict[str, Problem] = {}
        self._strict_below = tuple(strict_below)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong so far."""
        return tuple(self._found.values())

    @property
    def noted(self) -> int:
        """How many of them there are."""
        return len(self._found)

    def wrong(self, path: str, expected: str) -> None:
        """Note a problem."""
        self._found.setdefault(path, Problem(path=path, expected=expected))

    def part(self, kind: type[P], value: object, path: str) -> P | None:
        """Read an object; None when it is wrong, which is noted then."""
        if not isinstance(value, Mapping):
            self.wrong(path, "expected an object with fields")
            return None
        before = len(self._found)
        self._look_for_unknown(kind, value, path)
        found: dict[str, Any] = {}
        may_judge = True
        for field in _fields_of(kind):
            each = value.get(field.key)
            if each is None and not field.missing:
                continue  # its default
            mark = len(self._found)
            if each is None:
                self.wrong(below(path, field.key), field.missing)
            else:
                found[field.name] = field.read(self, each, below(path, field.key))
            if len(self._found) > mark:
                found[field.name] = field.default()
                may_judge &= not field.decides
        read = kind(**found)
        if may_judge:
            self._look_between(read, path)
        return read if len(self._found) == before else None

    def _look_between(self, part: Part, path: str) -> None:
        known = tuple(self._found)
        for name, expected in part.faults():
            place = below(path, name)
            if not any(each == place or each.startswith((f"{place}.", f"{place}[")) for each in known):
                self.wrong(place, expected)

    def _look_for_unknown(self, kind: type[Part], value: Mapping[Any, object], path: str) -> None:
        if not any(path == strict or path.startswith(f"{strict}.") for strict in self._strict_below):
            return
        known = [field.key for field in _fields_of(kind)]
        for name in value:
            if not isinstance(name, str):
                self.wrong(path, "expected texts as the names of fields")
            elif name not in known:
                near = get_close_matches(name, known, n=1, cutoff=0.7)
                hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(known))}"
                self.wrong(below(path, name), f"expected no field of this name{hint}")


def read_document(kind: type[P], document: Mapping[str, object], strict_below: Iterable[str]) -> P:
    """Read a document but for its status, as YAML or JSON was decoded.

    Args:
        kind: what it describes.
        document: the whole of it, with apiVersion, kind, metadata and spec.
        strict_below: the paths below which a field that nobody knows is wrong.

    Raises:
        DocumentError: with every problem that was found.
    """
    if not isinstance(document, Mapping):
        raise DocumentError("read a document", [Problem("document", "expected an object with fields")])
    reading = Reading(strict_below=strict_below)
    read = reading.part(kind, {name: value for name, value in document.items() if name != "status"}, "")
    if read is None or reading.problems:
        raise DocumentError(f"read the document {_name_of(document)}", reading.problems)
    return read


def _name_of(document: Mapping[str, object]) -> str:
    metadata = document.get("metadata")
    names = metadata if isinstance(metadata, Mapping) else {}
    return f"{names.get('namespace') or 'default'}/{names.get('name') or '(no name)'}"[:200]


def below(path: str, name: str) -> str:
    """The path of a field of the part at `path`; "" is the document, or the part itself."""
    return f"{path}.{name}" if path and name else path or name


class _Field(NamedTuple):
    """A field of a part, worked out once: ten thousand documents are read by it."""

    name: str
    #: Its name in documents.
    key: str
    read: Read
    #: What is expected where it is missing; empty for a field that need not be there.
    missing: str
    default: Callable[[], object]
    #: Whether nothing can be said between the fields while this one is wrong.
    decides: bool


@cache
def _fields_of(kind: type[Part]) -> tuple[_Field, ...]:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)  # noqa: S101 - for the type checker
    return tuple(
        _Field(
            name=field.name,
            key=field.encode_name,
            read=_reader(field.type),
            missing=f"expected {in_words(field.type)}, and it is missing" if field.required else "",
            default=partial(_default, field),
            decides=_decides(kind, field),
        )
        for field in described.fields
    )


def _default(field: inspect.Field) -> object:
    """What an absent field is; None for a required one."""
    if field.default is not NODEFAULT:
        return field.default
    return None if field.default_factory is NODEFAULT else field.default_factory()


def _decides(kind: type[Part], field: inspect.Field) -> bool:
    bare = field.type.type if isinstance(field.type, inspect.Metadata) else field.type
    is_part = isinstance(bare, inspect.StructType)
    return field.name in kind.decisive or (field.required and not is_part)


def _reader(kind: inspect.Type) -> Read:
    """How values of this kind are read."""
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            check = (extra or {}).get("check")
            return _reader(inner) if check is None else partial(_read_checked, _reader(inner), check)
        case inspect.UnionType(types=types):
            return _reader(next(each for each in types if not isinstance(each, inspect.NoneType)))
        case inspect.StructType(cls=cls) if issubclass(cls, Part):
            return partial(_read_part, cls)
        case inspect.VarTupleType(item_type=item, max_length=most):
            return partial(_read_list, _reader(item), in_words(kind), most)
        case inspect.DictType(value_type=item, max_length=most):
            return partial(_read_mapping, _reader(item), in_words(kind), most)
        case _:
            return partial(_read_plain, leaf_of(kind), f"expected {in_words(kind)}")


def _read_checked(read: Read, check: Check, reading: Reading, value: object, path: str) -> object:
    mark = reading.noted
    found = read(reading, value, path)
    if isinstance(found, str) and found and reading.noted == mark:
        try:
            check(found)
        except ConfigurationError as error:
            reading.wrong(path, error.why)
    return found


def _read_part(kind: type[Part], reading: Reading, value: object, path: str) -> Part | None:
    return reading.part(kind, value, path)


def _read_list(
    read: Read, words: str, most: int | None, reading: Reading, value: object, path: str
) -> object:
    if not isinstance(value, list | tuple):
        reading.wrong(path, f"expected {words}")
        return None
    if most is not None and len(value) > most:
        reading.wrong(path, f"expected {words} with at most {most} entries")
        return None
    return tuple(read(reading, each, f"{path}[{number}]") for number, each in enumerate(value))


def _read_mapping(
    read: Read, words: str, most: int | None, reading: Reading, value: object, path: str
) -> object:
    if not isinstance(value, Mapping):
        reading.wrong(path, f"expected {words}")
        return None
    if most is not None and len(value) > most:
        reading.wrong(path, f"expected {words} with at most {most} entries")
        return None
    if not all(isinstance(name, str) for name in value):
        reading.wrong(path, "expected texts as the names of fields")
        return {}
    return {name: read(reading, each, below(path, name)) for name, each in value.items()}


def _read_plain(leaf: Leaf, expected: str, reading: Reading, value: object, path: str) -> object:
    try:
        return leaf(value)
    except (ValueError, msgspec.ValidationError):
        reading.wrong(path, expected)
        return None
