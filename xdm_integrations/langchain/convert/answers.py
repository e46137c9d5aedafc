"""From the client's chat answers to LangChain's messages, complete and in pieces. Pure.

LangChain adds the pieces of a stream up: it concatenates every text that comes again, sums numbers, and refuses
others. So what describes the complete answer travels on the last piece alone.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.block_translators import register_translator
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.json import parse_partial_json

from xdm_integrations.core.chat.results import ChatChunk
from xdm_integrations.core.chat.tool_calls import ToolCallDelta, arguments_of
from xdm_integrations.core.protocol.results import Usage, total_usage

from . import PROVIDER
from .completions import about, added_to, served, usage_metadata
from .messages import CALL_EXTRA, MESSAGE_EXTRA, NO_FIELD, REASONING_FIELD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from xdm_integrations.core.chat.results import ChatChoice, ChatCompletion, Message
    from xdm_integrations.core.chat.tool_calls import ToolCall

_BREAKERS = ("]", "}", '"]', '"}')


def result(completion: ChatCompletion) -> ChatResult:
    """Return a complete answer: one generation per choice, the token counts on the first."""
    generations: list[ChatGeneration] = []
    for choice in completion.choices:
        message = choice.message
        made = AIMessage(
            content=_content(message),
            additional_kwargs={**_words(message), **_beside(message)},
            response_metadata=_metadata(completion, choice),
            usage_metadata=None if generations else _usage(completion),
            tool_calls=[
                {"type": "tool_call", "id": call.id, "name": call.name, "args": call.parsed()}
                for call in message.tool_calls
            ],
            invalid_tool_calls=[_invalid(call) for call in message.invalid_tool_calls],
        )
        generations.append(ChatGeneration(message=made, generation_info=_info(completion, choice)))
    metadata = generations[0].message.response_metadata
    output = {name: metadata[name] for name in ("model_name", "token_usage") if name in metadata}
    return ChatResult(generations=generations, llm_output=output)


def combined(outputs: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return the outputs of several answers as one, with the token counts of all of them."""
    known = [output for output in outputs if output]
    usage = total_usage([Usage.parse(output.get("token_usage")) for output in known])
    counts = {} if usage is None else {"token_usage": usage.as_dict()}
    return {**(known[0] if known else {}), **counts}


class Pieces:
    """The pieces of one stream.

    Args:
        blocks: Content is a list of LangChain's standard blocks (`output_version="v1"`), not a text. The blocks'
            indices are texts that begin with "lc_", which LangChain merges: as numbers, text and calls would clash.
    """

    def __init__(self, *, blocks: bool) -> None:
        self._blocks = blocks
        self._calls: dict[int, list[Any]] = {}
        """By the call's number, its id, its name, and its arguments in pieces."""

    def chunks(self, pieces: deque[ChatChunk]) -> Iterator[ChatGenerationChunk]:
        """Take pieces away from the left, and yield what those of the first choice become.

        Calls have chunks of their own, as LangChain needs them.
        """
        while pieces:
            piece = pieces.popleft()
            text, index, _, thought, calls, refusal, logprobs = piece
            if index:
                continue
            words = thought or refusal or logprobs
            if text and not (words or calls or self._blocks):  # what most pieces are
                yield ChatGenerationChunk(message=AIMessageChunk(content=text))
                continue
            if text or words:
                yield self._words(piece)
            if calls:
                yield self._deltas(calls)

    def end(self, completion: ChatCompletion) -> Iterator[ChatGenerationChunk]:
        """Yield the rest of a stream that has ended well: what no piece can hold, and what describes the answer.

        Where the first choice never came, that is all of the one that stands in its place.
        """
        choice = completion.choices[0]
        if choice.index:
            yield from self.chunks(deque([_as_one_piece(choice)]))
        broken = list(self._broken(completion))
        if broken:
            yield self._deltas(broken)
        blocks: list[Any] = [_image(part) for part in choice.message.images]
        if self._blocks and choice.message.refusal:
            blocks.append(_refusal(choice.message.refusal))  # complete: in events, only text and thoughts are joined
        last = AIMessageChunk(
            content=blocks or ([] if self._blocks else ""),
            additional_kwargs=_beside(choice.message),
            response_metadata={**_metadata(completion, choice, logprobs=False), **self._version()},
            usage_metadata=_usage(completion),
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=last, generation_info=_info(completion, choice))

    def _version(self) -> dict[str, str]:
        return {"output_version": "v1"} if self._blocks else {}

    def _words(self, piece: ChatChunk) -> ChatGenerationChunk:
        kwargs: dict[str, Any] = {}
        if piece.reasoning:
            kwargs["reasoning_content"] = piece.reasoning
        if piece.refusal:
            kwargs["refusal"] = piece.refusal
        content: Any = piece.text
        if self._blocks:
            content = []
            if piece.reasoning:
                content.append({"type": "reasoning", "reasoning": piece.reasoning, "index": "lc_rs_0"})
            if piece.text:
                content.append({"type": "text", "text": piece.text, "index": "lc_txt_0"})
        metadata: dict[str, Any] = self._version()
        if piece.logprobs is not None:
            metadata["logprobs"] = piece.logprobs.as_chat()
        message = AIMessageChunk(content=content, additional_kwargs=kwargs, response_metadata=metadata)
        return ChatGenerationChunk(message=message)

    def _deltas(self, deltas: Iterable[tuple[int, str | None, str | None, str]]) -> ChatGenerationChunk:
        chunks: list[Any] = []
        for number, call_id, name, arguments in deltas:
            known = self._calls.setdefault(number, ["", "", []])
            known[0], known[1] = call_id or known[0], known[1] + (name or "")
            known[2].append(arguments)
            chunks.append({"type": "tool_call_chunk", "index": number, "id": call_id, "name": name, "args": arguments})
        content: Any = [{**chunk, "index": f"lc_tc_{chunk['index']}"} for chunk in chunks] if self._blocks else ""
        message = AIMessageChunk(content=content, tool_call_chunks=chunks, response_metadata=self._version())
        return ChatGenerationChunk(message=message)

    def _broken(self, completion: ChatCompletion) -> Iterator[tuple[int, None, None, str]]:
        """Yield one more piece for each call that can't be carried out but would be read as one that can.

        LangChain completes half arguments: `{"amount": 1` would become a call with an amount of 1.
        """
        valid = {call.id for call in completion.tool_calls}
        for number, (call_id, _, parts) in self._calls.items():
            if call_id in valid:
                continue
            arguments = "".join(parts)
            for more in ("", *_BREAKERS):
                if not _read_as_call(arguments + more):
                    if more:
                        yield number, None, None, more
                    break


def _as_one_piece(choice: ChatChoice) -> ChatChunk:
    message = choice.message
    calls = (*message.tool_calls, *message.invalid_tool_calls)
    deltas = tuple(ToolCallDelta(number, call.id, call.name, call.arguments) for number, call in enumerate(calls))
    return ChatChunk(message.text, 0, None, message.reasoning, deltas, message.refusal, choice.logprobs)


def _usage(completion: ChatCompletion) -> Any:  # noqa: ANN401 - LangChain's dictionary
    return None if completion.usage is None else usage_metadata(completion.usage)


def _read_as_call(arguments: str) -> bool:
    """True if LangChain takes these for the arguments of a call."""
    try:
        return not arguments or isinstance(parse_partial_json(arguments), dict)
    except Exception:  # noqa: BLE001 - as LangChain does: whatever it raises, the call is invalid
        return False


def _content(message: Message) -> Any:  # noqa: ANN401 - a text, or blocks
    if not message.images:
        return message.text
    return [*([message.text] if message.text else []), *map(_image, message.images)]


def _image(part: Any) -> dict[str, Any]:  # noqa: ANN401 - as the server sent it
    """Return an image of an answer as LangChain's block."""
    url = part.get("image_url") if isinstance(part, dict) else part
    url = url.get("url") if isinstance(url, dict) else url
    if not isinstance(url, str):
        return {"type": "non_standard", "value": part if isinstance(part, dict) else {"image": part}}
    head, comma, data = url.partition(";base64,")
    if comma and head.startswith("data:"):
        return {"type": "image", "base64": data, "mime_type": head.removeprefix("data:")}
    return {"type": "image", "url": url}


def _blocks(message: AIMessage) -> list[Any]:
    """Return the standard blocks of an answer: those that LangChain finds by itself, and a refusal."""
    refusal = message.additional_kwargs.get("refusal")
    if not refusal:
        raise NotImplementedError  # LangChain's way to leave it to itself
    return [*message.model_copy(update={"response_metadata": {}}).content_blocks, _refusal(refusal)]


def _refusal(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


register_translator(PROVIDER, _blocks, _blocks)


def _words(message: Message) -> dict[str, Any]:
    words = {"reasoning_content": message.reasoning, "refusal": message.refusal}
    return {name: text for name, text in words.items() if text}


def _beside(message: Message) -> dict[str, Any]:
    """Return what a message holds beside words and calls, for `additional_kwargs`."""
    fields = message.reasoning_fields or {}
    calls = (*message.tool_calls, *message.invalid_tool_calls)
    beside = {
        "audio": dict(message.audio) if message.audio else None,
        "annotations": list(message.annotations),
        "reasoning_details": fields.get("reasoning_details"),
        CALL_EXTRA: {call.id: dict(call.extra) for call in calls if call.extra},
        MESSAGE_EXTRA: dict(message.extra or {}),
    }
    return {name: value for name, value in beside.items() if value}


def _invalid(call: ToolCall) -> Any:  # noqa: ANN401 - LangChain's dictionary
    cut = arguments_of(call.arguments) is None
    error = "The arguments aren't a JSON object." if cut else "The call has no name, or the answer was cut off."
    return {"type": "invalid_tool_call", "id": call.id, "name": call.name, "args": call.arguments, "error": error}


def _metadata(completion: ChatCompletion, choice: ChatChoice, *, logprobs: bool = True) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        **added_to(completion, choice),
        **about(completion),
        "model_provider": PROVIDER,
        "finish_reason": choice.finish_reason,
        "token_usage": None if completion.usage is None else completion.usage.as_dict(),
        "logprobs": choice.logprobs.as_chat() if logprobs and choice.logprobs is not None else None,
    }
    fields = choice.message.reasoning_fields or {}
    if choice.message.reasoning and "reasoning_content" not in fields:
        metadata[REASONING_FIELD] = "reasoning" if "reasoning" in fields else NO_FIELD
    return {name: value for name, value in metadata.items() if value not in (None, "")}


def _info(completion: ChatCompletion, choice: ChatChoice) -> dict[str, Any]:
    reason = {} if choice.finish_reason is None else {"finish_reason": choice.finish_reason}
    return {**reason, **served(completion)}
