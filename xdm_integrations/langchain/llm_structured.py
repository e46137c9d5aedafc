"""Answers as objects: a prompt that asks for JSON, and a parser that accepts nothing less.

Text completions have no tools and no JSON mode, so the schema goes into the prompt. A
server that can force a schema gets it in the body on request.
"""

# ruff: noqa: ANN401 - `**kwargs: Any` are a call's, and schemas may be anything

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import OutputParserException
from langchain_core.runnables import RunnableLambda
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel, ValidationError

from xdm_integrations.core import jsontext
from xdm_integrations.core.completions.parameters import CompletionParams
from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.json_answers import fits, object_in, objects_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.language_models.base import LanguageModelInput
    from langchain_core.language_models.llms import BaseLLM
    from langchain_core.runnables import Runnable
    from typing_extensions import Unpack


_INSTRUCTIONS = """

Answer with one JSON object that conforms to this JSON schema, and with nothing else:
{schema}

JSON:
"""


class StructuredParams(CompletionParams, total=False):
    """What `with_structured_output` may be given beside the schema; see `structured_output`."""

    include_raw: bool
    """Return the text, the object and the error instead of raising."""
    method: str
    """"format_instructions" or "json_schema"."""
    schema_parameter: str
    """The field of the body that "json_schema" sends."""


def structured_output(  # noqa: PLR0913 - one argument per setting
    llm: BaseLLM,
    prompt_text: Callable[[LanguageModelInput], str],
    schema: dict[str, Any] | type,
    *,
    include_raw: bool = False,
    method: str = "format_instructions",
    schema_parameter: str = "response_format",
    **kwargs: Unpack[CompletionParams],
) -> Runnable[LanguageModelInput, Any]:
    """Return a chain that answers with an object of `schema`.

    Args:
        llm: The LLM that answers.
        prompt_text: Returns the text of an input, as the LLM sends it.
        schema: A pydantic class (the chain returns its instances), a TypedDict, a JSON schema or a function's
            dictionary (it returns dictionaries, which have the schema's required keys and types). The object
            that is taken is the last complete one that fits.
        include_raw: Return `{"raw": text, "parsed": object or None, "parsing_error": error or None}`
            instead of raising.
        method: "format_instructions" puts the schema into the prompt. "json_schema" also sends it in
            the body, for servers that can force it.
        schema_parameter: The field of the body that "json_schema" sends: "response_format" (vLLM, SGLang
            and others), or a server-specific one that takes the bare schema, such as "json_schema" (llama.cpp)
            or "guided_json" (older vLLM).
        **kwargs: Parameters of the call, as for `bind`.

    Raises:
        ConfigurationError: `schema` or `method` can't be used.
        OutputParserException: On use: the answer isn't such an object. `llm_output` is its text.
    """
    name, json_schema, validate = _read(schema)
    if method == "json_schema":
        kwargs["extra_body"] = {**(kwargs.get("extra_body") or {}), **_forced(name, json_schema, schema_parameter)}
    elif method != "format_instructions":
        raise ConfigurationError(
            f"method: {method!r} isn't possible with text completions, which have no tools. Use "
            f'"format_instructions", or "json_schema" where the server can force a schema.'
        )
    instructions = _INSTRUCTIONS.format(schema=json.dumps(json_schema, ensure_ascii=False))

    def ask(model_input: LanguageModelInput) -> str:
        return prompt_text(model_input) + instructions

    def parse(text: str) -> Any:
        best = object_in(text, json_schema)
        return validate(_near(text, json_schema) if best is None else best)

    def parse_beside_raw(text: str) -> dict[str, Any]:
        try:
            return {"raw": text, "parsed": parse(text), "parsing_error": None}
        except OutputParserException as error:
            return {"raw": text, "parsed": None, "parsing_error": error}

    parser: RunnableLambda[str, Any] = RunnableLambda(parse_beside_raw if include_raw else parse, name="parse")
    return RunnableLambda(ask, name="ask") | llm.bind(**kwargs) | parser


def _read(schema: Any) -> tuple[str, dict[str, Any], Callable[[dict[str, Any]], Any]]:
    """Return the schema's name, the JSON schema, and what makes an object of it from JSON."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return schema.__name__, schema.model_json_schema(), lambda value: _validated(schema, value)
    if isinstance(schema, dict):
        name, json_schema = _of_function(schema)
    else:
        try:
            name, json_schema = _of_function(convert_to_json_schema(schema))
        except (ValueError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"schema: {schema!r} must be a pydantic class, a TypedDict or a JSON schema ({error})."
            ) from None
    return name, json_schema, lambda value: _fitting(json_schema, value)


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


def _forced(name: str, json_schema: dict[str, Any], parameter: str) -> dict[str, Any]:
    if parameter != "response_format":
        return {parameter: json_schema}
    fit = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:64] or "answer"
    named = {"name": fit, "schema": json_schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _near(text: str, json_schema: dict[str, Any]) -> dict[str, Any]:
    """Return the last complete object that has any of the schema's keys, where none fits it.

    Raises:
        OutputParserException: There is none. One that was cut off isn't complete, and is never repaired.
    """
    names = json_schema.get("properties", {}).keys()
    near = [value for value in objects_in(text) if value.keys() & names]
    if near:
        return near[-1]
    if "{" in text:
        message = "The answer holds no complete JSON object of the schema; if it was cut off, raise `max_tokens`."
    else:
        message = f"The answer holds no JSON object: {text[:200]!r}"
    raise OutputParserException(message, llm_output=text)


def _validated(schema: type[BaseModel], value: dict[str, Any]) -> BaseModel:
    try:
        return schema.model_validate_json(jsontext.dumps(value))
    except ValidationError as error:
        raise OutputParserException(
            f"The answer's JSON isn't a {schema.__name__}: {error}", llm_output=json.dumps(value)
        ) from error


def _fitting(json_schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    missing = [name for name in json_schema.get("required", []) if name not in value]
    if missing:
        raise OutputParserException(f"The answer's JSON lacks {', '.join(missing)}.", llm_output=json.dumps(value))
    if not fits(value, json_schema):
        raise OutputParserException("The answer's JSON has values of other types.", llm_output=json.dumps(value))
    return value
