"""A streamed answer of chat as LlamaIndex's items. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from .chat import PIECE, chat_response, completion_response
from .completions import about, logprobs_of
from .messages import TOOL_CALLS

if TYPE_CHECKING:
    from xdm_integrations.core.chat.results import ChatChunk, ChatCompletion
    from xdm_integrations.core.chat.tool_calls import ToolCallDelta

THINKING = "thinking_delta"
"""Where LlamaIndex's agents look for the new reasoning of an item."""

Response = TypeVar("Response", ChatResponse, CompletionResponse)


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
