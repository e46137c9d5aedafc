"""The endpoints of `xdm batch`: what a line for each of them holds, and what its answer is written as."""

from __future__ import annotations

import sys
from array import array
from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from xdm_integrations import ChatCompletion, Client, Embeddings
from xdm_integrations.core.chat import parameters as chat
from xdm_integrations.core.chat.messages import check_messages
from xdm_integrations.core.completions import parameters as completions
from xdm_integrations.core.embeddings import parameters as embeddings
from xdm_integrations.core.protocol.checks import split_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xdm_integrations import Completion


class Endpoint(NamedTuple):
    """An endpoint that a line can be meant for.

    Attributes:
        path: Its path below the base URL.
        content: The field with what is asked.
        parameters: The names of its other fields.
        check: Returns the fields of a body, or refuses them.
        check_content: Refuses what can't be asked.
        ask: The client's method.
    """

    path: str
    content: str
    parameters: Mapping[str, Any]
    check: Callable[[Mapping[str, Any]], dict[str, Any]]
    check_content: Callable[[object], object]
    ask: Callable[..., Any]


COMPLETIONS = Endpoint(
    "/completions",
    "prompt",
    completions.PARAMETERS,
    completions.check_parameters,
    completions.split_prompts,
    Client.complete,
)
CHAT = Endpoint("/chat/completions", "messages", chat.PARAMETERS, chat.check_parameters, check_messages, Client.chat)
EMBEDDINGS = Endpoint(
    "/embeddings",
    "input",
    embeddings.PARAMETERS,
    embeddings.check_parameters,
    partial(split_texts, "input"),
    Client.embed,
)
ENDPOINTS = (COMPLETIONS, CHAT, EMBEDDINGS)


def endpoint_of(url: object) -> Endpoint | None:
    """Return the endpoint of a batch line's `url`, a path with or without host and `/v1`; None for any other."""
    if not isinstance(url, str):
        return None
    path = urlsplit(url).path.rstrip("/").removeprefix("/v1")
    return next((endpoint for endpoint in ENDPOINTS if endpoint.path == path), None)


def record_of(answer: Completion | ChatCompletion | list[float]) -> dict[str, Any]:
    """Return what is written of an answer, or of a vector."""
    if isinstance(answer, list):
        return {"vector": answer}
    record: dict[str, Any] = {"text": answer.text, "finish_reason": answer.finish_reason}
    if isinstance(answer, ChatCompletion):
        message = answer.message
        more = {"reasoning": answer.reasoning, "refusal": answer.refusal, "tool_calls": message.get("tool_calls")}
        record.update({name: value for name, value in more.items() if value})
        texts = [(choice.message.text, choice.finish_reason) for choice in answer.choices]
    else:
        texts = [(choice.text, choice.finish_reason) for choice in answer.choices]
    if len(texts) > 1:
        record["choices"] = [{"text": text, "finish_reason": reason} for text, reason in texts]
    if answer.usage is not None:
        record["usage"] = answer.usage.as_dict()
    return {**record, "model": answer.model, "request_id": answer.request_id}


def response_of(answer: Completion | ChatCompletion | Embeddings, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `response` of a line of OpenAI's batch format."""
    if not isinstance(answer, Embeddings):
        return {"status_code": 200, "request_id": answer.request_id, "body": answer.raw}
    write = _base64 if params.get("encoding_format") == "base64" else array.tolist
    data = [{"object": "embedding", "index": i, "embedding": write(row)} for i, row in enumerate(answer.rows)]
    body: dict[str, Any] = {"object": "list", "data": data, "model": answer.model}
    if answer.usage is not None:
        body["usage"] = {"prompt_tokens": answer.usage.prompt_tokens, "total_tokens": answer.usage.total_tokens}
    return {"status_code": 200, "request_id": next(iter(answer.request_ids), None), "body": body}


def _base64(row: array[float]) -> str:
    """Return a vector as the API sends it: float32, the lowest byte first."""
    numbers = array("f", row)
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()
