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
from xdm_integrations.core.chat.structured import Form, fit_name, form_of
from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.json_answers import fits, objects_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ObjectSchema(NamedTuple):
    """What is asked for.

    Attributes:
        given: What the user gave.
        form: Its name, description and JSON schema.
        make: Makes the object out of JSON, or raises `OutputParserException`.
        is_class: The objects are instances of a class, not dictionaries.
    """

    given: Any
    form: Form
    make: Callable[[dict[str, Any]], Any]
    is_class: bool

    def __reduce__(self) -> tuple[Callable[[Any], ObjectSchema], tuple[Any]]:
        """Let chains be pickled: a copy is made of the same class or schema."""
        return object_schema, (self.given,)

    def read(self, text: str) -> Any:
        """Return the last complete object of a text that fits, or raise `OutputParserException`. None is repaired."""
        found = objects_for(text, self.form.schema)
        if found:
            return self.make(found[0])
        if "{" in text:
            message = "The answer holds no complete JSON object of the schema; if it was cut off, raise `max_tokens`."
        else:
            message = f"The answer holds no JSON object: {text[:200]!r}"
        raise OutputParserException(message, llm_output=text)


def object_schema(schema: Any) -> ObjectSchema:
    """Return what a class or a dictionary asks for; refuse what is neither."""
    if isinstance(schema, type) and (issubclass(schema, (BaseModel, OldModel)) or dataclasses.is_dataclass(schema)):
        if issubclass(schema, OldModel):
            json_schema = schema.schema()
            make: Callable[[dict[str, Any]], Any] = schema.parse_obj
        else:
            adapter = TypeAdapter[Any](schema)
            json_schema = adapter.json_schema()
            make = lambda value: adapter.validate_json(jsontext.dumps(value))  # noqa: E731 - one of two
        form = form_of(json_schema)._replace(name=fit_name(schema.__name__))
        return ObjectSchema(schema, form, lambda value: _made(make, value, schema.__name__), is_class=True)
    try:
        form = form_of(schema if isinstance(schema, dict) else convert_to_json_schema(schema))
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"schema: {schema!r} must be a pydantic class, a dataclass, a TypedDict or a JSON schema ({error})."
        ) from None
    return ObjectSchema(schema, form, lambda value: _fitting(form.schema, value), is_class=False)


def _made(make: Callable[[dict[str, Any]], Any], value: dict[str, Any], name: str) -> Any:
    try:
        return make(value)
    except (ValidationError, OldValidationError) as error:
        raise OutputParserException(
            f"The answer's JSON isn't a {name}: {error}", llm_output=json.dumps(value)
        ) from error


def _fitting(json_schema: Mapping[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    missing = [name for name in json_schema.get("required", []) if name not in value]
    if missing:
        raise OutputParserException(f"The answer's JSON lacks {', '.join(missing)}.", llm_output=json.dumps(value))
    if not fits(value, json_schema):
        raise OutputParserException("The answer's JSON has values of other types.", llm_output=json.dumps(value))
    return value
