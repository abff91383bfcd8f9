"""From JSON to frozen dataclasses and back, strictly: what a record does not know is refused."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from typing import Any, TypeVar

from burn_tf._checks import UserError, nearest

R = TypeVar("R")


def parse_json(text: str, where: str) -> Any:
    """Plain values of a JSON text without repeated keys, NaN or infinities.

    Args:
        text: the document.
        where: what to call it in an error, such as its path.

    Raises:
        UserError: it is no such JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except ValueError as error:
        raise UserError(f"{where} must be JSON. Received: {error}") from error


def build_record(kind: type[R], value: Any, where: str) -> R:
    """A dataclass from plain values, all of them checked against its annotations.

    Args:
        kind: a dataclass whose fields are str, int, float, bool, `tuple[X, ...]`, `X | None` or
            dataclasses. Fields with a default may be left out.
        value: what JSON gave.
        where: the place in the document, for errors.

    Raises:
        UserError: an unknown key (the nearest one is named), a missing one, or a wrong type.
    """
    if not isinstance(value, dict):
        raise UserError(f"{where} must be an object. Received: {value!r}")
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, kind))}
    for key in value:
        if key not in fields:
            guess = nearest(key, fields)
            hint = f" Did you mean {guess!r}?" if guess else f" Known: {', '.join(fields)}."
            raise UserError(f"{where} has an unknown key.{hint} Received: {key!r}")
    missing = [name for name, field in fields.items() if _required(field) and name not in value]
    if missing:
        raise UserError(f"{where} lacks {', '.join(missing)}. Received: {', '.join(value)}")
    hints = typing.get_type_hints(kind)
    return kind(**{k: _convert(hints[k], v, f"{where}.{k}") for k, v in value.items()})


def plain(record: Any) -> dict[str, Any]:
    """The inverse of `build_record`; what has its default is left out."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if _required(field) or value != field.default:
            values[field.name] = _plain_value(value)
    return values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING


def _convert(hint: Any, value: Any, where: str) -> Any:
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        (hint,) = [member for member in typing.get_args(hint) if member is not type(None)]
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise UserError(f"{where} must be a list. Received: {value!r}")
        member = typing.get_args(hint)[0]
        return tuple(_convert(member, v, f"{where}[{i}]") for i, v in enumerate(value))
    if dataclasses.is_dataclass(hint):
        return build_record(typing.cast(type, hint), value, where)
    return _scalar(hint, value, where)


def _scalar(hint: type, value: Any, where: str) -> Any:
    # bool is an int for Python, and 1 a good float for JSON.
    allowed = (int, float) if hint is float else (hint,)
    wrong = not isinstance(value, allowed) or (isinstance(value, bool) and hint is not bool)
    if wrong or (hint is float and not math.isfinite(value)):
        raise UserError(f"{where} must be of type {hint.__name__}. Received: {value!r}")
    return hint(value)


def _plain_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return plain(value)
    return [_plain_value(member) for member in value] if isinstance(value, tuple) else value
