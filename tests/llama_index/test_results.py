"""What comes back: text, deltas, raw, token counts, log probabilities, choices."""

from __future__ import annotations

import math
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage

from tests.llama_index.conftest import METHODS, STREAMS, World
from tests.scripted import DONE, USAGE, ScriptedServer, chunk, completion, http, stream, tokens, usage_chunk
from xdm_integrations import APIResponseError, StreamInterruptedError, UnsupportedParameterError
from xdm_integrations.llama_index import XDM

LEGACY = {
    "tokens": [" a", " b"],
    "token_logprobs": [-0.5, -1.5],
    "top_logprobs": [{" x": -0.1, " a": -0.5}, {" b": -1.5, " y": -2.0}],
    "text_offset": [0, 2],
}
RAW_KEYS = {"id", "object", "created", "model", "system_fingerprint", "choices", "usage", "request_id"}


def text_of(response: Any) -> str:
    return response.text if hasattr(response, "text") else response.message.content


def test_a_completion_has_text_counts_and_everything_else_in_raw(
    world: World, server: ScriptedServer, llm: XDM
) -> None:
    server.script = [http(completion("Hello"), headers={"X-Oneapi-Request-Id": "req-1"})]
    response = world.call(llm, "complete", "hi")
    assert response.text == "Hello"
    assert response.additional_kwargs == USAGE
    assert response.raw == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1700000000,
        "model": "served-model",
        "system_fingerprint": "fp_1",
        "request_id": "req-1",
        "choices": [{"text": "Hello", "index": 0, "finish_reason": "stop", "logprobs": None}],
        "usage": USAGE,
    }


@pytest.mark.parametrize("method", METHODS)
def test_what_a_server_adds_to_an_answer_or_a_choice_is_shown(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    added: dict[str, Any] = {"timings": {"predicted_ms": 5}, "request_id": "from-the-body"}
    choice = {"text": "Hello", "index": 0, "logprobs": None, "finish_reason": "stop", "stop_reason": 11}
    body = {**completion("Hello"), **added, "choices": [choice]}
    server.script = [stream(chunk("Hel"), body, DONE) if method.startswith("stream") else http(body)]
    response = world.ask(llm, method)
    assert {name: response.raw[name] for name in added} == added
    assert response.raw["choices"][0]["stop_reason"] == 11
    assert response.additional_kwargs == {**added, "stop_reason": 11, **USAGE}
    if method.endswith("chat"):
        assert response.message.additional_kwargs == {}


def test_a_chat_keeps_the_counts_out_of_the_message(world: World, server: ScriptedServer, llm: XDM) -> None:
    server.script = [http(completion("Hello"))]
    response = world.call(llm, "chat", [ChatMessage("hi")])
    assert response.message == ChatMessage("Hello", role="assistant")
    assert response.message.additional_kwargs == {}
    assert response.additional_kwargs == USAGE
    assert response.raw["usage"] == USAGE


@pytest.mark.parametrize("method", STREAMS)
def test_deltas_join_to_the_text_and_text_is_cumulative(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    server.script = [tokens("你", "好", "!")]
    asked = [ChatMessage("hi")] if method == "stream_chat" else "hi"
    items = world.items(llm, method, asked)
    assert [text_of(item) for item in items] == ["你", "你好", "你好!", "你好!"]
    assert [item.delta for item in items] == ["你", "好", "!", ""]


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("with_text", [True, False])
def test_the_last_item_is_the_whole_answer(
    world: World, server: ScriptedServer, llm: XDM, method: str, with_text: bool
) -> None:
    end = chunk("!" if with_text else "", finish="length")
    server.script = [stream(chunk("Hello"), end, usage_chunk(), DONE)]
    last = world.ask(llm, method)
    assert server.requests[0].json["stream_options"] == {"include_usage": True}
    assert text_of(last) == ("Hello!" if with_text else "Hello")
    assert last.delta == ("!" if with_text else "")
    assert last.raw["usage"] == last.additional_kwargs == USAGE
    assert last.raw["choices"] == [{"text": text_of(last), "index": 0, "finish_reason": "length", "logprobs": None}]


@pytest.mark.parametrize("method", STREAMS)
def test_text_after_the_finish_reason_comes_in_its_order(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    server.script = [stream(chunk("a"), chunk("b", finish="stop"), chunk("c"), usage_chunk(), DONE)]
    asked = [ChatMessage("hi")] if method == "stream_chat" else "hi"
    items = world.items(llm, method, asked)
    assert [item.delta for item in items] == ["a", "b", "c", ""]
    assert [text_of(item) for item in items] == ["a", "ab", "abc", "abc"]
    assert [item.raw["choices"][0]["finish_reason"] for item in items] == [None, None, None, "stop"]
    assert items[-1].raw["choices"][0]["text"] == "abc"


def test_every_item_of_a_stream_has_a_mapping_as_raw(world: World, server: ScriptedServer, llm: XDM) -> None:
    server.script = [tokens("a", "b")]
    items = world.items(llm, "stream_complete", "hi")
    assert all(set(item.raw) == RAW_KEYS for item in items)
    assert [item.raw["choices"][0]["text"] for item in items] == ["a", "b", "ab"]
    assert [item.raw["usage"] for item in items] == [None, None, USAGE]


def test_text_is_handed_on_before_the_next_piece_arrives(server: ScriptedServer, llm: XDM) -> None:
    import threading

    go_on = threading.Event()
    server.script = [stream(chunk("first"), go_on, chunk("second", finish="stop"), DONE)]
    items = llm.stream_complete("hi")
    assert next(items).delta == "first"
    go_on.set()
    assert [item.delta for item in items] == ["second"]


def test_usage_in_streams_can_be_switched_off(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url, stream_usage=False)
    assert world.items(llm, "stream_complete", "hi")[-1].raw["usage"] is None
    assert "stream_options" not in server.requests[0].json


def test_stream_options_never_go_with_a_call_that_is_not_streamed(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url, additional_kwargs={"stream_options": {"include_usage": True}})
    world.call(llm, "complete", "hi")
    assert "stream_options" not in server.requests[0].json


def test_a_usage_event_without_choices_adds_no_item(world: World, server: ScriptedServer, llm: XDM) -> None:
    server.script = [tokens("a")]
    with_usage = world.items(llm, "stream_complete", "hi")
    server.script = [stream(chunk("a"), chunk("", finish="stop"), DONE)]
    without = world.items(llm, "stream_complete", "hi")
    assert len(with_usage) == len(without) == 2


def test_what_is_none_is_not_sent(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url, max_tokens=None, temperature=None)
    world.call(llm, "complete", "hi", top_p=None)
    assert set(server.requests[0].json) == {"model", "prompt"}
    assert llm.metadata.num_output == 256


def test_zero_is_a_value(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url, temperature=0, seed=0, frequency_penalty=0)
    world.call(llm, "complete", "hi", top_p=0)
    sent = server.requests[0].json
    assert (sent["temperature"], sent["seed"], sent["frequency_penalty"], sent["top_p"]) == (0, 0, 0, 0)


@pytest.mark.parametrize("method", METHODS)
def test_all_choices_are_reachable_and_none_are_mixed(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    last = world.ask(llm, method, "p", n=3)
    prompt = "user: p\nassistant:" if method.endswith("chat") else "p"
    assert text_of(last) == f"<{prompt}#0>"
    assert [choice["text"] for choice in last.raw["choices"]] == [f"<{prompt}#{i}>" for i in range(3)]
    assert [choice["finish_reason"] for choice in last.raw["choices"]] == ["stop"] * 3


def test_the_items_of_a_stream_are_of_choice_0(world: World, server: ScriptedServer, llm: XDM) -> None:
    items = world.items(llm, "stream_complete", "p", n=3)
    assert "".join(item.delta for item in items) == "<p#0>"


@pytest.mark.parametrize("method", METHODS)
def test_logprobs_per_token_with_the_sampled_one_first(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    if method.startswith("stream"):
        first = {name: values[:1] for name, values in LEGACY.items()}
        second = {name: values[1:] for name, values in LEGACY.items()}
        server.script = [
            stream(chunk(" a", logprobs=first), chunk(" b", logprobs=second), chunk("", finish="stop"), DONE)
        ]
    else:
        body = completion(" a b")
        body["choices"][0]["logprobs"] = LEGACY
        server.script = [http(body)]
    found = world.ask(llm, method, logprobs=2).logprobs
    assert [[(p.token, p.logprob) for p in position] for position in found] == [
        [(" a", -0.5), (" x", -0.1)],
        [(" b", -1.5), (" y", -2.0)],
    ]
    assert found[0][0].bytes == list(b" a")
    assert server.requests[0].json["logprobs"] == 2


def test_a_running_item_has_the_logprobs_of_its_delta(world: World, server: ScriptedServer, llm: XDM) -> None:
    first = {name: values[:1] for name, values in LEGACY.items()}
    server.script = [stream(chunk(" a", logprobs=first), chunk("!", finish="stop"), DONE)]
    items = world.items(llm, "stream_complete", "hi", logprobs=2)
    assert [[p.token for p in position] for position in items[0].logprobs] == [[" a", " x"]]


def test_logprobs_0_gives_the_sampled_token(world: World, server: ScriptedServer, llm: XDM) -> None:
    body = completion(" a")
    body["choices"][0]["logprobs"] = {"tokens": [" a"], "token_logprobs": [-0.5], "top_logprobs": None}
    server.script = [http(body)]
    found = world.call(llm, "complete", "hi", logprobs=0).logprobs
    assert server.requests[0].json["logprobs"] == 0
    assert [[(p.token, p.logprob) for p in position] for position in found] == [[(" a", -0.5)]]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_candidate_without_a_log_probability_costs_no_answer(
    world: World, server: ScriptedServer, llm: XDM, streamed: bool
) -> None:
    given = {**LEGACY, "top_logprobs": [{" a": -0.5, " x": None}, *LEGACY["top_logprobs"][1:]]}
    body = completion(" a b")
    body["choices"][0]["logprobs"] = given
    server.script = [stream(chunk(" a b", finish="stop", logprobs=given), DONE)] if streamed else [http(body)]
    method = "stream_complete" if streamed else "complete"
    found = world.items(llm, method, "hi")[-1] if streamed else world.call(llm, method, "hi")
    assert [one.token for one in found.logprobs[0]] == [" a"]


def test_echo_and_scoring(world: World, server: ScriptedServer, llm: XDM) -> None:
    body = completion("hi there")
    body["choices"][0]["logprobs"] = {
        "tokens": ["hi", " there"],
        "token_logprobs": [None, -2.0],
        "top_logprobs": [None, {" there": -2.0}],
    }
    server.script = [http(body)]
    response = world.call(llm, "complete", "hi there", echo=True, max_tokens=0, logprobs=1)
    sent = server.requests[0].json
    assert (sent["echo"], sent["max_tokens"]) == (True, 0)
    assert math.isnan(response.logprobs[0][0].logprob)
    assert response.logprobs[1][0].logprob == -2.0
    assert XDM(echo=True, max_tokens=0).max_tokens == 0


@pytest.mark.parametrize(
    "events",
    [
        [chunk(" Pa"), chunk("ris", finish="length"), DONE],
        [chunk(" Paris", finish="length"), DONE],
        [chunk("", finish="length"), DONE],
        [],
    ],
    ids=["in pieces", "in one event", "without text", "not streamed"],
)
def test_a_server_that_drops_echo_is_named(world: World, server: ScriptedServer, llm: XDM, events: list[Any]) -> None:
    server.script = [stream(*events) if events else http(completion(" Paris"))]
    call = (world.items, "stream_complete") if events else (world.call, "complete")
    with pytest.raises(UnsupportedParameterError) as raised:
        call[0](llm, call[1], "The capital", echo=True, max_tokens=1, logprobs=1)
    assert raised.value.param == "echo"


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("text", [None, ""])
def test_a_stream_that_finishes_without_text_gives_one_empty_item(
    world: World, server: ScriptedServer, llm: XDM, method: str, text: str | None
) -> None:
    server.script = [stream(chunk(text, finish="stop"), usage_chunk(), DONE)]
    asked = [ChatMessage("hi")] if method == "stream_chat" else "hi"
    (item,) = world.items(llm, method, asked)
    assert (text_of(item), item.delta, item.raw["usage"]) == ("", "", USAGE)
    assert item.raw["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("method", STREAMS)
def test_a_stream_of_done_alone_is_an_error_of_ours(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    """The gateway sends `[DONE]` after an upstream failure too, so nothing at all is no answer."""
    server.script = [stream(DONE)]
    with pytest.raises(APIResponseError, match="without any text"):
        world.ask(llm, method)


def test_odd_but_legal_event_streams(world: World, server: ScriptedServer, llm: XDM) -> None:
    import json

    events = [
        b": keep-alive\n\n",
        b"data:" + json.dumps(chunk("no space")).encode() + b"\n\n",
        b"data: " + json.dumps(chunk(" crlf")).encode() + b"\r\n\r\n",
        *(bytes([byte]) for byte in b"data: " + json.dumps(chunk("你\u2028😀"), ensure_ascii=False).encode() + b"\n\n"),
        b"data: " + json.dumps(chunk("", finish="stop")).encode() + b"\n\n",
        DONE.encode(),
    ]
    server.script = [stream(*events)]
    assert world.items(llm, "stream_complete", "hi")[-1].text == "no space crlf你\u2028😀"


def test_half_a_surrogate_pair_in_a_token_becomes_a_replacement_character(
    world: World, server: ScriptedServer, llm: XDM
) -> None:
    logprobs = b'{"tokens": ["\\ud83d"], "token_logprobs": [-1], "top_logprobs": [{"\\ude00": -2}], "text_offset": [0]}'
    body = b'{"choices": [{"text": "a", "index": 0, "finish_reason": "stop", "logprobs": ' + logprobs + b"}]}"
    server.script = [http(body, headers={"Content-Type": "application/json"})]
    ((first, second),) = world.call(llm, "complete", "hi", logprobs=1).logprobs
    assert (first.token, second.token) == ("\ufffd", "\ufffd")


@pytest.mark.parametrize("method", METHODS)
def test_half_a_surrogate_pair_becomes_a_replacement_character(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    broken = b'{"choices": [{"text": "a\\ud83d", "index": 0, "finish_reason": "stop"}]}'
    server.script = [
        stream(b"data: " + broken + b"\n\n", DONE)
        if method.startswith("stream")
        else http(broken, headers={"Content-Type": "application/json"})
    ]
    assert text_of(world.ask(llm, method)) == "a\ufffd"


def test_null_is_an_empty_text(world: World, server: ScriptedServer, llm: XDM) -> None:
    body = completion("x")
    body["choices"][0]["text"] = None
    server.script = [http(body)]
    assert world.call(llm, "complete", "hi").text == ""


@pytest.mark.parametrize("body", [{**completion("x"), "choices": []}, "<html><body>welcome</body></html>"])
@pytest.mark.parametrize("method", ["complete", "chat"])
def test_what_is_no_answer_is_a_typed_error(
    world: World, server: ScriptedServer, llm: XDM, method: str, body: Any
) -> None:
    server.script = [http(body)]
    with pytest.raises(APIResponseError):
        world.ask(llm, method)


@pytest.mark.parametrize("method", STREAMS)
def test_an_end_without_a_finish_reason_is_an_error_with_the_text_so_far(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    server.script = [stream(chunk("half"))]
    with pytest.raises(StreamInterruptedError) as caught:
        world.ask(llm, method)
    assert caught.value.text == "half"


def test_an_end_with_a_finish_reason_is_an_end(world: World, server: ScriptedServer, llm: XDM) -> None:
    server.script = [stream(chunk("whole", finish="stop"))]
    assert world.items(llm, "stream_complete", "hi")[-1].text == "whole"


def test_servers_without_finish_reasons_can_be_used(world: World, server: ScriptedServer) -> None:
    server.script = [stream(chunk("a"), chunk("b"), usage_chunk(), DONE)]
    llm = XDM(api_base=server.url, require_finish_reason=False)
    last = world.items(llm, "stream_complete", "hi")[-1]
    assert (last.text, last.raw["usage"]) == ("ab", USAGE)


@pytest.mark.parametrize("method", METHODS)
def test_the_real_engine_answers_by_every_method(world: World, engine: Any, method: str) -> None:
    llm = XDM(api_base=engine.base_url, model="tiny", temperature=0, max_tokens=40)
    asked = "Say this is a test" if method.endswith("complete") else "Hello"
    last = world.ask(llm, method, asked)
    assert text_of(last).strip()
    assert last.raw["usage"]["completion_tokens"] > 0
    assert last.raw["choices"][0]["finish_reason"] == "stop"


def test_the_real_engine_gives_logprobs_in_both_ways(world: World, engine: Any) -> None:
    llm = XDM(api_base=engine.base_url, model="tiny", temperature=0, logprobs=2, max_tokens=3)
    whole = world.call(llm, "complete", "Count to two hundred:").logprobs
    streamed = world.items(llm, "stream_complete", "Count to two hundred:")[-1].logprobs
    assert len(whole) == 3
    assert [p[0].token for p in streamed] == [p[0].token for p in whole]
    assert all(position[0].logprob <= 0 for position in whole)
