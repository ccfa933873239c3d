"""Reads a document into frozen structs, and tells every wrong field at once, with its path.

The structs describe the document: types, bounds and descriptions are msgspec's annotations, from
which the CRD's schema is made, too. msgspec's own conversion stops at the first wrong field, so the
walk over the fields is done here. `null` is the same as absent, as on Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import NODEFAULT, Meta, inspect

from bao_backup.core.errors import ConfigurationError, DocumentError, Problem
from bao_backup.core.model import Value

P = TypeVar("P", bound="Part")

#: Checks the text of a field: raises ConfigurationError, whose `why` says what is expected.
Check = Callable[[str], object]

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

    def wrong(self, path: str, expected: str) -> None:
        """Note a problem."""
        self._found.setdefault(path, Problem(path=path, expected=expected))

    def part(self, kind: type[P], value: object, path: str) -> P | None:
        """Read an object; None when it is wrong, which is noted then."""
        if not isinstance(value, Mapping):
            self.wrong(path, "expected an object with fields")
            return None
        before = len(self._found)
        fields = _fields_of(kind)
        self._look_for_unknown(value, [field.encode_name for field in fields], path)
        found: dict[str, Any] = {}
        may_judge = True
        for field in fields:
            mark = len(self._found)
            each = value.get(field.encode_name)
            found[field.name] = self._field(field, each, below(path, field.encode_name))
            if len(self._found) > mark:
                found[field.name] = _default(field)
                may_judge &= not _decides(kind, field)
        if may_judge:
            self._look_between(kind(**found), path)
        return kind(**found) if len(self._found) == before else None

    def _look_between(self, part: Part, path: str) -> None:
        known = tuple(self._found)
        for name, expected in part.faults():
            place = below(path, name)
            if not any(each == place or each.startswith((f"{place}.", f"{place}[")) for each in known):
                self.wrong(place, expected)

    def _look_for_unknown(self, value: Mapping[Any, object], known: list[str], path: str) -> None:
        if not any(path == strict or path.startswith(f"{strict}.") for strict in self._strict_below):
            return
        for name in value:
            if not isinstance(name, str):
                self.wrong(path, "expected texts as the names of fields")
            elif name not in known:
                near = get_close_matches(name, known, n=1, cutoff=0.7)
                hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(known))}"
                self.wrong(below(path, name), f"expected no field of this name{hint}")

    def _field(self, field: inspect.Field, value: object, path: str) -> object:
        if value is not None:
            return self._value(field.type, value, path)
        if field.required:
            self.wrong(path, f"expected {_in_words(field.type)}, and it is missing")
        return _default(field)

    def _value(self, kind: inspect.Type, value: object, path: str) -> object:  # noqa: PLR0911 - one for each kind
        match kind:
            case inspect.Metadata(type=inner, extra=extra):
                return self._checked(inner, value, path, (extra or {}).get("check"))
            case inspect.UnionType(types=types):
                inner = next(member for member in types if not isinstance(member, inspect.NoneType))
                return self._value(inner, value, path)
            case inspect.StructType(cls=cls) if issubclass(cls, Part):
                return self.part(cls, value, path)
            case inspect.VarTupleType() | inspect.DictType() if _too_long(kind, value):
                self.wrong(path, f"expected {_in_words(kind)} with at most {kind.max_length} entries")
            case inspect.VarTupleType(item_type=item) if isinstance(value, list | tuple):
                return tuple(
                    self._value(item, each, f"{path}[{number}]") for number, each in enumerate(value)
                )
            case inspect.DictType(value_type=item) if isinstance(value, Mapping):
                return self._mapping(item, value, path)
            case _:
                return self._plain(kind, value, path)
        return None

    def _checked(self, kind: inspect.Type, value: object, path: str, check: Check | None) -> object:
        mark = len(self._found)
        found = self._value(kind, value, path)
        if check is not None and isinstance(found, str) and found and len(self._found) == mark:
            try:
                check(found)
            except ConfigurationError as error:
                self.wrong(path, error.why)
        return found

    def _mapping(self, item: inspect.Type, value: Mapping[Any, object], path: str) -> dict[str, object]:
        if not all(isinstance(name, str) for name in value):
            self.wrong(path, "expected texts as the names of fields")
            return {}
        return {name: self._value(item, each, below(path, name)) for name, each in value.items()}

    def _plain(self, kind: inspect.Type, value: object, path: str) -> object:
        try:
            return _leaf(kind, value)
        except (ValueError, msgspec.ValidationError):
            self.wrong(path, f"expected {_in_words(kind)}")
            return None


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


@cache
def _fields_of(kind: type[Part]) -> tuple[inspect.Field, ...]:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)  # noqa: S101 - for the type checker
    return described.fields


def _default(field: inspect.Field) -> object:
    """What an absent field is; None for a required one."""
    if field.default is not NODEFAULT:
        return field.default
    return None if field.default_factory is NODEFAULT else field.default_factory()


def _decides(kind: type[Part], field: inspect.Field) -> bool:
    """Whether nothing can be said between the fields while this one is wrong."""
    bare = field.type.type if isinstance(field.type, inspect.Metadata) else field.type
    is_part = isinstance(bare, inspect.StructType)
    return field.name in kind.decisive or (field.required and not is_part)


def _too_long(kind: inspect.VarTupleType | inspect.DictType, value: object) -> bool:
    most = kind.max_length
    return most is not None and isinstance(value, list | tuple | Mapping) and len(value) > most


def _leaf(kind: inspect.Type, value: object) -> object:
    """The value, when it is of the kind; else ValueError."""
    match kind, value:
        case inspect.AnyType(), _:
            return value
        case inspect.BoolType(), bool():
            return value
        case inspect.IntType(ge=least, le=most), int() if not isinstance(value, bool):
            if (least is None or value >= least) and (most is None or value <= most):
                return value
        case inspect.StrType(min_length=least, max_length=most), str() if value.isprintable():
            if (least or 0) <= len(value) and (most is None or len(value) <= most):
                return value
        case inspect.EnumType(cls=cls), str():
            return cls(value)
        case inspect.DateTimeType(tz=zoned), str() | datetime():
            moment = msgspec.convert(value, datetime)
            if moment.tzinfo is not None or not zoned:
                return moment
    raise ValueError


def _in_words(kind: inspect.Type) -> str:  # noqa: PLR0911 - one line for each kind
    match kind:
        case inspect.Metadata(type=inner):
            return _in_words(inner)
        case inspect.UnionType(types=types):
            return " or ".join(_in_words(each) for each in types if not isinstance(each, inspect.NoneType))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=None, le=None):
            return "a whole number"
        case inspect.IntType(ge=least, le=most):
            return f"a whole number from {least} to {most}"
        case inspect.StrType(min_length=least, max_length=most):
            length = "" if most is None else f" of at most {most} characters"
            return ("a text" if not least else "a text that is not empty" + "," * bool(length)) + length
        case inspect.EnumType(cls=cls):
            return "one of " + ", ".join(each.value for each in cls)
        case inspect.VarTupleType():
            return "a list"
        case inspect.DateTimeType():
            return "a time like 2026-11-22T02:00:00Z"
        case _:
            return "an object with fields"
