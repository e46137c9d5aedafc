"""What `ChatXDM` makes of streams: good ones, odd ones and broken ones."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage

from tests.langchain.test_chat_answers import COUNTED, USAGE, summed
from tests.scripted import CLOSE, DONE, HANG, RESET, http, stream
from tests.unit.chat.shapes import STREAMS
from tests.unit.chat.shapes import stream as recorded
from tests.wire.chat import HEAD, answer, chat_stream, counts, delta, talking, tool_call, tool_delta
from xdm_integrations import (
    APIResponseError,
    APITimeoutError,
    RateLimitError,
    StreamInterruptedError,
    XDMError,
)


def ask(world, server, *events, settings=None, end=True, **kwargs):
    """Return the chunks of a stream of these events."""
    server.script = [stream(*events, end=end)]
    return world.stream(world.chat(server, **(settings or {})), "x", **kwargs)


def test_pieces_come_as_they_are_and_add_up_to_the_complete_answer(world, server):
    reply = answer("alpha", reasoning_content="hm, well", tool_calls=[tool_call("f", {"x": 1})], usage=USAGE)
    server.script = [http(reply)]
    whole = world.invoke(world.chat(server), "x")
    chunks = ask(
        world,
        server,
        delta(role="assistant", content=""),
        delta(reasoning_content="hm, "),
        delta(reasoning_content="well"),
        delta("al"),
        delta("pha"),
        tool_delta('{"x"', name="f", call_id="call_1"),
        tool_delta(": 1}"),
        delta(finish="tool_calls"),
        counts(USAGE),
        DONE,
    )
    assert [chunk.content for chunk in chunks if chunk.content] == ["al", "pha"]
    total = summed(chunks)
    for name in ("content", "additional_kwargs", "response_metadata", "usage_metadata", "tool_calls"):
        assert getattr(total, name) == getattr(whole, name), name
    assert [block["type"] for block in total.content_blocks] == ["reasoning", "text", "tool_call"]
    assert {chunk.id for chunk in chunks} == {total.id}
    assert [chunk.chunk_position for chunk in chunks].count("last") == 1
    assert chunks[-1].chunk_position == "last"
    assert [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata] == [COUNTED]
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize("row", STREAMS, ids=[row.name for row in STREAMS])
def test_every_shape_of_a_stream_adds_up_to_its_meaning_and_goes_back(world, server, row, version):
    server.script = [http(recorded(row), headers={"Content-Type": "text/event-stream"}), http(answer("thanks"))]
    chat = world.chat(server, output_version=version, max_retries=0)
    if row.error:
        with pytest.raises(XDMError):
            world.stream(chat, "x")
        return
    total = summed(world.stream(chat, "x"))
    assert (total.text, total.response_metadata["finish_reason"]) == (row.text, row.finish)
    assert total.additional_kwargs.get("reasoning_content", "") == row.reasoning
    assert [(call["name"], call["args"]) for call in total.tool_calls] == row.calls
    assert [call["name"] or "" for call in total.invalid_tool_calls] == [name for name, _ in row.invalid]
    blocks = total.content_blocks
    assert "".join(block["text"] for block in blocks if block["type"] == "text") == row.text
    assert "".join(block["reasoning"] for block in blocks if block["type"] == "reasoning") == row.reasoning
    assert [block["id"] for block in blocks if block["type"] == "tool_call"] == [
        call["id"] for call in total.tool_calls
    ]
    calls = [call["id"] for call in (*total.tool_calls, *total.invalid_tool_calls) if call["name"]]
    results = [ToolMessage("done", tool_call_id=call_id) for call_id in calls]
    assert world.invoke(chat, [HumanMessage("x"), total, *(results or [HumanMessage("y")])]).text == "thanks"
    back = server.requests[-1].json["messages"][1]
    assert [call["id"] for call in back.get("tool_calls", ())] == calls


def test_counts_are_asked_for_unless_that_is_unwanted(world, server):
    server.script = [chat_stream("hi")]
    world.stream(world.chat(server), "x")
    world.stream(world.chat(server, stream_usage=False), "x")
    world.stream(world.chat(server), "x", stream_options={"include_usage": False})
    asked = [seen.json.get("stream_options") for seen in server.requests]
    assert asked == [{"include_usage": True}, None, {"include_usage": False}]


TEXT, END = delta("hi"), delta(finish="stop")


def with_usage(event, usage=USAGE):
    return {**event, "usage": usage}


FIRST, ZERO = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}, dict.fromkeys(USAGE, 0)


@pytest.mark.parametrize(
    "events",
    [
        [TEXT, END, counts(USAGE)],
        [TEXT, with_usage(END)],
        [TEXT, with_usage(END), counts(USAGE)],
        [with_usage(TEXT, FIRST), with_usage(END)],
        [with_usage(TEXT, FIRST), END, counts(USAGE)],
        [with_usage(TEXT), with_usage(END)],
        [with_usage(TEXT, None), with_usage(END, None), counts(USAGE)],
        [with_usage(TEXT, ZERO), with_usage(END, ZERO), counts(USAGE)],
        [TEXT, END, counts(USAGE), counts(ZERO)],
        [counts(FIRST), TEXT, END, counts(USAGE)],
        [TEXT, END, {**HEAD, "usage": USAGE}],
        [TEXT, END, {**HEAD, "choices": None, "usage": USAGE}],
        [TEXT, END, counts({"input_tokens": 5, "output_tokens": 4})],
    ],
)
def test_counts_of_every_shape_are_told_once(world, server, events):
    chunks = ask(world, server, *events, DONE)
    assert [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata] == [COUNTED]
    assert summed(chunks).usage_metadata == COUNTED


def test_ids_and_models_of_each_event_become_one(world, server):
    events = [{**delta(text), "id": f"id{text}", "model": "served-model"} for text in "abc"]
    total = summed(ask(world, server, *events, {**END, "id": "idx"}, DONE))
    assert (total.content, total.response_metadata["id"]) == ("abc", "ida")
    assert total.response_metadata["model_name"] == "served-model"
    assert total.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize("role", [{"role": None}, {"role": ""}, {"role": "assistant"}, {}])
def test_roles_of_deltas_do_not_matter(world, server, role):
    assert summed(ask(world, server, delta("a", **role), delta("b", **role), END, DONE)).content == "ab"


@pytest.mark.parametrize(
    "odd",
    [
        {**HEAD, "choices": []},
        {**HEAD, "choices": None},
        {**HEAD, "choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        {**HEAD, "choices": [{"index": 0, "finish_reason": None}]},
        {"choices": [{"delta": {}}]},
        {"choices": [{"delta": {"content": [{"type": "text", "text": ""}]}}]},
        {"choices": [{"message": None}]},
        ": a comment\n\n",
        "id: 7\nretry: 100\n\n",
    ],
)
def test_odd_events_between_do_no_harm(world, server, odd):
    assert summed(ask(world, server, odd, delta("a"), odd, delta("b"), odd, END, DONE)).content == "ab"


def test_a_message_in_place_of_a_delta_is_read(world, server):
    event = {**HEAD, "choices": [{"message": {"content": "hi"}, "finish_reason": None}]}
    assert summed(ask(world, server, event, END, DONE)).content == "hi"


def test_events_without_index_and_id_and_contents_in_parts_are_read(world, server):
    events = [{"choices": [{"delta": {"content": content}}]} for content in ("a", [{"type": "text", "text": "b"}])]
    assert summed(ask(world, server, *events, {"choices": [{"finish_reason": "stop"}]}, DONE)).content == "ab"


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([TEXT, delta(finish=""), END], "stop"),
        ([TEXT, END, END, END], "stop"),
        ([TEXT, delta(finish="STOP")], "STOP"),
        ([TEXT, delta(finish="length"), END], "length"),
        ([delta("h"), END, delta("i")], "stop"),
        ([delta("h"), delta(finish="stop", content="i"), {**HEAD, "choices": [{"delta": {"content": ""}}]}], "stop"),
    ],
)
def test_finish_reasons_come_once(world, server, events, reason):
    chunks = ask(world, server, *events, DONE)
    assert summed(chunks).content == "hi"
    assert summed(chunks).response_metadata["finish_reason"] == reason


def test_done_is_not_needed_after_a_finish_reason(world, server):
    assert summed(ask(world, server, TEXT, END)).content == "hi"


@pytest.mark.parametrize("events", [[TEXT], [TEXT, DONE], [TEXT, tool_delta('{"x": 1', name="f", call_id="c")]])
@pytest.mark.parametrize("call", ["stream", "invoke"])
def test_a_stream_without_finish_reason_is_cut_and_raises_with_what_came(world, server, events, call):
    server.script = [stream(*events)]
    chat = world.chat(server, streaming=True)
    with pytest.raises(StreamInterruptedError) as caught:
        world.stream(chat, "x") if call == "stream" else world.invoke(chat, "x")
    assert caught.value.partial.text == "hi"
    assert caught.value.partial.tool_calls == ()


def test_servers_without_finish_reasons_are_accepted_on_request(world, server):
    total = summed(ask(world, server, TEXT, DONE, settings={"require_finish_reason": False}))
    assert total.content == "hi"


LIMIT = {"error": {"message": "Rate limit reached, slow down.", "type": "rate_limit_error", "code": 429}}


@pytest.mark.parametrize(
    "event",
    [LIMIT, f"event: error\ndata: {json.dumps(LIMIT)}\n\n", json.dumps(LIMIT) + "\n"],
    ids=["an object", "an event", "a bare line"],
)
@pytest.mark.parametrize("before", [[], [TEXT]], ids=["first", "later"])
def test_errors_in_streams_are_typed_and_in_the_servers_words(world, server, event, before):
    with pytest.raises(XDMError, match=r"Rate limit reached, slow down\.") as caught:
        ask(world, server, *before, event, settings={"max_retries": 0})
    assert isinstance(caught.value, RateLimitError)
    assert len(server.requests) == 1
    if before:
        assert caught.value.partial.text == "hi"


@pytest.mark.parametrize(
    "reply",
    [
        http(b"<html>no</html>"),
        http(answer("hi")),
        stream("data: not json\n\n"),
        stream(TEXT, "data: not json\n\n"),
        http(LIMIT),
        http(b""),
    ],
    ids=["HTML", "whole", "text", "text, later", "an error", "nothing"],
)
def test_other_replies_to_a_stream_are_read_or_refused(world, server, reply):
    server.script = [reply]
    chat = world.chat(server, max_retries=0)
    if reply == http(answer("hi")):
        assert summed(world.stream(chat, "x")).content == "hi"
    else:
        with pytest.raises((APIResponseError, StreamInterruptedError, RateLimitError)):
            world.stream(chat, "x")


def test_bytes_may_be_cut_anywhere(world, server):
    events = [delta("é漢"), delta("\u2028😀"), END]
    data = "".join(f"data:{json.dumps(event, ensure_ascii=False)}\r\n\r\n" for event in events).encode()
    data = b"\xef\xbb\xbf: hello\r\n\r\n" + data
    for size in (1, 2, 3, 7):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert summed(ask(world, server, *pieces)).content == "é漢\u2028😀"


FRAMINGS = {
    "carriage returns": b"data: %s\r\r",
    "ids and retries": b"id: 1\nretry: 5\nevent: message\ndata: %s\n\n",
    "a comment": b": PING\n\ndata: %s\n\n",
    "two lines": b"data: %s\n\n",
}


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_every_framing_of_events_is_read(world, server, framing):
    texts = [json.dumps(event).encode() for event in (delta("a"), delta("b"), END)]
    if framing is FRAMINGS["two lines"]:
        texts = [text.replace(b', "choices"', b',\ndata: "choices"') for text in texts]
    data = b"".join(framing % text for text in texts)
    for size in (1, 5, len(data)):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert summed(ask(world, server, *pieces)).content == "ab"


def test_one_of_several_answers_is_delivered(world, server):
    events = [delta("a"), delta("b", index=1), delta("a"), delta(finish="stop"), delta(finish="stop", index=1)]
    assert summed(ask(world, server, *events, DONE, n=2)).content == "aa"


@pytest.mark.parametrize("version", [None, "v1"])
@pytest.mark.parametrize("call", ["stream", "invoke"])
def test_the_answer_that_came_is_delivered_where_the_first_one_never_does(world, server, call, version):
    begun = tool_delta('{"x": 1}', name="f", call_id="c")
    begun["choices"][0]["index"] = 1
    parts = [delta(reasoning_content="hm", index=1), delta("al", index=1), delta("pha", index=1), begun]
    server.script = [stream(*parts, delta(finish="tool_calls", index=1), counts(USAGE), DONE)]
    chat = world.chat(server, n=2, streaming=True, output_version=version)
    message = summed(world.stream(chat, "x")) if call == "stream" else world.invoke(chat, "x")
    assert message.text == "alpha"
    assert message.additional_kwargs["reasoning_content"] == "hm"
    assert [(one["id"], one["name"], one["args"]) for one in message.tool_calls] == [("c", "f", {"x": 1})]
    assert message.usage_metadata == COUNTED


def test_log_probabilities_are_joined(world, server):
    def event(token):
        one = delta(token)
        one["choices"][0]["logprobs"] = {"content": [{"token": token, "logprob": -1.0, "top_logprobs": []}]}
        return one

    chunks = ask(world, server, event("a"), event("b"), END, DONE)
    entries = summed(chunks).response_metadata["logprobs"]["content"]
    assert [entry["token"] for entry in entries] == ["a", "b"]
    assert len([chunk for chunk in chunks if "logprobs" in chunk.response_metadata]) == 2


@pytest.mark.parametrize("fields", [["reasoning_content"], ["reasoning"], ["reasoning", "reasoning_content"]])
def test_reasoning_streams_once(world, server, fields):
    events = [delta(**dict.fromkeys(fields, text)) for text in ("h", "m")]
    chunks = ask(world, server, *events, TEXT, END, DONE)
    thoughts = [chunk.additional_kwargs.get("reasoning_content") for chunk in chunks]
    assert [thought for thought in thoughts if thought] == ["h", "m"]
    assert summed(chunks).additional_kwargs == {"reasoning_content": "hm"}


@pytest.fixture
def uncollected():
    """Nothing that is left behind is found by the garbage collector."""
    gc.disable()
    yield
    gc.enable()


def leave(chat, how):
    """Read a first chunk, and leave."""
    chunks = chat.stream("x")
    for chunk in chunks:
        first = chunk.content
        break
    if how == "close":
        chunks.close()
    return first


async def aleave(chat, how):
    """See `leave`."""
    came = asyncio.get_running_loop().create_future()

    async def read():
        async for chunk in chat.astream("x"):
            came.set_result(chunk.content)
            if how == "break":
                break

    if how == "close":
        chunks = chat.astream("x")
        came.set_result((await anext(chunks)).content)
        await chunks.aclose()
    elif how == "break":
        await read()
    elif how == "timeout":
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(read(), 0.3)
    else:
        task = asyncio.ensure_future(read())
        await asyncio.wait([came])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    return came.result()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("how", ["close", "break", "cancel", "timeout"])
def test_leaving_a_stream_ends_it_at_the_server(world, server, how):
    if how in ("cancel", "timeout") and not world.is_async:
        pytest.skip("only tasks are cancelled")
    server.script = [stream(TEXT, HANG, end=False)]
    chat = world.chat(server)

    async def alone():
        first = await aleave(chat, how)
        assert await asyncio.to_thread(server.wait_until, lambda: len(server.disconnects) == 1)
        return first

    assert (world.run(alone()) if world.is_async else leave(chat, how)) == "hi"
    assert server.wait_until(lambda: len(server.disconnects) == 1)
    server.script = talking("again")
    assert world.invoke(chat, "x").content == "again"


@pytest.mark.parametrize("call", ["invoke", "stream"])
def test_compressed_answers_are_read(world, server, call):
    if call == "invoke":
        body, kind = json.dumps(answer("hi")).encode(), "application/json"
    else:
        kind = "text/event-stream"
        body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in (TEXT, END))
    server.script = [http(gzip.compress(body), headers={"Content-Encoding": "gzip", "Content-Type": kind})]
    chat = world.chat(server, max_retries=0)
    assert (world.invoke(chat, "x") if call == "invoke" else summed(world.stream(chat, "x"))).content == "hi"


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_connection_that_breaks_raises_with_what_came_and_asks_once(world, server, end):
    with pytest.raises(StreamInterruptedError) as caught:
        ask(world, server, TEXT, end, end=False)
    assert caught.value.partial.text == "hi"
    assert len(server.requests) == 1


def test_a_stream_that_stalls_times_out_with_what_came(world, server):
    with pytest.raises((APITimeoutError, StreamInterruptedError)) as caught:
        ask(world, server, TEXT, HANG, end=False, timeout=(5, 0.2))
    assert caught.value.partial.text == "hi"


@pytest.mark.parametrize(
    ("settings", "asked", "streams"),
    [
        ({}, ("invoke", {}), False),
        ({"streaming": True}, ("invoke", {}), True),
        ({}, ("invoke", {"stream": True}), True),
        ({}, ("stream", {}), True),
        ({"streaming": False}, ("stream", {}), False),
        ({"disable_streaming": True}, ("stream", {}), False),
        ({"disable_streaming": "tool_calling"}, ("stream", {"tools": [{"function": {"name": "f"}}]}), False),
        ({"streaming": None}, ("stream", {}), True),
    ],
)
def test_langchains_switches_decide_what_streams(world, server, settings, asked, streams):
    call, kwargs = asked
    server.script = talking("hi")
    chat = world.chat(server, **settings)
    world.stream(chat, "x", **kwargs) if call == "stream" else world.invoke(chat, "x", **kwargs)
    assert bool(server.requests[0].json.get("stream")) is streams


def test_events_of_version_2_and_an_answer_within_them_stream(server):
    from langchain_core.runnables import RunnableLambda

    from xdm_integrations.langchain import ChatXDM

    server.script = talking("hi")
    chat = ChatXDM(base_url=server.url)

    async def node(text, config):
        return (await chat.ainvoke(text, config)).content

    async def run():
        events = [event async for event in RunnableLambda(node).astream_events("x", version="v2")]
        await chat.aclose()
        return events

    events = asyncio.run(run())
    pieces = [event["data"]["chunk"].content for event in events if event["event"] == "on_chat_model_stream"]
    assert "".join(pieces) == "hi"
    assert server.requests[0].json["stream"] is True


@pytest.mark.filterwarnings("ignore:The method .* is in beta")
@pytest.mark.parametrize("version", [None, "v1"])
def test_events_of_version_3_are_valid_and_hold_everything(world, server, recorder, version):
    from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream

    server.script = [
        chat_stream(
            delta(reasoning_content="hm"),
            "hi",
            tool_delta('{"x"', name="f", call_id="c"),
            tool_delta(": 1}"),
            finish="tool_calls",
            usage=USAGE,
        )
    ]
    chat = world.chat(server, output_version=version)
    config = {"callbacks": [recorder]}
    if world.is_async:

        async def run():
            events = await chat.astream_events("x", config, version="v3")
            found = [event async for event in events], await events.output
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others)  # LangChain's own, which tells the callbacks that it is over
            return found

        events, message = world.run(run())
    else:
        stream_of = chat.stream_events("x", config, version="v3")
        events, message = list(stream_of), stream_of.output
    assert_valid_event_stream(events)
    assert [block["type"] for block in message.content] == ["reasoning", "text", "tool_call"]
    assert message.tool_calls[0]["args"] == {"x": 1}
    assert message.usage_metadata == COUNTED
    assert message.response_metadata["finish_reason"] == "tool_calls"
    assert "".join(recorder.run.tokens) == "hi"
