"""LlamaIndex's messages as the API takes them. The messages are left alone.

What the model needs goes out, or is refused before any byte. Marks for a cache go nowhere; neither do the keys of a
stored message's `additional_kwargs` that other classes put there.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Sequence
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

from xdm_integrations.core.chat.messages import assistant
from xdm_integrations.core.chat.parts import audio_part, file_part, image_part, text_part
from xdm_integrations.core.chat.tool_calls import ToolCall
from xdm_integrations.core.errors.tree import ConfigurationError

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
_NO_TITLE = "input_document"
"""What LlamaIndex calls a document that has no title."""


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
    return wire


def check_types(messages: Sequence[ChatMessage]) -> None:
    """Refuse what aren't LlamaIndex's messages.

    Raises:
        ConfigurationError: They are something else; the error names it.
    """
    several = isinstance(messages, (list, Sequence))  # an ABC alone is slow
    others = [m for m in messages if not isinstance(m, ChatMessage)] if several else [messages]
    if others:
        shown = ", ".join(sorted({type(other).__name__ for other in others}))
        raise ConfigurationError(f"messages: expected a list of LlamaIndex's ChatMessage, got {shown}.")


async def ato_wire(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """See `to_wire`. Files that blocks name are read in a thread, so that no event loop waits for a disk."""
    if isinstance(messages, (list, Sequence)) and any(map(_names_a_file, messages)):
        return await asyncio.to_thread(to_wire, messages)
    return to_wire(messages)


def _names_a_file(message: ChatMessage) -> bool:
    for block in message.blocks if isinstance(message, ChatMessage) else ():
        if isinstance(block, TextBlock):
            continue
        inner: Sequence[Any] = block.content if isinstance(block, CitableBlock) else (block,)
        if any(getattr(one, "path", None) for one in inner):
            return True
    return False


def _message(message: ChatMessage, answered: set[Any]) -> dict[str, Any]:
    role = message.role
    if role in _ASSISTANT:
        return _assistant(message, answered)
    wire: dict[str, Any] = {"role": role.value, "content": _content(message.blocks)}
    if role == MessageRole.TOOL:
        wire["tool_call_id"] = message.additional_kwargs.get("tool_call_id")
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
    return assistant(
        _content(blocks),
        tool_calls=_calls(message, answered),
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
            else json.dumps(block.tool_kwargs, ensure_ascii=False),
            extras.get(block.tool_call_id or ""),
        )
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    ]
    broken = [stored_call(call) for call in message.additional_kwargs.get(INVALID_TOOL_CALLS) or ()]
    return [*(calls or stored), *(call for call in broken if call.id in answered)]


def stored_call(call: Any) -> ToolCall:  # noqa: ANN401 - a dictionary, or an object of the OpenAI package
    """Return a call that was stored beside a message, in the API's form."""
    return ToolCall.from_wire(call if isinstance(call, dict) else call.model_dump(exclude_none=True))


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


def _content(blocks: Sequence[Any]) -> str | list[dict[str, Any]]:
    """Return the content of a message; the client makes one string of parts that are nothing but text."""
    if len(blocks) == 1 and isinstance(blocks[0], TextBlock):
        return blocks[0].text
    return [part for block in blocks for part in _parts(block)]


def _parts(block: Any) -> list[dict[str, Any]]:  # noqa: ANN401, PLR0911 - one of LlamaIndex's ten blocks
    if isinstance(block, TextBlock):
        return [text_part(block.text)]
    if isinstance(block, ImageBlock):
        return [_image(block)]
    if isinstance(block, AudioBlock):
        _refuse_url(block, "audio")
        return [audio_part(_bytes(block.resolve_audio()), form=block.format)]
    if isinstance(block, DocumentBlock):
        return [_document(block)]
    if isinstance(block, VideoBlock):
        return [_video(block)]
    if isinstance(block, CitableBlock):
        return [part for inner in block.content for part in _parts(inner)]
    if isinstance(block, CitationBlock):
        return _parts(block.cited_content)
    if isinstance(block, (CachePoint, ThinkingBlock, ToolCallBlock)):
        return []  # the last two have places of their own
    raise ConfigurationError(f"blocks: {type(block).__name__} can't be sent.")


def _image(block: ImageBlock) -> dict[str, Any]:
    if block.url and not block.image:
        return image_part(str(block.url), detail=block.detail)
    data, kind = _bytes(block.resolve_image()), block.image_mimetype
    return image_part(_data_url(data, kind) if kind else data, detail=block.detail)


def _document(block: DocumentBlock) -> dict[str, Any]:
    if not block.data:
        _refuse_url(block, "document")
    path = str(block.path or "")
    title = block.title or _NO_TITLE
    name = Path(path).name if path and title == _NO_TITLE else title
    kind = block.document_mimetype or guess_type(path or title)[0] or "application/pdf"
    return file_part(_bytes(block.resolve_document()), name, media_type=kind)


def _video(block: VideoBlock) -> dict[str, Any]:
    """Return a part as Qwen, GLM and Kimi take it; OpenAI has none."""
    if block.url and not block.video:
        url = str(block.url)
    else:
        url = _data_url(_bytes(block.resolve_video()), block.video_mimetype or "video/mp4")
    return {"type": "video_url", "video_url": {"url": url}}


def _refuse_url(block: AudioBlock | DocumentBlock, what: str) -> None:
    if block.url and not str(block.url).startswith("data:"):
        raise ConfigurationError(f"{what}: the API takes no address of one; load it, and pass its bytes or its path.")


def _data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"


def _bytes(buffer: Any) -> bytes:  # noqa: ANN401 - any open file
    data: bytes = buffer.read()
    return data
