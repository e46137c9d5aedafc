"""Answers as objects: a prompt that asks for JSON, and a parser that accepts nothing less."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import OutputParserException
from langchain_core.runnables import RunnableLambda

from xdm_integrations.core.completions.parameters import CompletionParams
from xdm_integrations.core.errors.tree import ConfigurationError

from .schemas import object_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    asked = object_schema(schema)
    name, _, json_schema = asked.form
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

    def parse_beside_raw(text: str) -> dict[str, Any]:
        try:
            return {"raw": text, "parsed": asked.read(text), "parsing_error": None}
        except OutputParserException as error:
            return {"raw": text, "parsed": None, "parsing_error": error}

    parser: RunnableLambda[str, Any] = RunnableLambda(parse_beside_raw if include_raw else asked.read, name="parse")
    return RunnableLambda(ask, name="ask") | llm.bind(**kwargs) | parser


def _forced(name: str, json_schema: Mapping[str, Any], parameter: str) -> dict[str, Any]:
    if parameter != "response_format":
        return {parameter: json_schema}
    named = {"name": name, "schema": json_schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}
