"""From LangChain's messages and tools to the API's. Pure; they stay as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.utils.function_calling import convert_to_openai_tool

from xdm_integrations.core.chat import messages as wire
from xdm_integrations.core.chat.parts import text_part
from xdm_integrations.core.chat.results import REASONING_KEYS
from xdm_integrations.core.chat.tool_calls import ToolCall
from xdm_integrations.core.errors.tree import ConfigurationError

from .parts import part_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from langchain_core.tools import BaseTool

CALL_EXTRA = "tool_call_extra"
"""The key of `additional_kwargs` for fields of calls that LangChain's have no place for, by the call's id."""
MESSAGE_EXTRA = "message_extra"
"""The key of `additional_kwargs` for fields of the message that LangChain's has no place for."""
REASONING_FIELD = "reasoning_field"
"""The key of `response_metadata` for the name under which the reasoning came, where it isn't "reasoning_content"."""
NO_FIELD = "content"
"""That name where it came in no field of its own (Mistral's parts, `<think>` tags): it goes back in none, which Mistral
would refuse."""
_SCHEMAS = ("function", "object", "custom")
"""Types of dictionaries that describe a function ("custom" is Anthropic's); others are a provider's own kinds."""
_WORDS_OF_BLOCKS = ("refusal", "reasoning", "thinking", "reasoning_content", "summary", "text")
"""Where blocks hold the words of a refusal or a thought: OpenAI's in a list of parts, Bedrock's in a dictionary."""
_WORDS = {"auto": "auto", "none": "none", "any": "required", "required": "required"}


def wire_messages(messages: Iterable[BaseMessage]) -> list[dict[str, Any]]:
    """Return the messages in the API's form.

    Raises:
        ConfigurationError: One holds what chat has no form for; the error names its number, counted from 1.
    """
    return [_wire(message, f"message {number}") for number, message in enumerate(messages, 1)]


def _wire(message: BaseMessage, where: str) -> dict[str, Any]:
    if isinstance(message, AIMessage):
        return _assistant(message)
    if isinstance(message, ToolMessage):
        return wire.tool_result(message.tool_call_id, _content(message, where))
    if isinstance(message, FunctionMessage):
        return {"role": "function", "name": message.name, "content": _content(message, where)}
    if isinstance(message, HumanMessage):
        sent = wire.user(_content(message, where))
    elif isinstance(message, SystemMessage):
        sent = wire.system(_content(message, where))
    elif isinstance(message, ChatMessage):
        sent = {"role": message.role, "content": _content(message, where)}
    else:
        raise ConfigurationError(f"{where}: a {type(message).__name__} can't be sent.")
    return _named(sent, message)


def _named(sent: dict[str, Any], message: BaseMessage) -> dict[str, Any]:
    name = message.name or message.additional_kwargs.get("name")
    return {**sent, "name": name} if name else sent


def _content(message: BaseMessage, where: str) -> str | list[dict[str, Any]]:
    if isinstance(message.content, str):
        return message.content
    parts = (part_of(block, f"{where}, part {number}") for number, block in enumerate(message.content, 1))
    return [part for part in parts if part is not None]


def _assistant(message: AIMessage) -> dict[str, Any]:
    """Return an answer as it goes back: its text, its calls and, beside them, its reasoning."""
    kwargs = message.additional_kwargs
    extra = dict(kwargs.get(MESSAGE_EXTRA) or {})
    refusal = kwargs.get("refusal") or _words_of(message.content, "refusal")
    if refusal:
        extra["refusal"] = refusal
    audio = kwargs.get("audio")
    if isinstance(audio, Mapping) and audio.get("id"):
        extra["audio"] = {"id": audio["id"]}  # the API wants no more of it
    calls = _calls(message)
    if kwargs.get("function_call") and not calls:
        extra["function_call"] = kwargs["function_call"]  # of the years before `tool_calls`
    sent = wire.assistant(_texts(message), tool_calls=calls, reasoning=_reasoning(message), extra=extra)
    return _named(sent, message)


def _texts(message: AIMessage) -> str | list[dict[str, Any]]:
    if isinstance(message.content, str):
        return message.content
    return [text_part(text) for block in message.content if (text := text_of(block))]


def _calls(message: AIMessage) -> list[ToolCall]:
    extra = message.additional_kwargs.get(CALL_EXTRA) or {}
    calls = [
        ToolCall(
            call["id"] or "",
            call["name"],
            json.dumps(call["args"], ensure_ascii=False, default=str),
            extra.get(call["id"]),
        )
        for call in message.tool_calls
    ]
    calls += [
        ToolCall(broken["id"], broken["name"], broken["args"] or "", extra.get(broken["id"]))
        for broken in message.invalid_tool_calls
        if broken["id"] and broken["name"]  # what can't be answered doesn't go back
    ]
    return calls or [ToolCall.from_wire(call) for call in message.additional_kwargs.get("tool_calls") or ()]


def _reasoning(message: AIMessage) -> dict[str, Any]:
    """Return the reasoning by the field that it came in; out of blocks where another integration put it there."""
    kwargs = message.additional_kwargs
    given = {**kwargs, "reasoning": _text_in(kwargs.get("reasoning"))}  # a dictionary of OpenAI's older answers
    fields = {name: given[name] for name in REASONING_KEYS if given.get(name)}
    name = message.response_metadata.get(REASONING_FIELD)
    if name == NO_FIELD:
        fields.pop("reasoning_content", None)
        return fields
    if name in REASONING_KEYS and "reasoning_content" in fields:
        fields[name] = fields.pop("reasoning_content")
    if not fields:
        text = _words_of(message.content, "reasoning", "thinking", "reasoning_content")
        return {name or "reasoning_content": text} if text else {}
    return fields


def _words_of(content: str | list[Any], *kinds: str) -> str:
    """Return the text of the blocks of some kinds, in whatever form a provider writes them."""
    blocks = [] if isinstance(content, str) else content
    return "".join(_text_in(block) for block in blocks if isinstance(block, Mapping) and block.get("type") in kinds)


def _text_in(value: Any) -> str:  # noqa: ANN401 - a block or a part of it
    if isinstance(value, list):
        return "".join(map(_text_in, value))
    if isinstance(value, Mapping):
        return "".join(_text_in(value.get(name)) for name in _WORDS_OF_BLOCKS)
    return value if isinstance(value, str) else ""


def wire_tool(
    tool: Mapping[str, Any] | type | Callable[..., Any] | BaseTool, *, strict: bool | None = None
) -> dict[str, Any]:
    """Return a tool in the API's form; a provider's own kind as it is.

    Raises:
        ConfigurationError: It can't be described.
    """
    if isinstance(tool, Mapping) and "input_schema" not in tool and _own_kind(tool):
        return dict(tool)
    try:
        made: dict[str, Any] = convert_to_openai_tool(tool, strict=strict)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"tools: {tool!r} can't be described to the model ({error}).") from None
    return made


def _own_kind(tool: Mapping[str, Any]) -> bool:
    return tool.get("type", "object") not in _SCHEMAS or isinstance(tool.get("custom"), Mapping)


def tool_choice_of(choice: object, tools: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - a text or a dictionary
    """Return `tool_choice` in the API's form; None if it says nothing.

    Raises:
        ConfigurationError: It names none of the tools.
    """
    if choice is None or choice is False or not tools:
        return None
    if choice is True:
        return "required"
    if isinstance(choice, Mapping):
        if choice.get("type") in _WORDS:  # Anthropic's form
            return _WORDS[str(choice["type"])]
        if choice.get("type") != "tool":
            return dict(choice)
        choice = choice.get("name")
    names = [str(tool["function"]["name"]) for tool in tools if tool.get("type") == "function"]
    if choice in names:
        return {"type": "function", "function": {"name": choice}}
    if isinstance(choice, str) and choice in _WORDS:
        return _WORDS[choice]
    raise ConfigurationError(f"tool_choice: there is no tool {choice!r}; the tools are {', '.join(names)}.")
