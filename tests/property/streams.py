"""Streams to slice: recorded from the real engine, and invented in every way that servers were seen to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from xdm_integrations.core.completions.text_so_far import TextSoFar
from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.decoder import StreamDecoder
from xdm_integrations.core.protocol.wire import Limits

CASSETTES = Path(__file__).parents[2] / "cassettes"


def recorded() -> list[bytes]:
    """Return the event streams of the cassettes, each once."""
    bodies: dict[bytes, None] = {}
    for path in sorted(CASSETTES.rglob("*.y*ml")):
        for interaction in yaml.load(path.read_text("utf-8"), yaml.CSafeLoader).get("interactions", []):
            body = interaction["response"]["body"]["string"]
            data = body.encode() if isinstance(body, str) else body
            if data.startswith(b"data:"):
                bodies[data] = None
    return sorted(bodies, key=len)


def outcome(
    blocks: list[bytes], expected: int = 1, *, limits: Limits = Limits(), require: bool = True
) -> tuple[Any, ...]:
    """Return all that a reader can tell about a stream: chunks, result, failure."""
    decoder = StreamDecoder(TextSoFar(1, expected), {}, limits, require_finish_reason=require)
    chunks = [chunk for block in blocks for chunk in decoder.feed(block)]
    chunks += decoder.close()
    failure = decoder.failure
    assert failure is None or isinstance(failure, XDMError)
    assert decoder.ended
    partial = failure.partial if failure is not None else None
    return chunks, decoder.result(), type(failure), str(failure), partial


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut `data` at these places, modulo its length."""
    at = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


places = st.lists(st.integers(0, 10**6), max_size=12)
line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
texts = st.text(max_size=8) | st.sampled_from(
    ["\u2028", "\u0085", "\r\n", "🦉", "e\u0301", "\ufeff", "data: x", "[DONE]", ""]
)
usages = st.sampled_from([None, {}, {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "x": {"y": 1}}])
logprobs = st.sampled_from(
    [
        None,
        {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [None], "text_offset": [0]},
        {"content": [{"token": "a", "logprob": -1.0, "top_logprobs": []}]},
    ]
)


@st.composite
def choices(draw: Any) -> dict[str, Any]:
    """Return one choice of a chunk, in any of the shapes."""
    text = draw(texts)
    shape = draw(st.sampled_from(["text", "delta", "message", "none"]))
    choice: dict[str, Any] = {"index": draw(st.sampled_from([0, 1, 2])), "logprobs": draw(logprobs)}
    choice["finish_reason"] = draw(st.sampled_from([None, None, None, "", "stop", "length"]))
    choice |= {
        "text": {"text": text},
        "delta": {"delta": {"content": text}},
        "message": {"message": {"content": text}},
        "none": {},
    }[shape]
    return choice


@st.composite
def lines(draw: Any) -> list[str]:  # noqa: PLR0911 - a return for each kind
    """Return the lines of one event, or of something that stands between events."""
    kind = draw(
        st.sampled_from(["chunk"] * 8 + ["ping", "ping", "blank", "bare", "field", "error", "done", "garbage", "html"])
    )
    if kind == "ping":
        return [draw(st.sampled_from([": PING", "::PING", ":", ": " + "x" * 50])), ""]
    if kind == "blank":
        return draw(st.sampled_from([[""], ["data:", ""], ["data: ", ""]]))
    if kind == "field":
        return [draw(st.sampled_from(["id: 7", "retry: 10", "event: message", "x: y", "data"]))]
    if kind == "done":
        return ["data: [DONE]", ""]
    if kind == "garbage":
        return ["data: " + draw(st.sampled_from(["oops", "{", "[1]", "null", '"x"'])), ""]
    if kind == "html":
        return ["<html>", "<title>502</title>", "</html>"]
    if kind == "error":
        body = json.dumps(
            {"error": {"message": draw(texts), "type": "new_api_error", "code": draw(st.sampled_from(["", None, 5]))}}
        )
        return draw(st.sampled_from([["data: " + body, ""], [body], ["event: error", "data: " + body, ""]]))
    value = {"id": "c", "model": draw(st.sampled_from(["", "m"])), "choices": draw(st.lists(choices(), max_size=2))}
    usage = draw(usages)
    if usage is not None:
        value["usage"] = usage
    body = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, None, None, 1])))
    if kind == "bare":
        return body.split("\n")
    prefix = draw(st.sampled_from(["data: ", "data: ", "data:"]))
    return [*(prefix + line for line in body.split("\n")), ""]


@st.composite
def streams(draw: Any) -> tuple[bytes, bytes]:
    """Return an invented stream, twice: with one line end throughout, and with LF."""
    written = [line.encode("utf-8", "surrogatepass") for event in draw(st.lists(lines(), max_size=8)) for line in event]
    end = draw(line_ends)
    mark = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"]))
    return mark + b"".join(line + end for line in written), b"".join(line + b"\n" for line in written)
