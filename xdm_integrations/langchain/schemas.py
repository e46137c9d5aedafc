"""Schemas as users give them, and the objects that are made by them."""

# ruff: noqa: ANN401 - schemas, and objects of them, may be anything

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.exceptions import OutputParserException
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.v1 import BaseModel as OldModel
from pydantic.v1 import ValidationError as OldValidationError

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.json_answers import fits, object_in, objects_in

if TYPE_CHECKING:
    from collections.abc import Callable


class ObjectSchema(NamedTuple):
    """What is asked for.

    Attributes:
        name: The schema's name; "" if it has none.
        json_schema: The schema.
        make: Makes the object out of JSON, or raises `OutputParserException`.
        is_class: The objects are instances of a class, not dictionaries.
    """

    name: str
    json_schema: dict[str, Any]
    make: Callable[[dict[str, Any]], Any]
    is_class: bool

    def read(self, text: str) -> Any:
        """Return the object that a text holds: the last complete one that fits.

        Raises:
            OutputParserException: There is none. One that was cut off isn't complete, and is never repaired.
        """
        best = object_in(text, self.json_schema)
        return self.make(self._near(text) if best is None else best)

    def _near(self, text: str) -> dict[str, Any]:
        """Return the last complete object that has any of the schema's keys, where none fits it."""
        names = self.json_schema.get("properties", {}).keys()
        near = [value for value in objects_in(text) if value.keys() & names]
        if near:
            return near[-1]
        if "{" in text:
            message = "The answer holds no complete JSON object of the schema; if it was cut off, raise `max_tokens`."
        else:
            message = f"The answer holds no JSON object: {text[:200]!r}"
        raise OutputParserException(message, llm_output=text)


def object_schema(schema: Any) -> ObjectSchema:
    """Return what a class or a dictionary asks for.

    Args:
        schema: A pydantic class of version 2 or 1, a dataclass, a TypedDict, a JSON schema or a function's dictionary.

    Raises:
        ConfigurationError: It is none of those.
    """
    if isinstance(schema, type) and (issubclass(schema, (BaseModel, OldModel)) or dataclasses.is_dataclass(schema)):
        if issubclass(schema, OldModel):
            json_schema = schema.schema()
            make: Callable[[dict[str, Any]], Any] = schema.parse_obj
        else:
            adapter = TypeAdapter[Any](schema)
            json_schema = adapter.json_schema()
            make = lambda value: adapter.validate_json(jsontext.dumps(value))  # noqa: E731 - one of two
        return ObjectSchema(schema.__name__, json_schema, lambda value: _made(make, value, schema.__name__), True)  # noqa: FBT003 - the last field
    if isinstance(schema, dict):
        name, json_schema = _of_function(schema)
    else:
        try:
            name, json_schema = _of_function(convert_to_json_schema(schema))
        except (ValueError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"schema: {schema!r} must be a pydantic class, a dataclass, a TypedDict or a JSON schema ({error})."
            ) from None
    return ObjectSchema(name, json_schema, lambda value: _fitting(json_schema, value), False)  # noqa: FBT003 - the last field


def _of_function(schema: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return name and JSON schema of a JSON schema, or of a function's dictionary, plain or in OpenAI's wrapping."""
    for wrapping in ("function", "json_schema"):
        if isinstance(schema.get(wrapping), dict):
            schema = schema[wrapping]
    name = schema.get("name")
    for key in ("parameters", "schema", "input_schema"):
        if isinstance(name, str) and isinstance(schema.get(key), dict):
            return name, schema[key]
    return str(schema.get("title", "")), schema


def _made(make: Callable[[dict[str, Any]], Any], value: dict[str, Any], name: str) -> Any:
    try:
        return make(value)
    except (ValidationError, OldValidationError) as error:
        raise OutputParserException(
            f"The answer's JSON isn't a {name}: {error}", llm_output=json.dumps(value)
        ) from error


def _fitting(json_schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    missing = [name for name in json_schema.get("required", []) if name not in value]
    if missing:
        raise OutputParserException(f"The answer's JSON lacks {', '.join(missing)}.", llm_output=json.dumps(value))
    if not fits(value, json_schema):
        raise OutputParserException("The answer's JSON has values of other types.", llm_output=json.dumps(value))
    return value
