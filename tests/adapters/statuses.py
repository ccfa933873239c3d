"""Every status and lock that there may be, and any JSON, for property tests."""

from __future__ import annotations

import types
import typing
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar, Union

import msgspec
from hypothesis import strategies as st

from bao_backup.core.status import BackupStatus, OperationLock

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

#: As they are decided: to the microsecond, in UTC.
moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - they get it
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(max_size=5), json_values, max_size=4)

_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    datetime: moments,
    str: st.text(max_size=8),
    int: st.integers(-(2**53), 2**53),
    bool: st.booleans(),
}


def _values(kind: Any) -> st.SearchStrategy[Any]:
    """All that a field of this type may hold."""
    kind = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind  # Annotated
    if kind is type(None):
        return st.none()
    if typing.get_origin(kind) in (Union, types.UnionType):
        return st.one_of([_values(each) for each in typing.get_args(kind)])
    if typing.get_origin(kind) is tuple:
        return st.lists(_values(typing.get_args(kind)[0]), max_size=3).map(tuple)
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    if issubclass(kind, msgspec.Struct):
        return _structs(kind)
    return _PLAIN[kind]


def _structs(kind: type[S]) -> st.SearchStrategy[S]:
    """Every field of it, or the default where it has one."""
    fields = {}
    for field in msgspec.structs.fields(kind):
        values = _values(field.type)
        fields[field.name] = values if field.required else st.just(_default(field)) | values
    return st.builds(kind, **fields)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


statuses: st.SearchStrategy[BackupStatus] = _structs(BackupStatus)
locks: st.SearchStrategy[OperationLock] = _structs(OperationLock)


def to_the_second(value: T) -> T:
    """The same value, with all times cut to the second."""
    if isinstance(value, datetime):
        return value.replace(microsecond=0)
    if isinstance(value, tuple):
        return tuple(to_the_second(each) for each in value)  # type: ignore[return-value] # of no other kind
    if isinstance(value, msgspec.Struct):
        fields = {name: to_the_second(getattr(value, name)) for name in value.__struct_fields__}
        return type(value)(**fields)
    return value
