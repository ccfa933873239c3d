"""From the structs that parse a document to the structural schema of its CRD.

Types, bounds, enums, defaults and descriptions are the structs' own annotations. What only the API
server needs to be told, beside the rules of `crd_rules`, stands here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import inspect

from bao_backup.adapters.kubernetes.crd_rules import RULES, TEXTS
from bao_backup.core.backup_spec import Backup, JobTemplate
from bao_backup.core.errors import InternalError
from bao_backup.core.model import Value
from bao_backup.core.restore_spec import RestoreSpec
from bao_backup.core.servers import Connection
from bao_backup.core.status import Condition, OperationLock
from bao_backup.core.target import SecretName

Schema = dict[str, Any]

KEPT = "x-kubernetes-preserve-unknown-fields"
#: We know every field in these: another one is a slip of the pen, which the API server can tell.
#: Everywhere else there may be fields of the existing operator, which are kept.
_KNOWN_WHOLLY = (Backup, Connection, RestoreSpec)
_LARGEST_INT32 = 2**31 - 1

#: A struct -> what its schema has beside.
_MORE_OF_STRUCTS: dict[type[Any], Schema] = {
    # As the existing operator's, so that one apply never mixes two names.
    SecretName: {"x-kubernetes-map-type": "atomic"},
}
#: A struct and its field -> what the field's schema has beside.
_MORE_OF_FIELDS: dict[tuple[type[Any], str], Schema] = {
    (OperationLock, "operation"): {"enum": ["Backup", "Restore", "Upgrade"]},
    (Condition, "status"): {"enum": ["True", "False", "Unknown"]},
    (JobTemplate, "env"): {
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", "minLength": 1}},
            KEPT: True,
        }
    },
}


def schema_of(struct: type[Value], *, wholly: bool = False, of_status: bool = False) -> Schema:
    """The schema of a struct and of all in it.

    Args:
        struct: a `Value` or `Part`; fields have their JSON names.
        wholly: its fields are all that there are; others are pruned.
        of_status: nothing is required, but what makes a list of conditions a map: programs of other
            versions write there, too.
    """
    return _Walk(of_status=of_status).object(struct, wholly=wholly)


class _Walk:
    def __init__(self, *, of_status: bool) -> None:
        self._of_status = of_status

    def object(self, struct: type[Value], *, wholly: bool) -> Schema:
        wholly = wholly or struct in _KNOWN_WHOLLY
        described = inspect.type_info(struct)
        assert isinstance(described, inspect.StructType)  # noqa: S101 - for the type checker
        schema: Schema = {"description": first_words(struct), "type": "object"}
        if not wholly:
            schema[KEPT] = True
        schema |= _MORE_OF_STRUCTS.get(struct, {})
        required = [field.encode_name for field in described.fields if self._required(struct, field)]
        if required:
            schema["required"] = required
        if struct in RULES:
            schema["x-kubernetes-validations"] = [rule.cel() for rule in RULES[struct]]
        schema["properties"] = {
            field.encode_name: self._field(struct, field, wholly=wholly) for field in described.fields
        }
        return schema

    def _required(self, struct: type[Value], field: inspect.Field) -> bool:
        if self._of_status:
            return struct is Condition and field.name in {"type", "status"}
        return field.required

    def _field(self, struct: type[Value], field: inspect.Field, *, wholly: bool) -> Schema:
        schema = self._kind(field.type, wholly=wholly)
        extra = (field.type.extra or {}) if isinstance(field.type, inspect.Metadata) else {}
        default = _plain_default(field)
        if extra.get("stored"):
            schema["default"] = default
        elif default and not self._of_status:
            said = str(default).lower() if isinstance(default, bool) else default
            schema["description"] = f"{schema.get('description', '')} Default: {said}.".lstrip()
        return schema | _MORE_OF_FIELDS.get((struct, field.name), {})

    def _kind(self, kind: inspect.Type, *, wholly: bool) -> Schema:  # noqa: PLR0911 - one for each kind
        match kind:
            case inspect.Metadata(type=inner, extra_json_schema=described, extra=extra):
                schema = self._kind(inner, wholly=wholly) | (described or {})
                return _with_check(schema, extra or {})
            case inspect.UnionType(types=types):
                inner = next(member for member in types if not isinstance(member, inspect.NoneType))
                return self._kind(inner, wholly=wholly)
            case inspect.StructType(cls=struct) if issubclass(struct, Value):
                return self.object(struct, wholly=wholly)
            case inspect.VarTupleType(item_type=item, max_length=most):
                bounds = {} if most is None else {"maxItems": most}
                schema = {"type": "array", **bounds, "items": self._kind(item, wholly=wholly)}
                return schema | (_BY_TYPE if _is_condition(item) else {})
            case inspect.DictType(value_type=inspect.AnyType()):
                return {"type": "object", KEPT: True}
            case inspect.DictType(value_type=item, max_length=most):
                bounds = {} if most is None else {"maxProperties": most}
                return {"type": "object", **bounds, "additionalProperties": self._kind(item, wholly=wholly)}
            case _:
                return _scalar(kind)


#: A list of conditions is merged by their types, as everywhere on Kubernetes.
_BY_TYPE: Schema = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
#: RFC 3339 has a zone; the API server's own format would take a time without.
_ZONE = r"([Zz]|[+-][0-9]{2}:[0-9]{2})$"


def first_words(struct: type[Any]) -> str:
    """The first paragraph of its docstring, on one line."""
    return " ".join((struct.__doc__ or "").strip().partition("\n\n")[0].split())


def _is_condition(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.StructType) and kind.cls is Condition


def _scalar(kind: inspect.Type) -> Schema:
    match kind:
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType(ge=least, le=most):
            large = most is None or most > _LARGEST_INT32
            return {
                "type": "integer",
                "format": "int64" if large else "int32",
                **_given(minimum=least, maximum=most),
            }
        case inspect.StrType(min_length=least, max_length=most):
            return {"type": "string", **_given(minLength=least, maxLength=most)}
        case inspect.EnumType(cls=cls):
            return {"type": "string", "enum": [each.value for each in cls]}
        case inspect.DateTimeType(tz=zoned):
            return {"type": "string", "format": "date-time", **_given(pattern=_ZONE if zoned else None)}
        case inspect.AnyType():
            return {KEPT: True}
    raise InternalError("make a schema", f"{kind} has no schema")


def _given(**bounds: object) -> Schema:
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _with_check(schema: Schema, extra: dict[str, Any]) -> Schema:
    """The schema with what the check of the field says; every check has its rule."""
    check = extra.get("check")
    if check is None:
        return schema
    rule = TEXTS.get(check)
    if rule is None:
        raise InternalError("make a schema", f"{check.__name__} has no rule in crd_rules.TEXTS")
    longest = {} if rule.longest is None else {"maxLength": rule.longest}
    return schema | longest | {"x-kubernetes-validations": [rule.cel()]}


def _plain_default(field: inspect.Field) -> object:
    """The default as JSON has it; None where there is none that is a plain value."""
    default = field.default
    if isinstance(default, StrEnum):
        return default.value
    return default if isinstance(default, bool | int | str) else None
