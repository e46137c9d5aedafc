"""Answers of chat as LlamaIndex knows them, complete and in pieces. Pure.

A message holds one `ThinkingBlock` (if the server shows reasoning), one `TextBlock`, images and audio, and a
`ToolCallBlock` for each call; the calls also stand in its `additional_kwargs["tool_calls"]`, in the API's form, since
LlamaIndex's programs look there. Beside the message, `raw` and `additional_kwargs` are as in `completions`.
"""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from itertools import starmap
from typing import TYPE_CHECKING, Any, TypeVar

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

from .completions import about, beside_answer, logprobs_of
from .messages import AUDIO_ID, DETAILS, FIELD, INVALID_TOOL_CALLS, MESSAGE_EXTRA, TOOL_CALLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xdm_integrations.core.chat.results import ChatChunk, ChatCompletion
    from xdm_integrations.core.chat.tool_calls import ToolCall, ToolCallDelta
    from xdm_integrations.core.protocol.results import Logprobs

PIECE = "chat.completion.chunk"
"""The `object` of an item that isn't the complete answer."""
_NO_CHOICE = ChatChoice(Message())
THINKING = "thinking_delta"
"""Where LlamaIndex's agents look for the new reasoning of an item."""

Response = TypeVar("Response", ChatResponse, CompletionResponse)


def chat_response(completion: ChatCompletion, *, one_call: bool = False) -> ChatResponse:
    """Return a complete answer; with `one_call` without all calls but the first: no other one was wanted."""
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
    if message.invalid_tool_calls and not (one_call and calls):
        kept[INVALID_TOOL_CALLS] = [*map(_as_written, message.invalid_tool_calls)]
    if message.refusal:
        kept["refusal"] = message.refusal
    if message.annotations:
        kept["annotations"] = list(message.annotations)
    if message.extra:
        kept[MESSAGE_EXTRA] = dict(message.extra)
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
    """Return the sound of an audio answer if it can be read; what else belongs to it goes into `kept`."""
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


class AnswerSoFar:
    """A stream's answer as far as it has come. Each item is made anew: none changes after it was handed on.

    Only the forms of calls that go on unchanged are those of the item before: an answer may have very many.
    """

    def __init__(self, completion: ChatCompletion, *, one_call: bool) -> None:
        self._about = about(completion, PIECE)
        self._one_call = one_call
        self._thought = ""
        self._calls: list[ToolCallBlock] = []
        self._wire: list[dict[str, Any]] = []
        """The same calls in the API's form."""

    def chat_piece(self, text: str, chunk: ChatChunk) -> ChatResponse:
        """Return an item before the last; `text` is all the text so far."""
        beside = self._beside(chunk)
        blocks: list[Any] = [TextBlock(text=text)]
        if self._thought:
            blocks.insert(0, ThinkingBlock(content=self._thought))
        if not self._calls:
            return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks), **beside)
        shown = 1 if self._one_call else len(self._calls)
        message = ChatMessage.model_construct(  # as above, but looks at no block: that would take longer with each call
            role=MessageRole.ASSISTANT,
            blocks=blocks + self._calls[:shown],
            additional_kwargs={TOOL_CALLS: self._wire[:shown]},
        )
        return ChatResponse(message=message, **beside)

    def completion_piece(self, text: str, chunk: ChatChunk) -> CompletionResponse:
        """Return an item before the last as a text."""
        return CompletionResponse(text=text, **self._beside(chunk))

    def last_chat(self, completion: ChatCompletion, text: str, delta: str) -> ChatResponse:
        """Return the last item: the complete answer."""
        response = chat_response(completion, one_call=self._one_call)
        return self._finished(response, completion, text, delta)

    def last_completion(self, completion: ChatCompletion, text: str, delta: str) -> CompletionResponse:
        """Return the last item as a text."""
        return self._finished(completion_response(completion), completion, text, delta)

    def _finished(self, response: Response, completion: ChatCompletion, text: str, delta: str) -> Response:
        response.delta = delta if text else completion.text  # all of it, where the first choice never came
        thought = completion.reasoning[len(self._thought) :]
        if thought:
            response.additional_kwargs[THINKING] = thought
        return response

    def _beside(self, chunk: ChatChunk) -> dict[str, Any]:
        """Take a chunk, and return what an item holds beside its message."""
        text, index, _, thought, deltas, _, logprobs = chunk
        inner: dict[str, Any] = {"content": text}
        beside: dict[str, Any] = {"delta": text}
        if thought:
            self._thought += thought
            inner["reasoning_content"] = thought
            beside["additional_kwargs"] = {THINKING: thought}
        if deltas:
            inner[TOOL_CALLS] = [
                {"index": delta.index, **_entry(delta.id, delta.name, delta.arguments)} for delta in deltas
            ]
            for delta in deltas:
                self._take(delta)
        choice = {"index": index, "delta": inner, "finish_reason": None, "logprobs": None}
        if logprobs is not None:
            beside["logprobs"], choice["logprobs"] = logprobs_of(logprobs), logprobs.as_chat()
        beside["raw"] = {**self._about, "choices": [choice]}
        return beside

    def _take(self, delta: ToolCallDelta) -> None:
        at, call_id, name, arguments = delta
        name = name or ""
        if at < len(self._calls):
            before = self._calls[at]
            call_id, name = before.tool_call_id or call_id, before.tool_name + name
            arguments = f"{before.tool_kwargs}{arguments}"
        self._calls[at : at + 1] = [ToolCallBlock(tool_call_id=call_id, tool_name=name, tool_kwargs=arguments)]
        self._wire[at : at + 1] = [_entry(call_id, name, arguments)]


def _entry(call_id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
