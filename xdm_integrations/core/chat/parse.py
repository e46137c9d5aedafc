"""The body of a reply to a chat request that isn't streamed: an answer, or an error, never an empty success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.catalogue import error_for, not_an_answer
from xdm_integrations.core.errors.reply_text import request_id_of
from xdm_integrations.core.errors.tree import ContentFilterError, XDMError
from xdm_integrations.core.jsontext import has_surrogates
from xdm_integrations.core.protocol.decoder import StreamDecoder
from xdm_integrations.core.protocol.ends import PLAIN_ENDS
from xdm_integrations.core.protocol.results import Usage, answer_fields

from .message_so_far import ChatSoFar
from .pieces import KNOWN
from .results import ChatChoice, ChatCompletion, Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xdm_integrations.core.protocol.wire import Limits, Reply

    from .results import ChatChunk

_PLAIN_CHOICE = ("index", "finish_reason", "message")
_PLAIN_MESSAGE = ("role", "content")


def parse_chat(
    reply: Reply, n: int, limits: Limits, *, think_tags: bool = False, require_finish_reason: bool = True
) -> ChatCompletion:
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
    value = jsontext.read(body)
    if value is None and body.strip():  # New API answers with a stream where its upstream did
        answer = ChatSoFar(n, think_tags=think_tags)
        return _parse_stream(reply, answer, limits, require_finish_reason=require_finish_reason)
    choices = value.get("choices") if isinstance(value, dict) else None
    if not choices or not isinstance(choices, list) or value.get("error"):
        raise error_for(status, headers, body, "chat")
    plain = _plain_answer(value, choices[0], headers) if n == len(choices) == 1 and not think_tags else None
    return plain or _answer(value, reply, n, think_tags=think_tags)


def _answer(value: dict[str, Any], reply: Reply, n: int, *, think_tags: bool) -> ChatCompletion:
    """Return the answer, whatever it holds."""
    status, headers, *_ = reply
    answer = ChatSoFar(max(n, 1), think_tags=think_tags, streaming=False)
    if n > 1:
        value = {**value, "choices": _numbered(value["choices"], n)}
    try:
        answer.add(value, [])
        answer.end([])
    except XDMError as error:
        error.request_id = error.request_id or request_id_of(headers)
        raise
    if not answer.has_output:
        raise not_an_answer(status, headers, reply.body, "chat")
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


def _plain_answer(value: dict[str, Any], choice: Any, headers: Mapping[str, str]) -> ChatCompletion | None:  # noqa: ANN401 - as it came
    """Return an answer that is a text with a plain end, as most are; None where it holds anything more.

    It is only a shorter way: `ChatSoFar` makes the same of it in four times the time.
    """
    if choice.__class__ is not dict or choice.get("finish_reason") not in PLAIN_ENDS:
        return None
    message = choice.get("message")
    if message.__class__ is not dict:
        return None
    text = message.get("content")
    if not text or text.__class__ is not str or has_surrogates(text):
        return None
    for name, field in message.items():
        if name not in _PLAIN_MESSAGE and field is not None and (field or name not in KNOWN):
            return None
    for name, field in choice.items():
        if field is not None and name not in _PLAIN_CHOICE:
            return None
    made = ChatChoice(Message(text), 0, choice["finish_reason"], None, {})
    return ChatCompletion(choices=(made,), **answer_fields(value, headers, Usage.parse(value.get("usage"))))


def _parse_stream(reply: Reply, answer: ChatSoFar, limits: Limits, *, require_finish_reason: bool) -> ChatCompletion:
    decoder: StreamDecoder[ChatChunk, ChatCompletion] = StreamDecoder(
        answer, reply.headers, limits, endpoint="chat", require_finish_reason=require_finish_reason
    )
    decoder.feed(reply.body)
    decoder.close()
    if decoder.failure is not None:
        raise decoder.failure
    return decoder.result()


def _numbered(choices: list[Any], n: int) -> list[Any]:
    """Number the choices in their order if their indices aren't all different, or out of range."""
    given = [choice for choice in choices if isinstance(choice, dict)]
    if sorted((choice.get("index") for choice in given), key=str) == sorted(range(len(given)), key=str):
        return given[:n]
    return [{**choice, "index": i} for i, choice in enumerate(given[:n])]
