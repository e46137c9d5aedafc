"""What a call of chat does: the requests it sends, and what it heals."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tests.unit.flows import play, refused
from xdm_integrations.core.chat.request import ask_chat, ask_structured, stream_chat
from xdm_integrations.core.chat.structured_stream import stream_structured
from xdm_integrations.core.errors.tree import (
    APITimeoutError,
    BadRequestError,
    ConfigurationError,
    ContentFilterError,
    ModelUnavailableError,
    XDMError,
)
from xdm_integrations.core.protocol.call import Setup
from xdm_integrations.core.protocol.config import Config
from xdm_integrations.core.protocol.reading import GRACE_AFTER_FINISH
from xdm_integrations.core.protocol.retry import RetryPolicy, Runtime
from xdm_integrations.core.protocol.wire import Reply, Send, Timeout

SCHEMA = {"title": "P", "type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
WRONG_NAME = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
)
RUNTIME = Runtime(lambda: 1.0, lambda: 0.0, lambda: 0.0)


def setup(**more):
    return Setup(Config(base_url="http://localhost/v1", **more), RUNTIME)


def ok(text="hi", finish="stop", **message):
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return Reply(200, {}, json.dumps({"id": "c", "model": "m", "choices": [choice], "usage": usage}).encode())


def no(message, status=400, **more):
    return refused(status, {"error": {"message": message, "type": "invalid_request_error", **more}})


def bodies(commands):
    return [json.loads(command.request.body) for command in commands if isinstance(command, Send)]


def test_a_request_holds_what_was_set_and_nothing_else():
    answer, commands = play(ask_chat(setup(), "hello", {"temperature": 0, "seed": None}), [ok()])
    assert answer.text == "hi"
    assert commands[0].request.url == "http://localhost/v1/chat/completions"
    message = {"role": "user", "content": "hello"}
    assert bodies(commands) == [{"model": "gpt-4o-mini", "messages": [message], "temperature": 0}]


@pytest.mark.parametrize(
    ("settings", "given", "sent"),
    [
        ({}, {}, {}),
        ({"max_tokens": 7}, {}, {"max_tokens": 7}),
        ({"max_tokens": 7}, {"max_tokens": None}, {"max_tokens": 7}),
        ({"max_tokens": 7}, {"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_tokens": 7}, {"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
    ],
)
def test_a_limit_of_the_client_is_sent_unless_the_call_has_one(settings, given, sent):
    _, commands = play(ask_chat(setup(**settings), "hello", given), [ok()])
    (body,) = bodies(commands)
    assert {name: value for name, value in body.items() if name.startswith("max_")} == sent


@pytest.mark.parametrize(
    "given",
    [
        {"messages": []},
        {"extra_body": {"messages": []}},
        {"extra_body": {"stream": True}},
        {"temprature": 1},
    ],
)
def test_nothing_is_sent_where_something_is_wrong(given):
    with pytest.raises(ConfigurationError) as caught:
        play(ask_chat(setup(), given.pop("messages", "x"), given), [])
    assert caught.value.commands == []


def test_a_limit_under_the_wrong_name_is_sent_once_more_and_the_name_is_remembered():
    known = setup()
    _, commands = play(ask_chat(known, "x", {"model": "o1", "max_tokens": 9}), [no(WRONG_NAME), ok()])
    first, second = bodies(commands)
    assert (first["max_tokens"], second["max_completion_tokens"]) == (9, 9)
    assert "max_tokens" not in second
    _, commands = play(ask_chat(known, "x", {"model": "o1", "max_tokens": 9}), [ok()])
    assert "max_tokens" not in bodies(commands)[0]
    _, commands = play(ask_chat(known, "x", {"model": "m", "max_tokens": 9}), [ok()])
    assert bodies(commands)[0]["max_tokens"] == 9


def test_a_server_may_want_the_older_name_of_the_limit_and_is_asked_once_where_none_was_sent():
    refusal = no("Unknown parameter: 'max_completion_tokens'. Use 'max_tokens' instead.")
    _, commands = play(ask_chat(setup(), "x", {"max_completion_tokens": 9}), [refusal, ok()])
    assert [body.get("max_tokens") for body in bodies(commands)] == [None, 9]
    with pytest.raises(XDMError, match="instead") as caught:
        play(ask_chat(setup(), "x", {}), [refusal])
    assert len(caught.value.commands) == 1


@pytest.mark.parametrize("status", [404, 422, 500, 503])
def test_a_refusal_in_the_status_of_a_passing_failure_is_not_waited_for(status):
    answer, commands = play(ask_chat(setup(), "x", {"max_tokens": 9}), [no(WRONG_NAME, status), ok()])
    assert answer.text == "hi"
    assert len(commands) == len(bodies(commands)) == 2
    with pytest.raises(XDMError) as caught:
        play(stream_chat(setup(), "x", {}), [no("Unknown parameter: 'stream_options'", status), no("no")])
    assert len(caught.value.commands) == 2
    assert ["stream_options" in body for body in bodies(caught.value.commands)] == [True, False]


def test_a_limit_is_renamed_once_and_other_refusals_are_raised():
    with pytest.raises(XDMError):
        play(ask_chat(setup(), "x", {"max_tokens": 9}), [no(WRONG_NAME), no(WRONG_NAME)])
    for words in ("max_tokens is too large", "max_tokens (max_completion_tokens) is too large", "max_tokens? Unknown."):
        with pytest.raises(XDMError) as caught:
            play(ask_chat(setup(), "x", {"max_tokens": 9}), [no(words)])
        assert len(caught.value.commands) == 1


@pytest.mark.parametrize("ask", [ask_chat, stream_chat])
def test_a_model_that_is_refused_under_the_other_name_of_the_limit_brings_the_nearest_names(ask):
    unknown = no("The model `gpt-4o-mni` does not exist", 404, code="model_not_found")
    with pytest.raises(ModelUnavailableError) as caught:
        play(
            ask(setup(), "x", {"model": "gpt-4o-mni", "max_tokens": 9}),
            [no(WRONG_NAME), unknown, Reply(200, {}, b'{"data": [{"id": "gpt-4o-mini"}]}')],
        )
    assert caught.value.suggestions == ("gpt-4o-mini",)


def timed(flow_of):
    """Play a flow with a total limit of 60 s whose answers take 5 s each; return the deadlines of its requests."""
    now = [1000.0]
    config = Config(base_url="http://localhost/v1", timeout=Timeout(total=60))

    def after(reply):
        def answer(_command):
            now[0] += 5
            return reply

        return answer

    flow, replies = flow_of(Setup(config, Runtime(lambda: 1.0, lambda: now[0], lambda: 0.0)))
    with pytest.raises(XDMError) as caught:
        play(flow, [after(reply) for reply in replies])
    return [command.request.deadline for command in caught.value.commands if isinstance(command, Send)]


@pytest.mark.parametrize("ask", [ask_chat, stream_chat])
def test_a_call_whose_limit_is_renamed_has_one_deadline(ask):
    no_more = no("no")
    assert timed(lambda known: (ask(known, "x", {"max_tokens": 9}), [no(WRONG_NAME), no_more])) == [1060.0] * 2


@pytest.mark.parametrize("ask", [ask_structured, stream_structured])
def test_a_search_for_an_object_has_one_deadline(ask):
    refusal = no("This response_format type is unavailable now")
    assert timed(lambda known: (ask(known, "x", {}, SCHEMA), [refusal, no("no")])) == [1060.0] * 2


def test_a_stream_is_healed_in_the_same_way():
    with pytest.raises(XDMError) as caught:
        play(
            stream_chat(setup(), "x", {"max_tokens": 9}),
            [no(WRONG_NAME), no("Unknown parameter: 'stream_options'"), no("no")],
        )
    first, second, third = bodies(caught.value.commands)
    assert first["stream"] is True
    assert first["stream_options"] == {"include_usage": True}
    assert second["max_completion_tokens"] == third["max_completion_tokens"] == 9
    assert "stream_options" not in third


@pytest.mark.parametrize(
    "refusal",
    [no("the tool parser crashed", 500), no("Function calling mode ANY is not supported")],
    ids=["500", "400"],
)
def test_a_refusal_of_one_way_to_call_a_tool_closes_no_other(refusal):
    answers = [no("This response_format type is unavailable now"), refusal, ok('{"x": 1}')]
    runtime = Runtime(lambda: 1.0, lambda: 0.0, lambda: 0.0)
    known = Setup(Config(base_url="http://localhost/v1", retry=RetryPolicy(max_retries=0)), runtime)
    _, commands = play(ask_structured(known, "x", {}, SCHEMA), answers)
    assert bodies(commands)[-1]["tool_choice"] == "auto"


def test_an_object_is_asked_for_by_the_next_method_where_one_is_refused_or_ignored():
    known = setup()
    answers = [no("This response_format type is unavailable now"), ok("I like tools."), ok('Sure: {"x": 1}')]
    answer, commands = play(ask_structured(known, "x", {}, SCHEMA), answers)
    assert answer.parsed == {"x": 1}
    assert answer.usage.total_tokens == 6  # the answer that ignored the tool is paid for
    asked = bodies(commands)
    assert [body.get("response_format", body.get("tool_choice")) for body in asked][1:] == [
        {"type": "function", "function": {"name": "P"}},
        "auto",
    ]
    _, commands = play(ask_structured(known, "x", {}, SCHEMA), [ok('{"x": 2}')])
    assert bodies(commands)[0]["tool_choice"] == "auto"


@pytest.mark.parametrize("last", [no("broken", 500), ok("I like JSON."), ok(None, refusal="No.")])
def test_the_answers_of_a_search_that_fails_are_counted(last):
    known = setup(retry=RetryPolicy(max_retries=0))
    answers = [ok("I like schemas."), ok("I like tools."), ok("I like choices."), ok("I like modes."), last]
    with pytest.raises(XDMError) as caught:
        play(ask_structured(known, "x", {}, SCHEMA), answers)
    answered = [reply for reply in answers if reply.status == 200]
    assert caught.value.usage.total_tokens == 3 * len(answered)
    if caught.value.partial is not None:
        assert caught.value.partial.usage == caught.value.usage


def test_a_refusal_of_a_method_is_waited_for_only_where_no_other_method_may_follow():
    refusal = no("the response_format parser crashed", 500)
    for method, waits in (("auto", False), ("json_schema", True)):
        _, commands = play(ask_structured(setup(), "x", {}, SCHEMA, method=method), [refusal, ok('{"x": 1}')])
        assert len(bodies(commands)) == 2
        assert (len(commands) > 2) is waits


def test_an_explicit_method_is_used_as_it_is():
    with pytest.raises(BadRequestError):
        play(
            ask_structured(setup(), "x", {}, SCHEMA, method="json_schema"),
            [no("'response_format' of type 'json_schema' is not supported with this model")],
        )


@pytest.mark.parametrize("method", ["json_object", "prompt"])
@pytest.mark.parametrize("ask", [ask_structured, stream_structured])
def test_a_method_by_which_a_server_is_shown_no_schema_shows_it_to_the_model(ask, method):
    with pytest.raises(BadRequestError) as caught:
        play(ask(setup(), "x", {}, SCHEMA, method=method), [no("no")])
    (body,) = bodies(caught.value.commands)
    shown, asked = body["messages"]
    assert json.dumps(SCHEMA) in shown["content"]
    assert asked == {"role": "user", "content": "x"}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("method", ["named_tool", "json_schema"])
@pytest.mark.parametrize("ask", [ask_structured, stream_structured])
def test_a_schema_is_enforced_where_that_was_asked_for(ask, method, strict):
    with pytest.raises(BadRequestError) as caught:
        play(ask(setup(), "x", {}, SCHEMA, method=method, strict=strict), [no("no")])
    (body,) = bodies(caught.value.commands)
    described = body["tools"][0]["function"] if method == "named_tool" else body["response_format"]["json_schema"]
    assert described.get("strict", False) is strict


def test_a_refusal_or_a_cut_answer_ends_the_search():
    for reply in (ok(None, refusal="No."), ok('{"x": ', "length")):
        with pytest.raises(XDMError) as caught:
            play(ask_structured(setup(), "x", {}, SCHEMA), [reply])
        assert len(caught.value.commands) == 1


def test_an_answer_that_was_filtered_away_is_an_error_with_its_counts():
    with pytest.raises(ContentFilterError, match=r"^The provider filtered the answer") as caught:
        play(ask_chat(setup(), "x", {}), [ok(None, "content_filter")])
    assert caught.value.partial.usage.total_tokens == 3
    assert caught.value.status_code == 200


def test_several_answers_are_kept_apart_and_fewer_than_asked_for_are_returned():
    choices = [{"index": i, "message": {"content": t}, "finish_reason": "stop"} for i, t in ((1, "b"), (0, "a"))]
    reply = Reply(200, {}, json.dumps({"choices": choices}).encode())
    for n in (2, 3):
        answer, _ = play(ask_chat(setup(), "x", {"n": n}), [reply])
        assert (answer.n, [choice.message.text for choice in answer.choices]) == (n, ["a", "b"])
    assert play(ask_chat(setup(), "x", {}), [ok()])[0].n == 1


def event(finish="tool_calls", **delta):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


def calling(number, arguments='{"a": 1}'):
    call = {"index": number, "id": f"call_{number}", "function": {"name": "look", "arguments": arguments}}
    return {"tool_calls": [call]}


def opened(*blocks):
    body = SimpleNamespace(close=lambda: None)
    return play(stream_chat(setup(), "x", {}), [Reply(200, {}, b"", body), *blocks])[0]


COUNTS = b'data: {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}\n\n'


@pytest.mark.parametrize("end", [event(), COUNTS], ids=["another finish_reason", "counts"])
def test_after_a_finish_reason_beside_a_call_the_next_call_is_waited_for(end):
    streaming = opened(event(**calling(0)))
    assert streaming.within is None
    streaming.feed(event(**calling(1)))
    assert streaming.within is None
    streaming.feed(b'data: {"choices": []}\n\n')  # says nothing of an end
    assert streaming.within is None
    streaming.feed(COUNTS.replace(b"[]", b'[{"index": 0, "delta": {}}]'))  # nor do counts beside a choice
    assert streaming.within is None
    streaming.feed(end)
    assert streaming.within == GRACE_AFTER_FINISH
    assert [call.id for call in streaming.decoder.result().tool_calls] == ["call_0", "call_1"]


def test_after_a_finish_reason_beside_the_last_piece_of_a_call_nothing_is_waited_for():
    streaming = opened(event(None, **calling(0, '{"a":')))
    streaming.feed(event(None, tool_calls=[{"index": 0, "function": {"arguments": " 1"}}]))
    assert streaming.within is None
    streaming.feed(event(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]))
    assert streaming.within == GRACE_AFTER_FINISH
    streaming.interrupt(APITimeoutError("silence"))
    assert streaming.decoder.failure is None
    assert streaming.decoder.result().tool_calls[0].parsed() == {"a": 1}


def test_a_call_that_comes_after_the_last_piece_of_another_belongs_to_the_answer():
    streaming = opened(event(**calling(0, '{"a": 1')))
    streaming.feed(event(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]))
    streaming.feed(event(**calling(1)))
    assert streaming.within is None
    assert [call.id for call in streaming.decoder.result().tool_calls] == ["call_0", "call_1"]
