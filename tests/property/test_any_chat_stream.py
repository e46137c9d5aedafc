"""Chat streams in any order and numbering that servers were seen to use: read right, or a typed error."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from xdm_integrations.core.chat.message_so_far import ChatSoFar
from xdm_integrations.core.chat.parse import parse_chat
from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.decoder import StreamDecoder
from xdm_integrations.core.protocol.wire import Limits, Reply

USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["content", "role", "tool_calls", "reasoning", "audio", "refusal", "function_call", "images"])
calls = st.lists(
    st.tuples(st.sampled_from(["get_weather", "now"]), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)),
    min_size=1,
    max_size=3,
)


def decoded(events: list[Any], sizes: list[int]) -> StreamDecoder[Any, Any]:
    data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
    decoder: StreamDecoder[Any, Any] = StreamDecoder(ChatSoFar(1), {}, Limits())
    at = 0
    for size in sizes:
        decoder.feed(data[at : at + size])
        at += size
    decoder.feed(data[at:])
    decoder.close()
    return decoder


@given(
    calls=calls,
    numbering=st.sampled_from(["right", "from 2", "all 0", "none", "text"]),
    repeats=st.booleans(),
    piece=st.integers(1, 5),
    role=st.booleans(),
    usage_at=st.integers(0, 40),
    index=st.integers(0, 3),
    interleaved=st.booleans(),
    sizes=st.lists(st.integers(1, 200), max_size=9),
)
def test_tool_calls_are_put_together_whatever_the_numbering(  # noqa: PLR0913, PLR0917 - each is varied
    calls, numbering, repeats, piece, role, usage_at, index, interleaved, sizes
):
    per_call = []
    for number, (name, arguments) in enumerate(calls):
        text = json.dumps(arguments)
        parts = ["", *(text[at : at + piece] for at in range(0, len(text), piece))]
        shown = {"right": number, "from 2": number + 2, "all 0": 0, "text": str(number)}.get(numbering)
        entries: list[dict[str, Any]] = []
        for part in parts:
            named = repeats or not entries
            entry = {"function": {"arguments": part, **({"name": name} if named else {})}}
            entries.append({**entry, **({"id": f"call_{number}"} if named else {})})
            if shown is not None:
                entries[-1]["index"] = shown
        per_call.append(entries)
    if interleaved and (numbering in {"right", "from 2", "text"} or repeats):
        ordered = [group[at] for at in range(max(map(len, per_call))) for group in per_call if at < len(group)]
    else:
        ordered = [entry for group in per_call for entry in group]
    head = {"role": "assistant"} if role else {}
    events = [
        {"id": "c", "model": "m", "choices": [{"index": index, "delta": {**head, "tool_calls": [entry]}}]}
        for entry in ordered
    ]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    events.insert(min(usage_at, len(events)), {"choices": [], "usage": USAGE})
    decoder = decoded(events, sizes)
    assert decoder.failure is None
    answer = decoder.result()
    assert [(call.name, call.parsed()) for call in answer.tool_calls] == calls
    assert [call.id for call in answer.tool_calls] == [f"call_{number}" for number in range(len(calls))]
    assert answer.usage.total_tokens == 12


@given(
    deltas=st.lists(st.dictionaries(names, values, max_size=3) | values, max_size=6),
    finish=values | st.sampled_from(["stop", "tool_calls", "error"]),
    extra=st.dictionaries(st.sampled_from(["usage", "error", "index", "logprobs"]), values, max_size=2),
)
def test_nothing_that_a_server_may_send_is_more_than_a_typed_error(deltas, finish, extra):
    events = [{"choices": [{"delta": delta, "finish_reason": None, **extra}], **extra} for delta in deltas]
    events.append({"choices": [{"delta": {}, "finish_reason": finish}]})
    decoder = decoded(events, [])
    assert decoder.ended
    assert decoder.failure is None or isinstance(decoder.failure, XDMError)
    assert all(isinstance(call.parsed(), dict) for call in decoder.result().tool_calls)


@given(
    message=st.dictionaries(names | st.just("prefix"), values | st.text(max_size=8), max_size=4),
    text=st.none() | st.text(st.characters(), max_size=8) | st.sampled_from(["Hi", "\ud83d\ude00", "a\ud83d"]),
    choice=st.dictionaries(st.sampled_from(["logprobs", "error", "usage", "index", "stop_reason"]), values, max_size=2),
    reason=st.sampled_from(["stop", "length", "tool_calls", "content_filter", "error", "", None, "eos", 5]),
    usage=st.sampled_from([USAGE, {}, None, {"total_tokens": "7"}, []]),
)
def test_the_short_way_of_a_plain_answer_makes_the_same_of_it(message, text, choice, reason, usage):
    choice = {**choice, "message": {"role": "assistant", **message, "content": text}, "finish_reason": reason}

    def outcome(*choices: Any) -> Any:
        body = {"id": "c", "model": "m", "choices": choices, "usage": usage, "timings": 1}
        try:
            answer = parse_chat(Reply(200, {"x-request-id": "r"}, json.dumps(body).encode()), 1, Limits())
        except XDMError as error:
            return type(error), error.retry, error.partial and replace(error.partial, raw={})
        return replace(answer, raw={})

    assert outcome(choice) == outcome(choice, {})  # an empty choice more adds nothing, and makes the way the long one
