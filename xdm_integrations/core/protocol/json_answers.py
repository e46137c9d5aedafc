"""The JSON object that a model was asked for, read out of what it wrote.

Models write more than was asked: thoughts, drafts, examples, the schema once more, braces in prose,
fences. The answer is the last complete object that fits the schema. An object that was cut off is none,
nor is anything inside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_DECODER = json.JSONDecoder(strict=False)  # models write line breaks into strings
_BEGINNING = re.compile(r"""\{[ \t\n\r]*["}]""")  # of an object
_WRAPPERS = ("arguments", "parameters")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_DEEPEST = 50  # levels of a schema that are looked at


def object_in(text: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the last complete JSON object in `text` that fits `schema`; None if there is none.

    An object that is all that another one holds (`{"arguments": {...}}`, `{"Person": {...}}`) is found as well.
    """
    found = None
    for value in objects_in(text):
        for candidate in (value, *_wrapped(value)):
            if fits(candidate, schema) and not _is_schema(candidate, schema):
                found = candidate
                break
    return found


def objects_for(text: str, schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the one of `object_in`; or else, the last one first, those that have any of the schema's keys."""
    best = object_in(text, schema)
    if best is not None:
        return [best]
    return [value for value in objects_in(text) if not value.keys().isdisjoint(_properties(schema))][::-1]


def objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the complete JSON objects of a text in order, without those inside others or in a leading thought."""
    start = text.lstrip()
    if start.startswith("<think>"):
        text = start.partition("</think>")[2]
    far = max(4096, len(text) // 256)
    at = 0
    while begun := _BEGINNING.search(text, at):
        at = begun.start()
        if at > far:  # a JSONDecodeError counts the lines of all that is in front of it
            text, at = text[at:], 0
        try:
            value, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            end = max(at + 1, error.pos)  # what lies before it is inside a broken object
        except ValueError:  # a number of thousands of digits, which Python doesn't read
            end = at + 1
        except RecursionError:
            return
        else:
            yield value
        at = end


def fits(value: object, schema: object, root: Mapping[str, Any] | None = None, depth: int = _DEEPEST) -> bool:
    """True if `value` has the types and the required keys of a JSON schema; other keywords are let pass."""
    if not isinstance(schema, Mapping) or not depth:
        return True
    root = schema if root is None else root
    if isinstance(schema.get("$ref"), str):
        return fits(value, _resolved(schema["$ref"], root), root, depth - 1)
    if not _fits_words(value, schema, root, depth):
        return False
    if isinstance(value, dict):
        return _fits_object(value, schema, root, depth)
    return not isinstance(value, list) or all(fits(item, schema.get("items"), root, depth - 1) for item in value)


def _fits_words(value: object, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> bool:
    """Judge by the keywords that hold for any kind of value."""
    for word, judge in (("anyOf", any), ("oneOf", any), ("allOf", all)):
        options = schema.get(word)
        if isinstance(options, list) and not judge(fits(value, option, root, depth - 1) for option in options):
            return False
    if isinstance(schema.get("enum"), list) and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds] if isinstance(kinds, str) else []
    return not kinds or any(_is(value, kind) for kind in kinds)


def _fits_object(value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> bool:
    required, properties = schema.get("required"), _properties(schema)
    if isinstance(required, list) and not all(name in value for name in required):
        return False
    if not properties:
        return True
    if not required and value and not value.keys() & properties.keys():
        return False  # another object, where all of this one's keys may be missing
    return all(fits(value[name], inner, root, depth - 1) for name, inner in properties.items() if name in value)


def _is(value: object, kind: object) -> bool:
    if isinstance(value, bool) and kind in ("number", "integer"):
        return False
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(str(kind), (object,)))


def _resolved(ref: str, root: Mapping[str, Any]) -> object:
    """Return what a reference within the schema stands for; None, which anything fits, for another one."""
    at: object = root
    for name in ref.removeprefix("#/").split("/"):
        at = at.get(name) if isinstance(at, Mapping) else None
    return at


def _wrapped(value: dict[str, Any]) -> list[dict[str, Any]]:
    inner = list(value.values()) if len(value) == 1 else [value.get(name) for name in _WRAPPERS]
    return [item for item in inner if isinstance(item, dict)]


def _is_schema(value: dict[str, Any], schema: Mapping[str, Any]) -> bool:
    """True if the model only repeated the schema, or a part of it."""
    return value in (schema, schema.get("properties")) or (
        "properties" in value and "properties" not in _properties(schema)
    )


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}
