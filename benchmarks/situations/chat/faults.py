"""Answers that are none: errors within streams, and bodies with status 200 that hold no answer."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.situations import situation
from benchmarks.situations.cuts import cut
from benchmarks.situations.words import error_name, outcome, short, times
from tests.scripted import DONE, ScriptedServer, http
from tests.vectors import answer as vectors
from tests.wire.chat import answer, chat_stream

INSIDE, NONE = "Errors in a stream", "A 200 that is no answer"
LIMIT = {"error": {"message": "Rate limit reached", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}
LINE = json.dumps(LIMIT)


@situation(INSIDE, "after two words an event with an error, of the kind of a 429", "Chat")
def _(contender: Any) -> str:
    return cut(contender, LIMIT, DONE)


@situation(INSIDE, "the same on a line without `data:`, then `[DONE]`", "Chat")
def _(contender: Any) -> str:
    return cut(contender, LINE + "\n\n", DONE)


@situation(INSIDE, "the same as `event: error`, its data without the wrapping `error`", "Chat")
def _(contender: Any) -> str:
    return cut(contender, f"event: error\ndata: {json.dumps(LIMIT['error'])}\n\n", DONE)


@situation(INSIDE, "an error within the choice, with `finish_reason: error`", "Chat")
def _(contender: Any) -> str:
    event = contender.word("", "error")
    event["choices"][0]["error"] = {"code": 502, "message": "Provider returned error"}
    return cut(contender, event, DONE)


@situation(INSIDE, "a line that is no JSON: `data: upstream connect error`", "Chat")
def _(contender: Any) -> str:
    return cut(contender, "data: upstream connect error\n\n")


# A 200 that is no answer


def taken(contender: Any, reply: list[Any], *, streamed: bool = False) -> str:
    """Say what a reply is taken for, and how often it was asked for."""
    with ScriptedServer([reply]) as server:
        try:
            llm = contender.make(server.url)
            if streamed:
                said: Any = "".join(map(contender.text_of, contender.stream(llm)))
            else:
                said = contender.complete(llm)
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            asked = times(len(server.requests), "request")
            return f"{error_name(error)} after {asked}: {short(error, 60)}"
        return f"returned {outcome(said)}"


QUOTA = {"error": {"message": "用户额度不足", "type": "new_api_error", "code": "insufficient_user_quota"}}
PAGE = b"<!doctype html><html><head><title>XDM</title></head><body></body></html>"


@situation(NONE, "an error of the gateway: `用户额度不足`, `insufficient_user_quota`", "Chat", "Embeddings")
def _(contender: Any) -> str:
    return taken(contender, http(QUOTA))


@situation(NONE, "the same, to a stream", "Chat")
def _(contender: Any) -> str:
    return taken(contender, http(QUOTA), streamed=True)


@situation(NONE, "a web page", "Chat", "Embeddings")
def _(contender: Any) -> str:
    return taken(contender, http(PAGE, headers={"Content-Type": "text/html"}))


@situation(NONE, "the same, to a stream", "Chat")
def _(contender: Any) -> str:
    return taken(contender, http(PAGE, headers={"Content-Type": "text/html"}), streamed=True)


@situation(NONE, "`choices` is an empty list", "Chat")
def _(contender: Any) -> str:
    return taken(contender, http({**answer(), "choices": []}))


@situation(NONE, "`choices` is null", "Chat")
def _(contender: Any) -> str:
    return taken(contender, http({**answer(), "choices": None}))


@situation(NONE, "nothing at all", "Chat", "Embeddings")
def _(contender: Any) -> str:
    return taken(contender, http(b""))


@situation(NONE, "half of the JSON", "Chat", "Embeddings")
def _(contender: Any) -> str:
    body = json.dumps(vectors({"input": "x"}) if contender.endpoint == "Embeddings" else answer("yes")).encode()
    return taken(contender, http(body[: len(body) // 2], headers={"Content-Type": "application/json"}))


@situation(NONE, "a complete answer, `yes`, to a stream", "Chat")
def _(contender: Any) -> str:
    return taken(contender, http(answer("yes")), streamed=True)


@situation(NONE, "a stream, `yes`, to a plain call", "Chat")
def _(contender: Any) -> str:
    return taken(contender, chat_stream("yes"))
