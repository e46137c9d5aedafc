"""Python's annotations as JSON schemas, and values made from the JSON that a model wrote by them.

Known are the plain types, lists, dictionaries, tuples and sets of them, `Literal`, enums, unions, dataclasses,
TypedDicts, and Pydantic's classes by their own methods, so that Pydantic isn't imported here. `Annotated[str, "what it
is"]` describes.
"""

# ruff: noqa: ANN401 - an annotation, and a value of its type, may be anything

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any

from xdm_integrations.core.errors.tree import ConfigurationError

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_LISTS = {list: list, tuple: tuple, set: set, frozenset: frozenset, Sequence: list, Iterable: list, Collection: list}
_SETS = (set, frozenset, AbstractSet)
_MAPPINGS = (dict, Mapping)


def hints_of(target: Any) -> dict[str, Any]:
    """Return the annotations of a class or function, resolved.

    Raises:
        ConfigurationError: A name in them is unknown.
    """
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception as error:  # noqa: BLE001 - whatever comes of evaluating a text
        reason = error
    raise ConfigurationError(f"{target.__name__}: its annotations can't be read ({reason}).")


def is_pydantic(annotation: Any) -> bool:
    """True for a class of Pydantic's."""
    return inspect.isclass(annotation) and hasattr(annotation, "model_json_schema")


def is_record(annotation: Any) -> bool:
    """True for a class whose values are objects in JSON: Pydantic's, a dataclass, a TypedDict."""
    if not inspect.isclass(annotation):
        return False
    typed_dict = issubclass(annotation, dict) and hasattr(annotation, "__required_keys__")
    return typed_dict or dataclasses.is_dataclass(annotation) or is_pydantic(annotation)


def schema_of(annotation: Any, where: str) -> dict[str, Any]:
    """Return the JSON schema of an annotation, as `hints_of` returns it; errors call it `where`.

    Raises:
        ConfigurationError: It has no JSON schema that is known here.
    """
    definitions: dict[str, Any] = {}
    schema = _schema(annotation, where, definitions, ())
    return {**schema, "$defs": definitions} if definitions else schema


def _schema(annotation: Any, where: str, definitions: dict[str, Any], outer: tuple[Any, ...]) -> dict[str, Any]:  # noqa: C901, PLR0911 - one case after the other
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (Any, object, inspect.Parameter.empty):
        return {}
    if annotation is None:
        return {"type": "null"}
    if origin is typing.Annotated:
        schema = _schema(inner[0], where, definitions, outer)
        described = [text for meta in inner[1:] if (text := _description(meta))]
        return {**schema, "description": described[-1]} if described else schema
    if _mark(annotation):
        return _schema(inner[0], where, definitions, outer)
    if origin is typing.Literal:
        return _one_of(inner)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(option, where, definitions, outer) for option in inner]}
    kind = origin or annotation
    if not inspect.isclass(kind):
        raise _unknown(annotation, where)
    if annotation in _PLAIN:
        return {"type": _PLAIN[annotation]}
    if issubclass(kind, Enum):
        return _one_of([member.value for member in annotation])
    if is_record(annotation):
        return _record_schema(annotation, where, definitions, outer)
    if kind in _MAPPINGS:
        values = _schema(inner[1], where, definitions, outer) if inner else {}
        return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
    if kind in _LISTS or kind in _SETS:
        return _list_schema(kind, inner, where, definitions, outer)
    raise _unknown(annotation, where)


def _unknown(annotation: Any, where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: {annotation!r} has no JSON schema; use str, int, float, bool, list, dict, Literal, an enum, a "
        "dataclass, a TypedDict or a Pydantic class."
    )


def _list_schema(
    kind: Any, inner: tuple[Any, ...], where: str, definitions: dict[str, Any], outer: tuple[Any, ...]
) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array"}
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        items = [_schema(item, where, definitions, outer) for item in inner]
        same = items[0] if all(item == items[0] for item in items) else {"anyOf": items}
        return {**schema, "items": same, "minItems": len(inner), "maxItems": len(inner)}
    if inner:
        schema["items"] = _schema(inner[0], where, definitions, outer)
    return {**schema, "uniqueItems": True} if kind in _SETS else schema


def _record_schema(annotation: Any, where: str, definitions: dict[str, Any], outer: tuple[Any, ...]) -> dict[str, Any]:
    if is_pydantic(annotation):
        own = dict(annotation.model_json_schema())
        definitions.update(own.pop("$defs", {}))
        return own
    if annotation in outer:
        raise ConfigurationError(f"{where}: {annotation.__name__} holds itself; pass a JSON schema instead.")
    outer = (*outer, annotation)
    hints, required = _fields(annotation)
    schema: dict[str, Any] = {"title": annotation.__name__, "type": "object"}
    text = inspect.cleandoc(annotation.__doc__ or "")
    if text and not text.startswith(f"{annotation.__name__}("):  # what dataclasses write themselves
        schema["description"] = text
    schema["properties"] = {name: _schema(hint, f"{where}.{name}", definitions, outer) for name, hint in hints.items()}
    return {**schema, "required": required, "additionalProperties": False}


def _fields(annotation: Any) -> tuple[dict[str, Any], list[str]]:
    """Return a record's fields with their annotations, and the names of those that must be there."""
    hints = hints_of(annotation)
    if not dataclasses.is_dataclass(annotation):
        needed = annotation.__required_keys__
        optional = {
            name for name, hint in hints.items() if _mark(hint) == "NotRequired"
        }  # texts hide it from the class
        return hints, [name for name in hints if name in needed and name not in optional]
    fields = [field for field in dataclasses.fields(annotation) if field.init]
    missing = dataclasses.MISSING
    required = [field.name for field in fields if field.default is missing and field.default_factory is missing]
    return {field.name: hints[field.name] for field in fields}, required


def value_of(annotation: Any, value: Any, where: str) -> Any:  # noqa: C901, PLR0911 - one case after the other
    """Return a value of JSON as one of the annotation's type.

    Raises:
        ValueError: It is of another type; the message names the place.
    """
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (Any, object, inspect.Parameter.empty):
        return value
    if origin is typing.Annotated or _mark(annotation):
        return value_of(inner[0], value, where)
    if annotation is None or annotation in _PLAIN:
        return _plain_value(annotation or type(None), value, where)
    if origin is typing.Literal:
        return _member(inner, value, where)
    if origin in (typing.Union, types.UnionType):
        return _value_of_any(inner, value, where)
    if inspect.isclass(annotation) and issubclass(annotation, Enum):
        return annotation(_member([member.value for member in annotation], value, where))
    if is_pydantic(annotation):
        return annotation.model_validate(value)  # its error is a ValueError
    if is_record(annotation):
        return _record(annotation, value, where)
    kind = origin or annotation
    if kind in _MAPPINGS:
        _expect(value, dict, "an object", where)
        return {key: value_of(inner[1], item, f"{where}.{key}") if inner else item for key, item in value.items()}
    _expect(value, list, "a list", where)
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        if len(value) != len(inner):
            raise ValueError(f"{where}: expected {len(inner)} items, got {len(value)}.")
        return tuple(
            value_of(item, one, f"{where}[{i}]") for i, (item, one) in enumerate(zip(inner, value, strict=True))
        )
    items = [value_of(inner[0], item, f"{where}[{i}]") if inner else item for i, item in enumerate(value)]
    made: Any = _LISTS.get(kind, set)
    return made(items)


def _record(annotation: Any, value: Any, where: str) -> Any:
    _expect(value, dict, "an object", where)
    hints, required = _fields(annotation)
    for name in required:
        if name not in value:
            raise ValueError(f"{where}: {name!r} is missing.")
    made = {name: value_of(hint, value[name], f"{where}.{name}") for name, hint in hints.items() if name in value}
    return annotation(**made)


def _plain_value(annotation: Any, value: Any, where: str) -> Any:
    if annotation is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, annotation) or (isinstance(value, bool) and annotation is not bool):
        raise ValueError(f"{where}: expected {_PLAIN[annotation]}, got {value!r:.60}.")
    return value


def _value_of_any(options: Iterable[Any], value: Any, where: str) -> Any:
    """Return a value as one of the first option that takes it as it is; else of the first that takes it at all."""
    found: list[Any] = []
    reasons: list[str] = []
    for option in options:
        try:
            made = value_of(option, value, where)
        except ValueError as error:
            reasons.append(str(error))
        else:
            if type(made) is type(value) and made == value:
                return made
            found.append(made)
    if not found:
        raise ValueError(" ".join(reasons))
    return found[0]


def _member(values: Iterable[Any], value: Any, where: str) -> Any:
    for one in values:
        if one == value and isinstance(one, bool) == isinstance(value, bool):
            return one
    raise ValueError(f"{where}: {value!r:.60} is none of {list(values)!r}.")


def _expect(value: Any, kind: type, name: str, where: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{where}: expected {name}, got {value!r:.60}.")  # noqa: TRY004 - as for any other value


def _one_of(values: Iterable[Any]) -> dict[str, Any]:
    options = list(values)
    kinds = {_PLAIN.get(type(option)) for option in options}
    return {"enum": options, **({"type": kinds.pop()} if len(kinds) == 1 and None not in kinds else {})}


def _description(meta: Any) -> str:
    text = meta if isinstance(meta, str) else getattr(meta, "description", None)  # Pydantic's Field has one
    return text if isinstance(text, str) else ""


def _mark(annotation: Any) -> str:
    """Return the name of what marks a TypedDict's field ("Required", "NotRequired", "ReadOnly"), or ""."""
    origin = typing.get_origin(annotation)
    name = str(origin).rpartition(".")[2]
    return name if name in ("Required", "NotRequired", "ReadOnly") else ""
