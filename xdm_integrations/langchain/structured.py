"""Objects from answers: how a chain asks for one, and how it is read out of whatever the model answered.

A text model has the schema in its prompt. How a chat model is asked is decided by `core.chat.structured`, request by
request, so the parser looks at the answer: an object may be a call's arguments or the text.
"""

# ruff: noqa: ANN401 - schemas, and objects of them, may be anything

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_core import exceptions
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser, JsonOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import RunnableAssign, RunnableLambda, RunnableMap

from xdm_integrations.core.chat.choice_so_far import CUT
from xdm_integrations.core.chat.structured import AUTO_TOOL, JSON_OBJECT, JSON_SCHEMA, NAMED_TOOL
from xdm_integrations.core.completions.parameters import CompletionParams
from xdm_integrations.core.errors.tree import ConfigurationError

from .schemas import object_schema
from .settings import STRUCTURED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.language_models import BaseChatModel
    from langchain_core.language_models.base import LanguageModelInput
    from langchain_core.language_models.llms import BaseLLM
    from langchain_core.runnables import Runnable
    from typing_extensions import Unpack

_INSTRUCTIONS = """

Answer with one JSON object that conforms to this JSON schema, and with nothing else:
{schema}

JSON:
"""
METHODS = {
    "auto": None,
    "json_schema": JSON_SCHEMA,
    "function_calling": NAMED_TOOL,
    "json_mode": JSON_OBJECT,
    "named_tool": NAMED_TOOL,
    "auto_tool": AUTO_TOOL,
    "json_object": JSON_OBJECT,
}
"""LangChain's names for the methods, and those of `core.chat.structured`."""


class StructuredParams(CompletionParams, total=False):
    """What `with_structured_output` may be given beside the schema; see `structured_text`."""

    include_raw: bool
    """Return the text, the object and the error instead of raising."""
    method: str
    """"format_instructions" or "json_schema"."""
    schema_parameter: str
    """The field of the body that "json_schema" sends."""


def structured_text(  # noqa: PLR0913 - one argument per setting
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


def structured_chat(
    chat: BaseChatModel,
    schema: Any,
    *,
    method: str = "auto",
    include_raw: bool = False,
    strict: bool | None = None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, Any]:
    """Return a chain that answers with an object; see `ChatXDM.with_structured_output`."""
    if method not in METHODS:
        raise ConfigurationError(f"method: {method!r} is none; the methods are {', '.join(METHODS)}.")
    wanted = object_schema(schema)
    name, description, json_schema = wanted.form
    named = {"name": name, "parameters": json_schema} | ({"description": description} if description else {})
    llm = chat.bind(
        **kwargs,
        **{STRUCTURED: {"schema": named, "method": METHODS[method], "strict": strict}},
        ls_structured_output_format={"kwargs": {"method": method, "strict": strict}, "schema": schema},
    )
    parser = ObjectParser(wanted=wanted)
    if not include_raw:
        return llm | parser
    raw: Runnable[Any, Any] = RunnableLambda(itemgetter("raw"))
    # No fallback of LangChain's: those take over only as long as nothing has been streamed.
    outcome = RunnableMap(parsed=raw | _QuietParser(wanted=wanted), parsing_error=raw | parser.error_of)
    # Not `RunnablePassthrough.assign`, which makes a chain that can't be pickled.
    return RunnableMap(raw=llm) | RunnableAssign(outcome)


class ObjectParser(BaseCumulativeTransformOutputParser[Any]):
    """Reads the object out of an answer, and out of one that grows: dictionaries grow, instances come at the end."""

    wanted: Any
    """The `ObjectSchema`."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Return the object that an answer holds; of one that is still growing, what there is of it, or None."""
        generation = result[0]
        message = generation.message if isinstance(generation, ChatGeneration) else AIMessage(generation.text)
        if not isinstance(message, AIMessage):
            raise OutputParserException(f"An answer is expected, not a {type(message).__name__}.")
        if partial and getattr(message, "chunk_position", None) != "last":
            return self._growing(message)
        _check_complete(message)
        if message.tool_calls:
            return self.wanted.make(message.tool_calls[0]["args"])
        if message.invalid_tool_calls:
            broken = message.invalid_tool_calls[0]
            raise OutputParserException(
                f"The call of {broken['name']!r} has arguments that are no JSON object: {str(broken['args'])[:300]}",
                llm_output=str(broken["args"]),
            )
        return self.wanted.read(str(message.text))

    def parse(self, text: str) -> Any:
        """Return the object that a text holds; see `parse_result`."""
        return self.wanted.read(text)

    def error_of(self, message: AIMessage) -> Exception | None:
        """Return why `parse_result` refuses a message; None if it doesn't."""
        try:
            self.parse_result([ChatGeneration(message=message)])
        except Exception as error:  # noqa: BLE001 - a class may refuse its fields by any error
            return error
        return None

    def _growing(self, message: AIMessage) -> dict[str, Any] | None:
        if self.wanted.is_class:
            return None
        if message.tool_calls:
            return message.tool_calls[0]["args"] or None
        found = JsonOutputParser().parse_result([Generation(text=str(message.text))], partial=True)
        return found if isinstance(found, dict) and found else None


class _QuietParser(ObjectParser):
    """Gives None where the other one raises: the error stands beside."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        try:
            return super().parse_result(result, partial=partial)
        except Exception:  # noqa: BLE001 - as in `error_of`
            return None


def _check_complete(message: AIMessage) -> None:
    """Refuse an answer that is a refusal, or was cut: what stands in it may look like the object, and isn't it."""
    refusal = message.additional_kwargs.get("refusal")
    reason = message.response_metadata.get("finish_reason")
    if refusal or reason == "content_filter":
        words = f"The model gave no object: {refusal or 'its answer was filtered.'}"
        refused = getattr(exceptions, "ModelRefusalError", None)  # langchain-core 1.7.5 and later
        raise OutputParserException(words) if refused is None else refused(words, raw_message=message)
    if reason in CUT:
        raise OutputParserException(
            "The answer was cut by its limit of tokens before the object was complete; raise `max_tokens`.",
            llm_output=str(message.text),
        )
