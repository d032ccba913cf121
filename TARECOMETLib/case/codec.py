"""Frozen dataclasses to and from plain JSON values, refusing unknown or mistyped fields by name."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any, TypeVar

from ..errors import InputError

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Plain JSON value of a dataclass; fields that are None are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: encode(item) for name, item in pairs if item is not None}
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def decode(kind: type[T], data: Any, where: str) -> T:
    """A dataclass from a JSON object.

    Raises
    ------
    InputError
        Naming the field that is unknown, missing or of the wrong kind.
    """
    if not isinstance(data, dict):
        raise InputError(where, f"expected an object, got {_kind_of(data)}", "Write it in braces", "case-field")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in data:
        if name not in fields:
            raise InputError(
                f"{where}.{name}", "there is no such field", f"Known fields: {', '.join(fields)}", "case-field"
            )
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _value(hints[name], data[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{where}.{name}", "it is missing", "Write its value", "case-field")
    return kind(**values)


def _kind_of(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true/false", type(None): "null"}
    return names.get(type(value), "a number")


def _wrong(where: str, expected: str, value: Any) -> InputError:
    shown = f"{_kind_of(value)} ({value!r:.60})" if isinstance(value, (str, int, float)) else _kind_of(value)
    return InputError(where, f"expected {expected}, got {shown}", "Correct the value", "case-field")


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _value(next(kind for kind in arguments if kind is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        return tuple(_value(arguments[0], item, f"{where}[{number}]") for number, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return decode(hint, value, where)
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong(where, "a finite number", value)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise _wrong(where, "a finite number", number)
        return number
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(where, "a whole number", value)
        return value
    if hint is bool:
        if not isinstance(value, bool):
            raise _wrong(where, "true or false", value)
        return value
    if not isinstance(value, str):
        raise _wrong(where, "text", value)
    return value
