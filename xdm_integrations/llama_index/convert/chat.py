"""Answers of chat as LlamaIndex knows them. Pure.

A message holds one `ThinkingBlock` (if the server shows reasoning), one `TextBlock`, images and audio, and a
`ToolCallBlock` for each call; the calls also stand in its `additional_kwargs["tool_calls"]`, in the API's form, since
LlamaIndex's programs look there. Beside the message, `raw` and `additional_kwargs` are as in `completions`.
"""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from itertools import starmap
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from xdm_integrations.core.chat.parts import image_in
from xdm_integrations.core.chat.results import ChatChoice, Message

from .completions import beside_answer
from .messages import AUDIO_ID, DETAILS, FIELD, INVALID_TOOL_CALLS, TOOL_CALLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xdm_integrations.core.chat.results import ChatCompletion
    from xdm_integrations.core.chat.tool_calls import ToolCall
    from xdm_integrations.core.protocol.results import Logprobs

PIECE = "chat.completion.chunk"
"""The `object` of an item that isn't the complete answer."""
_NO_CHOICE = ChatChoice(Message())


def chat_response(completion: ChatCompletion, *, one_call: bool = False) -> ChatResponse:
    """Return a complete answer.

    Args:
        completion: The answer.
        one_call: Leave all calls out but the first: no other one was wanted.
    """
    message = completion.choices[0].message if completion.choices else _NO_CHOICE.message
    return ChatResponse(message=_message(message, one_call=one_call), **_beside(completion))


def completion_response(completion: ChatCompletion, *, one_call: bool = False) -> CompletionResponse:  # noqa: ARG001 - of the same form as its twin
    """Return a complete answer as a text."""
    return CompletionResponse(text=completion.text, **_beside(completion))


def _message(message: Message, *, one_call: bool) -> ChatMessage:
    calls = message.tool_calls[:1] if one_call else message.tool_calls
    kept: dict[str, Any] = {}
    if calls:
        kept[TOOL_CALLS] = [call.to_wire() for call in calls]
    if message.invalid_tool_calls:
        kept[INVALID_TOOL_CALLS] = [*map(_as_written, message.invalid_tool_calls)]
    if message.refusal:
        kept["refusal"] = message.refusal
    if message.annotations:
        kept["annotations"] = list(message.annotations)
    blocks: list[Any] = []
    if message.reasoning or message.reasoning_fields:
        blocks.append(_thinking(message))
    blocks += [TextBlock(text=message.text), *_images(message)]
    if message.audio:
        blocks += _audio(message.audio, kept)
    blocks += [ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=call.parsed()) for call in calls]
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=kept)


def _thinking(message: Message) -> ThinkingBlock:
    fields = message.reasoning_fields or {}
    about: dict[str, Any] = {} if fields else {FIELD: None}
    for name, value in fields.items():
        if name == DETAILS:
            about[DETAILS] = value
        else:
            about[FIELD] = name
    return ThinkingBlock(content=message.reasoning, additional_information=about)


def _audio(audio: Mapping[str, Any], kept: dict[str, Any]) -> list[AudioBlock]:
    """Return spoken words that can be read; what else belongs to them goes into `kept`."""
    if audio.get("transcript"):
        kept["transcript"] = audio["transcript"]
    if audio.get("id"):
        kept[AUDIO_ID] = audio["id"]
    with suppress(TypeError, ValueError):
        if sound := b64decode(audio.get("data") or ""):
            return [AudioBlock(audio=sound)]
    return []


def _images(message: Message) -> list[ImageBlock]:
    """Return the images that can be read; `raw` has all of them as they came."""
    blocks: list[ImageBlock] = []
    for image in message.images:
        found = image_in(image)
        with suppress(ValueError):
            if isinstance(found, str):
                blocks.append(ImageBlock(url=found))
            elif found is not None:
                blocks.append(ImageBlock(image=found[0], image_mimetype=found[1] or None))
    return blocks


def _as_written(call: ToolCall) -> dict[str, Any]:
    """Return a call in the API's form, its arguments as the model wrote them."""
    function = {"name": call.name, "arguments": call.arguments}
    return {**(call.extra or {}), "id": call.id, "type": "function", "function": function}


def _beside(completion: ChatCompletion) -> dict[str, Any]:
    first = completion.choices[0] if completion.choices else _NO_CHOICE
    return beside_answer(completion, first, [*starmap(_choice, completion.choices)], "chat.completion")


def _choice(
    message: Message, index: int, finish_reason: str | None, logprobs: Logprobs | None, extra: Mapping[str, Any]
) -> dict[str, Any]:
    calls = [*map(_as_written, (*message.tool_calls, *message.invalid_tool_calls))]
    beside = {
        **(message.reasoning_fields or {}),
        TOOL_CALLS: calls,
        "refusal": message.refusal,
        "audio": message.audio,
        "images": list(message.images),
        "annotations": list(message.annotations),
    }
    sent = {"role": "assistant", "content": message.text, **(message.extra or {})}
    sent.update({name: value for name, value in beside.items() if value})
    known = {
        "index": index,
        "message": sent,
        "finish_reason": finish_reason,
        "logprobs": logprobs and logprobs.as_chat(),
    }
    return {**extra, **known}
