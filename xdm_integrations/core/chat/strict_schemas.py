"""JSON schemas as the strict mode of providers demands them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOT_STRICT = ("allOf", "oneOf", "not", "patternProperties", "if", "dependentRequired", "prefixItems")


def can_be_strict(schema: object) -> bool:
    """True if strict mode takes a schema and changes nothing of its meaning: no free keys, nothing optional."""
    if isinstance(schema, Mapping):
        if schema.keys() & set(_NOT_STRICT):
            return False
        if schema.get("type") == "object" or "properties" in schema:
            properties = schema.get("properties")
            if not isinstance(properties, Mapping) or schema.get("additionalProperties") not in (None, False):
                return False
            if not properties.keys() <= set(schema.get("required") or ()):
                return False
            inner = [*properties.values(), *(value for name, value in schema.items() if name != "properties")]
            return all(map(can_be_strict, inner))
        return all(map(can_be_strict, schema.values()))
    return all(map(can_be_strict, schema)) if isinstance(schema, list) else True


def strict_schema(schema: Any) -> Any:  # noqa: ANN401 - or any part of one
    """Return a schema as strict mode demands it: no other keys, every key required, no defaults."""
    if isinstance(schema, list):
        return [strict_schema(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {name: strict_schema(inner) for name, inner in schema.items() if name not in ("default", "properties")}
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        made["properties"] = {name: strict_schema(inner) for name, inner in properties.items()}
        made["required"] = list(properties)
        made["additionalProperties"] = False
    return made
