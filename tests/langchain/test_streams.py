"""Streams, from the first token to the last word about them."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from langchain_core.prompts import PromptTemplate

from tests.scripted import CLOSE, DONE, HANG, RESET, USAGE, chunk, completion, http, stream, tokens, usage_chunk
from xdm_integrations import (
    APIResponseError,
    APITimeoutError,
    ContentFilterError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)
from xdm_integrations.langchain import XDMLLM

METADATA = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


def infos(run):
    return [one.generation_info for one in run.chunks if one.generation_info]


def test_tokens_arrive_one_by_one_and_add_up_to_the_answer(world, engine):
    llm = world.llm(engine, temperature=0)
    pieces = world.stream(llm, "Say this is a test")
    assert len(pieces) > 1
    assert "".join(pieces) == world.invoke(llm, "Say this is a test")


def test_a_token_is_handed_out_before_the_next_is_sent(world, server):
    go = threading.Event()
    server.script = [stream(chunk("a"), go, chunk("b"), chunk("", finish="stop"), DONE)]
    llm = world.llm(server)
    if not world.is_async:
        for text in llm.stream("x"):
            assert text == "b" or not go.is_set()
            go.set()
        return

    async def consume():
        async for text in llm.astream("x"):
            assert text == "b" or not go.is_set()
            go.set()

    world.run(consume())


@pytest.mark.parametrize("listening", [False, True])
def test_no_empty_text_reaches_the_user(world, server, recorder, listening):
    server.script = [tokens("a", "b")]
    assert world.stream(world.llm(server), "x", {"callbacks": [recorder] if listening else []}) == ["a", "b"]


def test_the_end_of_the_run_has_the_counts_and_all_else(world, server, recorder):
    nested = {
        **USAGE,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    server.script = [[*tokens("a", "b", usage=nested)]]
    world.stream(world.llm(server), "x", {"callbacks": [recorder]})
    assert server.requests[0].json["stream_options"] == {"include_usage": True}
    result = recorder.run.result
    assert result.llm_output["token_usage"] == nested
    assert result.llm_output["model_name"] == "served-model"
    assert recorder.run.generation.text == "ab"
    info = recorder.run.generation.generation_info
    assert info["usage_metadata"] == {
        **METADATA,
        "input_token_details": {"cache_read": 4},
        "output_token_details": {"reasoning": 1},
    }
    assert (info["finish_reason"], info["model_name"], info["id"]) == ("stop", "served-model", "cmpl-1")


def test_usage_can_be_declined_and_a_server_that_refuses_the_wish_is_asked_without(world, server, recorder):
    server.script = [tokens("a", usage=None)]
    assert world.stream(world.llm(server, stream_usage=False), "x") == ["a"]
    assert "stream_options" not in server.requests[0].json

    def script(seen):
        if "stream_options" in seen.json:
            return http({"error": {"message": "unknown field stream_options", "type": "invalid_request_error"}}, 400)
        return stream(chunk("a"), chunk("", finish="stop"), DONE)

    server.script = script
    assert world.stream(world.llm(server), "x", {"callbacks": [recorder]}) == ["a"]
    assert "token_usage" not in recorder.run.result.llm_output


def test_the_usage_event_makes_no_piece(world, server, recorder):
    server.script = [tokens("a", "b")]
    world.stream(world.llm(server), "x", {"callbacks": [recorder]})
    assert recorder.run.tokens == ["a", "b", ""]  # the last is the server's piece with the finish reason
    server.script = [stream(chunk("a"), chunk("b", finish="stop"), usage_chunk(), DONE)]
    assert [one.text for one in world.items(world.llm(server), "_stream", "x")] == ["a", "b"]


def test_cumulative_usage_counts_once(world, server, recorder):
    growing = [{"prompt_tokens": 7, "completion_tokens": i, "total_tokens": 7 + i} for i in (1, 2, 3)]
    events = [chunk(text, usage=usage) for text, usage in zip("abc", growing, strict=True)]
    server.script = [stream(*events, chunk("", finish="stop", usage=growing[-1]), DONE)]
    world.stream(world.llm(server), "x", {"callbacks": [recorder]})
    assert recorder.run.result.llm_output["token_usage"] == growing[-1]
    assert recorder.run.generation.generation_info["usage_metadata"]["total_tokens"] == 10


def test_of_several_choices_the_first_is_streamed_and_all_are_kept(world, server, recorder):
    assert "".join(world.stream(world.llm(server, n=2), "ab")) == "<ab#0>"
    assert "".join(world.stream(world.llm(server, n=2), "ab", {"callbacks": [recorder]})) == "<ab#0>"
    assert "".join(recorder.run.tokens) == "<ab#0>"
    generation = recorder.run.generation
    assert generation.text == "<ab#0>"
    assert [(c["index"], c["text"], c["finish_reason"]) for c in generation.generation_info["choices"]] == [
        (0, "<ab#0>", "stop"),
        (1, "<ab#1>", "stop"),
    ]


def test_the_finish_reason_is_on_exactly_one_piece(world, server, recorder):
    finished = chunk("", finish="stop")
    server.script = [stream(chunk("a"), finished, finished, usage_chunk(), finished, DONE)]
    world.stream(world.llm(server), "x", {"callbacks": [recorder]})
    assert [info["finish_reason"] for info in infos(recorder.run)] == ["stop"]
    (info,) = infos(recorder.run)
    assert info["usage_metadata"] == METADATA
    assert recorder.run.generation.generation_info["finish_reason"] == "stop"


@pytest.mark.parametrize("late", ["c", "cd"])
def test_text_after_the_finish_reason_keeps_its_place(world, server, recorder, late):
    server.script = [stream(chunk("a"), chunk("b", finish="stop"), *map(chunk, late), usage_chunk(), DONE)]
    llm = world.llm(server)
    assert "".join(world.stream(llm, "x")) == "ab" + late
    assert "".join(world.stream(llm, "x", {"callbacks": [recorder]})) == "ab" + late
    assert "".join(recorder.run.tokens) == recorder.run.generation.text == "ab" + late
    assert [info["finish_reason"] for info in infos(recorder.run)] == ["stop"]
    pieces = world.items(llm, "_stream", "x")
    total = pieces[0]
    for one in pieces[1:]:
        total += one
    assert total == recorder.run.generation


def test_the_pieces_add_up_to_what_the_run_ends_with(world, server, recorder):
    logprobs = [
        {"tokens": [t], "token_logprobs": [-0.5], "top_logprobs": [{t: -0.5}], "text_offset": [i]}
        for i, t in enumerate("ab")
    ]
    events = [chunk(text, logprobs=value) for text, value in zip("ab", logprobs, strict=True)]
    server.script = [stream(*events, chunk("", finish="stop"), usage_chunk(), DONE)]
    pieces = world.items(world.llm(server), "_stream", "x", logprobs=1)
    world.stream(world.llm(server), "x", {"callbacks": [recorder]}, logprobs=1)
    total = pieces[0]
    for one in pieces[1:]:
        total += one
    assert total == recorder.run.generation


@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize(
    "case",
    [
        (
            [{"error": {"message": "content filtered", "code": "content_filter", "type": "invalid_request_error"}}],
            ContentFilterError,
        ),
        (['event: error\ndata: {"message": "backend died"}\n\n'], ServerError),
        (["event: error\ndata: backend died\n\n"], ServerError),
        (["data: {broken\n\n"], APIResponseError),
        ([DONE], StreamInterruptedError),
        ([], StreamInterruptedError),
        ([RESET], StreamInterruptedError),
        ([CLOSE], StreamInterruptedError),
    ],
)
def test_what_breaks_a_stream_is_a_typed_error_with_the_text_so_far(world, server, recorder, case, listening):
    end, expected = case
    server.script = [stream(chunk("par"), chunk("tial"), *end, end=CLOSE not in end and RESET not in end)]
    llm = world.llm(server)
    with pytest.raises((expected, APIResponseError) if expected is ServerError else expected) as caught:
        world.stream(llm, "x", {"callbacks": [recorder]} if listening else None)
    assert caught.value.text == "partial"
    assert len(server.requests) == 1
    if listening:
        assert recorder.run.error is caught.value
        assert recorder.run.partial.generations[0][0].text == "partial"


def test_a_server_without_finish_reasons_can_be_allowed(world, server):
    server.script = [stream(chunk("a"), DONE)]
    assert world.stream(world.llm(server, require_finish_reason=False), "x") == ["a"]


def test_a_stall_is_our_timeout_with_the_text_so_far(world, server):
    server.script = [stream(chunk("partial"), HANG, end=False)]
    with pytest.raises(StreamInterruptedError) as caught:
        world.stream(world.llm(server, timeout=(5, 0.6)), "x")
    assert caught.value.text == "partial"
    assert isinstance(caught.value.__cause__, APITimeoutError)


def test_a_server_that_answers_json_to_a_stream(world, server, recorder):
    server.script = [http(completion("whole"))]
    assert world.stream(world.llm(server), "x", {"callbacks": [recorder]}) == ["whole"]
    assert recorder.run.result.llm_output["token_usage"] == USAGE


def test_odd_but_legal_framing(world, server):
    body = ": hello\r\n\r\ndata:" + '{"choices":[{"text":"h\\u2028i","index":0,"finish_reason":null}]}' + "\r\n\r\n"
    accent = 'data: {"choices":[{"text":"é","index":0,"finish_reason":"stop"}]}\n\n'.encode()
    server.script = [stream(body, accent[:33], accent[33:], "data:[DONE]\n\n")]
    assert "".join(world.stream(world.llm(server), "x")) == "h\u2028ié"


def test_logprobs_are_merged_in_order(world, server, recorder):
    events = [
        chunk(
            t,
            logprobs={
                "tokens": [t],
                "token_logprobs": [-float(i)],
                "top_logprobs": [{t: -float(i)}],
                "text_offset": [i],
            },
        )
        for i, t in enumerate("abc")
    ]
    server.script = [stream(*events, chunk("", finish="stop"), DONE)]
    world.stream(world.llm(server, logprobs=1), "x", {"callbacks": [recorder]})
    assert recorder.run.generation.generation_info["logprobs"] == {
        "tokens": ["a", "b", "c"],
        "token_logprobs": [0.0, -1.0, -2.0],
        "top_logprobs": [{"a": 0.0}, {"b": -1.0}, {"c": -2.0}],
        "text_offset": [0, 1, 2],
    }


@pytest.fixture
def no_gc():
    gc.disable()
    yield
    gc.enable()


def gone(server):
    return server.wait_until(lambda: server.open_connections == 0)


def check_left(recorder):
    assert recorder.run.error is not None
    assert recorder.run.partial.generations[0][0].text == "a"


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize("how", ["drop", "close"])
def test_leaving_a_stream_ends_it_at_the_server(server, recorder, how, listening):
    server.script = [stream(chunk("a"), HANG, end=False)]
    with XDMLLM(base_url=server.url) as llm:
        pieces = llm.stream("x", {"callbacks": [recorder]} if listening else None)
        assert next(pieces) == "a"
        if how == "close":
            pieces.close()
        del pieces
        assert gone(server)
    if listening:
        check_left(recorder)


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize("how", ["break", "close", "cancel"])
def test_leaving_an_async_stream_ends_it_at_the_server(server, recorder, how, listening):
    server.script = [stream(chunk("a"), HANG, end=False)]

    async def leave(pieces):
        if how == "break":
            async for text in pieces:
                assert text == "a"
                break
        elif how == "close":
            assert await anext(pieces) == "a"
            await pieces.aclose()
        else:
            began = asyncio.Event()

            async def read():
                async for _ in pieces:
                    began.set()

            task = asyncio.ensure_future(read())
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    async def main():
        async with XDMLLM(base_url=server.url) as llm:
            await leave(llm.astream("x", {"callbacks": [recorder]} if listening else None))
            assert await asyncio.get_running_loop().run_in_executor(None, gone, server)
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others)  # which the loop has made to close what was dropped; they tell the handlers

    asyncio.run(main())
    if listening:
        check_left(recorder)


def test_streaming_lets_invoke_emit_tokens_inside_astream_events(server):
    async def events(llm):
        chain = PromptTemplate.from_template("{x}") | llm
        return [event async for event in chain.astream_events({"x": "hello"}, version="v2")]

    async def main():
        async with XDMLLM(base_url=server.url, streaming=True) as llm:

            async def node(x):
                return await llm.ainvoke(x)

            from langchain_core.runnables import RunnableLambda

            chain = RunnableLambda(node)
            kinds = [event["event"] async for event in chain.astream_events("hello", version="v2")]
            assert "on_llm_stream" in kinds
            return await events(llm)

    seen = asyncio.run(main())
    texts = [event["data"]["chunk"] for event in seen if event["event"] == "on_llm_stream"]
    assert "".join(getattr(text, "text", text) for text in texts) == "<hello>"
    (end,) = [event for event in seen if event["event"] == "on_llm_end"]
    assert end["data"]["output"]["llm_output"]["token_usage"]["total_tokens"] == 2
    assert end["data"]["output"]["generations"][0][0]["text"] == "<hello>"


def test_an_answer_without_any_text_is_one_empty_piece(world, server):
    server.script = [stream(chunk("", finish="stop"), usage_chunk(), DONE)]
    assert world.stream(world.llm(server), "x") == [""]


@pytest.mark.parametrize("method", ["stream", "invoke"])
def test_a_stream_is_retried_until_its_first_word(world, server, method):
    busy = http({"error": {"message": "busy", "type": "x"}}, 429, {"Retry-After": "0"})
    server.script = [busy, tokens("a", "b"), busy]
    llm = world.llm(server, streaming=method == "invoke")
    assert "".join(getattr(world, method)(llm, "x")) == "ab"
    with pytest.raises(RateLimitError):
        world.stream(world.llm(server, max_retries=0), "x")


def test_the_partial_text_of_an_invoke_that_streams_reaches_its_run(world, server, recorder):
    server.script = [stream(chunk("par"), chunk("tial"), DONE)]
    with pytest.raises(StreamInterruptedError):
        world.invoke(world.llm(server, streaming=True), "x", {"callbacks": [recorder]})
    assert recorder.run.partial.generations[0][0].text == "partial"


def test_a_subclass_with_its_own_stream_keeps_it(world, server):
    from langchain_core.outputs import GenerationChunk

    class Shouting(XDMLLM):
        def _stream(self, prompt, stop=None, run_manager=None, **kwargs):
            for one in super()._stream(prompt, stop, run_manager, **kwargs):
                yield GenerationChunk(text=one.text.upper())

        async def _astream(self, prompt, stop=None, run_manager=None, **kwargs):
            async for one in super()._astream(prompt, stop, run_manager, **kwargs):
                yield GenerationChunk(text=one.text.upper())

    server.script = [tokens("a", "b")]
    with Shouting(base_url=server.url) as llm:
        assert "".join(world.stream(llm, "x")) == "AB"
        world.call(llm, "close")


def test_a_long_stream_costs_the_same_per_token():
    """The complete answer is built once, at the end, and not once per token."""
    from tests.langchain.growth import cost_per_token

    short, long = cost_per_token(2_000), cost_per_token(40_000)
    assert long < 5 * short  # twenty times as long: a cost that grew with it would be twenty times as high
