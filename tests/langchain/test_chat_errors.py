"""What goes wrong with `ChatXDM`: the same error from each way to ask, and what callbacks hear of it."""

from __future__ import annotations

import pickle

import pytest

from tests.gateway_errors import KEY, ONE_OF_EACH
from tests.scripted import CLOSE, HANG, RESET, http, stream
from tests.wire.chat import answer, chat_stream, delta
from xdm_integrations import (
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    ContentFilterError,
    RateLimitError,
    StreamInterruptedError,
    XDMError,
)


def ask(world, chat, call):
    return world.stream(chat, "x") if call == "stream" else world.invoke(chat, "x")


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: case.id)
def test_the_catalogues_errors_come_out_of_every_way_to_ask(world, server, case):
    reply = http(case.body, case.status, case.headers)
    server.script = lambda seen: reply if seen.method == "POST" else http("", 404)
    chat = world.chat(server, max_retries=0)
    for call in ("invoke", "stream"):
        with pytest.raises(XDMError) as caught:
            ask(world, chat, call)
        assert type(caught.value) is case.error
        if case.says.encode() in case.body or (case.endpoint == "chat" and call == "invoke"):  # others have other hints
            assert case.says in caught.value.message
        assert caught.value.request_id == case.request_id
        copied = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - just made here
        assert (type(copied), copied.message) == (type(caught.value), caught.value.message)


BUSY = http({"error": {"message": "slow down"}}, 429, {"Retry-After": "0"})


@pytest.mark.parametrize("call", ["invoke", "stream"])
@pytest.mark.parametrize(
    ("trouble", "requests"),
    [
        (BUSY, 2),
        (http({"error": {"message": "no"}}, 500), 2),
        ([RESET], 2),
        (http({"error": {"message": "no"}}, 422), 1),
    ],
)
def test_what_can_not_have_been_answered_is_asked_again(world, server, trouble, requests, call):
    def script(_):
        return trouble if len(server.requests) == 1 else (chat_stream("hi") if call == "stream" else http(answer("hi")))

    server.script = script
    chat = world.chat(server, max_retries=1)
    if requests == 2:
        assert ask(world, chat, call)
    else:
        with pytest.raises(XDMError):
            ask(world, chat, call)
    assert len([seen for seen in server.requests if seen.method == "POST"]) == requests


def test_nothing_is_asked_again_after_text(world, server):
    server.script = [stream(delta("a"), CLOSE, end=False)]
    with pytest.raises(StreamInterruptedError):
        world.stream(world.chat(server, max_retries=3), "x")
    assert len(server.requests) == 1


@pytest.mark.parametrize("where", ["field", "call"])
def test_a_timeout_holds_from_field_and_call(world, server, where):
    server.script = [[HANG]]
    chat = world.chat(server, max_retries=0, **({"timeout": (5, 0.2)} if where == "field" else {}))
    with pytest.raises(APITimeoutError):
        world.invoke(chat, "x", **({"timeout": (5, 0.2)} if where == "call" else {}))


def test_nobody_at_the_address_is_a_connection_error(world):
    with pytest.raises(APIConnectionError):
        world.invoke(world.chat(base_url="http://127.0.0.1:9/v1", max_retries=0), "x")


@pytest.mark.parametrize("call", ["invoke", "stream"])
def test_no_key_is_in_any_error_or_trace(world, server, recorder, call):
    server.script = [http({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401)]
    chat = world.chat(server, api_key=KEY, max_retries=0)
    with pytest.raises(XDMError) as caught:
        getattr(world, call)(chat, "x", {"callbacks": [recorder]})
    run = recorder.run
    for text in (str(caught.value), repr(caught.value), repr(run.partial), repr(run.params), repr(run.serialized)):
        assert KEY not in text


def test_callbacks_hear_of_the_error_and_of_what_had_come(world, server, recorder):
    server.script = [stream(delta("al"), delta("pha"))]
    with pytest.raises(StreamInterruptedError) as caught:
        world.stream(world.chat(server), "x", {"callbacks": [recorder]})
    assert recorder.run.error is caught.value
    assert recorder.run.partial.generations[0][0].text == "alpha"
    assert caught.value.partial.text == "alpha"


def test_the_error_holds_what_had_come_where_langchain_hands_on_nothing(world, server, recorder):
    """LangChain's `generate`, which `invoke` is, tells `on_llm_error` of no chunks that had come."""
    server.script = [stream(delta("al"), delta("pha"))]
    with pytest.raises(StreamInterruptedError) as caught:
        world.invoke(world.chat(server, streaming=True), "x", {"callbacks": [recorder]})
    assert recorder.run.error is caught.value
    assert recorder.run.error.partial.text == "alpha"
    assert "".join(recorder.run.tokens) == "alpha"


def test_an_error_of_a_complete_answer_holds_what_had_come(world, server, recorder):
    server.script = [http(answer("half of", finish="abort"))]
    with pytest.raises(APIResponseError) as caught:
        world.invoke(world.chat(server, max_retries=0), "x", {"callbacks": [recorder]})
    assert recorder.run.error is caught.value
    assert caught.value.partial.text == "half of"
    assert caught.value.partial.usage.total_tokens == 10


@pytest.mark.parametrize("call", ["invoke", "stream", "streaming"])
def test_callbacks_hear_of_each_token_and_retry(world, server, recorder, call):
    busy = http({"error": {"message": "slow down"}}, 429, {"Retry-After-Ms": "30", "Retry-After": "7"})
    script = http(answer("alpha")) if call == "invoke" else chat_stream("al", "pha")
    server.script = lambda _: busy if len(server.requests) == 1 else script
    chat = world.chat(server, streaming=True if call == "streaming" else None)
    (world.stream if call == "stream" else world.invoke)(chat, "x", {"callbacks": [recorder]})
    tokens = [] if call == "invoke" else ["al", "pha"]
    assert [token for token in recorder.run.tokens if token] == tokens
    assert recorder.run.generation.message.content == "alpha"
    if call == "invoke":  # LangChain tells `_stream` of no run, whom retries could be reported to
        (retry,) = recorder.run.retries
        assert (retry.attempt_number, round(retry.upcoming_sleep, 2)) == (1, 0.03)  # a little more, at random
        assert isinstance(retry.outcome.exception(), RateLimitError)


@pytest.mark.parametrize("reason", ["abort", "content_filter"])
def test_an_answer_of_which_a_choice_broke_off_or_all_were_filtered_is_an_error(world, server, reason):
    first = {"index": 0, "message": {"content": "all of it"}, "finish_reason": "stop"}
    second = {"index": 1, "message": {"content": "half of"}, "finish_reason": "abort"}
    filtered = [{"index": i, "message": {"content": ""}, "finish_reason": "content_filter"} for i in range(2)]
    server.script = lambda _: http({"choices": [first, second] if reason == "abort" else filtered})
    expected = APIResponseError if reason == "abort" else ContentFilterError
    with pytest.raises(expected) as caught:
        world.invoke(world.chat(server, n=2, max_retries=0), "x")
    assert len(caught.value.partial.choices) == 2
