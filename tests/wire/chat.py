"""What chat looks like on the wire: answers, events of streams, calls of tools.

http(answer("hi"))                          # a complete reply
chat_stream(delta("al"), delta("pha"))      # a healthy stream, with the finish, the counts and [DONE]
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.scripted import DONE, USAGE, http, stream

if TYPE_CHECKING:
    from tests.scripted import Seen

HEAD = {"id": "chatcmpl-1", "created": 1700000000, "model": "served-model", "system_fingerprint": "fp_1"}


def answer(text: Any = "hi", *, finish: str | None = None, usage: Any = USAGE, **message: Any) -> dict[str, Any]:
    """Return the body of a complete answer; more fields of its message by their names (`tool_calls`, ...)."""
    finish = finish or ("tool_calls" if message.get("tool_calls") else "stop")
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": usage}


def delta(text: Any = None, *, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """Return one event of a stream; more fields of its delta by their names."""
    inner = {**({} if text is None else {"content": text}), **more}
    choice = {"index": index, "delta": inner, "finish_reason": finish}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}


def tool_call(name: str, arguments: Any, call_id: str = "call_1", **extra: Any) -> dict[str, Any]:
    """Return a complete call; arguments that are no string become JSON text."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}, **extra}


def tool_delta(arguments: str = "", *, index: int = 0, name: str | None = None, call_id: str | None = None) -> Any:
    """Return one event of a stream with a piece of a call."""
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    call = {"index": index, "function": function} | ({} if call_id is None else {"id": call_id, "type": "function"})
    return delta(tool_calls=[call])


def counts(usage: Any = USAGE) -> dict[str, Any]:
    """Return the event that carries the token counts."""
    return {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": usage}


def chat_stream(*events: Any, finish: str = "stop", usage: Any = USAGE) -> list[Any]:
    """Return a healthy stream of these events (strings are texts)."""
    sent = [delta(event) if isinstance(event, str) else event for event in events]
    return stream(*sent, delta(finish=finish), counts(usage), DONE)


def calling(*calls: dict[str, Any], text: str = "", usage: Any = USAGE) -> list[Any]:
    """Return a healthy stream of complete calls, their arguments in two pieces each."""
    events = [delta(text)] if text else []
    for index, call in enumerate(calls):
        function = call["function"]
        half = len(function["arguments"]) // 2
        first = {**call, "index": index, "function": {**function, "arguments": function["arguments"][:half]}}
        events.append(delta(tool_calls=[first]))
        events.append(tool_delta(function["arguments"][half:], index=index))
    return chat_stream(*events, finish="tool_calls", usage=usage)


def talking(*turns: Any, usage: Any = USAGE) -> Any:
    """Return a server that says these, one per request, the last one again and again; streamed where that is asked for.

    A turn is a text, a list of calls, or a script of its own.
    """
    requests = iter(range(10**6))

    def script(seen: Seen) -> list[Any]:
        turn = turns[min(next(requests), len(turns) - 1)]
        streaming = seen.json.get("stream")
        if isinstance(turn, str):
            return chat_stream(turn, usage=usage) if streaming else http(answer(turn, usage=usage))
        if isinstance(turn[0], dict):
            return calling(*turn, usage=usage) if streaming else http(answer(None, tool_calls=turn, usage=usage))
        return turn

    return script
