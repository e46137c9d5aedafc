"""What the server of the measurements answers, endpoint by endpoint: texts, messages, calls of tools, vectors."""

from __future__ import annotations

import base64
import json
import struct
from functools import cache
from typing import Any

DIMENSIONS = 1536
_USAGE = '"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}'
_ABOUT = '"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"m"'
_CHAT = '"id":"chatcmpl-1","object":"chat.completion%s","created":1700000000,"model":"m"'


def piece(data: bytes) -> bytes:
    """Return a chunk of HTTP."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def prompts_of(request: dict[str, Any]) -> list[str]:
    """Return what is asked: prompts, texts, or the last message."""
    if "messages" in request:
        return [str(request["messages"][-1]["content"])]
    asked = request["input"] if "input" in request else request["prompt"]
    return [str(one) for one in asked] if isinstance(asked, list) else [asked]


def length_of(request: dict[str, Any]) -> int:
    """Return how many events a stream has, under either name of the limit."""
    return int(request.get("max_tokens") or request["max_completion_tokens"])


def body_of(request: dict[str, Any], prompts: list[str]) -> bytes:
    """Return a complete answer: "<hello>" to "hello"."""
    if "messages" in request:
        return _message(request, prompts[0])
    if "input" in request:
        form = vector if request.get("encoding_format") == "base64" else floats
        more = request.get("dimensions", DIMENSIONS) - 3
        data = ",".join(
            f'{{"object":"embedding","index":{i},"embedding":{form(t, more)}}}' for i, t in enumerate(prompts)
        )
        return (
            f'{{"object":"list","model":"m","data":[{data}],"usage":{{"prompt_tokens":5,"total_tokens":5}}}}'.encode()
        )
    choices = ",".join(
        f'{{"text":{json.dumps(f"<{one}>")},"index":{i},"logprobs":null,"finish_reason":"stop"}}'
        for i, one in enumerate(prompts)
    )
    return f'{{{_ABOUT},"choices":[{choices}],{_USAGE}}}'.encode()


def _message(request: dict[str, Any], prompt: str) -> bytes:
    count = calls_of(request)
    message: dict[str, Any] = {"role": "assistant", "content": None if count else f"<{prompt}>"}
    if count:
        message["tool_calls"] = [
            {"id": f"call_{i}", "type": "function", "function": {"name": "get_weather", "arguments": arguments(prompt)}}
            for i in range(count)
        ]
    finish = "tool_calls" if count else "stop"
    choice = f'{{"index":0,"message":{json.dumps(message)},"finish_reason":"{finish}"}}'
    return f'{{{_CHAT % ""},"choices":[{choice}],{_USAGE}}}'.encode()


def calls_of(request: dict[str, Any]) -> int:
    """Return how many calls of tools the answer has: as many as there are tools, or as the model's name says."""
    model = request["model"]
    return int(model[6:]) if model.startswith("calls-") else len(request.get("tools") or ())


def arguments(prompt: str) -> str:
    return json.dumps({"city": f"<{prompt}>"})


def number_of(text: str) -> float:
    """Return the first number of a text's vector: what its last digits say, so that vectors can be told apart."""
    digits = text.rpartition("-")[2]
    return float(digits) if digits.isdigit() else 0.25


def floats(text: str, more: int) -> str:
    return f"[{number_of(text)},0.5,0.5,{_more(more)[0]}]"


def vector(text: str, more: int) -> str:
    return f'"{base64.b64encode(struct.pack("<3f", number_of(text), 0.5, 0.5)).decode()}{_more(more)[1]}"'


@cache
def _more(count: int) -> tuple[str, str]:
    """Return the rest of each vector, as JSON and in base64; the three numbers before it fill whole characters."""
    numbers = [(i * 37 % 1000) / 1000 - 0.5 for i in range(count)]
    return json.dumps(numbers)[1:-1], base64.b64encode(struct.pack(f"<{count}f", *numbers)).decode()


def event_of(request: dict[str, Any], text: str, finish: str | None = None) -> bytes:
    """Return an event with the next words."""
    end = json.dumps(finish)
    if "messages" in request:
        delta = "{}" if finish else f'{{"content":{json.dumps(text)}}}'
        return _event(_CHAT % ".chunk", f'{{"index":0,"delta":{delta},"finish_reason":{end}}}')
    return _event(_ABOUT, f'{{"text":{json.dumps(text)},"index":0,"logprobs":null,"finish_reason":{end}}}')


def _event(about: str, choice: str) -> bytes:
    return piece(f'data: {{{about},"choices":[{choice}]}}\n\n'.encode())


@cache
def end_of(kind: str) -> bytes:
    """Return the last events of a stream: the token counts, and `[DONE]`."""
    about = _CHAT % ".chunk" if kind == "chat" else _ABOUT
    counts = piece(f'data: {{{about},"choices":[],{_USAGE}}}\n\n'.encode())
    return counts + piece(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def events_of(request: dict[str, Any], prompt: str, count: int) -> list[bytes]:
    """Return the `count` events of a stream, the last with its end; with tools, pieces of the calls' arguments."""
    calls = calls_of(request)
    if calls:
        events = [_piece_of_call(i % calls, i < calls, prompt, last=i >= count - calls) for i in range(count)]
    else:
        events = [event_of(request, text) for text in [f"<{prompt}>", *[" word"] * (count - 1)]]
    finish = "tool_calls" if calls else "stop"
    events[-1] += event_of(request, "", finish) + end_of("chat" if "messages" in request else "completions")
    return events


def _piece_of_call(number: int, first: bool, prompt: str, *, last: bool) -> bytes:
    text = arguments(prompt)
    part = (text[:-2] if first else "") + (text[-2:] if last else "" if first else " word")
    call: dict[str, Any] = {"index": number, "function": {"arguments": part}}
    if first:
        call |= {"id": f"call_{number}", "type": "function", "function": {"name": "get_weather", "arguments": part}}
    return _event(_CHAT % ".chunk", f'{{"index":0,"delta":{{"tool_calls":[{json.dumps(call)}]}},"finish_reason":null}}')
