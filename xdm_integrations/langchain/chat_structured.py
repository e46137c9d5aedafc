"""Objects from chat: how a chain asks for one, and the parser that reads it out of whatever the model answered.

`core.chat.structured` decides how the model is asked, request by request, so the parser looks at the answer: an object
may be a call's arguments or the text.
"""

# ruff: noqa: ANN401 - schemas, and objects of them, may be anything

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_core import exceptions
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser, JsonOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import RunnableLambda, RunnableMap, RunnablePassthrough

from xdm_integrations.core.chat.choice_so_far import CUT
from xdm_integrations.core.chat.structured import AUTO_TOOL, JSON_OBJECT, JSON_SCHEMA, NAMED_TOOL
from xdm_integrations.core.errors.tree import ConfigurationError

from .schemas import object_schema
from .settings import STRUCTURED

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.language_models.base import LanguageModelInput
    from langchain_core.runnables import Runnable

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


def structured_output(
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
    outcome = RunnablePassthrough.assign(parsed=raw | _QuietParser(wanted=wanted), parsing_error=raw | parser.error_of)
    return RunnableMap(raw=llm) | outcome


class ObjectParser(BaseCumulativeTransformOutputParser[Any]):
    """Reads the object out of an answer, and out of one that grows: dictionaries grow, instances come at the end."""

    wanted: Any
    """The `ObjectSchema`."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Return the object that an answer holds; of one that is still growing, what there is of it, or None.

        Raises:
            OutputParserException: It holds none, or one that was cut off or doesn't fit the schema.
                For a refusal LangChain's `ModelRefusalError`, where its version has that.
        """
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
