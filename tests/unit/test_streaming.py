"""Opening and reading a stream, driven by hand: retries up to the first chunk, limits of time, refused options."""

# ruff: noqa: RUF001 - words of the gateway, and digits of other scripts

from __future__ import annotations

import json

import pytest

from tests.unit.flows import Clock, call_of, play, refused, setup_of
from xdm_integrations.core.completions.request import stream_completion
from xdm_integrations.core.completions.text_so_far import TextSoFar
from xdm_integrations.core.errors.tree import (
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    BadRequestError,
    ModelUnavailableError,
    StreamInterruptedError,
    XDMError,
)
from xdm_integrations.core.protocol.call import ServerFacts
from xdm_integrations.core.protocol.reading import GRACE_AFTER_FINISH, Streaming
from xdm_integrations.core.protocol.wire import Read, Reply, Send, Sleep, Timeout

DONE = b"data: [DONE]\n\n"
PING = b": PING\n\n"


class Body:
    """An open body that only counts how often it was closed."""

    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


def event(text, finish=None):
    return b"data: " + json.dumps({"choices": [{"text": text, "finish_reason": finish}]}).encode() + b"\n\n"


def opened(body=None):
    return Reply(200, {"x-oneapi-request-id": "r"}, b"", body or Body())


def open_stream(answers, facts=None, clock=None, settings=None, **params):
    clock = clock or Clock()
    return play(stream_completion(setup_of(facts, clock, **(settings or {})), "x", params), answers, clock)


def shape(commands):
    return ["send" if isinstance(c, Send) else "read" if isinstance(c, Read) else "sleep" for c in commands]


def bodies(commands):
    return [json.loads(c.request.body) for c in commands if isinstance(c, Send)]


def test_it_is_read_up_to_the_first_word():
    streaming, commands = open_stream([opened(), PING, event("a") + event("b")])
    assert shape(commands) == ["send", "read", "read"]
    assert [c.text for c in streaming.chunks] == ["a", "b"]
    assert not streaming.decoder.ended
    assert commands[0].request.streaming
    assert bodies(commands)[0]["stream"] is True


def test_text_and_failure_in_one_block_are_text_first():
    streaming, _ = open_stream([opened(), event("a") + b'data: {"error": {"message": "x"}}\n\n'])
    assert [c.text for c in streaming.chunks] == ["a"]
    assert streaming.decoder.failure.text == "a"


@pytest.mark.parametrize("nothing", [[b""], [PING, b""], [DONE], [PING, DONE], [APIConnectionError("reset.")]])
def test_nothing_but_an_end_is_asked_again(nothing):
    body = Body()
    streaming, commands = open_stream([opened(body), *nothing, opened(), event("a")])
    assert [c.text for c in streaming.chunks] == ["a"]
    assert body.closed == 1
    assert shape(commands).count("sleep") == 1
    assert streaming.body is not body


def test_nothing_three_times_is_an_error():
    made = [Body(), Body(), Body()]
    with pytest.raises(APIResponseError) as caught:
        open_stream([x for body in made for x in (opened(body), DONE)])
    assert [body.closed for body in made] == [1, 1, 1]
    assert caught.value.request_id == "r"


def test_an_error_before_any_word_is_classified_and_not_sent_again_if_it_never_heals():
    body = Body()
    error = {
        "error": {
            "message": "分组 g 下模型 m 无可用渠道（distributor）",
            "type": "new_api_error",
            "code": "model_not_found",
        }
    }
    offered = Reply(200, {}, b'{"data": [{"id": "gpt-3.5-turbo-instruct-0914"}]}')
    with pytest.raises(ModelUnavailableError, match=r"gpt-3\.5-turbo-instruct-0914") as caught:
        open_stream([opened(body), PING, json.dumps(error).encode() + b"\n", offered])
    assert body.closed == 1
    assert [c.request.method for c in caught.value.commands if isinstance(c, Send)] == ["POST", "GET"]


def test_a_failed_read_after_the_first_word_is_not_the_flows_matter():
    streaming, _ = open_stream([opened(), event("a")])
    streaming.decoder.interrupt(APIConnectionError("x"))
    assert isinstance(streaming.decoder.failure, StreamInterruptedError)


def test_the_body_is_closed_if_the_reader_goes_away():
    body = Body()
    flow = stream_completion(setup_of(), "x", {})
    next(flow)
    flow.send(None)
    flow.send(opened(body))
    flow.close()
    assert body.closed == 1
    flow = stream_completion(setup_of(), "x", {})
    next(flow)
    flow.send(None)
    flow.send(opened(body))
    with pytest.raises(KeyboardInterrupt):
        flow.throw(KeyboardInterrupt())
    assert body.closed == 2


REFUSES_OPTIONS = [
    refused(
        400,
        {
            "error": {
                "message": "Unrecognized request argument supplied: stream_options",
                "type": "invalid_request_error",
            }
        },
    ),
    refused(422, {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}),
]


@pytest.mark.parametrize("refusal", REFUSES_OPTIONS)
def test_refused_options_are_left_out_and_remembered(refusal):
    facts = ServerFacts()
    _, commands = open_stream([refusal, opened(), event("a")], facts, model="m")
    assert ["stream_options" in body for body in bodies(commands)] == [True, False]
    assert shape(commands) == ["send", "send", "read"]
    assert facts.refuses_stream_options == {"m"}
    _, commands = open_stream([opened(), event("a")], facts, model="m")
    assert "stream_options" not in bodies(commands)[0]
    _, commands = open_stream([opened(), event("a")], facts, model="other")
    assert "stream_options" in bodies(commands)[0]


def test_options_that_a_refusal_only_shows_are_sent_again_the_next_time():
    """FastAPI shows the complete body beside the name of a field that is missing."""
    missing = {"type": "missing", "loc": ["body", "seed"], "msg": "Field required"}
    facts = ServerFacts()
    with pytest.raises(BadRequestError):
        open_stream(
            [
                refused(422, {"detail": [{**missing, "input": {"stream_options": {"include_usage": True}}}]}),
                refused(422, {"detail": [{**missing, "input": {}}]}),
            ],
            facts,
            model="m",
        )
    _, commands = open_stream([opened(), event("a")], facts, model="m")
    assert "stream_options" in bodies(commands)[0]


def test_options_that_were_not_sent_are_not_to_blame():
    with pytest.raises(BadRequestError):
        open_stream([REFUSES_OPTIONS[0]], settings={"stream_usage": False})
    facts = ServerFacts(refuses_stream_options={"m"})
    with pytest.raises(BadRequestError):
        open_stream([REFUSES_OPTIONS[0]], facts, model="m")


def test_other_refusals_are_raised():
    with pytest.raises(BadRequestError) as caught:
        open_stream([refused(400, {"error": {"message": "bad temperature"}})])
    assert shape(caught.value.commands) == ["send"]


def test_an_error_without_options_is_the_second_ones():
    with pytest.raises(BadRequestError, match="other"):
        open_stream([REFUSES_OPTIONS[0], refused(400, {"error": {"message": "other"}})])


def test_the_deadline_stays_that_of_the_whole_call():
    clock = Clock()

    def refuse(command):
        clock.now += 5
        return REFUSES_OPTIONS[0]

    _, commands = open_stream([refuse, opened(), event("a")], clock=clock, timeout=Timeout(total=60))
    assert [c.request.deadline for c in commands if isinstance(c, Send)] == [1060.0, 1060.0]


def streaming_with(clock, **params):
    call, _ = call_of("x", streaming=True, **params)
    return Streaming(call, opened(), TextSoFar(1, 1), clock.runtime)


def test_a_stream_that_pings_for_twenty_minutes_and_then_answers_is_an_answer():
    """Keep-alive comments are bytes: `read` bounds the wait for bytes, not for events."""
    clock = Clock()
    streaming = streaming_with(clock)
    for _ in range(120):
        clock.now += 10
        assert streaming.feed(PING) == []
    assert [chunk.text for chunk in streaming.feed(event("a", "stop"))] == ["a"]
    assert streaming.decoder.failure is None


@pytest.mark.parametrize("limit", [10, 1800])
def test_a_stream_that_only_pings_times_out_though_bytes_come(limit):
    clock = Clock()
    streaming = streaming_with(clock, timeout=Timeout(event=limit))
    for _ in range(5):
        clock.now += limit / 5
        assert streaming.feed(PING) == []
    assert not streaming.decoder.ended
    clock.now += 0.5
    streaming.feed(PING)
    assert isinstance(streaming.decoder.failure, APITimeoutError)
    assert f"event limit of {limit} s" in streaming.decoder.failure.message


def test_before_the_first_chunk_pings_have_the_same_limits():
    clock = Clock()

    def pinging(command):
        clock.now += 10
        return PING

    streaming, _ = open_stream([opened(), *[pinging] * 120, event("a")], clock=clock)
    assert [chunk.text for chunk in streaming.chunks] == ["a"]
    with pytest.raises(APITimeoutError, match="event limit of 1800 s"):
        open_stream([opened(), *[pinging] * 182], clock=clock, settings={"max_retries": 0})


def test_each_event_starts_the_patience_anew():
    clock = Clock()
    streaming = streaming_with(clock, timeout=Timeout(event=10))
    for block in (PING, event("a"), PING, event(""), PING, event("b"), PING):
        clock.now += 9
        streaming.feed(block)
        assert streaming.decoder.failure is None
    clock.now += 9
    streaming.feed(PING)
    clock.now += 9
    streaming.feed(PING)
    assert isinstance(streaming.decoder.failure, StreamInterruptedError)
    assert streaming.decoder.failure.text == "ab"
    assert isinstance(streaming.decoder.failure.__cause__, APITimeoutError)


def test_no_limit_is_no_limit():
    clock = Clock()
    streaming = streaming_with(clock, timeout=Timeout(event=None))
    clock.now += 10**6
    streaming.feed(PING)
    assert not streaming.decoder.ended
    assert streaming.within is None


def test_after_the_finish_patience_is_short_and_its_end_no_failure():
    clock = Clock()
    streaming = streaming_with(clock)
    assert streaming.within is None
    streaming.feed(event("a", "stop"))
    assert streaming.within == GRACE_AFTER_FINISH
    streaming.feed(PING)
    clock.now += GRACE_AFTER_FINISH + 0.1
    assert not streaming.decoder.ended
    streaming.feed(PING)
    assert streaming.decoder.ended
    assert streaming.decoder.failure is None


def test_an_end_within_a_block_needs_no_patience():
    clock = Clock()
    streaming = streaming_with(clock, timeout=Timeout(event=10))
    streaming.feed(event("a", "stop"))
    streaming.feed(PING)
    clock.now += 99
    streaming.feed(DONE)
    assert streaming.decoder.failure is None
    streaming.feed(b"")
    assert streaming.decoder.ended


def test_the_end_of_the_body_is_judged():
    streaming = streaming_with(Clock())
    streaming.feed(event("a"))
    streaming.feed(b"")
    assert isinstance(streaming.decoder.failure, StreamInterruptedError)


def test_no_failure_shows_the_key():
    key = {"Authorization": "Bearer my-own-password"}
    streaming = streaming_with(Clock(), extra_headers=key)
    streaming.feed(event("a") + b'data: {"error": {"message": "bad key my-own-password"}}\n\n')
    assert "bad key ***" in streaming.decoder.failure.message
    assert "my-own-password" not in streaming.decoder.failure.body
    for before in (b"", event("a")):
        streaming = streaming_with(Clock(), extra_headers=key)
        streaming.feed(PING + before)
        streaming.interrupt(APIConnectionError("reset while my-own-password was sent."))
        assert "my-own-password" not in streaming.decoder.failure.message
        assert "reset while ***" in streaming.decoder.failure.message


def test_the_clock_is_read_only_when_nothing_comes():
    clock, readings = Clock(), []
    clock.runtime = clock.runtime._replace(monotonic=lambda: readings.append(1) or clock.now)
    streaming = streaming_with(clock)
    readings.clear()
    for _ in range(10):
        streaming.feed(event("a"))
    assert readings == []
    streaming.feed(PING)
    assert readings == [1]


def test_every_failure_is_one_of_ours():
    with pytest.raises(XDMError) as caught:
        open_stream([opened(), b"garbage", b"", opened(), b"garbage", b""])
    assert [type(c) for c in caught.value.commands].count(Sleep) == 1
