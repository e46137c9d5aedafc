"""Values of `core` as LlamaIndex knows them. Pure.

A response's `raw` is a dictionary in the API's own shape plus `request_id`, with all that the server added. Its key
`usage` is always there (None if the server gave no counts): LlamaIndex's token counters and tracers look there. A chat
response keeps the counts out of its message, whose `additional_kwargs` LlamaIndex prints into the next prompt.
"""

from __future__ import annotations

import math
from itertools import starmap
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LogProb,
    MessageRole,
    TextBlock,
)

from xdm_integrations.core.completions.results import Choice
from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.jsontext import join_surrogates

from .messages import check_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xdm_integrations.core.chat.results import ChatChoice
    from xdm_integrations.core.completions.results import Completion, CompletionChunk
    from xdm_integrations.core.protocol.results import Answer, Logprobs

_NO_CHOICE = Choice("")
_KIND = "text_completion"
_SILENT = ("thinking", "cache")
"""Blocks of a message that hold nothing for the model: its old thoughts, and marks for a cache."""


def messages_to_prompt(messages: Sequence[ChatMessage]) -> str:
    r"""Return the prompt for a chat: "role: text" lines, and "assistant:" for the model to go on.

    Example:
        >>> from llama_index.core.llms import ChatMessage
        >>> messages_to_prompt([ChatMessage("Be brief.", role="system"), ChatMessage("Hello")])
        'system: Be brief.\nuser: Hello\nassistant:'

    There is no space at the end: models that were trained on tokens answer badly after one.

    Raises:
        ConfigurationError: A message holds something that isn't text, or is none.
    """
    check_types(messages)
    lines = [f"{message.role.value}: {_text_of(message, i)}".rstrip(" ") for i, message in enumerate(messages)]
    return "\n".join([*lines, f"{MessageRole.ASSISTANT.value}:"])


def _text_of(message: ChatMessage, index: int) -> str:
    texts: list[str] = []
    for block in message.blocks:
        if isinstance(block, TextBlock):
            texts.append(block.text)
        elif not block.block_type.startswith(_SILENT):
            raise _only_text(message, index, block.block_type)
    for name in ("tool_calls", "function_call"):
        if message.additional_kwargs.get(name):
            raise _only_text(message, index, name)
    return "\n".join(texts)


def _only_text(message: ChatMessage, index: int, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"messages: message {index} (role {message.role.value}) holds {what!r}, and a text completions model takes "
        f"only text. Pass a `messages_to_prompt` that turns it into text, or use a chat model."
    )


def completion_response(
    completion: Completion, text: str | None = None, delta: str | None = None
) -> CompletionResponse:
    """Return a complete answer; `text` and `delta` are given for the last item of a stream."""
    first = completion.choices[0] if completion.choices else _NO_CHOICE
    beside = beside_answer(completion, first, [*starmap(_choice, completion.choices)], _KIND)
    return CompletionResponse(text=first.text if text is None else text, delta=delta, **beside)


def chat_response(completion: Completion, text: str | None = None, delta: str | None = None) -> ChatResponse:
    """Return a complete answer as the assistant's message; see `completion_response`."""
    first = completion.choices[0] if completion.choices else _NO_CHOICE
    message = ChatMessage(role=MessageRole.ASSISTANT, content=first.text if text is None else text)
    beside = beside_answer(completion, first, [*starmap(_choice, completion.choices)], _KIND)
    return ChatResponse(message=message, delta=delta, **beside)


def beside_answer(
    completion: Answer, first: Choice | ChatChoice, choices: list[dict[str, Any]], kind: str
) -> dict[str, Any]:
    """Return what a response holds beside its text or message; `choices` are all of them, in the API's form."""
    usage = None if completion.usage is None else completion.usage.as_dict()
    return {
        "raw": {**completion.extra, **about(completion, kind), "choices": choices, "usage": usage},
        "logprobs": None if first.logprobs is None else logprobs_of(first.logprobs),
        "additional_kwargs": {**completion.extra, **first.extra, **(usage or {})},
    }


def completion_piece(about: dict[str, Any], text: str, chunk: CompletionChunk) -> CompletionResponse:
    """Return an item of a stream before its last; `text` is all the text so far."""
    return CompletionResponse(text=text, **_beside_piece(about, chunk))


def chat_piece(about: dict[str, Any], text: str, chunk: CompletionChunk) -> ChatResponse:
    """Return an item of a chat stream before its last; its message holds all the text so far."""
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), **_beside_piece(about, chunk))


def _beside_piece(about: dict[str, Any], chunk: CompletionChunk) -> dict[str, Any]:
    text, index, _, logprobs = chunk
    return {
        "delta": text,
        "raw": {**about, "choices": [_choice(text, index, None, logprobs)]},  # the last item has the finish_reason
        "logprobs": None if logprobs is None else logprobs_of(logprobs),
    }


def _choice(
    text: str,
    index: int,
    finish_reason: str | None,
    logprobs: Logprobs | None,
    extra: Mapping[str, Any] = _NO_CHOICE.extra,
) -> dict[str, Any]:
    return {
        **extra,
        "text": text,
        "index": index,
        "finish_reason": finish_reason,
        "logprobs": None if logprobs is None else logprobs.as_dict(),
    }


def about(completion: Answer, kind: str = _KIND) -> dict[str, Any]:
    """Return the part of `raw` that stays the same over a stream."""
    return {
        "id": completion.id,
        "object": kind,
        "created": completion.created,
        "model": completion.model,
        "system_fingerprint": completion.system_fingerprint,
        "request_id": completion.request_id or completion.extra.get("request_id"),
        "choices": [],
        "usage": None,
    }


def logprobs_of(logprobs: Logprobs) -> list[list[LogProb]]:
    """Return, per position, the sampled token and then the other candidates, likeliest first.

    A token without a log probability (the first of an echoed prompt) has NaN. Where a token is half a character, only
    its bytes tell which: they are the server's, where it sent them.
    """
    return [
        [_logprob(entry), *map(_logprob, sorted(_others(entry), key=_by_logprob))]
        for entry in logprobs.as_chat()["content"]
    ]


def _others(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the candidates beside the sampled token."""
    token, sent = entry["token"], entry.get("bytes")
    return [
        other
        for other in entry["top_logprobs"]
        if other["token"] != token or not (sent is None or other.get("bytes") in (None, sent))
    ]


def _logprob(entry: dict[str, Any]) -> LogProb:
    token, value, sent = join_surrogates(entry["token"]), entry["logprob"], entry.get("bytes")
    if not (isinstance(sent, list) and sent and all(isinstance(byte, int) for byte in sent)):
        sent = list(token.encode())
    return LogProb(token=token, logprob=math.nan if value is None else value, bytes=sent)


def _by_logprob(candidate: dict[str, Any]) -> float:
    value: float = candidate["logprob"]
    return -value
