"""The body of a reply to a chat request that isn't streamed: an answer, or an error, never an empty success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.catalogue import error_in, not_an_answer
from xdm_integrations.core.errors.reply_text import request_id_of
from xdm_integrations.core.errors.tree import ContentFilterError, XDMError
from xdm_integrations.core.protocol.decoder import StreamDecoder

from .message_so_far import ChatSoFar

if TYPE_CHECKING:
    from xdm_integrations.core.protocol.wire import Limits, Reply

    from .results import ChatChunk, ChatCompletion


def parse_chat(reply: Reply, n: int, limits: Limits, *, think_tags: bool = False) -> ChatCompletion:
    """Return the answer that a 2xx reply holds.

    If one choice was asked for, all that came are joined: relays send one for each block of Claude's
    answer. If several were, those that came are returned, numbered in their order: most channels
    ignore `n`.

    Raises:
        APIResponseError: The body is empty, isn't JSON, or holds no answer or one that failed.
        ContentFilterError: The answer was filtered away.
        APIStatusError: The body is an error in spite of the status.
    """
    status, headers, body, *_ = reply
    try:
        value = jsontext.loads(body)
    except (ValueError, RecursionError):
        value = None
    if value is None:  # raised here, not in the handler: a JSON decoder's error holds the document, and what it echoes
        if _is_stream(body):  # New API answers with a stream where its upstream did
            return _parse_stream(reply, n, limits, think_tags=think_tags)
        raise not_an_answer(status, headers, body, "chat")
    choices = value.get("choices") if isinstance(value, dict) else None
    if not choices or not isinstance(choices, list) or value.get("error"):
        error: XDMError | None = error_in(value, status=status, headers=headers, body=body, endpoint="chat")
        raise error or _no_answer(value, reply)
    answer = ChatSoFar(max(n, 1), think_tags=think_tags, streaming=False)
    if n > 1:
        value = {**value, "choices": _numbered(choices, n)}
    try:
        answer.add(value, [])
        answer.end([])
    except XDMError as error:
        error.request_id = error.request_id or request_id_of(headers)
        raise
    if not answer.has_output:
        raise _no_answer(value, reply)
    completion = answer.result(headers)
    if not [choice for choice in completion.choices if choice.finish_reason != "content_filter" or any(choice.message)]:
        raise ContentFilterError(
            "The provider filtered every choice of the answer.",
            status_code=status,
            headers=headers,
            partial=completion,
            request_id=completion.request_id,
        )
    return completion


def _parse_stream(reply: Reply, n: int, limits: Limits, *, think_tags: bool) -> ChatCompletion:
    decoder: StreamDecoder[ChatChunk, ChatCompletion] = StreamDecoder(
        ChatSoFar(n, think_tags=think_tags), reply.headers, limits, endpoint="chat"
    )
    decoder.feed(reply.body)
    decoder.close()
    if decoder.failure is not None:
        raise decoder.failure
    return decoder.result()


def _is_stream(body: bytes) -> bool:
    start = body[:4096].lstrip(b"\xef\xbb\xbf\r\n\t ")
    return start.startswith((b"data:", b"event:", b":", b"id:")) or b"\ndata:" in start


def _numbered(choices: list[Any], n: int) -> list[Any]:
    """Number the choices in their order if their indices aren't all different, or out of range."""
    given = [choice for choice in choices if isinstance(choice, dict)]
    if sorted((choice.get("index") for choice in given), key=str) == sorted(range(len(given)), key=str):
        return given[:n]
    return [{**choice, "index": i} for i, choice in enumerate(given[:n])]


def _no_answer(value: object, reply: Reply) -> XDMError:
    """Return the error for JSON without an answer; with `choices`, another request may well be answered."""
    error = not_an_answer(reply.status, reply.headers, reply.body, "chat")
    if isinstance(value, dict) and "choices" in value:
        error.scope = "request"
    return error
