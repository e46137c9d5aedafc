"""LlamaIndex's messages as the API takes them. The messages are left alone.

What the model needs goes out, or is refused before any byte. Marks for a cache go nowhere; neither do the keys of a
stored message's `additional_kwargs` that other classes put there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from xdm_integrations.core.chat.messages import assistant
from xdm_integrations.core.chat.tool_calls import ToolCall
from xdm_integrations.core.errors.tree import ConfigurationError

from .parts import content_of

TOOL_CALLS = "tool_calls"
"""Where LlamaIndex's readers look for calls, beside the blocks: wire form, with the server's own keys."""
INVALID_TOOL_CALLS = "invalid_tool_calls"
"""Calls that can't be carried out."""
MESSAGE_EXTRA = "message_extra"
"""Fields of the message that LlamaIndex's has no place for."""
AUDIO_ID = "reference_audio_id"
"""The id of an audio answer, which is all that goes back of it."""
FIELD = "field"
"""In a thinking block: the field of the message that the reasoning came in; None if that was none (Mistral's parts,
`<think>` tags): it goes back in none, which Mistral would refuse."""
DETAILS = "reasoning_details"
"""In a thinking block: reasoning in parts, which goes back as it came."""

_ASSISTANT = (MessageRole.ASSISTANT, MessageRole.CHATBOT, MessageRole.MODEL)


def to_wire(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Return messages in the API's form.

    Raises:
        ConfigurationError: A message holds what can't be sent; the error names its number, counted from 1.
    """
    check_types(messages)
    answered = {message.additional_kwargs.get("tool_call_id") for message in messages if message.role == "tool"}
    wire: list[dict[str, Any]] = []
    for number, message in enumerate(messages, 1):
        try:
            wire.append(_message(message, answered))
        except (ValueError, OSError) as error:
            what = error.message if isinstance(error, ConfigurationError) else str(error)
            raise ConfigurationError(f"messages: message {number} ({message.role.value}): {what}") from None
    if answered:
        _give_ids(wire)
    return wire


def _give_ids(wire: list[dict[str, Any]]) -> None:
    """Give calls that were stored without an id of their own one, and their results too.

    LlamaIndex's classes for Ollama and Gemini put there nothing or the tool's name, which several calls may have.
    """
    open_calls: list[dict[str, Any]] = []
    for number, message in enumerate(wire):
        if message["role"] != MessageRole.TOOL:
            calls = message.get(TOOL_CALLS) or ()
            open_calls = [call for call in calls if call["id"] in {"", call["function"]["name"]}]
            for position, call in enumerate(open_calls):
                call["id"] = f"call_{number}_{position}"
            continue
        named = message["tool_call_id"] or ""
        for call in open_calls:
            if named in {"", call["function"]["name"]}:
                message["tool_call_id"] = call["id"]
                open_calls.remove(call)
                break


def check_types(messages: Any) -> None:  # noqa: ANN401 - whatever was given as messages
    """Refuse what aren't LlamaIndex's messages.

    Raises:
        ConfigurationError: They are something else; the error names it.
    """
    several = isinstance(messages, (list, Sequence))  # an ABC alone is slow
    others = [m for m in messages if not isinstance(m, ChatMessage)] if several else [messages]
    if others:
        shown = ", ".join(sorted({type(other).__name__ for other in others}))
        advice = " For a prompt call `complete`." if isinstance(messages, str) else ""
        raise ConfigurationError(f"messages: expected a list of LlamaIndex's ChatMessage, got {shown}.{advice}")


async def ato_wire(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """See `to_wire`. Files that blocks name are read in a thread, so that no event loop waits for a disk."""
    if isinstance(messages, (list, Sequence)) and any(map(_names_a_file, messages)):
        return await asyncio.to_thread(to_wire, messages)
    return to_wire(messages)


def _names_a_file(message: ChatMessage) -> bool:
    for block in message.blocks if isinstance(message, ChatMessage) else ():
        if isinstance(block, TextBlock):
            continue
        inner: Sequence[Any] = getattr(block, "nested_blocks", (block,))
        if any(getattr(one, "path", None) for one in inner):
            return True
    return False


def _message(message: ChatMessage, answered: set[Any]) -> dict[str, Any]:
    role = message.role
    if role in _ASSISTANT:
        return _assistant(message, answered)
    wire: dict[str, Any] = {"role": role.value, "content": content_of(message.blocks)}
    if role == MessageRole.TOOL:
        wire["tool_call_id"] = message.additional_kwargs.get("tool_call_id")
    elif role == MessageRole.FUNCTION:  # of the years before tools
        wire["name"] = message.additional_kwargs.get("name")
    return wire


def _assistant(message: ChatMessage, answered: set[Any]) -> dict[str, Any]:
    kept = message.additional_kwargs
    audio_id = kept.get(AUDIO_ID)
    blocks = [block for block in message.blocks if not (audio_id and isinstance(block, AudioBlock))]
    extra = dict(kept.get(MESSAGE_EXTRA) or {})
    if audio_id:
        extra["audio"] = {"id": audio_id}
    if kept.get("refusal"):
        extra["refusal"] = kept["refusal"]
    calls = _calls(message, answered)
    if kept.get("function_call") and not calls:
        extra["function_call"] = _as_stored(kept["function_call"])  # of the years before `tool_calls`
    return assistant(
        content_of(blocks),
        tool_calls=calls,
        reasoning=_reasoning(blocks),
        extra=extra,
    )


def _calls(message: ChatMessage, answered: set[Any]) -> list[ToolCall]:
    """Return the calls of a message, once: those of its blocks, or else those that other classes store beside."""
    stored = [stored_call(call) for call in message.additional_kwargs.get(TOOL_CALLS) or ()]
    extras = {call.id: call.extra for call in stored}
    calls = [
        ToolCall(
            block.tool_call_id or "",
            block.tool_name,
            block.tool_kwargs
            if isinstance(block.tool_kwargs, str)
            else json.dumps(block.tool_kwargs, ensure_ascii=False, default=str),
            extras.get(block.tool_call_id or ""),
        )
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    ]
    broken = [stored_call(call) for call in message.additional_kwargs.get(INVALID_TOOL_CALLS) or ()]
    return [*(calls or stored), *(call for call in broken if call.id in answered)]


def stored_call(call: object) -> ToolCall:
    """Return a call that was stored beside a message, in the API's form or in Anthropic's."""
    given = _as_stored(call)
    if isinstance(given, Mapping) and given.get("type") == "tool_use":
        given = {"id": given.get("id"), "function": {"name": given.get("name"), "arguments": given.get("input")}}
    return ToolCall.from_wire(given)


def _as_stored(given: Any) -> Any:  # noqa: ANN401 - a dictionary, or an object of the provider's package
    return given.model_dump(exclude_none=True) if hasattr(given, "model_dump") else given


def _reasoning(blocks: Sequence[Any]) -> dict[str, Any]:
    """Return reasoning by the field that it came in; beside calls of tools it goes back."""
    fields: dict[str, Any] = {}
    for block in blocks:
        if isinstance(block, ThinkingBlock):
            about = block.additional_information
            name = about.get(FIELD, None if DETAILS in about else "reasoning_content")
            if name and block.content:
                fields[name] = fields.get(name, "") + block.content
            if about.get(DETAILS):
                fields[DETAILS] = [*fields.get(DETAILS, ()), *about[DETAILS]]
    return fields
