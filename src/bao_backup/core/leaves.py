"""The single values of documents: which ones each kind takes, and how that is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum

import msgspec
from msgspec import inspect

#: Gives the value as the struct has it; ValueError or msgspec.ValidationError when it is not of the kind.
Leaf = Callable[[object], object]


def leaf_of(kind: inspect.Type) -> Leaf:  # noqa: PLR0911 - one for each kind
    """What takes values of a kind that has no fields and no items; any other kind takes none."""
    match kind:
        case inspect.AnyType():
            return lambda value: value
        case inspect.BoolType():
            return _bool
        case inspect.IntType(ge=least, le=most):
            return _whole_number(least, most)
        case inspect.StrType(min_length=least, max_length=most):
            return _text(least or 0, most)
        case inspect.EnumType(cls=cls):
            return _choice(cls)
        case inspect.DateTimeType(tz=zoned):
            return _moment(must_have_zone=bool(zoned))
        case _:
            return _nothing


def _nothing(_: object) -> object:
    raise ValueError


def _bool(value: object) -> object:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _whole_number(least: int | None, most: int | None) -> Leaf:
    def take(value: object) -> object:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError
        if (least is not None and value < least) or (most is not None and value > most):
            raise ValueError
        return value

    return take


def _text(least: int, most: int | None) -> Leaf:
    def take(value: object) -> object:
        if not isinstance(value, str) or not value.isprintable():
            raise ValueError
        if len(value) < least or (most is not None and len(value) > most):
            raise ValueError
        return value

    return take


def _choice(choices: type[Enum]) -> Leaf:
    def take(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError
        return choices(value)

    return take


def _moment(*, must_have_zone: bool) -> Leaf:
    def take(value: object) -> object:
        if not isinstance(value, str | datetime):
            raise ValueError
        moment = msgspec.convert(value, datetime)
        if must_have_zone and moment.tzinfo is None:
            raise ValueError
        return moment

    return take


def in_words(kind: inspect.Type) -> str:  # noqa: PLR0911 - one line for each kind
    """What is expected of a value of this kind, to go after "expected"."""
    match kind:
        case inspect.Metadata(type=inner):
            return in_words(inner)
        case inspect.UnionType(types=types):
            return " or ".join(in_words(each) for each in types if not isinstance(each, inspect.NoneType))
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
